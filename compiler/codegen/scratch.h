// Intermediates of a kernel that are too large for the stack. Include <Halide.h> first.
#pragma once

#include <cstdint>
#include <vector>

namespace cnnc {

// Where such an intermediate stands in a thread's scratch memory.
struct Scratch {
  std::vector<int64_t> offsets; // bytes, in the order of the arguments that move_to_scratch appends
  int64_t bytes = 0;            // of all
};

// Turns every allocation that is not for the stack (Func::store_in(MemoryType::Heap), or larger than Halide's own limit)
// into a pointer that the caller hands in: an argument of its own behind the function's others. Throws GraphError where a size is not a constant.
Scratch move_to_scratch(Halide::Internal::LoweredFunc &function);

} // namespace cnnc
