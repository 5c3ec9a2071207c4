// Convolution in two dimensions by Winograd's algorithm: F(m x m', R x S) by the Toom-Cook construction along both axes
// (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015). With the batch in the lanes the transforms
// are additions of whole vectors, and between them stand n x n' independent products of matrices, one for each point:
//   U = weight w weight'    [N,K,C]      once after each update of the parameters
//   V = input x input'      [N,C,T]      T tiles, of a block of the image
//   y = output (sum over c of U V) output'
// The data gradient is the same with the kernel turned, the weight gradient
//   dw = weight' (sum over tiles and examples of D V) weight,   D = output' dy output
// A stride makes several channels of one: a phase of the image each (conv_winograd.h).
#include <Halide.h>
#include <fmt/format.h>

#include "layers/conv_winograd.h"
#include "layers/registry.h"
#include "layers/transform.h"

namespace cnnc {
using namespace Halide;

namespace {
struct Matrices {
  ToomCook rows, columns;
};

Matrices matrices(const WinogradShape &s) {
  return {toom_cook(int(s.rows.tile), int(s.rows.taps)), toom_cook(int(s.columns.tile), int(s.columns.taps))};
}

// What has no phases: the result of a forward pass, the gradient that a backward pass reads.
WinogradShape one_phase(WinogradShape s) {
  s.rows.stride = s.columns.stride = 1;
  return s;
}

// phase[channel', y, x]: an image's phases as channels, zero outside it. Channel' is phase * channels + channel.
// x: [C,H,W] by lane
Func phases(KernelContext &k, Func x, const std::vector<int64_t> &image, const WinogradShape &s) {
  Var lane("lane"), column("column"), row("row"), channel("channel");
  const int channels = int(image[0]), h = int(image[1]), w = int(image[2]);
  // A vector of channels may reach past the last.
  Expr inside = min(channel, channels * int(s.phases()) - 1), phase = inside / channels, c = s.phases() == 1 ? inside : inside % channels;
  Expr y = row, z = column;
  if (s.phases() > 1) {
    y = row * int(s.rows.stride) + phase / int(s.columns.stride);
    z = column * int(s.columns.stride) + phase % int(s.columns.stride);
  }
  y += int(s.rows.origin);
  z += int(s.columns.origin);
  Func f("phases");
  // `likely`: the loop over the columns is cut where the image begins and ends.
  Expr value = x(lane, clamp(likely(z), 0, w - 1), clamp(y, 0, h - 1), c);
  f(lane, column, row, channel) = select(y < 0 || y >= h || z < 0 || z >= w, k.constant(0), likely(value));
  return f;
}

// points[j, i, channel', ty, tx] = rows[j,:] tile columns[i,:]', where a tile is `elements` of f from its place on.
// f has the arguments (vector, [inner,] column, row, channel): the vector and the inner one are kept.
Func tile_points(KernelContext &k, Func f, const std::vector<Var> &first, const std::vector<Var> &last, const Matrix &by_row, const Matrix &by_column,
                 int row_step, int column_step, Func &half, const std::string &name) {
  Var tx("tx"), ty("ty"), i("i"), j("j"), e("e");
  auto join = [&](const std::vector<Expr> &middle) {
    std::vector<Expr> all(first.begin(), first.end());
    all.insert(all.end(), middle.begin(), middle.end());
    all.insert(all.end(), last.begin(), last.end());
    return all;
  };
  auto with = [&](std::vector<Expr> at, std::initializer_list<Expr> more) {
    at.insert(at.end(), more);
    return at;
  };
  auto vars = [](const std::vector<Expr> &at) {
    std::vector<Var> v;
    for (const Expr &x : at)
      v.emplace_back(x.as<Internal::Variable>()->name);
    return v;
  };
  Exprs along_row, along_column;
  for (int s = 0; s < int(by_column.at(0).size()); s++)
    along_row.push_back(f(join({tx * column_step + s, ty * row_step + e})));
  half = Func(name + "_half");
  half(vars(with(join({tx, ty}), {e, i}))) = mux(i, to_points(k, by_column, along_row));
  for (int r = 0; r < int(by_row.at(0).size()); r++)
    along_column.push_back(half(with(join({tx, ty}), {r, i})));
  Func points(name);
  points(vars(with(join({tx, ty}), {i, j}))) = mux(j, to_points(k, by_row, along_column));
  return points;
}

// U[phase and output, j*n+i, input], packed, of the kernels tap(phase, output, input, row, column)
using Tap = std::function<Expr(Expr phase, Expr output, Expr input, int row, int column)>;
void define_weight_points(KernelContext &k, const Node &n, const WinogradShape &s, int64_t channels, int64_t inputs, const Tap &tap) {
  auto v = k.vars(n.type); // output and input, block and group, point, phase and pass
  const WinogradPacking p = winograd_packing(s, channels, inputs);
  const int group = int(p.group), groups = int(p.groups), passes = int(p.passes), together = int(p.together);
  Expr block = v[3] % passes * together + v[1] / groups;
  Expr phase = v[3] / passes, output = min(block * int(p.block) + v[0] / group, int(channels) - 1), input = v[1] % groups * group + v[0] % group;
  const Matrices m = matrices(s);
  Var r("r"), i("i");
  Exprs rows;
  for (int row = 0; row < int(s.rows.taps); row++) {
    Exprs x;
    for (int column = 0; column < int(s.columns.taps); column++)
      x.push_back(inputs == p.groups * group ? tap(phase, output, input, row, column)
                                             : select(input < int(inputs), tap(phase, output, min(input, int(inputs) - 1), row, column), k.constant(0)));
    rows.push_back(mux(i, to_points(k, m.columns.weight, x)));
  }
  Func half("half"), out("points");
  half(v[0], v[1], v[3], r, i) = mux(r, rows);
  Exprs all;
  std::vector<Exprs> columns;
  for (int column = 0; column < int(s.columns.points()); column++) {
    Exprs x;
    for (int row = 0; row < int(s.rows.taps); row++)
      x.push_back(half(v[0], v[1], v[3], row, column));
    columns.push_back(to_points(k, m.rows.weight, x));
  }
  for (int row = 0; row < int(s.rows.points()); row++)
    for (int column = 0; column < int(s.columns.points()); column++)
      all.push_back(columns[size_t(column)][size_t(row)]);
  out(v) = mux(v[2], all);
  k.form = KernelContext::Form::WinogradPoints;
  k.stages["half"] = half;
  k.result(n, out);
}

// w[k,c,r,s] with r, s >= 0, of the turned kernel with flip
Expr element(const Node &n, Func w, Expr k, Expr c, Expr r, Expr s) {
  const auto &size = n.list("kernel");
  return n.flag("flip") ? w(int(size[1]) - 1 - s, int(size[0]) - 1 - r, c, k) : w(s, r, c, k);
}

void define_weight(KernelContext &k, const Node &n) {
  const WinogradShape s = winograd_shape(n);
  const auto &size = n.list("kernel");
  const int channels = int(k.type(n, 0).dims[1]), sh = int(s.rows.stride), sw = int(s.columns.stride);
  Func w = k.in(n, 0);
  define_weight_points(k, n, one_phase(s), k.type(n, 0).dims[0], channels * s.phases(), [&](Expr, Expr out, Expr channel, int row, int column) -> Expr {
    if (s.phases() == 1)
      return element(n, w, out, channel, row, column);
    Expr phase = channel / channels, r = row * sh + phase / sw, c = column * sw + phase % sw;
    return select(r < int(size[0]) && c < int(size[1]), element(n, w, out, channel % channels, min(r, int(size[0]) - 1), min(c, int(size[1]) - 1)), k.constant(0));
  });
}

void define_data_weight(KernelContext &k, const Node &n) {
  const WinogradShape s = winograd_shape(n);
  const auto &size = n.list("kernel"), &p = n.list("padding");
  const int channels = int(k.type(n, 0).dims[1]), sw = int(s.columns.stride);
  Func w = k.in(n, 0);
  auto taps = [](const WinogradAxis &a, int64_t kernel, int64_t padding, int tap) {
    Exprs of_phase;
    for (int64_t phase = 0; phase < a.stride; phase++)
      of_phase.push_back(int(winograd_data_tap(a, kernel, padding, phase, tap)));
    return of_phase;
  };
  define_weight_points(k, n, s, channels, k.type(n, 0).dims[0], [&](Expr phase, Expr out, Expr channel, int row, int column) -> Expr {
    Exprs rows = taps(s.rows, size[0], p[0], row), columns = taps(s.columns, size[1], p[2], column);
    if (s.phases() == 1)
      return element(n, w, channel, out, rows[0], columns[0]);
    Expr r = sw == int(s.phases()) ? rows[0] : mux(phase / sw, rows), c = sw == 1 ? columns[0] : mux(phase % sw, columns);
    return select(r >= 0 && c >= 0, element(n, w, channel, out, max(r, 0), max(c, 0)), k.constant(0));
  });
}

// The products at each point and the way back to tiles: `channels` for each of the result's phases. Returns
// tile(lane, x in the tile, y in it, phase, tx, ty, channel).
Func products(KernelContext &k, Func x, const std::vector<int64_t> &image, Func U, const WinogradShape &s, const WinogradPacking &pack) {
  const Matrices m = matrices(s);
  Var lane("lane"), tx("tx"), ty("ty"), channel("channel"), i("i"), j("j"), ox("ox"), oy("oy"), phase("phase"), q("q"), block("block");
  Func half, padded = phases(k, x, image, s);
  Func V = tile_points(k, padded, {lane}, {channel}, m.rows.input, m.columns.input, int(s.rows.tile), int(s.columns.tile), half, "V");
  RDom d(0, int(pack.group), 0, int(pack.groups), "channels");
  Func sum("sum"), product("product"), back("back"), tile("tile");
  const int n = int(s.columns.points());
  std::vector<Var> at = {lane, tx, ty, q, block, phase, i, j};
  sum(at) = k.constant(0);
  const int together = int(pack.together);
  sum(at) += V(lane, tx, ty, d.y * int(pack.group) + d.x, i, j) *
             U(q * int(pack.group) + d.x, block % together * int(pack.groups) + d.y, i + n * j, phase * int(pack.passes) + block / together);
  product(at) = sum(at);
  Exprs z, rows;
  for (int p = 0; p < n; p++)
    z.push_back(product(lane, tx, ty, channel % int(pack.block), channel / int(pack.block), phase, p, j));
  back(lane, ox, phase, tx, ty, channel, j) = mux(ox, from_points(k, m.columns.output, z));
  for (int p = 0; p < int(s.rows.points()); p++)
    rows.push_back(back(lane, ox, phase, tx, ty, channel, p));
  tile(lane, ox, oy, phase, tx, ty, channel) = mux(oy, from_points(k, m.rows.output, rows));
  k.form = KernelContext::Form::Winograd;
  k.stages = {{"phases", padded}, {"half", half}, {"V", V}, {"product", product}, {"back", back}, {"tile", tile}};
  k.reduce = sum;
  k.domain = d;
  return tile;
}

// y[k,p,q] = b[k] + element (p mod m, q mod m') of tile (p / m, q / m')
void define_forward(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // lane, q, p, k
  const WinogradShape s = winograd_shape(n);
  Func tile = products(k, k.in(n, 0), k.type(n, 0).dims, k.in(n, 1), s, winograd_packing(one_phase(s), n.type.dims[0], k.type(n, 0).dims[0] * s.phases()));
  const int mh = int(s.rows.tile), mw = int(s.columns.tile);
  Func y("conv");
  Expr value = tile(v[0], v[1] % mw, v[2] % mh, 0, v[1] / mw, v[2] / mh, v[3]);
  y(v) = n.inputs.size() == 3 ? k.in(n, 2)(v[3]) + value : value;
  k.result(n, y);
}

// dx[c,h,w]: the phase (h mod sh, w mod sw) of the gradient is a convolution of dy in its own right
void define_data_gradient(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // lane, w, h, c
  WinogradShape s = winograd_shape(n);
  const int mh = int(s.rows.tile), mw = int(s.columns.tile), sh = int(s.rows.stride), sw = int(s.columns.stride);
  Func tile = products(k, k.in(n, 0), k.type(n, 0).dims, k.in(n, 1), one_phase(s), winograd_packing(s, n.type.dims[0], k.type(n, 0).dims[0]));
  Func dx("dx");
  Expr h = v[2] / sh, w = v[1] / sw;
  dx(v) = tile(v[0], w % mw, h % mh, (v[2] % sh) * sw + v[1] % sw, w / mw, h / mh, v[3]);
  k.result(n, dx);
}

// dw[k,c,r,s] = weight' (sum over tiles and lanes of D V) weight. Channels stand in the vector, and the examples are summed
// over: the image is turned before its transform, the gradient's points are broadcast.
void define_weight_gradient(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // s, r, c, k
  const WinogradShape s = winograd_shape(n);
  const Matrices m = matrices(s);
  const auto &image = k.type(n, 1).dims, &dy = k.type(n, 0).dims, &size = n.list("kernel");
  const int channels = int(image[0]), sh = int(s.rows.stride), sw = int(s.columns.stride);
  Var lane("lane"), tx("tx"), ty("ty"), channel("channel"), i("i"), j("j"), column("column"), row("row"), out("out"), c("c"), r("r"), group("group"), in_group("in_group");
  Func padded = phases(k, k.in(n, 1), image, s), turned("turned"), half, half_d;
  turned(in_group, lane, column, row, group) = padded(lane, column, row, group * k.lanes + in_group);
  Func V = tile_points(k, turned, {in_group, lane}, {group}, m.rows.input, m.columns.input, int(s.rows.tile), int(s.columns.tile), half, "V");
  WinogradShape of_dy = one_phase(s);
  of_dy.rows.origin = of_dy.columns.origin = 0;
  Func padded_dy = phases(k, k.in(n, 0), dy, of_dy);
  Func D = tile_points(k, padded_dy, {lane}, {out}, transposed(m.rows.output), transposed(m.columns.output), int(s.rows.tile), int(s.columns.tile), half_d, "D");
  // The blocks of tiles, and the tiles and lanes of a block.
  const WinogradBlock block = winograd_weight_block(s, n.type.dims[0], channels * s.phases());
  RDom b(0, int((s.columns.tiles + block.columns - 1) / block.columns), 0, int((s.rows.tiles + block.rows - 1) / block.rows), "blocks");
  RDom t(0, k.lanes, 0, int(block.columns), 0, int(block.rows), "examples");
  Var bx("bx"), by("by");
  Func sum("sum"), total("total"), back("back"), kernel("kernel"), dw("dw");
  sum(channel, out, i, j, bx, by) = k.constant(0);
  sum(channel, out, i, j, bx, by) += D(t.x, bx * int(block.columns) + t.y, by * int(block.rows) + t.z, out, i, j) *
                                     V(channel % k.lanes, t.x, bx * int(block.columns) + t.y, by * int(block.rows) + t.z, channel / k.lanes, i, j);
  const bool one_block = block.columns >= s.columns.tiles && block.rows >= s.rows.tiles;
  if (one_block) {
    total(channel, out, i, j) = sum(channel, out, i, j, 0, 0);
  } else {
    total(channel, out, i, j) = k.constant(0);
    total(channel, out, i, j) += sum(channel, out, i, j, b.x, b.y);
  }
  Exprs z, rows;
  for (int p = 0; p < int(s.columns.points()); p++)
    z.push_back(total(channel, out, p, j));
  back(channel, out, c, j) = mux(c, from_points(k, transposed(m.columns.weight), z));
  for (int p = 0; p < int(s.rows.points()); p++)
    rows.push_back(back(channel, out, c, p));
  kernel(channel, out, c, r) = mux(r, from_points(k, transposed(m.rows.weight), rows));
  Expr kr = v[1], kc = v[0];
  if (n.flag("flip"))
    kr = int(size[0]) - 1 - kr, kc = int(size[1]) - 1 - kc;
  Expr phased = s.phases() == 1 ? Expr(v[2]) : ((kr % sh) * sw + kc % sw) * channels + v[2];
  dw(v) = kernel(phased, v[3], kc / sw, kr / sh);
  k.form = KernelContext::Form::WinogradWeight;
  k.stages = {{"phases", padded}, {"turned", turned}, {"half", half}, {"V", V}, {"phases_dy", padded_dy}, {"half_d", half_d}, {"D", D}, {"total", total}, {"back", back}, {"kernel", kernel}};
  k.reduce = sum;
  k.domain = t;
  k.outer_domain = b;
  k.accumulates = true;
  k.result(n, dw);
}

Type packed(int64_t points, int64_t phases, const WinogradPacking &p) {
  return {Kind::Parameter, {phases * p.passes, points, p.together * p.groups, p.block * p.group}};
}

void expect(bool holds, const Node &n, const char *what) {
  if (!holds)
    throw GraphError{fmt::format("{}: expected {}", n.op, what)};
}
} // namespace

void register_conv_winograd(Registry &r) {
  auto add = [&](const char *name, unsigned traits, int most, std::function<Type(const Graph &, const Node &)> infer,
                 std::function<void(KernelContext &, const Node &)> define) {
    Op op;
    op.name = name;
    op.traits = traits;
    op.arity_min = most > 1 ? 2 : 1;
    op.arity_max = most;
    op.infer = std::move(infer);
    op.define = std::move(define);
    r.ops.push_back(op);
  };
  auto type_of = [](const Graph &g, const Node &n, size_t i, size_t rank) {
    const auto &dims = g[n.inputs.at(i)].type.dims;
    expect(dims.size() == rank, n, "a value of another rank");
    return dims;
  };

  // w [K,C,R,S] -> [N,K,phases C]
  add(
      "winograd_weight", kAlone | kPrepare, 1, [=](const Graph &g, const Node &n) {
        const auto w = type_of(g, n, 0, 4);
        const WinogradShape s = winograd_shape(n);
        return packed(s.points(), 1, winograd_packing(one_phase(s), w[0], w[1] * s.phases())); }, define_weight);
  // w [K,C,R,S] -> [N,phases C,K]
  add(
      "winograd_data_weight", kAlone | kPrepare, 1, [=](const Graph &g, const Node &n) {
        const auto w = type_of(g, n, 0, 4);
        const WinogradShape s = winograd_shape(n);
        return packed(s.points(), s.phases(), winograd_packing(s, w[1], w[0])); }, define_data_weight);
  // x [C,H,W], U, bias -> [K,P,Q]
  add(
      "winograd_conv", kContraction, 3, [=](const Graph &g, const Node &n) {
        const auto x = type_of(g, n, 0, 3), u = type_of(g, n, 1, 4);
        const WinogradShape s = winograd_shape(n);
        const int64_t channels = n.integer("channels");
        expect(Type{Kind::Parameter, u} == packed(s.points(), 1, winograd_packing(one_phase(s), channels, x[0] * s.phases())), n, "transformed weights that fit");
        return Type{Kind::Example, {channels, s.rows.outputs, s.columns.outputs}}; }, define_forward);
  r.ops.back().macs = [](const Graph &g, const Node &n) {
    return n.type.size() * g[n.inputs[0]].type.dims[0] * n.list("kernel")[0] * n.list("kernel")[1];
  };
  // dy [K,P,Q], U -> [C,H,W]
  add(
      "winograd_data_gradient", kContraction, 2, [=](const Graph &g, const Node &n) {
        const auto dy = type_of(g, n, 0, 3), u = type_of(g, n, 1, 4);
        const WinogradShape s = winograd_shape(n);
        const int64_t channels = n.integer("channels");
        expect(Type{Kind::Parameter, u} == packed(s.points(), s.phases(), winograd_packing(s, channels, dy[0])), n, "transformed weights that fit");
        return Type{Kind::Example, {channels, n.list("image")[0], n.list("image")[1]}}; }, define_data_gradient);
  r.ops.back().no_window = true;
  r.ops.back().macs = [](const Graph &g, const Node &n) {
    return g[n.inputs[0]].type.size() * n.type.dims[0] * n.list("kernel")[0] * n.list("kernel")[1];
  };
  // dy [K,P,Q], x [C,H,W] -> [K,C,R,S]
  add(
      "winograd_weight_gradient", kContraction | kAlone, 2, [=](const Graph &g, const Node &n) {
        const auto dy = type_of(g, n, 0, 3), x = type_of(g, n, 1, 3);
        const WinogradShape s = winograd_shape(n);
        expect(dy[1] == s.rows.outputs && dy[2] == s.columns.outputs, n, "a gradient of its convolution's size");
        return Type{Kind::Sum, {dy[0], x[0], n.list("kernel")[0], n.list("kernel")[1]}}; }, define_weight_gradient);
  r.ops.back().macs = [](const Graph &g, const Node &n) { return g[n.inputs[0]].type.size() * n.type.size() / n.type.dims[0]; };
}
} // namespace cnnc
