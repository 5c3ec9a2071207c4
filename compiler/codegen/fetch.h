// Fetches what a kernel will read, and the lines that it will store to.
#pragma once
#include <cstdint>
#include <string>

namespace Halide::Internal {
struct LoweredFunc;
}

namespace cnnc {
struct FetchRounds {
  std::string loop, input; // of the kernel; no loop for none
  int64_t ahead = 0;       // elements from the first that a round of the loop reads of the input to the first that is fetched meanwhile
  int64_t elements = 0;    // which a round reads, one after the other
};

// Puts prefetches before each round of the loop, one for each line. They may reach past the input's end. Halide's own prefetch of more
// than a line steps by elements of the cache's line as if they were bytes, and leaves lines out.
void fetch_rounds(Halide::Internal::LoweredFunc &function, const FetchRounds &fetch);

struct FetchNext {
  std::string stage;       // reads a part of an input, as a copy does
  std::string sums;        // that are made of it: those of a copy, or the stage itself
  std::string buffer = {}; // another stage in memory that is read, in place of the inputs
  int again = 0;           // of the loops around the stage, from the innermost: those whose rounds all read the same part
};

// Puts prefetches into the loops of the sums, of the lines that the stage will read next. A core can wait for few lines at a time: fetched
// in one stretch, with a copy, they would hold it up. They may reach past the input's end.
void fetch_next(Halide::Internal::LoweredFunc &function, const FetchNext &fetch);

// Before the sums of `stage` are computed, prefetches of the lines of the function's result that they will be stored to.
void fetch_results(Halide::Internal::LoweredFunc &function, const std::string &stage);

// The images of the next chunk, a part of them before each time that the sums of `stage` are computed: there is time for it, and a
// call's images are far away. Adds two arguments: where they stand, and the bytes of a number. `numbers`: of the images together.
void fetch_images(Halide::Internal::LoweredFunc &function, const std::string &stage, int64_t numbers);
} // namespace cnnc
