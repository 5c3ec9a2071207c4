// What the files of schedules share. Include <Halide.h> first.
#pragma once

#include <algorithm>
#include <string>

#include "codegen/kernels.h"

namespace cnnc {

inline Halide::Var dim(size_t i) { return Halide::Var("d" + std::to_string(i)); } // the names that KernelContext::vars gives
inline Halide::Var lane() { return Halide::Var("lane"); }

// Intermediates stay on the stack: an allocation would need a runtime.
inline void on_stack(Halide::Func f) { f.store_in(Halide::MemoryType::Stack); }

// Halide takes memory for what is larger.
constexpr int64_t kLargestOnStack = 16 * 1024;

// How well a register tile keeps the two multipliers of a core busy: cycles a multiply-add of one vector. Each step
// of the reduction does `accumulators` of them after `loads` loads, two a cycle of either, and each accumulator
// can take one in four cycles; with a little to spare, since loads are not always there in time.
inline double cycles(double accumulators, double loads, double useful) {
  return std::max({accumulators / 2, loads / 2, 6.0}) / (accumulators * useful);
}

// The share of `n` places that are of use when they come `tile` at a time.
inline double useful(int64_t n, int64_t tile) { return double(n) / double((n + tile - 1) / tile * tile); }

// schedule_fast.cpp: the forms of the fast convolution.
void schedule_fast(KernelContext &context, Halide::Func out, const Type &type, const std::vector<const Node *> &nodes,
                   const MachineTarget &target);

} // namespace cnnc
