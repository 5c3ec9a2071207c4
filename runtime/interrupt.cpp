// The signal handler: it sets a flag and does nothing else.
#include "interrupt.h"

namespace cnnc::runtime {
namespace {

volatile std::sig_atomic_t flag = 0;

extern "C" void cnnc_runtime_on_signal(int) { flag = 1; }

} // namespace

InterruptGuard::InterruptGuard() {
  flag = 0;
  struct sigaction action {};
  action.sa_handler = cnnc_runtime_on_signal;
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < 3; ++i) {
    sigaction(signals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) sigaction(signals[i], &action, nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  for (int i = 0; i < 3; ++i) sigaction(signals[i], &before_[i], nullptr);
}

bool InterruptGuard::requested() { return flag != 0; }

} // namespace cnnc::runtime
