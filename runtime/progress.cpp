// Draws the progress bar.
#include "progress.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fmt/format.h>
#include <unistd.h>

namespace cnnc::runtime {

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(!quiet && ::isatty(STDERR_FILENO)) {}

std::string time_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "-:--";
  const auto s = static_cast<std::uint64_t>(std::llround(seconds));
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60) : fmt::format("{}:{:02}", s / 60, s % 60);
}

void Progress::bar(std::uint32_t epoch, std::uint32_t epochs, std::uint64_t done, std::uint64_t total, double rate, double left,
                   double loss) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (drawn_ && now - last_ < std::chrono::milliseconds(100)) return;
  constexpr std::uint64_t width = 24;
  const std::uint64_t filled = total ? std::min(width, done * width / total) : 0;
  fmt::print(stderr, "\r\x1b[Kepoch {}/{} [{}{}] {:3}%  {:.0f} images/s  {} left  loss {:.4f}", epoch, epochs, std::string(filled, '#'),
             std::string(width - filled, '.'), total ? done * 100 / total : 0, rate, time_text(left), loss);
  std::fflush(stderr);
  last_ = now;
  drawn_ = true;
}

void Progress::clear() {
  if (!drawn_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

void Progress::line(const std::string &text) {
  if (quiet_) return;
  clear();
  std::fputs((text + "\n").c_str(), stderr);
  std::fflush(stderr);
}

} // namespace cnnc::runtime
