// Schedules of dense layers (layers/dense.cpp) in which units stand in the vector.
#include <Halide.h>

#include "codegen/schedule.h"
#include "layers/dense.h"

namespace cnnc {
using namespace Halide;

namespace {
// The gradient of a dense layer's weights: the inputs stand in the vector, the lanes are summed over.
void outer(KernelContext &k, Func out, const Type &type, const MachineTarget &m) {
  int width = k.lanes;
  Tiles tiles; // rows of units by vectors; tiles that divide: what is added twice would be wrong
  const int64_t whole = (type.dims[1] + width - 1) / width, turned_bytes = int64_t(m.vector_bytes) * width * std::max(1, k.kept);
  for (int v = 1; v <= std::min<int64_t>(whole, m.accumulators()); v++)
    for (int r = 1; r <= type.dims[0] && r * v <= m.accumulators(); r++)
      if (whole % v == 0 && v * turned_bytes <= 2 * kLargestOnStack && type.dims[0] % r == 0)
        tiles.offer(r, v, cycles(v * r, v + r, 1, m));
  const Tile tile = tiles.choose(k);
  Var block("block"), vector("vector"), in_block("in_block"), unit("unit");
  Func f = k.reduce, turned = k.staged;
  auto total = out.update();
  if (k.kept)
    turned.bound(Var("chunk"), 0, k.kept);
  if (type.dims[1] < width) { // fewer inputs than lanes: no whole vector
    f.compute_at(out, dim(0));
    on_stack(f);
    turned.compute_root().store_in(MemoryType::Heap);
    return;
  }
  total.split(dim(1), block, in_block, width * tile.columns, TailStrategy::GuardWithIf)
      .split(in_block, vector, in_block, width, TailStrategy::GuardWithIf)
      .split(dim(0), dim(0), unit, tile.rows)
      .reorder(in_block, vector, unit, dim(0), block)
      .vectorize(in_block)
      .unroll(vector)
      .unroll(unit);
  turned.compute_at(out, block).store_in(MemoryType::Heap);
  turn(turned, Var("inside"), lane());
  f.compute_at(out, dim(0));
  on_stack(f);
  f.split(dim(1), vector, in_block, width, TailStrategy::RoundUp).vectorize(in_block).unroll(vector).unroll(dim(0));
  std::vector<VarOrRVar> order = {in_block, vector, dim(0)};
  for (int i = 0; i < k.domain.dimensions(); i++)
    order.push_back(k.domain[i]);
  f.update().split(dim(1), vector, in_block, width, TailStrategy::RoundUp).reorder(order).vectorize(in_block).unroll(vector).unroll(dim(0));
}

// All units, in whole vectors, for all images of the chunk, in tiles of images by vectors; then they are turned, and what
// follows is done with the images in the vector.
void products(KernelContext &k, Func out, const Type &type, const MachineTarget &m) {
  const int width = k.lanes;
  const int64_t units = type.dims[0], count = (units + width - 1) / width;
  constexpr double kNear = 0.5; // cycles that a vector of weights takes longer to come from the second-level cache
  Tiles tiles;
  for (int r = 1; r <= width; r *= 2)
    for (int v = 1; v <= count && r * v <= m.accumulators(); v++)
      if (count % v == 0)
        tiles.offer(r, v, cycles(r * v, r + v, useful(units, width), m) + kNear / (r * useful(units, width)));
  const Tile tile = tiles.choose(k);
  Var block("block"), vector("vector"), unit("unit"), images("images"), image("image");
  Func sums = k.reduce, whole = k.rows, turned = k.staged;
  const Var u = sums.args()[0];
  out.reorder(lane(), dim(0)).vectorize(lane());
  turned.compute_root().store_in(MemoryType::Heap).bound(lane(), 0, width).bound(u, 0, int(count * width));
  turned.split(u, vector, unit, width);
  turn(turned, lane(), unit);
  whole.compute_root().store_in(MemoryType::Heap).bound(u, 0, int(count * width));
  whole.split(lane(), images, image, tile.rows).split(u, block, u, tile.columns * width);
  whole.split(u, vector, unit, width).reorder(unit, vector, image, block, images).vectorize(unit).unroll(vector).unroll(image);
  sums.compute_at(whole, block);
  on_stack(sums);
  sums.split(u, vector, unit, width).reorder(unit, vector, lane()).vectorize(unit).unroll(vector).unroll(lane());
  auto update = sums.update();
  update.split(u, vector, unit, width).reorder(unit, vector, lane(), k.domain.x).vectorize(unit).unroll(vector).unroll(lane());
  unroll_some(update, k.domain.x, {4, 5, 3, 2});
}

// Tiles of images by units, the inputs in the vector; the sums over its elements leave a tile of results in one vector.
void dots(KernelContext &k, Func out) {
  Var element("element"), m("m"), image("image"), images("images"), unit("unit"), block("block");
  Func sums = k.reduce, x = k.staged, all = k.rows;
  out.reorder(lane(), dim(0)).vectorize(lane());
  x.compute_root().store_in(MemoryType::Heap);
  turn(x, Var("inside"), lane());
  all.compute_root().store_in(MemoryType::Heap);
  all.split(lane(), images, image, k.tile[0]).split(dim(0), block, unit, k.tile[1], TailStrategy::RoundUp);
  all.reorder(image, unit, images, block).vectorize(image).unroll(unit);
  sum_lanes(k.lane_sums, all, images);
  sums.compute_at(all, images).vectorize(element).unroll(m);
  on_stack(sums);
  sums.update().reorder(element, m, k.domain.x).vectorize(element).unroll(m);
  unroll_some(sums.update(), k.domain.x, {4, 5, 3, 2});
}
} // namespace

void schedule_dense(KernelContext &k, Func out, const Type &type, const MachineTarget &m) {
  if (k.form == KernelContext::Form::Dots)
    dots(k, out);
  else if (k.form == KernelContext::Form::Products)
    products(k, out, type, m);
  else
    outer(k, out, type, m);
}

void schedule_packed(KernelContext &k, Func out) {
  Func turned = k.staged;
  const Var u = turned.args()[0], i = turned.args()[1], units("units"), unit("unit");
  out.update().split(dim(0), units, unit, k.vector).reorder(unit, k.domain[0], k.domain[1], units).vectorize(unit);
  turned.compute_at(out, k.domain[1]).bound_extent(u, k.vector).bound_extent(i, k.vector);
  turn(turned, u, i);
  on_stack(turned);
}

void schedule_packed_tiles(KernelContext &k, Func out, const Type &type) {
  if (type.dims[1] < k.lanes)
    return;
  Func turned = k.staged;
  const Var u = turned.args()[0], i = turned.args()[1], units("units"), unit("unit"), inputs("inputs"), input("input");
  out.split(dim(2), units, unit, kLeastTileUnits).split(dim(1), inputs, input, k.lanes).reorder(unit, input, units, inputs, dim(0)).vectorize(unit).unroll(input);
  turned.compute_at(out, units).bound_extent(u, kLeastTileUnits).bound_extent(i, k.lanes);
  turn(turned, u, i);
  on_stack(turned);
}

} // namespace cnnc
