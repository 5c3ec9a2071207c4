// SIGINT, SIGTERM and SIGHUP as a flag that the training loop looks at.
#ifndef CNNC_RUNTIME_INTERRUPT_H
#define CNNC_RUNTIME_INTERRUPT_H

#include <csignal>

namespace cnnc::runtime {

// While it lives, the first signal sets the flag and a second one ends the process. A signal that was ignored
// before (nohup) stays ignored.
class InterruptGuard {
public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard &) = delete;
  InterruptGuard &operator=(const InterruptGuard &) = delete;
  static bool requested();

private:
  static constexpr int signals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction before_[3];
};

} // namespace cnnc::runtime
#endif
