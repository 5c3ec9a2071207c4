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

// Stores a vector along `vectorized` for each of as many places as a vector has elements. These stand side by side in memory
// and the vector's elements that far apart, so all of them are exchanged between registers first.
template <class Stage>
void turn(Stage stage, Halide::Var unrolled, Halide::Var vectorized) {
  stage.reorder(unrolled, vectorized).vectorize(vectorized).unroll(unrolled);
}

// The stages of sums_over_lanes, in registers.
inline void sum_lanes(const std::vector<Halide::Func> &stages, Halide::Func consumer, Halide::Var level) {
  Halide::Var pair("pair");
  for (size_t i = 0; i < stages.size(); i++) {
    Halide::Func f = stages[i];
    const auto args = f.args(); // lane, which
    f.compute_at(consumer, level);
    on_stack(f);
    if (i % 2 == 0)
      f.split(args[0], args[0], pair, 2).reorder(args[0], pair).unroll(pair);
    f.vectorize(args[0]).unroll(args[1]);
  }
}

// By the first of `times` that divides: fewer of a processor's few instructions a cycle go to the loop itself, and a tile's
// products find more to overlap with while a weight comes from the second-level cache.
void unroll_some(Halide::Stage update, const Halide::RVar &products, std::initializer_list<int> times);

// Halide takes memory for what is larger.
constexpr int64_t kLargestOnStack = 16 * 1024;

// How well a register tile keeps the two multipliers of a core busy: cycles a multiply-add of one vector. Each step
// of the reduction does `accumulators` of them, two a cycle, after `loads` loads, and each accumulator can take one in
// four cycles; with a little to spare, since loads are not always there in time.
inline double cycles(double accumulators, double loads, double useful, const MachineTarget &m) {
  return std::max({accumulators / 2, loads / m.loads, 6.0}) / (accumulators * useful);
}

// The share of `n` places that are of use when they come `tile` at a time.
inline double useful(int64_t n, int64_t tile) { return double(n) / double((n + tile - 1) / tile * tile); }

struct Tile {
  int rows = 1, columns = 1;
};

// Register tiles that a schedule chooses from.
class Tiles {
public:
  void offer(int64_t rows, int64_t columns, double cost) {
    tiles_.push_back({int(rows), int(columns)});
    candidates_.push_back({std::to_string(rows) + "x" + std::to_string(columns), cost});
  }
  Tile choose(KernelContext &k) const { return tiles_.empty() ? Tile() : tiles_[k.choose("tile", candidates_)]; }

private:
  std::vector<Tile> tiles_;
  std::vector<Candidate> candidates_;
};

// schedule_winograd.cpp
void schedule_winograd(KernelContext &context, Halide::Func out, const Type &type, const std::vector<const Node *> &nodes,
                       const MachineTarget &target);

// schedule.cpp: whether the functions behind a kernel's sums are short enough to be unrolled over them.
bool unrolls(const std::vector<const Node *> &nodes, const MachineTarget &target);
// schedule_fast.cpp: the loops of an output that takes the rows of `context.by_row` as they are made. Returns that image: what
// remains to be scheduled, as the output would be.
Halide::Func take_rows(KernelContext &context, Halide::Func out);
// schedule_conv.cpp: the forms of the direct convolution.
void schedule_conv(KernelContext &context, Halide::Func out, const Type &type, const std::vector<const Node *> &nodes,
                   const MachineTarget &target);

// schedule_dense.cpp: the forms of dense layers.
void schedule_dense(KernelContext &context, Halide::Func out, const Type &type, const MachineTarget &target);

// A weight's copy with its units in the vector, by blocks that are exchanged between registers.
void schedule_packed(KernelContext &context, Halide::Func out);
// The same of tiles of units.
void schedule_packed_tiles(KernelContext &context, Halide::Func out, const Type &type);

// schedule_fast.cpp: the forms of the fast convolution.
void schedule_fast(KernelContext &context, Halide::Func out, const Type &type, const std::vector<const Node *> &nodes,
                   const MachineTarget &target);

// schedule_single.cpp: kernels of one image; the layout of `last` says along which dimension vectors stand.
void schedule_single(KernelContext &context, Halide::Func out, const Node &last, const std::vector<const Node *> &nodes,
                     const MachineTarget &target);

} // namespace cnnc
