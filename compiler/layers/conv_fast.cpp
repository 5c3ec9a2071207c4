// Convolution of stride one in fewer products: Toom-Cook along the rows, with the kernel's rows as an ordinary sum.
// With the batch in the lanes every transform is an addition of whole vectors. The three directions are products in the
// transformed domain of the same three values, whose first dimension is the point:
//   U = weight w      [n,K,C,R]   once after each update of the parameters
//   V = input x       [n,C,H,T]   T tiles a row
//   D = output' dy    [n,K,P,T]
//   y = output sum(U V)    dx = input' sum(U D), overlapping tiles added    dw = weight' sum(D V)
// `tile` is the outputs a tile, m; n = m + S - 1 points. See toom_cook.h.
#include <Halide.h>
#include <fmt/format.h>

#include "codegen/schedule.h"
#include "layers/registry.h"
#include "layers/transform.h"

namespace cnnc {
using namespace Halide;

namespace {
ToomCook matrices(const Node &n) { return toom_cook(int(n.integer("tile")), int(n.list("kernel").at(1))); }

void expect(bool holds, const Node &n, const char *what) {
  if (!holds)
    throw GraphError{fmt::format("{}: expected {}", n.op, what)};
}

// `length` numbers of `least` and more.
const std::vector<int64_t> &numbers(const Node &n, const char *key, size_t length, int64_t least) {
  const auto &list = n.list(key);
  bool fits = list.size() == length;
  for (int64_t v : list)
    fits = fits && v >= least && v <= (1 << 24);
  if (!fits)
    throw GraphError{fmt::format("{}: '{}' has to be {} numbers of {} or more", n.op, key, length, least)};
  return list;
}

int64_t outputs(const Node &n) {
  const int64_t tile = n.integer("tile");
  expect(tile >= 1 && tile <= kMostPoints && numbers(n, "kernel", 2, 1)[1] + tile - 1 <= kMostPoints, n, "a tile of at most 9 points");
  return tile;
}

int64_t points(const Node &n) { return outputs(n) + n.list("kernel")[1] - 1; }

int64_t tiles(int64_t columns, const Node &n) { return (columns + outputs(n) - 1) / outputs(n); }

// `columns` from column `from` on, in tiles that overlap: element i of tile t, 0 beyond the edge.
Exprs tile_elements(const KernelContext &k, int count, int m, int width, const std::function<Expr(Expr)> &at, Expr t, int tile_count) {
  Exprs x;
  for (int i = 0; i < count; i++) {
    Expr column = t * m + i;
    bool inside = (tile_count - 1) * m + i < width;
    x.push_back(inside ? at(column) : select(column < width, at(min(column, width - 1)), k.constant(0)));
  }
  return x;
}

// V[i,c,h,t] = sum over j of input[i,j] x[c, h, t*m + j]; the input is padded already
void define_input(KernelContext &k, const Node &n) {
  for (int64_t p : n.list("padding"))
    expect(p == 0, n, "a padding that was laid out");
  auto v = k.vars(n.type); // lane, t, h, c, i
  Func x = k.in(n, 0);
  int m = int(n.integer("tile")), width = int(k.type(n, 0).dims[2]);
  Exprs d = tile_elements(
      k, int(points(n)), m, width, [&](Expr column) { return x(v[0], column, v[2], v[3]); }, v[1], int(n.type.dims[3]));
  Func out("tiles");
  out(v) = mux(v[4], to_points(k, matrices(n).input, d));
  k.by_row = k.graph[n.inputs[0]].group == n.group && n.group >= 0 ? x : Func();
  if (!k.by_row.defined())
    k.form = KernelContext::Form::Tiles;
  k.result(n, out);
}

// D[i,k,p,t] = sum over j < m of output[j,i] dy[k, p, t*m + j]
void define_gradient_input(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type);
  Func dy = k.in(n, 0);
  int m = int(n.integer("tile")), width = int(k.type(n, 0).dims[2]);
  Exprs d = tile_elements(
      k, m, m, width, [&](Expr column) { return dy(v[0], column, v[2], v[3]); }, v[1], int(n.type.dims[3]));
  Func out("tiles");
  out(v) = mux(v[4], to_points(k, transposed(matrices(n).output), d));
  k.form = KernelContext::Form::Tiles;
  k.result(n, out);
}

// U[i,k,c,r] = sum over s of weight[i,s] w[k,c,r,s], of the turned kernel with flip
void define_weight(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // r, c, k, i
  Func w = k.in(n, 0);
  const auto &kernel = n.list("kernel");
  bool flip = n.flag("flip");
  Exprs row;
  for (int s = 0; s < int(kernel[1]); s++)
    row.push_back(w(flip ? int(kernel[1]) - 1 - s : s, flip ? int(kernel[0]) - 1 - v[0] : Expr(v[0]), v[1], v[2]));
  Func out("weight");
  out(v) = mux(v[3], to_points(k, matrices(n).weight, row));
  k.form = KernelContext::Form::Tiles;
  k.result(n, out);
}

// Whether a kernel goes over the rows that it reads and adds each to all rows of the result that it is part of: it is then
// read once for all rows of the kernel. The sums of all rows stand in registers, beside the weights of a kernel column.
// Returns of how many neighbouring tiles they do, or 0 where it goes over the rows of the kernel.
int over_rows(KernelContext &k, const Node &n) {
  constexpr int64_t kUnrolled = 100; // multiply-adds
  const int64_t rows = n.type.dims[1], read = k.type(n, 0).dims[2], taps = k.type(n, 1).dims[3], tile_count = k.type(n, 0).dims[3];
  const int64_t products = std::min(rows, read) * taps; // of a column: the longer of the two has a border that gives none
  auto fits = [&](int64_t columns) {
    return products * columns <= kUnrolled && rows * columns <= k.machine.accumulators() && rows * columns + taps + 2 <= k.machine.registers;
  };
  if (taps < 2 || !fits(1))
    return 0;
  const int64_t columns = tile_count % 2 == 0 && fits(2) ? 2 : 1;
  const double r = double(std::min<int64_t>(n.type.dims[0], 6)); // channels by columns that share loads else
  const bool over = k.choose("over", {{"rows of the kernel", cycles(r * 2, r + 2, 1, k.machine)},
                                      {"rows of the image", cycles(double(products * columns), double(read * columns + taps), 1, k.machine)}}) == 1;
  return over ? int(columns) : 0;
}

// y[k,p,q] = b[k] + output sum over c,r of U[i,k,c,r] V[i,c,p+r,t]
void define_forward(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // lane, q, p, k
  Func V = k.in(n, 0), U = k.in(n, 1);
  int m = int(n.integer("tile"));
  const auto &u = k.type(n, 1).dims;
  Var j("j"), t("t"), i("i");
  const int over = over_rows(k, n), taps = int(u[3]);
  RDom d(0, over ? int(k.type(n, 0).dims[2]) : taps, 0, int(u[2]), "fast_domain"); // row of the image or r, c
  const Expr r = over ? d.x - v[2] : Expr(d.x), h = over ? Expr(d.x) : v[2] + d.x;
  if (over)
    d.where(r >= 0 && r < taps);
  Func sum("sum"), product("product"), row("row"), y("fast_conv");
  std::vector<Var> at = {v[0], t, v[2], v[3], i};
  sum(at) = k.constant(0);
  sum(at) += V(v[0], t, h, d.y, i) * U(over ? clamp(r, 0, taps - 1) : r, d.y, v[3], i);
  product(at) = sum(at);
  Exprs z;
  for (int p = 0; p < int(points(n)); p++)
    z.push_back(product(v[0], t, v[2], v[3], p));
  Expr value = mux(j, from_points(k, matrices(n).output, z));
  row(v[0], j, t, v[2], v[3]) = n.inputs.size() == 3 ? k.in(n, 2)(v[3]) + value : value;
  y(v) = row(v[0], v[1] % m, v[1] / m, v[2], v[3]);
  k.form = KernelContext::Form::FastForward;
  k.tile = {over};
  k.reduce = sum;
  k.staged = product;
  k.rows = row;
  k.domain = d;
  k.result(n, y);
}

// dx[c,h,w] = input' sum over k,r of U[i,k,c,r] D[i,k,h+top-r,t], element w + left - t*m of tile t, over the tiles
void define_data_gradient(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // lane, w, h, c
  Func D = k.in(n, 0), U = k.in(n, 1);
  int m = int(n.integer("tile")), count = int(points(n));
  const auto &u = k.type(n, 1).dims, &dd = k.type(n, 0).dims;
  const auto &padding = n.list("padding");
  Var j("j"), t("t"), i("i");
  const int over = over_rows(k, n), taps = int(u[3]), gradients = int(dd[2]);
  RDom d(0, int(u[1]), 0, over ? gradients : taps, "fast_domain"); // k, p or r
  const Expr other = v[2] + int(padding[0]) - d.y, p = over ? Expr(d.y) : other, r = over ? other : Expr(d.y);
  if (over)
    d.where(r >= 0 && r < taps);
  else
    d.where(p >= 0 && p < gradients);
  Func sum("sum"), product("product"), row("row"), dx("dx");
  std::vector<Var> at = {v[0], t, v[2], v[3], i};
  sum(at) = k.constant(0);
  sum(at) += D(v[0], t, over ? p : clamp(p, 0, gradients - 1), d.x, i) * U(over ? clamp(r, 0, taps - 1) : r, v[3], d.x, i);
  product(at) = sum(at);
  Matrix back = transposed(matrices(n).input);
  Expr total;
  int tile_count = int(dd[3]);
  for (int overlap = 0; overlap * m < count; overlap++) {
    Expr tile = t - overlap;
    Exprs z;
    for (int point = 0; point < count; point++)
      z.push_back(product(v[0], clamp(tile, 0, tile_count - 1), v[2], v[3], point));
    Exprs all = from_points(k, back, z), part;
    for (int e = 0; e < m; e++)
      part.push_back(overlap * m + e < count ? all[size_t(overlap * m + e)] : k.constant(0));
    Expr value = select(tile >= 0 && tile < tile_count, mux(j, part), k.constant(0));
    total = total.defined() ? total + value : value;
  }
  row(v[0], j, t, v[2], v[3]) = total;
  Expr column = v[1] + int(padding[2]);
  dx(v) = row(v[0], column % m, column / m, v[2], v[3]);
  k.form = KernelContext::Form::FastData;
  k.tile = {over};
  k.reduce = sum;
  k.staged = product;
  k.rows = row;
  k.domain = d;
  k.result(n, dx);
}

// The register tile of a weight gradient: tiles that divide, since what is added twice would be wrong. No more sums than a
// vector of 64 bytes holds: then the sums over their lanes are one.
Tile weight_tile(KernelContext &k, int64_t rows, int64_t columns, int64_t positions) {
  const int limit = std::min(16, k.machine.accumulators());
  constexpr double kLoop = 3, kTurn = 4; // cycles: of a step beside the arithmetic; to sum over the lanes of an accumulator
  Tiles tiles;
  for (int64_t r = 1; r <= rows && r <= limit; r++)
    for (int64_t c = 1; c <= columns && r * c <= limit; c++)
      if (rows % r == 0 && columns % c == 0) {
        const double whole = double((r * c + k.lanes - 1) / k.lanes * k.lanes);
        tiles.offer(r, c, cycles(double(r * c), double(r + c), 1, k.machine) + (kLoop + kTurn * whole / double(positions)) / double(r * c));
      }
  return tiles.choose(k);
}

// dw[k,c,r,s] = sum over i of weight[i,s] (sum over p,t and the lanes of D[i,k,p,t] V[i,c,p+r,t])
// An element m of a register tile is channel m / columns of the result and m % columns of the input.
void define_weight_gradient(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // s, r, c, k
  const auto &dd = k.type(n, 0).dims;
  const auto &kernel = n.list("kernel");
  const bool flip = n.flag("flip");
  const Tile tile = weight_tile(k, n.type.dims[0], n.type.dims[1], dd[2] * dd[3]);
  RDom d(0, int(dd[3]), 0, int(dd[2]), "positions"); // t, p
  Var lane("lane"), m("m"), r("r"), inputs("inputs"), channels("channels"), i("i"), s("s");
  Func sum("sum"), points_sum("points_sum"), back("back"), dw("dw");
  sum(lane, m, r, inputs, channels, i) = k.constant(0);
  sum(lane, m, r, inputs, channels, i) += k.in(n, 0)(lane, d.x, d.y, channels * tile.rows + m / tile.columns, i) *
                                          k.in(n, 1)(lane, d.x, d.y + r, inputs * tile.columns + m % tile.columns, i);
  k.lane_sums = sums_over_lanes(k, tile.rows * tile.columns, {r, inputs, channels, i}, [&](Expr at, Expr of) { return sum(at, of, r, inputs, channels, i); });
  points_sum(m, r, inputs, channels, i) = k.lane_sums.back()(m % k.lanes, 0, m / k.lanes, r, inputs, channels, i);
  Exprs z;
  for (int j = 0; j < int(points(n)); j++)
    z.push_back(points_sum(m, r, inputs, channels, j));
  Exprs w = from_points(k, transposed(matrices(n).weight), z);
  if (flip)
    std::reverse(w.begin(), w.end());
  back(s, m, r, inputs, channels) = mux(s, w);
  dw(v) = back(v[0], v[3] % tile.rows * tile.columns + v[2] % tile.columns, flip ? int(kernel[0]) - 1 - v[1] : Expr(v[1]), v[2] / tile.columns, v[3] / tile.rows);
  k.form = KernelContext::Form::FastWeight;
  k.reduce = sum;
  k.staged = points_sum;
  k.rows = back;
  k.domain = d;
  k.tile = {tile.rows, tile.columns};
  k.accumulates = true;
  k.result(n, dw);
}
} // namespace

void register_conv_fast(Registry &r) {
  auto add = [&](const char *name, unsigned traits, int most, std::function<Type(const Graph &, const Node &)> infer,
                 std::function<void(KernelContext &, const Node &)> define, std::function<int64_t(const Graph &, const Node &)> macs) {
    Op op;
    op.name = name;
    op.traits = traits;
    op.arity_max = most;
    op.infer = std::move(infer);
    op.define = std::move(define);
    op.macs = std::move(macs);
    r.ops.push_back(op);
  };
  auto direct = [](int64_t products, const Node &n) { return products * n.list("kernel")[1]; };

  // x [C,H,W]
  add(
      "fast_conv_input", kAlone | kSpread | kRowByRow, 1, [](const Graph &g, const Node &n) {
        const auto &x = g[n.inputs[0]].type.dims, &p = n.list("padding");
        expect(x.size() == 3, n, "an image");
        int64_t columns = x[2] + p.at(2) + p.at(3) - n.list("kernel").at(1) + 1;
        expect(columns > 0, n, "an image as wide as the kernel");
        return Type{Kind::Example, {points(n), x[0], x[1] + p[0] + p[1], tiles(columns, n)}};
      },
      define_input, nullptr);
  r.ops.back().padded_input = 0;
  // dy [K,P,Q]
  add(
      "fast_conv_gradient_input", kAlone | kSpread, 1, [](const Graph &g, const Node &n) {
        const auto &dy = g[n.inputs[0]].type.dims;
        expect(dy.size() == 3, n, "an image");
        return Type{Kind::Example, {points(n), dy[0], dy[1], tiles(dy[2], n)}};
      },
      define_gradient_input, nullptr);
  // w [K,C,R,S]
  add(
      "fast_conv_weight", kAlone | kPrepare, 1, [](const Graph &g, const Node &n) {
        const auto &w = g[n.inputs[0]].type.dims;
        expect(w.size() == 4 && w[2] == numbers(n, "kernel", 2, 1)[0] && w[3] == n.list("kernel")[1], n, "a weight of its kernel");
        return Type{Kind::Parameter, {points(n), w[0], w[1], w[2]}};
      },
      define_weight, nullptr);
  // V, U, bias
  add(
      "fast_conv", kContraction, 3, [](const Graph &g, const Node &n) {
    const auto &x = g[n.inputs[0]].type.dims, &w = g[n.inputs.at(1)].type.dims;
    const int64_t columns = n.integer("columns");
    expect(columns >= 1 && columns <= (1 << 24), n, "a number of columns");
    expect(x.size() == 4 && w.size() == 4 && x[1] == w[2] && x[0] == w[0] && x[2] >= w[3] && x[3] == tiles(columns, n), n, "transformed values that fit");
    return Type{Kind::Example, {w[1], x[2] - w[3] + 1, columns}}; }, define_forward, [direct](const Graph &g, const Node &n) {
    const auto &w = g[n.inputs[1]].type.dims;
    return direct(n.type.size() * w[2] * w[3], n); });
  r.ops.back().arity_min = 2;
  // D, U
  add(
      "fast_conv_data_gradient", kContraction, 2, [](const Graph &g, const Node &n) {
    const auto &d = g[n.inputs[0]].type.dims, &w = g[n.inputs.at(1)].type.dims, &image = numbers(n, "image", 2, 1);
    expect(d.size() == 4 && w.size() == 4 && d[0] == w[0] && d[1] == w[1], n, "transformed values that fit");
    return Type{Kind::Example, {w[2], image[0], image[1]}}; }, define_data_gradient, [direct](const Graph &g, const Node &n) {
    const auto &d = g[n.inputs[0]].type.dims, &w = g[n.inputs[1]].type.dims;
    return direct(d[1] * d[2] * n.integer("columns") * w[2] * w[3], n); });
  r.ops.back().arity_min = 2;
  r.ops.back().no_window = true;
  // D, V
  add(
      "fast_conv_weight_gradient", kContraction | kAlone, 2, [](const Graph &g, const Node &n) {
    const auto &d = g[n.inputs[0]].type.dims, &x = g[n.inputs.at(1)].type.dims, &kernel = numbers(n, "kernel", 2, 1);
    expect(d.size() == 4 && x.size() == 4 && d[0] == x[0] && d[0] == points(n) && d[3] == x[3] && x[2] == d[2] + kernel[0] - 1, n, "transformed values that fit");
    return Type{Kind::Sum, {d[1], x[1], kernel[0], kernel[1]}}; }, define_weight_gradient, [](const Graph &g, const Node &n) { return g[n.inputs[0]].type.dims[2] * n.integer("columns") * n.type.size(); });
  r.ops.back().arity_min = 2;
}
} // namespace cnnc
