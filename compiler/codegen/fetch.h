// Fetches what a kernel will read, and the lines that it will store to.
#pragma once
#include <cstdint>
#include <string>

namespace Halide::Internal {
struct LoweredFunc;
}

namespace cnnc {
struct Fetch {
  std::string stage;    // a function of the kernel; empty for none
  int64_t ahead = 0;    // elements from the vectors that it reads to those that are fetched meanwhile, ...
  int64_t elements = 0; // ... where these are inside of what is read, which has so many
};

// Puts prefetches before each store of the stage, one for each vector that it is made of. Halide's own prefetch goes by the bounds of a
// loop's next iteration, and takes the lines of several channels to be neighbours.
void fetch_ahead(Halide::Internal::LoweredFunc &function, const Fetch &fetch);

struct FetchRounds {
  std::string loop, input; // of the kernel; no loop for none
  int64_t ahead = 0;       // elements from the first that a round of the loop reads of the input to the first that is fetched meanwhile
  int64_t elements = 0;    // which a round reads, one after the other
};

// Puts prefetches before each round of the loop, one for each line. They may reach past the input's end. Halide's own prefetch of more
// than a line steps by elements of the cache's line as if they were bytes, and leaves lines out.
void fetch_rounds(Halide::Internal::LoweredFunc &function, const FetchRounds &fetch);

// Before the sums of `stage` are computed, prefetches of the lines of the function's result that they will be stored to.
void fetch_results(Halide::Internal::LoweredFunc &function, const std::string &stage);

// The images of the next chunk, a part of them before each time that the sums of `stage` are computed: there is time for it, and a
// call's images are far away. Adds two arguments: where they stand, and the bytes of a number. `numbers`: of the images together.
void fetch_images(Halide::Internal::LoweredFunc &function, const std::string &stage, int64_t numbers);
} // namespace cnnc
