// Random numbers that depend on the seed and the position alone: Philox4x32-10, a counter-based generator.
#ifndef CNNC_RUNTIME_RANDOM_H
#define CNNC_RUNTIME_RANDOM_H

#include <array>
#include <cstdint>
#include <vector>

namespace cnnc::runtime {

// Ten rounds of Philox4x32 (Salmon et al., 2011): the block that stands at `counter` under `key`.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

// What the numbers are for: streams of one seed do not overlap. The generated library draws its initial
// parameters with a stream of its own.
enum class Stream : std::uint32_t { split = 0x73706c74,
                                    shuffle = 0x73687566 };

class Random {
public:
  Random(std::uint64_t seed, Stream stream, std::uint32_t epoch) : seed_(seed), stream_(stream), epoch_(epoch) {}
  std::uint32_t next();
  std::uint32_t below(std::uint32_t n); // uniform in [0, n), n > 0, without bias

private:
  std::uint64_t seed_;
  Stream stream_;
  std::uint32_t epoch_, block_ = 0;
  unsigned used_ = 4;
  std::array<std::uint32_t, 4> numbers_{};
};

// Fisher-Yates: the same order for the same seed, stream and epoch.
void shuffle(std::vector<std::uint32_t> &items, std::uint64_t seed, Stream stream, std::uint32_t epoch);

// Items 0..count-1 in two parts chosen by the seed, each in rising order.
struct Split {
  std::vector<std::uint32_t> train, validation;
};
Split split_items(std::uint32_t count, std::uint32_t validation, std::uint64_t seed);

} // namespace cnnc::runtime
#endif
