// Schedules by form. The batch stands in the lanes: the innermost dimension is one vector and is never split.
#include <Halide.h>
#include <algorithm>
#include <cmath>

#include "codegen/schedule.h"
#include "layers/op.h"

namespace cnnc {
using namespace Halide;

void unroll_some(Stage update, const RVar &products, std::initializer_list<int> times) {
  const int64_t extent = *Internal::as_const_int(products.extent());
  for (int n : times)
    if (extent % n == 0) {
      update.unroll(products, n);
      return;
    }
}

namespace {
// rows share the input's elements, columns share the weights; `area` elements of the reduction for each column.
// Along the first dimension (channels, units) and along the last (columns).
Tile choose_tile(KernelContext &k, int64_t rows, int64_t columns, int64_t area, const MachineTarget &m) {
  const int limit = m.accumulators();
  Tiles tiles;
  const int64_t least = k.tile.empty() ? 1 : k.tile[0], most = k.tile.empty() ? rows : k.tile[0];
  for (int64_t r = least; r <= most && r * area <= limit; r++)
    for (int64_t c = 1; c <= columns && r * c * area <= limit; c++)
      tiles.offer(r, c, cycles(double(r * c * area), double(r + c * area), useful(rows, r) * useful(columns, c), m));
  return tiles.choose(k);
}

// A tile of channels by columns in registers; the reduction's loops are inside.
void contraction(KernelContext &k, Func out, const Type &type, const std::vector<const Node *> &nodes, const MachineTarget &m) {
  Func f = k.reduce;
  size_t rank = type.dims.size();
  int64_t area = 1; // elements of the reduction for each of the result
  for (const Node *n : nodes)
    if (has_trait(*n, kWindow))
      area *= n->list("kernel")[0] * n->list("kernel")[1];
  Tile tile = choose_tile(k, type.dims[0], rank == 3 ? type.dims[2] : 1, area, m);
  Var channel("channel"), column("column");
  Var level = dim(0);
  out.vectorize(lane());
  if (rank == 3) {
    out.split(dim(0), dim(0), channel, tile.rows).split(dim(2), dim(2), column, tile.columns);
    out.reorder(lane(), column, channel, dim(2), dim(1), dim(0)).unroll(column).unroll(channel);
    level = dim(2);
  } else {
    out.split(dim(0), dim(0), channel, tile.rows);
    out.reorder(lane(), channel, dim(0)).unroll(channel);
  }
  f.compute_at(out, level).vectorize(lane());
  on_stack(f);
  auto update = f.update();
  std::vector<VarOrRVar> order = {lane()};
  for (size_t i = rank; i-- > 0;)
    order.push_back(dim(i));
  for (int i = 0; i < k.domain.dimensions(); i++)
    order.push_back(k.domain[i]);
  update.reorder(order).vectorize(lane());
  for (size_t i = 0; i < rank; i++) {
    f.unroll(dim(i));
    update.unroll(dim(i));
  }
  // Neighbouring kernel columns share loads.
  if (rank == 3)
    update.unroll(k.domain.x);
  else if (m.registers == 32) // with fewer, LLVM leaves some of the tile in memory
    unroll_some(update, k.domain.x, {2, 3, 5});
}

// Sums a lane, kept in registers over all positions of the chunk, or of a block of them, and added to memory once.
void per_lane(KernelContext &k, Func out, const Type &type, const MachineTarget &m) {
  Func f = k.reduce;
  size_t rank = type.dims.size();
  // Tiles that divide: what is added twice would be wrong. Rows: the first dimension; columns: kernel columns.
  Tiles tiles;
  for (int r = 1; r <= std::min<int64_t>(type.dims[0], m.accumulators()); r++)
    for (int c = 1; rank == 4 ? c <= type.dims[3] : c <= 1; c++) {
      if (type.dims[0] % r || (rank == 4 && type.dims[3] % c) || r * c > m.accumulators())
        continue;
      tiles.offer(r, c, cycles(r * c, rank == 4 ? r + c : r, 1, m));
    }
  const Tile tile = tiles.choose(k);
  Var channel("channel"), column("column");
  Var level = dim(0);
  auto total = out.update();
  total.vectorize(lane()).split(dim(0), dim(0), channel, tile.rows);
  if (rank == 4) {
    total.split(dim(3), dim(3), column, tile.columns);
    total.reorder({lane(), column, channel, dim(3), dim(2), dim(1), k.blocks.x, dim(0)}).unroll(column).unroll(channel);
    level = dim(3);
  } else {
    total.reorder(lane(), channel, dim(0)).unroll(channel);
  }
  f.compute_at(out, level).vectorize(lane());
  on_stack(f);
  auto update = f.update();
  std::vector<VarOrRVar> order = {lane()};
  for (size_t i = rank; i-- > 0;)
    order.push_back(dim(i));
  for (int i = 0; i < k.domain.dimensions(); i++)
    order.push_back(k.domain[i]);
  update.reorder(order).vectorize(lane());
  for (size_t i = 0; i < rank; i++) {
    f.unroll(dim(i));
    update.unroll(dim(i));
  }
  // Neighbouring places share loads.
  if (rank == 4 && tile.columns > 1 && *Internal::as_const_int(k.domain[0].extent()) % 2 == 0)
    update.unroll(k.domain[0], 2);
}

// Vectors of the last dimension, whose elements stand far apart; what lies beside them is read while it is near.
void turned_weight(KernelContext &k, Func out, const Type &type) {
  Var block("block"), in_block("in_block");
  if (type.dims[3] < k.lanes)
    return;
  out.split(dim(3), block, in_block, k.lanes, TailStrategy::GuardWithIf);
  out.reorder(in_block, dim(2), dim(1), dim(0), block).vectorize(in_block);
}

// Sums over the lanes, a vector of them at a time.
void lane_sum(KernelContext &k, Func out) {
  Var in_block("in_block");
  Func sums = k.reduce, turned = k.staged;
  out.split(dim(0), dim(0), in_block, k.lanes, TailStrategy::GuardWithIf).vectorize(in_block);
  sums.compute_at(out, dim(0)).vectorize(dim(0), k.lanes, TailStrategy::RoundUp);
  sums.update().vectorize(dim(0), k.lanes, TailStrategy::RoundUp).reorder(k.domain.x, dim(0)).unroll(k.domain.x);
  on_stack(sums);
  turned.compute_at(out, dim(0));
  turn(turned, Var("inside"), lane());
  on_stack(turned);
}

constexpr int kFewSums = 4; // loaded, added and stored: fewer instructions are the loop's

// One element after the other. Places that are computed from the stride become constants when as many columns are
// unrolled.
void elementwise(Func out, const Type &type, const std::vector<const Node *> &nodes, bool accumulates) {
  auto stage = [&](auto s) {
    s.vectorize(lane());
    for (const Node *n : nodes)
      if (has_trait(*n, kGather) && n->has("stride") && type.dims.size() == 3) {
        Var row("row"), column("column");
        int rows = int(n->list("stride")[0]), columns = int(n->list("stride")[1]);
        if (rows * columns > 16 || type.dims[1] % rows || type.dims[2] % columns)
          continue;
        s.split(dim(1), dim(1), row, rows).split(dim(2), dim(2), column, columns);
        s.reorder(lane(), column, row, dim(2), dim(1), dim(0)).unroll(column).unroll(row);
        return;
      }
    if (accumulates && type.dims.size() == 1)
      s.unroll(dim(0), kFewSums, TailStrategy::GuardWithIf);
  };
  if (accumulates)
    stage(out.update());
  else
    stage(out);
}
} // namespace

bool unrolls(const std::vector<const Node *> &nodes, const MachineTarget &m) {
  return std::none_of(nodes.begin(), nodes.end(), [&](const Node *n) { return op_of(*n).many_operations && op_of(*n).many_operations(m); });
}

void schedule(KernelContext &k, Func out, const Type &type, const std::vector<const Node *> &nodes, const MachineTarget &m) {
  using Form = KernelContext::Form;
  switch (k.form) {
  case Form::Contraction: contraction(k, out, type, nodes, m); break;
  case Form::Rows:
  case Form::ChannelSums: schedule_conv(k, out, type, nodes, m); break;
  case Form::PerLane: per_lane(k, out, type, m); break;
  case Form::Packed: schedule_packed(k, out); break;
  case Form::PackedTiles: schedule_packed_tiles(k, out, type); break;
  case Form::Products:
  case Form::Dots:
  case Form::Outer: schedule_dense(k, out, type, m); break;
  case Form::TurnedWeight: turned_weight(k, out, type); break;
  case Form::LaneSum: lane_sum(k, out); break;
  case Form::Copy: break; // of one image alone
  case Form::Tiles:
  case Form::FastForward:
  case Form::FastData:
  case Form::FastWeight: schedule_fast(k, out, type, nodes, m); break;
  case Form::Winograd:
  case Form::WinogradWeight:
  case Form::WinogradPoints: schedule_winograd(k, out, type, nodes, m); break;
  case Form::Elementwise:
    if (k.by_row.defined()) {
      const Func image = take_rows(k, out);
      elementwise(image, k.type(*nodes.back(), 0), nodes, false);
    } else if (has_lane(type)) {
      if (!k.roots.empty() && type.dims.size() > 1 && !k.accumulates) {
        // The reductions over the first dimension are done for one place at a time.
        std::vector<VarOrRVar> order = {lane(), dim(0)};
        for (size_t i = type.dims.size(); i-- > 1;)
          order.push_back(dim(i));
        out.reorder(order).vectorize(lane());
        for (Func &f : k.roots)
          f.compute_at(out, dim(type.dims.size() - 1));
      } else {
        elementwise(out, type, nodes, k.accumulates);
        for (Func &f : k.roots)
          f.compute_root();
      }
    } else {
      for (Func &f : k.roots)
        f.compute_root();
    }
    for (Func &f : k.roots) {
      on_stack(f);
      f.vectorize(lane());
      for (int i = 0; i < f.num_update_definitions(); i++)
        f.update(i).vectorize(lane());
    }
    break;
  }
}

} // namespace cnnc
