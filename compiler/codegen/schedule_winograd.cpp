// Schedules of the two-dimensional fast convolution (layers/conv_winograd.cpp). A block of tiles goes through all stages
// before the next; what lies between them stands in scratch memory, in the second-level cache as long as it fits.
#include <Halide.h>
#include <cmath>
#include <fmt/format.h>

#include "codegen/schedule.h"
#include "layers/conv_winograd.h"
#include "layers/op.h"

namespace cnnc {
using namespace Halide;

namespace {
const Var tx("tx"), ty("ty"), channel("channel"), i("i"), j("j"), e("e"), ox("ox"), oy("oy"), phase("phase"), out_channel("out"), q("q"), channel_block("block");

constexpr int64_t kFarWeights = 4 << 20, kFetchedAhead = 8 << 10; // bytes

// Too large for the stack: a place in the thread's scratch memory.
void in_scratch(Func f) { f.store_in(MemoryType::Heap); }

// The two stages of a transform of tiles, row by row and column by column; `inner`: the loop around a tile.
void transform(Func points, Func half, const WinogradShape &s, const Var &inner) {
  points.bound(i, 0, int(s.columns.points())).bound(j, 0, int(s.rows.points())).unroll(j);
  half.compute_at(points, inner).bound_extent(tx, 1).bound_extent(ty, 1).bound(i, 0, int(s.columns.points())).unroll(i);
  on_stack(half);
}

// Rows times columns accumulators, and the columns' factors beside them; columns divide `columns`.
Tile choose_tile(KernelContext &k, int64_t rows, int64_t columns, const MachineTarget &m) {
  const int limit = m.accumulators();
  Tiles tiles;
  for (int64_t r = 1; r <= rows && r <= limit; r++)
    for (int64_t c = 1; c <= columns && r * c <= limit && r * c + c < m.registers; c++)
      if (columns % c == 0)
        tiles.offer(r, c, cycles(double(r * c), double(r + c), useful(rows, r), m) + 0.5 / double(r * c) + 1e-4 * double(c)); // few, which stay near
  return tiles.choose(k);
}

void convolution(KernelContext &k, Func out, const Type &type, const Node &n, const std::vector<const Node *> &nodes, const MachineTarget &m) {
  const WinogradShape s = winograd_shape(n);
  const bool data = n.has("image");
  const int sh = data ? int(s.rows.stride) : 1, sw = data ? int(s.columns.stride) : 1;
  const int64_t channels = k.type(n, 0).dims[0] * (data ? 1 : s.phases());
  const WinogradBlock block = winograd_block(s, type.dims[0], channels);
  const WinogradPacking pack = winograd_packing(s, type.dims[0], channels);
  const int64_t inputs = pack.group * pack.groups;
  int64_t pooled_rows = 1, pooled_columns = 1;
  for (const Node *other : nodes)
    if (has_trait(*other, kWindow))
      pooled_rows = other->list("stride")[0], pooled_columns = other->list("stride")[1];
  const int rows = int(s.rows.tile * sh / pooled_rows), columns = int(s.columns.tile * sw / pooled_columns);
  Func padded = k.stages["phases"], half = k.stages["half"], V = k.stages["V"], product = k.stages["product"], back = k.stages["back"], tile = k.stages["tile"];

  Var by("by"), bx("bx"), y("y"), x("x"), phase_y("phase_y"), phase_x("phase_x");
  const TailStrategy guard = TailStrategy::GuardWithIf;
  out.split(dim(1), by, y, rows * int(block.rows), guard).split(y, ty, y, rows, guard).split(y, oy, phase_y, sh, guard);
  out.split(dim(2), bx, x, columns * int(block.columns), guard).split(x, tx, x, columns, guard).split(x, ox, phase_x, sw, guard);
  Var bk("bk");
  out.split(dim(0), bk, dim(0), int(pack.together * pack.block), guard);
  out.reorder({lane(), ox, oy, phase_x, phase_y, tx, ty, dim(0), bk, bx, by}).vectorize(lane()).unroll(ox);

  tile.compute_at(out, tx).vectorize(lane()).bound(phase, 0, sh * sw).bound(ox, 0, int(s.columns.tile)).bound(oy, 0, int(s.rows.tile));
  tile.bound_extent(tx, 1).bound_extent(ty, 1).bound_extent(channel, 1).reorder(lane(), oy, ox, phase).unroll(oy);
  on_stack(tile);
  back.compute_at(tile, phase).vectorize(lane()).bound_extent(phase, 1).bound(ox, 0, int(s.columns.tile)).bound(j, 0, int(s.rows.points()));
  back.bound_extent(tx, 1).bound_extent(ty, 1).bound_extent(channel, 1).reorder(lane(), ox, j).unroll(ox);
  on_stack(back);

  // The products of one point after the other.
  product.compute_at(out, bk).vectorize(lane()).bound_extent(tx, int(block.columns)).bound_extent(ty, int(block.rows)).bound(q, 0, int(pack.block));
  product.bound_extent(channel_block, int(pack.together)).bound(phase, 0, sh * sw).bound(i, 0, int(s.columns.points())).bound(j, 0, int(s.rows.points()));
  in_scratch(product);
  product.reorder_storage({lane(), i, j, tx, ty, q, channel_block, phase});
  Func sum = k.reduce;
  on_stack(sum);
  Var held("held");
  product.split(ty, ty, held, int(block.held_rows)).reorder({lane(), tx, held, q, ty, channel_block, i, j, phase}).unroll(q);
  if (pack.block * block.held_rows * block.columns <= m.accumulators()) {
    product.unroll(tx).unroll(held);
    sum.compute_at(product, ty);
  } else { // fewer registers: one tile at a time
    product.reorder({lane(), q, tx, held, ty});
    sum.compute_at(product, tx);
  }
  sum.vectorize(lane()).unroll(tx).unroll(ty).unroll(q);
  sum.update().reorder({lane(), tx, ty, q, k.domain[0], k.domain[1]}).vectorize(lane()).unroll(tx).unroll(ty).unroll(q);
  // Measured: 0.81 to 0.93 of the time from 13 MB of weights on, probably since the machine fetches what is read in order but begins anew
  // with each page of 4 KB. None up to 3 MB, and 1.06 for half of that.
  const int64_t bytes = k.type(n, 1).size() * k.real.bytes();
  if (const auto weights = k.stored.find(n.inputs[1]); weights != k.stored.end() && bytes >= kFarWeights)
    k.fetch_rounds = {fmt::format("{}.s1.{}", sum.name(), k.domain[1].name()), weights->second.name(), kFetchedAhead / k.real.bytes(), pack.block * pack.group};

  V.compute_at(out, bx).vectorize(lane()).bound_extent(tx, int(block.columns)).bound_extent(ty, int(block.rows)).bound(channel, 0, int(inputs));
  V.reorder(lane(), j, i, tx, ty, channel);
  V.align_storage(channel, int(inputs) | 1); // a power of two between points would put all of them in one set of the cache
  transform(V, half, s, tx);
  half.vectorize(lane()).bound_extent(channel, 1).reorder(lane(), i, e);
  in_scratch(V);
  padded.compute_at(V, channel).vectorize(lane());
  on_stack(padded);
}

void weight_gradient(KernelContext &k, Func out, const Type &type, const Node &n, const MachineTarget &m) {
  const WinogradShape s = winograd_shape(n);
  const int64_t channels = type.dims[1] * s.phases();
  const WinogradBlock block = winograd_weight_block(s, type.dims[0], channels);
  const bool one_block = block.columns >= s.columns.tiles && block.rows >= s.rows.tiles;
  auto stage = [&](const char *name) { return k.stages.at(name); };
  Func padded = stage("phases"), turned = stage("turned"), half = stage("half"), V = stage("V"), D = stage("D"), total = stage("total"), kernel = stage("kernel"), back = stage("back");
  const int width = k.lanes;
  const int64_t vectors = (channels + width - 1) / width;
  const Tile t = choose_tile(k, type.dims[0], vectors, m);
  Var block_k("block_k"), vector("vector"), v("v"), ki("ki"), channel_i("channel_i");

  // The sum of all blocks, then the way back to the kernel, for some output channels at a time.
  const int64_t most = 4 << 20; // bytes
  int64_t at_once = type.dims[0];
  if (one_block)
    at_once = std::min<int64_t>(at_once, std::max<int64_t>(t.rows, most / (s.points() * vectors * m.vector_bytes) / t.rows * t.rows));
  auto added = out.update();
  added.split(dim(0), block_k, dim(0), int(at_once), TailStrategy::GuardWithIf).reorder(dim(3), dim(2), dim(1), dim(0), block_k);
  if (type.dims[2] * type.dims[3] <= 32)
    added.unroll(dim(3)).unroll(dim(2));
  kernel.compute_at(out, dim(0)).bound_extent(out_channel, 1);
  kernel.split(channel, channel, channel_i, width, TailStrategy::RoundUp).vectorize(channel_i);
  kernel.bound(Var("c"), 0, int(s.columns.taps)).bound(Var("r"), 0, int(s.rows.taps)).reorder(channel_i, Var("r"), Var("c"), channel, out_channel).unroll(Var("r"));
  on_stack(kernel);
  back.compute_at(kernel, channel).vectorize(channel, width).bound(Var("c"), 0, int(s.columns.taps)).bound(j, 0, int(s.rows.points())).reorder(channel, Var("c"), j).unroll(Var("c"));
  back.bound_extent(out_channel, 1).bound_extent(channel, width);
  on_stack(back);

  // What is computed past the last channels, to fill the tiles, is not used.
  total.bound_extent(channel, int(vectors * width)).bound_extent(out_channel, int((at_once + t.rows - 1) / t.rows * t.rows));
  total.compute_at(out, block_k).bound(i, 0, int(s.columns.points())).bound(j, 0, int(s.rows.points()));
  in_scratch(total);
  const TailStrategy guard = TailStrategy::GuardWithIf, up = TailStrategy::RoundUp;
  auto tiled = [&](auto stage, std::vector<VarOrRVar> outside) {
    stage.split(channel, vector, channel_i, width * t.columns, guard).split(channel_i, v, channel_i, width, guard).split(out_channel, out_channel, ki, t.rows, guard);
    std::vector<VarOrRVar> order = {channel_i, v, ki, out_channel, vector, i, j};
    order.insert(order.end(), outside.begin(), outside.end());
    stage.reorder(order).vectorize(channel_i).unroll(v).unroll(ki);
  };
  if (one_block) {
    tiled(total, {});
  } else {
    total.split(channel, channel, channel_i, width, up).vectorize(channel_i);
    tiled(total.update(), {k.outer_domain.x, k.outer_domain.y});
  }
  Func sum = k.reduce;
  sum.compute_at(total, out_channel).bound_extent(channel, width * t.columns).bound_extent(out_channel, t.rows).split(channel, channel, channel_i, width, up).vectorize(channel_i).unroll(channel).unroll(out_channel);
  on_stack(sum);
  // Some vectors of the input's channels at a point are near while all output channels of a block pass by; then come the next.
  const int64_t transformed = s.points() * vectors * width * m.vector_bytes * block.columns * block.rows;
  if (one_block && transformed > m.l2_bytes)
    k.fetch_next.push_back({sum.name(), sum.name(), V.name(), 1});
  auto inner = sum.update();
  inner.split(channel, channel, channel_i, width, guard);
  inner.reorder({channel_i, channel, out_channel, k.domain[0], k.domain[1], k.domain[2], i, j}).vectorize(channel_i).unroll(channel).unroll(out_channel);

  for (Func f : {V, D}) {
    if (one_block)
      f.compute_root();
    else
      f.compute_at(total, k.outer_domain.x);
    f.bound_extent(tx, int(block.columns)).bound_extent(ty, int(block.rows));
    in_scratch(f);
  }
  D.vectorize(lane()).reorder(lane(), j, i, tx, ty, out_channel);
  transform(D, stage("half_d"), s, tx);
  stage("half_d").vectorize(lane()).bound_extent(out_channel, 1).reorder(lane(), i, e);
  stage("phases_dy").compute_at(D, out_channel).vectorize(lane());
  on_stack(stage("phases_dy"));

  // Room between points, as in `convolution`.
  const Var in_group("in_group"), group("group");
  V.bound(in_group, 0, width).vectorize(in_group).reorder(in_group, j, i, lane(), tx, ty, group);
  V.reorder_storage(in_group, lane(), tx, ty, i, j, group).align_storage(lane(), width | 1);
  D.align_storage(out_channel, int(type.dims[0]) | 1);
  transform(V, half, s, lane());
  half.bound(in_group, 0, width).vectorize(in_group).bound_extent(lane(), 1).bound_extent(group, 1).reorder(in_group, i, e);
  const auto at = turned.args(); // channel in its group, lane, column, row, group
  turned.compute_at(V, group).bound(at[0], 0, width).bound(at[1], 0, width).align_storage(at[1], width | 1);
  turn(turned, at[0], at[1]);
  in_scratch(turned);
  padded.compute_at(V, group).vectorize(lane());
  in_scratch(padded);
}

// Weights at the points: input channels stand in the vector where they fill one.
void points(KernelContext &k, Func out, const Node &n) {
  Func half = k.stages["half"];
  Var input("input"), output("output");
  const int64_t channels = k.type(n, 0).dims[n.has("image") ? 1 : 0], inputs = k.type(n, 0).dims[n.has("image") ? 0 : 1];
  const WinogradShape s = winograd_shape(n);
  const WinogradPacking p = winograd_packing(s, channels, inputs * (n.has("image") ? 1 : s.phases()));
  out.split(dim(3), output, input, int(p.group)).reorder({dim(1), input, output, dim(2), dim(0)}).unroll(dim(1));
  if (p.group % k.lanes == 0)
    out.vectorize(input, k.lanes);
  half.compute_at(out, p.group % k.lanes == 0 ? output : input).unroll(Var("r")).unroll(i);
  if (p.group % k.lanes == 0)
    half.vectorize(dim(3), k.lanes);
  on_stack(half);
}
} // namespace

void schedule_winograd(KernelContext &k, Func out, const Type &type, const std::vector<const Node *> &nodes, const MachineTarget &m) {
  const Node *n = nullptr;
  for (const Node *other : nodes)
    if (other->has("tile"))
      n = other;
  if (!n)
    throw GraphError{"schedule: no fast convolution in the kernel"};
  switch (k.form) {
  case KernelContext::Form::Winograd: convolution(k, out, type, *n, nodes, m); break;
  case KernelContext::Form::WinogradWeight: weight_gradient(k, out, type, *n, m); break;
  default: points(k, out, *n);
  }
}

} // namespace cnnc
