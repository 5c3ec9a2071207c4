// Fully connected: y[o] = b[o] + sum over i of w[o,i] * x[i]
// x: [I] by lane; w: [O,I]; b: [O]; y: [O] by lane
#include <Halide.h>
#include <fmt/format.h>

#include "codegen/kernel.h"
#include "codegen/target.h"
#include "graph/layout.h"
#include "layers/builder.h"
#include "layers/dense.h"
#include "layers/registry.h"
#include "passes/differentiate.h"

namespace cnnc {
using namespace Halide;

namespace {
// sum over d of x[d] * w(unit, d) by lane, with units in the vector: `units` of them, each a sum of `reduced` products.
// Weights are read by the vector and images broadcast, where with the images in the vector every product takes a weight
// from memory for itself.
Func products(KernelContext &k, Func x, int64_t reduced, const std::function<Expr(Expr unit, Expr d)> &w) {
  Var unit("unit"), lane("lane");
  RDom d(0, int(reduced), "products");
  Func sums("sums"), whole("whole"), turned("turned");
  sums(unit, lane) = k.constant(0);
  sums(unit, lane) += w(unit, d.x) * x(lane, d.x);
  whole(unit, lane) = sums(unit, lane);
  turned(lane, unit) = whole(unit, lane);
  k.form = KernelContext::Form::Products;
  k.reduce = sums;
  k.rows = whole;
  k.staged = turned;
  k.domain = d;
  return turned;
}
} // namespace

namespace {
// Images by units whose sums stand in registers.
constexpr int kDotsImages = 4, kDotsUnits = 4;

// y[o] with the inputs in the vector: sums over its elements as well. The weight is read by the vector as it is, and each
// of its vectors by several images.
void define_dots(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // lane, o
  const int inputs = int(k.type(n, 0).dims[0]), units = int(n.type.dims[0]);
  Var element("element"), m("m"), images("images"), block("block");
  RDom d(0, inputs / k.lanes, "vectors");
  Func x = turned(k, inputs, {}, [&](Expr lane, Expr i) { return k.in(n, 0)(lane, i); });
  Func sum("sum"), dots("dots"), y("dense");
  sum(element, m, images, block) = k.constant(0);
  sum(element, m, images, block) += x(element, images * kDotsImages + m % kDotsImages, d.x) *
                                    k.in(n, 1)(d.x * k.lanes + element, min(block * kDotsUnits + m / kDotsImages, units - 1));
  k.lane_sums = sums_over_lanes(k, kDotsImages * kDotsUnits, {images, block}, [&](Expr at, Expr of) { return sum(at, of, images, block); });
  const Expr of = v[1] % kDotsUnits * kDotsImages + v[0] % kDotsImages;
  dots(v) = k.lane_sums.back()(of % k.lanes, 0, of / k.lanes, v[0] / kDotsImages, v[1] / kDotsUnits);
  y(v) = dots(v) + (n.inputs.size() == 3 ? Expr(k.in(n, 2)(v[1])) : k.constant(0));
  k.form = KernelContext::Form::Dots;
  k.reduce = sum;
  k.staged = x;
  k.rows = dots;
  k.domain = d;
  k.tile = {kDotsImages, kDotsUnits};
  k.result(n, y);
}
} // namespace

DenseForward dense_forward(int64_t units, int64_t reduced, int64_t lanes, bool wide_loads, int accumulators) {
  DenseForward all = {dense_vectors(units, reduced, lanes, wide_loads), {}};
  std::vector<Candidate> &candidates = all.candidates;
  if (reduced % lanes == 0 && lanes >= 16) { // shorter vectors have two loads a cycle, and too few registers
    const double whole = double((units + kDotsUnits - 1) / kDotsUnits * kDotsUnits);
    candidates.push_back({"inputs", whole * (0.5 * double(reduced) + 55) + 6 * double(reduced)});
  }
  all.tiles.resize(candidates.size(), 0);
  // With wide loads weights come from the second-level cache in time when they stand in the order in which they are read; else
  // other things hold the products up.
  int64_t tile = accumulators;
  while (units % tile)
    tile--;
  if (units >= lanes && tile >= kLeastTileUnits) {
    candidates.push_back({fmt::format("images, tiles of {} units", tile), wide_loads ? double(units * reduced) * double(tile + 1) / double(2 * tile) : 1.01 * candidates[0].cost});
    all.tiles.push_back(tile);
  }
  return all;
}

std::vector<Candidate> dense_vectors(int64_t units, int64_t reduced, int64_t lanes, bool wide_loads) {
  const double work = double(units * reduced), whole = double((units + lanes - 1) / lanes * lanes);
  // Most machines load one vector of 64 bytes a cycle and give two products; of shorter ones they load two.
  std::vector<Candidate> candidates = {{"images", work * (lanes >= 16 && !wide_loads ? 1.0 : 0.6)}};
  if (units >= lanes && reduced >= 16)
    candidates.push_back({"units", whole * (0.65 * double(reduced) + 6)});
  return candidates;
}

void register_dense(Registry &r) {
  Op f;
  f.name = "dense";
  f.traits = kContraction;
  f.unit_inputs = {1, 2};
  f.arity_min = 2, f.arity_max = 3;
  f.infer = [](const Graph &g, const Node &n) {
    const Type &x = g[n.inputs[0]].type, &w = g[n.inputs[1]].type;
    expect_rank("dense", x, 1);
    const bool tiles = w.dims.size() == 3; // of dense_tiles
    if (!tiles)
      expect_rank("dense: weight", w, 2);
    if (w.dims[1] != x.dims[0])
      throw GraphError{fmt::format("dense: expected a weight for {} inputs, found {}", x.dims[0], dims_text(w.dims))};
    return Type{Kind::Example, {tiles ? w.dims[0] * w.dims[2] : w.dims[0]}};
  };
  f.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type); // lane, o
    if (!k.single && layout_of(k.graph[n.inputs[1]]).innermost() == 0) {
      Func sums = products(k, k.in(n, 0), k.type(n, 0).dims[0], [&](Expr o, Expr i) { return k.in(n, 1)(i, o); }), y("dense");
      y(v) = sums(v) + (n.inputs.size() == 3 ? Expr(k.in(n, 2)(v[1])) : k.constant(0));
      k.result(n, y);
      return;
    }
    const int tile = k.type(n, 1).dims.size() == 3 ? int(k.type(n, 1).dims[2]) : 0;
    if (!k.single && !tile) {
      std::vector<Candidate> unpacked;
      const DenseForward all = dense_forward(n.type.dims[0], k.type(n, 0).dims[0], k.lanes, k.machine.wide_loads, k.machine.accumulators());
      for (size_t i = 0; i < all.candidates.size(); i++)
        if (all.candidates[i].label != "units" && !all.tiles[i])
          unpacked.push_back(all.candidates[i]);
      if (unpacked.size() > 1 && k.choose("vector", unpacked) == 1) {
        define_dots(k, n);
        return;
      }
    }
    RDom d(0, int(k.type(n, 0).dims[0]), "inputs");
    Func y("dense");
    if (n.inputs.size() == 3)
      y(v) = k.in(n, 2)(v[1]);
    else
      y(v) = k.constant(0);
    y(v) += k.in(n, 0)(v[0], d.x) * (tile ? k.in(n, 1)(v[1] % tile, d.x, v[1] / tile) : k.in(n, 1)(d.x, v[1]));
    if (tile)
      k.tile = {tile};
    k.form = KernelContext::Form::Contraction;
    k.reduce = y;
    k.domain = d;
    k.result(n, y);
  };
  f.differentiate = [](Backward &b, const Node &n) {
    ValueId dy = b.of(n);
    if (b.wants(n, 1))
      b.accumulate(n.inputs[1], b.graph.add("dense_weight_gradient", {dy, n.inputs[0]}));
    if (n.inputs.size() == 3 && b.wants(n, 2))
      b.accumulate(n.inputs[2], b.graph.add("dense_bias_gradient", {dy}));
    if (b.wants(n, 0))
      b.accumulate(n.inputs[0], b.graph.add("dense_data_gradient", {dy, n.inputs[1]}));
  };
  f.macs = [](const Graph &g, const Node &n) { return g[n.inputs[1]].type.size(); };
  r.ops.push_back(f);

  // The weights of tiles of units, each [inputs, units].
  Op tiles;
  tiles.name = "dense_tiles"; // w
  tiles.traits = kAlone | kPrepare;
  tiles.infer = [](const Graph &g, const Node &n) {
    const Type &w = g[n.inputs[0]].type;
    expect_rank("dense_tiles", w, 2);
    const int64_t tile = n.integer("tile");
    if (tile < 1 || w.dims[0] % tile)
      throw GraphError{fmt::format("dense_tiles: {} units are not tiles of {}", w.dims[0], tile)};
    return Type{Kind::Parameter, {w.dims[0] / tile, w.dims[1], tile}};
  };
  tiles.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type); // unit of the tile, input, tile
    Func turned("turned"), tiles("tiles");
    turned(v) = k.in(n, 0)(v[1], v[2] * int(n.integer("tile")) + v[0]);
    tiles(v) = turned(v);
    k.form = KernelContext::Form::PackedTiles;
    k.staged = turned;
    k.result(n, tiles);
  };
  r.ops.push_back(tiles);

  // dx[i] = sum over o of w[o,i] * dy[o]
  Op dx;
  dx.name = "dense_data_gradient"; // dy, w
  dx.traits = kContraction;
  dx.arity_min = dx.arity_max = 2;
  dx.infer = [](const Graph &g, const Node &n) { return Type{Kind::Example, {g[n.inputs[1]].type.dims.at(1)}}; };
  dx.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type); // lane, i
    const int64_t outputs = k.type(n, 0).dims[0];
    Func dx("dense_dx");
    // What stands behind a row of the weight is the next one, or nobody's: whole vectors alone. With wide loads they are as fast as
    // the images in the vector.
    if (n.type.dims[0] % k.lanes == 0 && k.choose("vector", dense_vectors(n.type.dims[0], outputs, k.lanes, false)) == 1) {
      Func sums = products(k, k.in(n, 0), outputs, [&](Expr i, Expr o) { return k.in(n, 1)(i, o); });
      dx(v) = sums(v);
      k.result(n, dx);
      return;
    }
    RDom d(0, int(outputs), "outputs");
    dx(v) = k.constant(0);
    dx(v) += k.in(n, 0)(v[0], d.x) * k.in(n, 1)(v[1], d.x);
    k.form = KernelContext::Form::Contraction;
    k.reduce = dx;
    k.domain = d;
    k.result(n, dx);
  };
  dx.macs = f.macs;
  r.ops.push_back(dx);

  // dw[o,i] = sum over the lanes, of all chunks that are kept, of dy[o] * x[i]: the inputs stand in the vector, so x is
  // turned first
  Op dw;
  dw.name = "dense_weight_gradient"; // dy, x
  dw.traits = kContraction | kAlone | kKeeps;
  dw.arity_min = dw.arity_max = 2;
  dw.infer = [](const Graph &g, const Node &n) {
    return Type{Kind::Sum, {g[n.inputs[0]].type.dims.at(0), g[n.inputs[1]].type.dims.at(0)}};
  };
  dw.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type); // i, o
    const RDom d = k.kept ? RDom(0, k.lanes, 0, k.valid, "examples") : RDom(0, k.lanes, "examples");
    Var lane("lane"), chunk("chunk");
    // With the chunk where there are several.
    auto at = [&](std::vector<Expr> place, Expr of) {
      if (k.kept)
        place.push_back(of);
      return place;
    };
    const Expr of = k.kept ? Expr(d[1]) : Expr(0);
    const std::vector<Var> chunks = k.kept ? std::vector<Var>{chunk} : std::vector<Var>{};
    Func x = turned(k, int(n.type.dims[1]), chunks, [&](Expr example, Expr i) { return k.in(n, 1)(at({example, i}, chunk)); }), dw("dense_dw");
    dw(v) = k.constant(0);
    dw(v) += x(at({v[0] % k.lanes, d[0], v[0] / k.lanes}, of)) * k.in(n, 0)(at({d[0], v[1]}, of));
    Func plain("dense_dw"), plain_x("turned"); // for a schedule that is not ours
    std::vector<Var> place = {v[0], lane};
    place.insert(place.end(), chunks.begin(), chunks.end());
    plain_x(place) = k.in(n, 1)(at({lane, min(v[0], int(n.type.dims[1]) - 1)}, chunk));
    plain(v) = k.constant(0);
    plain(v) += plain_x(at({v[0], d[0]}, of)) * k.in(n, 0)(at({d[0], v[1]}, of));
    k.stages["plain"] = plain;
    k.form = KernelContext::Form::Outer;
    k.reduce = dw;
    k.staged = x;
    k.domain = d;
    k.accumulates = true;
    k.result(n, dw);
  };
  dw.macs = [](const Graph &, const Node &n) { return n.type.size(); };
  r.ops.push_back(dw);

  Op db;
  db.name = "dense_bias_gradient"; // dy
  db.traits = kAlone;
  db.infer = [](const Graph &g, const Node &n) { return Type{Kind::LaneSum, g[n.inputs[0]].type.dims}; };
  db.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type);
    Func db;
    db(v) = k.in(n, 0)(v);
    k.accumulates = true;
    k.result(n, db);
  };
  r.ops.push_back(db);

  // Once a partial sum, after its last chunk: the sum over the lanes.
  Op ls;
  ls.name = "lane_sum";
  ls.traits = kFinish | kAlone | kShapeless;
  ls.infer = [](const Graph &g, const Node &n) { return Type{Kind::Sum, g[n.inputs[0]].type.dims}; };
  ls.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type); // i
    const int half = k.lanes / 2;
    Func sums("lane_sum"), x = turned(k, int(n.type.size()), {}, [&](Expr lane, Expr i) { return k.in(n, 0)(lane, i) + k.in(n, 0)(lane + half, i); });
    RDom d(0, half, "lanes");
    sums(v) = k.constant(0);
    sums(v) += x(v[0] % k.lanes, d.x, v[0] / k.lanes);
    k.form = KernelContext::Form::LaneSum;
    k.reduce = sums;
    k.staged = x;
    k.domain = d;
    k.result(n, sums);
  };
  r.ops.push_back(ls);

  Layer l;
  l.name = "dense";
  l.arguments = {{"units", Argument::Integer, true, true}, {"bias", Argument::Boolean}, {"weight", Argument::Values}, {"bias_values", Argument::Values}};
  l.build = [](LayerBuilder &b) {
    const auto &x = b.input_dims(0);
    int64_t units = b.integer("units", 1, 1, 1 << 24);
    bool bias = b.boolean("bias", true);
    if (x.size() != 1)
      return b.error(fmt::format("dense: input is f32[{}]; put 'flatten' before it", dims_text(x, ", ")));
    std::vector<ValueId> inputs = {b.input(0), b.parameter("weight", {units, x[0]}, x[0], units, false)};
    if (bias)
      inputs.push_back(b.parameter("bias", {units}, x[0], units, true));
    return b.add("dense", inputs);
  };
  for (const char *d : {"dense(7)", "dense(37)", "dense(1, bias=false)"})
    l.samples.push_back(fmt::format("model m\ninput x: f32[1, 7, 5]\nflatten\ndense(19)\nsigmoid\n{}\ntanh\ndense(3)\n"
                                    "loss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 5\n",
                                    d));
  // Enough inputs to stand in the vector, and more units than are a multiple of a tile.
  l.samples.push_back("model m\ninput x: f32[1, 16, 16]\nflatten\ndense(38)\nsigmoid\ndense(3)\n"
                      "loss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 5\n");
  r.layers.push_back(l);
}
} // namespace cnnc
