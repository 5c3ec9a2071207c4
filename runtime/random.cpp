// Philox4x32-10, shuffling, and the split into training and validation.
#include "random.h"

#include <algorithm>
#include <utility>

namespace cnnc::runtime {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t(0xD2511F53u) * c[0];
    const std::uint64_t b = std::uint64_t(0xCD9E8D57u) * c[2];
    c = {std::uint32_t(b >> 32) ^ c[1] ^ k[0], std::uint32_t(b), std::uint32_t(a >> 32) ^ c[3] ^ k[1], std::uint32_t(a)};
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return c;
}

std::uint32_t Random::next() {
  if (used_ == 4) {
    numbers_ = philox({block_++, epoch_, static_cast<std::uint32_t>(stream_), 0},
                      {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
    used_ = 0;
  }
  return numbers_[used_++];
}

// Lemire's method: multiply, and reject the few values that would come once too often.
std::uint32_t Random::below(std::uint32_t n) {
  const std::uint32_t least = (0u - n) % n;
  for (;;) {
    const std::uint64_t product = std::uint64_t(next()) * n;
    if (static_cast<std::uint32_t>(product) >= least) return static_cast<std::uint32_t>(product >> 32);
  }
}

void shuffle(std::vector<std::uint32_t> &items, std::uint64_t seed, Stream stream, std::uint32_t epoch) {
  Random random(seed, stream, epoch);
  for (std::size_t i = items.size(); i > 1; --i)
    std::swap(items[i - 1], items[random.below(static_cast<std::uint32_t>(i))]);
}

Split split_items(std::uint32_t count, std::uint32_t validation, std::uint64_t seed) {
  std::vector<std::uint32_t> items(count);
  for (std::uint32_t i = 0; i < count; ++i) items[i] = i;
  shuffle(items, seed, Stream::split, 0);
  Split split;
  split.train.assign(items.begin(), items.end() - validation);
  split.validation.assign(items.end() - validation, items.end());
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.validation.begin(), split.validation.end());
  return split;
}

} // namespace cnnc::runtime
