// Schedules of the fast convolution (layers/conv_fast.cpp): transforms are unrolled over the points; products are
// register tiles with the points outermost, so that one point's values stay in the first-level cache.
#include <Halide.h>
#include <algorithm>
#include <cmath>

#include "codegen/schedule.h"
#include "layers/op.h"

namespace cnnc {
using namespace Halide;

namespace {
// Rows: the last may be partly of no use. Columns: always a divisor. `stack`: bytes of the largest buffer that a tile needs
// beside the registers.
template <class F>
Tile choose_tile(KernelContext &k, int64_t rows, int64_t columns, const MachineTarget &m, F stack) {
  Tiles tiles;
  for (int64_t r = 1; r <= rows && r <= m.accumulators(); r++)
    for (int64_t c = 1; c <= columns && r * c <= m.accumulators(); c++) {
      if (columns % c || stack(r) > kLargestOnStack)
        continue;
      tiles.offer(r, c, cycles(double(r * c), double(r + c), useful(rows, r), m) + 1 / double(r * c)); // a cycle for the loop
    }
  return tiles.choose(k);
}

const Node &fast_node(const std::vector<const Node *> &nodes) {
  for (const Node *n : nodes)
    if (n->has("tile"))
      return *n;
  throw GraphError{"schedule: no fast convolution in the kernel"};
}

void tiles(Func out) {
  std::vector<VarOrRVar> order;
  if (out.args()[0].name() == "lane")
    order.push_back(lane());
  for (size_t d : {0, 3, 2, 1})
    order.push_back(dim(d));
  out.reorder(order).unroll(dim(0));
  if (out.args()[0].name() == "lane")
    out.vectorize(lane());
}

// The innermost loops: a tile of sums in registers. `order`: the tile's dimensions, then the reduction.
void sums(Func f, const std::vector<VarOrRVar> &tile, const std::vector<RVar> &reduction) {
  f.vectorize(lane());
  on_stack(f);
  std::vector<VarOrRVar> order = {lane()};
  order.insert(order.end(), tile.begin(), tile.end());
  for (const Var &v : f.args())
    if (std::none_of(order.begin(), order.end(), [&](const VarOrRVar &o) { return o.name() == v.name(); }))
      order.push_back(v);
  for (const RVar &r : reduction)
    order.push_back(r);
  auto update = f.update();
  update.reorder(order).vectorize(lane());
  for (const VarOrRVar &v : tile) {
    f.unroll(v);
    update.unroll(v);
  }
  if (*Internal::as_const_int(reduction[0].extent()) % 2 == 0) // half as many tests of a short loop
    update.unroll(reduction[0], 2);
}

// Products of which the sums of all rows stand in registers, for one column of the kernel after the other.
void over_rows(KernelContext &k, const RVar &row, const RVar &channel) {
  Func products = k.staged, f = k.reduce;
  Var t("t"), tb("tb"), i("i");
  products.store_in(MemoryType::Heap).split(t, tb, t, k.tile[0]).reorder(lane(), t, dim(1), tb, dim(0), i);
  products.vectorize(lane()).unroll(t).unroll(dim(1));
  f.compute_at(products, tb).vectorize(lane()).unroll(t).unroll(dim(1));
  on_stack(f);
  f.update().reorder(lane(), t, dim(1), row, channel).vectorize(lane()).unroll(t).unroll(dim(1)).unroll(row);
}

void forward(KernelContext &k, Func out, const Type &type, const std::vector<const Node *> &nodes, const MachineTarget &m) {
  const Node &n = fast_node(nodes);
  const auto &v = k.type(n, 0).dims; // V: n, C, H, T
  int64_t pooled = 1;
  for (const Node *other : nodes)
    if (has_trait(*other, kWindow))
      pooled = other->list("kernel")[0];
  const int64_t outputs = n.integer("tile"), points = v[0], tile_count = v[3];
  if (k.tile[0]) {
    // The products of some channels, which are near when the rows are made of them.
    const int64_t each = m.vector_bytes * tile_count * outputs * pooled;
    const int channels = int(std::clamp<int64_t>(kLargestOnStack / each, 1, std::min<int64_t>(4, type.dims[0])));
    Var channel("channel"), t("t"), j("j");
    Func rows = k.rows;
    out.vectorize(lane()).split(dim(0), dim(0), channel, channels).reorder(lane(), dim(2), channel, dim(1), dim(0));
    rows.compute_at(out, dim(1)).reorder(lane(), j, t, dim(0), dim(1)).vectorize(lane()).unroll(j);
    if (pooled * tile_count * outputs <= std::min(24, m.accumulators()) && unrolls(nodes, m)) { // from registers
      rows.compute_at(out, channel).unroll(t).unroll(dim(1));
      out.unroll(dim(2));
    }
    on_stack(rows);
    k.staged.compute_at(out, dim(0));
    over_rows(k, k.domain[0], k.domain[1]);
    return;
  }
  // Two rows of the result share the weights, where a tile of one row would take too many for its products.
  const int64_t at_hand = pooled > 1 ? pooled : n.type.dims[1];
  Tiles tiles[2];
  double least[2] = {INFINITY, INFINITY};
  for (int64_t together = 1; together <= std::min<int64_t>(2, at_hand); together++)
    for (int64_t r = 1; r <= type.dims[0]; r++)
      for (int64_t c = 1; c <= tile_count; c++) {
        const int64_t sums = r * c * together;
        if (sums > m.accumulators() || tile_count % c || m.vector_bytes * r * std::max(tile_count * outputs * std::max(pooled, together), points * c * together) > kLargestOnStack)
          continue;
        const double cost = cycles(double(sums), double(r + c * together), useful(type.dims[0], r) * useful(at_hand, together), m) + 1 / double(sums);
        tiles[together - 1].offer(r, c, cost);
        least[together - 1] = std::min(least[together - 1], cost);
      }
  std::vector<Candidate> candidates = {{"1", least[0]}};
  if (std::isfinite(least[1]))
    candidates.push_back({"2", least[1]});
  const int together = int(k.choose("rows", candidates)) + 1;
  const Tile tile = tiles[together - 1].choose(k);
  Var channel("channel"), row("row"), tb("tb"), ti("ti"), t("t"), j("j"), i("i");
  out.vectorize(lane()).split(dim(0), dim(0), channel, tile.rows);
  std::vector<VarOrRVar> order = {lane(), dim(2), channel, dim(1), dim(0)}; // columns of the rows below stand side by side
  if (pooled == 1) {
    out.split(dim(1), dim(1), row, together);
    order.insert(order.begin() + 3, row);
  }
  out.reorder(order);
  Func rows = k.rows, products = k.staged;
  rows.compute_at(out, dim(1)).split(t, tb, ti, tile.columns).split(dim(1), dim(1), row, together);
  rows.reorder(lane(), j, ti, dim(0), row, tb, dim(1)).vectorize(lane()).unroll(j);
  on_stack(rows);
  products.compute_at(rows, tb).reorder(lane(), t, dim(0), dim(1), i).vectorize(lane()).unroll(t).unroll(dim(0)).unroll(dim(1));
  on_stack(products);
  k.reduce.compute_at(products, i);
  sums(k.reduce, {t, dim(0), dim(1)}, {k.domain[0], k.domain[1]});
}

void data(KernelContext &k, Func out, const Type &type, const std::vector<const Node *> &nodes, const MachineTarget &m) {
  const Node &n = fast_node(nodes);
  const auto &d = k.type(n, 0).dims; // D: n, K, P, T
  const int64_t outputs = n.integer("tile"), points = d[0], tile_count = d[3];
  const int64_t row_tiles = tile_count + (points - 1) / outputs;
  Func rows = k.rows, products = k.staged;
  Var channel("channel"), tb("tb"), ti("ti"), t("t"), j("j"), i("i");
  out.vectorize(lane());
  if (type.dims[2] <= 16)
    out.unroll(dim(2));
  rows.compute_at(out, dim(1)).reorder(lane(), j, t, dim(0), dim(1)).vectorize(lane()).unroll(j);
  if (row_tiles <= 5)
    rows.unroll(t);
  on_stack(rows);
  if (k.tile[0]) { // of one point after the other, whose values stay in the first-level cache
    out.reorder(lane(), dim(2), dim(1), dim(0));
    products.compute_root();
    over_rows(k, k.domain[1], k.domain[0]);
    return;
  }
  Tile tile = choose_tile(k, type.dims[0], tile_count, m, [&](int64_t rows) {
    return m.vector_bytes * rows * std::max(tile_count * points, row_tiles * outputs);
  });
  out.split(dim(0), dim(0), channel, tile.rows).reorder(lane(), dim(2), channel, dim(1), dim(0));
  products.compute_at(out, dim(1)).split(t, tb, ti, tile.columns).reorder(lane(), ti, dim(0), tb, dim(1), i);
  products.vectorize(lane()).unroll(ti).unroll(dim(0));
  on_stack(products);
  k.reduce.compute_at(products, tb);
  sums(k.reduce, {t, dim(0)}, {k.domain[0], k.domain[1]});
}

void weight(KernelContext &k, Func out) {
  Var m("m"), r("r"), in_vector("in_vector"), channel("channel"), input("input"), s("s");
  Func points_sum = k.staged, back = k.rows;
  auto total = out.update();
  total.split(dim(0), dim(0), channel, k.tile[0]).split(dim(1), dim(1), input, k.tile[1]);
  total.reorder(dim(3), input, channel, dim(2), dim(1), dim(0)).unroll(dim(3)).unroll(input);
  back.compute_at(out, dim(2)).split(m, m, in_vector, k.lanes, TailStrategy::RoundUp).reorder(in_vector, s, m).vectorize(in_vector).unroll(s);
  on_stack(back);
  back.reorder_storage(m, s, r, Var("inputs"), Var("channels"));
  points_sum.compute_root().store_in(MemoryType::Heap).split(m, m, in_vector, k.lanes, TailStrategy::RoundUp).vectorize(in_vector);
  sum_lanes(k.lane_sums, points_sum, m);
  k.reduce.compute_at(points_sum, r);
  sums(k.reduce, {m}, {k.domain[0], k.domain[1]});
}
} // namespace

Func take_rows(KernelContext &k, Func out) {
  out.reorder(lane(), dim(0), dim(3), dim(1), dim(2)).unroll(dim(0)).vectorize(lane());
  return Func(k.by_row).compute_at(out, dim(2)).store_in(MemoryType::Heap);
}

void schedule_fast(KernelContext &k, Func out, const Type &type, const std::vector<const Node *> &nodes, const MachineTarget &m) {
  using Form = KernelContext::Form;
  switch (k.form) {
  case Form::Tiles: tiles(out); break;
  case Form::FastForward: forward(k, out, type, nodes, m); break;
  case Form::FastData: data(k, out, type, nodes, m); break;
  default: weight(k, out); // FastWeight
  }
}

} // namespace cnnc
