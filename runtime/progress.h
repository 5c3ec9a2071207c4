// What a person sees on standard error while a run goes on.
#ifndef CNNC_RUNTIME_PROGRESS_H
#define CNNC_RUNTIME_PROGRESS_H

#include <chrono>
#include <cstdint>
#include <string>

namespace cnnc::runtime {

// A bar that is redrawn on a terminal; lines alone where there is none; nothing when quiet.
class Progress {
public:
  explicit Progress(bool quiet);
  ~Progress() { clear(); }
  // done of total examples of the epoch; rate in images/s; seconds left of the whole run.
  void bar(std::uint32_t epoch, std::uint32_t epochs, std::uint64_t done, std::uint64_t total, double rate, double left, double loss);
  void line(const std::string &text); // takes the bar's place
  void clear();

private:
  bool quiet_, terminal_, drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

std::string time_text(double seconds); // "4:05", "1:02:03"

} // namespace cnnc::runtime
#endif
