// Exchanges the elements of vectors that are loaded.
#pragma once

namespace Halide::Internal {
struct LoweredFunc;
}

namespace cnnc {
// Stores of what interleaves as many vectors as the target's have elements, each loaded: by fours of elements. A load puts each
// into its place, and then only elements within fours change places: of sixteen vectors 12 exchanges between registers for four
// columns, where Halide takes 16, and x86 has one unit for them.
void turn_by_fours(Halide::Internal::LoweredFunc &function);
} // namespace cnnc
