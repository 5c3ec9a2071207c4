// What a dense layer's kernels may hold in a vector.
#pragma once

#include <cstdint>
#include <vector>

#include "decisions.h"

namespace cnnc {

// The images of the chunk, or, where there are enough, units of the result, each a sum of `reduced` products; costs in
// cycles.
std::vector<Candidate> dense_vectors(int64_t units, int64_t reduced, int64_t lanes, bool wide_loads);

constexpr int kLeastTileUnits = 8; // of tiles that weights are packed for: with fewer a product waits for the one before it

// The same of the forward direction, where the inputs may stand in the vector too.
struct DenseForward {
  std::vector<Candidate> candidates;
  std::vector<int64_t> tiles; // of each: units that the images' vector meets one after the other, in packed weights; 0: the weights are not packed so
};
DenseForward dense_forward(int64_t units, int64_t reduced, int64_t lanes, bool wide_loads, int accumulators);

} // namespace cnnc
