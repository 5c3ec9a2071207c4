// Two-dimensional convolution (cross-correlation, as the field does; flip=true turns the kernel).
// x: [C,H,W] by lane; w: [K,C,R,S]; b: [K]; y: [K,P,Q] by lane
#include <Halide.h>
#include <fmt/format.h>

#include "codegen/kernel.h"
#include "layers/builder.h"
#include "layers/registry.h"
#include "passes/differentiate.h"

namespace cnnc {
using namespace Halide;

namespace {
// w[k,c,r,s], or the turned kernel
Expr weight(const KernelContext &, const Node &n, Func w, Expr k, Expr c, Expr r, Expr s) {
  const auto &size = n.list("kernel");
  if (n.flag("flip")) {
    r = int(size[0]) - 1 - r;
    s = int(size[1]) - 1 - s;
  }
  return w(s, r, c, k);
}

Type infer_forward(const Graph &g, const Node &n) {
  const Type &x = g[n.inputs[0]].type, &w = g[n.inputs[1]].type;
  expect_rank("conv", x, 3);
  std::vector<int64_t> expected = {w.dims.empty() ? 0 : w.dims[0], x.dims[0], n.list("kernel").at(0), n.list("kernel").at(1)};
  if (w.dims != expected)
    throw GraphError{fmt::format("conv: expected a weight of {}, found {}", dims_text(expected), dims_text(w.dims))};
  if (n.inputs.size() == 3 && g[n.inputs[2]].type.dims != std::vector<int64_t>{w.dims[0]})
    throw GraphError{fmt::format("conv: expected a bias of {}, found {}", w.dims[0], dims_text(g[n.inputs[2]].type.dims))};
  auto out = window_output(g, n, x.dims);
  out[0] = w.dims[0];
  return {Kind::Example, out};
}

// y[k,p,q] = b[k] + sum over c,r,s of x[c, p*sh+r, q*sw+s] * w[k,c,r,s]; the input is padded already
void define_forward(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // lane, q, p, k
  const auto &wd = k.type(n, 1).dims;
  const auto &stride = n.list("stride");
  for (int64_t p : n.list("padding"))
    if (p != 0)
      throw GraphError{"conv: the padding has not been laid out"};
  RDom d(0, int(wd[3]), 0, int(wd[2]), 0, int(wd[1]), "conv_domain"); // s, r, c
  Func y("conv");
  if (n.inputs.size() == 3)
    y(v) = k.in(n, 2)(v[3]);
  else
    y(v) = k.constant(0);
  y(v) += k.in(n, 0)(v[0], v[1] * int(stride[1]) + d.x, v[2] * int(stride[0]) + d.y, d.z) *
          weight(k, n, k.in(n, 1), v[3], d.z, d.y, d.x);
  k.form = KernelContext::Form::Contraction;
  k.reduce = y;
  k.domain = d;
  k.result(n, y);
}

// dx[c,h,w] = sum over k,r,s of dy[k, (h+top-r)/sh, (w+left-s)/sw] * w[k,c,r,s], where these are whole and inside.
// Scatter form: a row of dx is held while the rows of dy that reach it are added in; rows outside are skipped.
void define_data_gradient(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // lane, w, h, c
  const auto &wd = k.type(n, 1).dims;
  const auto &dy = k.type(n, 0).dims;
  const auto &stride = n.list("stride"), &p = n.list("padding");
  int sh = int(stride[0]), sw = int(stride[1]);
  RDom d(0, int(wd[3]), 0, int(dy[2]), 0, int(wd[2]), 0, int(wd[0]), "scatter_domain"); // s, q, r, k
  Expr above = v[2] + int(p[0]) - d[2];
  d.where(above >= 0 && above < int(dy[1]) * sh && above % sh == 0);
  Func row("row");
  row(v) = k.constant(0);
  // the row's column 0 is the left edge of the padded image
  row(v[0], d[1] * sw + d[0], v[2], v[3]) +=
      k.in(n, 0)(v[0], d[1], clamp(above / sh, 0, int(dy[1]) - 1), d[3]) * weight(k, n, k.in(n, 1), d[3], v[3], d[2], d[0]);
  Func dx;
  dx(v) = row(v[0], v[1] + int(p[2]), v[2], v[3]);
  k.form = KernelContext::Form::Scatter;
  k.reduce = row;
  k.domain = d;
  k.result(n, dx);
}

// dw[k,c,r,s] = sum over p,q of dy[k,p,q] * x[c, p*sh+r, q*sw+s], a sum a lane
void define_weight_gradient(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // lane, s, r, c, k
  const auto &dy = k.type(n, 0).dims;
  const auto &stride = n.list("stride");
  RDom d(0, int(dy[2]), 0, int(dy[1]), "positions"); // q, p
  Func dw("dw");
  dw(v) = k.constant(0);
  const auto &kernel = n.list("kernel");
  bool flip = n.flag("flip");
  Expr r = flip ? int(kernel[0]) - 1 - v[2] : Expr(v[2]), s = flip ? int(kernel[1]) - 1 - v[1] : Expr(v[1]);
  dw(v) += k.in(n, 0)(v[0], d.x, d.y, v[4]) *
           k.in(n, 1)(v[0], d.x * int(stride[1]) + s, d.y * int(stride[0]) + r, v[3]);
  k.form = KernelContext::Form::PerLane;
  k.reduce = dw;
  k.domain = d;
  k.accumulates = true;
  k.result(n, dw);
}

// db[k] = sum over p,q of dy[k,p,q], a sum a lane
void define_bias_gradient(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // lane, k
  const auto &dy = k.type(n, 0).dims;
  RDom d(0, int(dy[2]), 0, int(dy[1]), "positions");
  Func db("db");
  db(v) = k.constant(0);
  db(v) += k.in(n, 0)(v[0], d.x, d.y, v[1]);
  k.form = KernelContext::Form::PerLane;
  k.reduce = db;
  k.domain = d;
  k.accumulates = true;
  k.result(n, db);
}

void differentiate_conv(Backward &b, const Node &n) {
  ValueId dy = b.of(n), x = n.inputs[0], w = n.inputs[1];
  auto a = n.attributes;
  if (b.wants(n, 1))
    b.accumulate(w, b.graph.add("conv_weight_gradient", {dy, x}, a));
  if (n.inputs.size() == 3 && b.wants(n, 2))
    b.accumulate(n.inputs[2], b.graph.add("conv_bias_gradient", {dy}));
  if (b.wants(n, 0)) {
    a["image"] = std::vector<int64_t>{b.graph[x].type.dims[1], b.graph[x].type.dims[2]};
    b.accumulate(x, b.graph.add("conv_data_gradient", {dy, w}, a));
  }
}

ValueId build(LayerBuilder &b) {
  const auto &x = b.input_dims(0);
  int64_t channels = b.integer("channels", 1, 1, 1 << 20);
  auto kernel = b.pair("kernel", {1, 1}, 1);
  auto stride = b.pair("stride", {1, 1}, 1);
  auto padding = b.padding("padding", kernel);
  bool bias = b.boolean("bias", true), flip = b.boolean("flip", false);
  if (x.size() != 3)
    return b.error(fmt::format("conv: expected an input of three dimensions, found f32[{}]", dims_text(x, ", ")));
  int64_t area = kernel[0] * kernel[1];
  std::vector<ValueId> inputs = {
      b.input(0), b.parameter("weight", {channels, x[0], kernel[0], kernel[1]}, x[0] * area, channels * area, false)};
  if (bias)
    inputs.push_back(b.parameter("bias", {channels}, x[0] * area, channels * area, true));
  return b.add("conv", inputs, {{"kernel", kernel}, {"stride", stride}, {"padding", padding}, {"flip", flip}});
}
} // namespace

void register_conv(Registry &r) {
  Op f;
  f.name = "conv";
  f.traits = kContraction;
  f.padded_input = 0;
  f.unit_inputs = {1, 2};
  f.arity_min = 2, f.arity_max = 3;
  f.infer = infer_forward;
  f.define = define_forward;
  f.differentiate = differentiate_conv;
  f.macs = [](const Graph &g, const Node &n) {
    const auto &w = g[n.inputs[1]].type.dims;
    return n.type.size() * w[1] * w[2] * w[3];
  };
  r.ops.push_back(f);

  Op dx;
  dx.name = "conv_data_gradient"; // dy, w
  dx.traits = kContraction;
  dx.no_window = true;
  dx.arity_min = dx.arity_max = 2;
  dx.infer = [](const Graph &g, const Node &n) {
    const auto &image = n.list("image");
    return Type{Kind::Example, {g[n.inputs[1]].type.dims.at(1), image.at(0), image.at(1)}};
  };
  dx.define = define_data_gradient;
  dx.macs = [](const Graph &g, const Node &n) {
    const auto &w = g[n.inputs[1]].type.dims;
    return g[n.inputs[0]].type.size() * w[1] * w[2] * w[3];
  };
  r.ops.push_back(dx);

  Op dw;
  dw.name = "conv_weight_gradient"; // dy, x
  dw.padded_input = 1;
  dw.traits = kContraction | kAlone;
  dw.arity_min = dw.arity_max = 2;
  dw.infer = [](const Graph &g, const Node &n) {
    const auto &kernel = n.list("kernel");
    return Type{Kind::LaneSum, {g[n.inputs[0]].type.dims.at(0), g[n.inputs[1]].type.dims.at(0), kernel.at(0), kernel.at(1)}};
  };
  dw.define = [](KernelContext &k, const Node &n) { define_weight_gradient(k, n); };
  dw.macs = [](const Graph &g, const Node &n) { return g[n.inputs[0]].type.size() * n.type.size() / n.type.dims[0]; };
  r.ops.push_back(dw);

  Op db;
  db.name = "conv_bias_gradient"; // dy
  db.traits = kContraction | kAlone;
  db.infer = [](const Graph &g, const Node &n) { return Type{Kind::LaneSum, {g[n.inputs[0]].type.dims.at(0)}}; };
  db.define = define_bias_gradient;
  r.ops.push_back(db);

  Layer l;
  l.name = "conv";
  l.arguments = {{"channels", Argument::Integer, true, true}, {"kernel", Argument::Pair, true}, {"stride", Argument::Pair}, {"padding", Argument::Padding}, {"bias", Argument::Boolean}, {"flip", Argument::Boolean}, {"weight", Argument::Values}, {"bias_values", Argument::Values}};
  l.build = build;
  // the first convolution makes the second one's data gradient needed
  for (const char *c : {"conv(3, kernel=3)", "conv(2, kernel=(5, 3), padding=(2, 1))", "conv(3, kernel=3, stride=2, padding=1)",
                        "conv(3, kernel=(2, 3), stride=(3, 2), padding=(1, 0, 2, 1))", "conv(2, kernel=4, padding=same)",
                        "conv(2, kernel=(1, 2), bias=false)", "conv(3, kernel=2, flip=true, padding=1)", "conv(5, kernel=1)"})
    l.samples.push_back(fmt::format("model m\ninput x: f32[2, 9, 8]\nconv(3, kernel=2)\ntanh\n{}\ntanh\nflatten\ndense(4)\n"
                                    "loss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 5\n",
                                    c));
  r.layers.push_back(l);
}
} // namespace cnnc
