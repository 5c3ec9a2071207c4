// Largest element of a window; outside the image stands minus infinity. The first of equal elements, in row
// order, takes the gradient: its place in the window (r * width + s) is stored beside the result in training.
// x: [C,H,W] by lane; y: [C,P,Q] by lane
#include <Halide.h>
#include <fmt/format.h>

#include "codegen/kernel.h"
#include "layers/builder.h"
#include "layers/registry.h"
#include "passes/differentiate.h"

namespace cnnc {
using namespace Halide;

namespace {
struct Best {
  Expr value, place;
};

// Of a NaN and a number each maximum is its second operand: the bits of both together are a NaN's.
Expr larger(Expr a, Expr b) {
  const Halide::Type bits = UInt(a.type().bits());
  return reinterpret(a.type(), reinterpret(bits, max(a, b)) | reinterpret(bits, max(b, a)));
}

// The window's largest element and its place; a NaN wins and stays.
Best scan(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // lane, q, p, c
  const auto &size = n.list("kernel"), &stride = n.list("stride"), &pad = n.list("padding");
  int h = int(k.type(n, 0).dims[1]), w = int(k.type(n, 0).dims[2]);
  Best best;
  for (int r = 0; r < int(size[0]); r++)
    for (int s = 0; s < int(size[1]); s++) {
      Expr y = v[2] * int(stride[0]) + r - int(pad[0]), x = v[1] * int(stride[1]) + s - int(pad[2]);
      bool inside = pad == std::vector<int64_t>{0, 0, 0, 0};
      Expr e = inside ? k.in(n, 0)(v[0], x, y, v[3]) : k.in(n, 0)(v[0], clamp(x, 0, w - 1), clamp(y, 0, h - 1), v[3]);
      if (!inside)
        e = select(y >= 0 && y < h && x >= 0 && x < w, e, k.real.bits() == 64 ? k.constant(-INFINITY) : Expr(-INFINITY));
      Expr place = k.constant(r * int(size[1]) + s);
      if (!best.value.defined()) {
        best = {e, place};
        continue;
      }
      Expr wins = (e > best.value || not_a_number(e)) && !not_a_number(best.value);
      best = {larger(best.value, e), select(wins, place, best.place)};
    }
  return best;
}
} // namespace

void register_max_pool(Registry &r) {
  auto infer = [](const Graph &g, const Node &n) {
    const Type &x = g[n.inputs[0]].type;
    expect_rank("max_pool", x, 3);
    return Type{Kind::Example, window_output(g, n, x.dims)};
  };
  Op f;
  f.name = "max_pool";
  f.traits = kWindow;
  f.infer = infer;
  f.define = [](KernelContext &k, const Node &n) {
    Func y;
    y(k.vars(n.type)) = scan(k, n).value;
    k.result(n, y);
  };
  f.differentiate = [](Backward &b, const Node &n) {
    if (!b.wants(n, 0))
      return;
    auto a = n.attributes;
    ValueId place = b.graph.add("max_pool_index", {n.inputs[0]}, a);
    const auto &x = b.graph[n.inputs[0]].type.dims;
    a["image"] = std::vector<int64_t>{x[1], x[2]};
    b.accumulate(n.inputs[0], b.graph.add("max_pool_gradient", {b.of(n), place}, a));
  };
  r.ops.push_back(f);

  Op index = f;
  index.name = "max_pool_index";
  index.traits = kAlone;
  index.differentiate = nullptr;
  index.define = [](KernelContext &k, const Node &n) {
    Func y;
    y(k.vars(n.type)) = scan(k, n).place;
    k.result(n, y);
  };
  r.ops.push_back(index);

  // dx[c,h,w] = sum of dy[c,p,q] over the windows whose largest element stands at (h, w)
  Op g;
  g.name = "max_pool_gradient"; // dy, index
  g.traits = kGather;
  g.arity_min = g.arity_max = 2;
  g.infer = [](const Graph &gr, const Node &n) {
    return Type{Kind::Example, {gr[n.inputs[0]].type.dims.at(0), n.list("image").at(0), n.list("image").at(1)}};
  };
  g.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type); // lane, w, h, c
    const auto &size = n.list("kernel"), &stride = n.list("stride"), &pad = n.list("padding");
    int sh = int(stride[0]), sw = int(stride[1]);
    int ph = int(k.type(n, 0).dims[1]), pw = int(k.type(n, 0).dims[2]);
    Expr y = v[2] + int(pad[0]), x = v[1] + int(pad[2]), sum = k.constant(0);
    // the windows over (h, w): each j, i steps one window back
    for (int j = 0; j * sh < int(size[0]); j++)
      for (int i = 0; i * sw < int(size[1]); i++) {
        Expr p = y / sh - j, q = x / sw - i, row = y % sh + j * sh, column = x % sw + i * sw;
        Expr inside = p >= 0 && p < ph && q >= 0 && q < pw && row < int(size[0]) && column < int(size[1]);
        Expr cp = clamp(p, 0, ph - 1), cq = clamp(q, 0, pw - 1);
        Expr here = k.in(n, 1)(v[0], cq, cp, v[3]) == cast(k.real, row * int(size[1]) + column);
        sum += select(inside && here, k.in(n, 0)(v[0], cq, cp, v[3]), k.constant(0));
      }
    Func dx;
    dx(v) = sum;
    k.result(n, dx);
  };
  r.ops.push_back(g);

  Layer l;
  l.name = "max_pool";
  l.arguments = {{"kernel", Argument::Pair, true, true}, {"stride", Argument::Pair}, {"padding", Argument::Padding}};
  l.build = [](LayerBuilder &b) {
    auto kernel = b.pair("kernel", {1, 1}, 1);
    auto stride = b.pair("stride", kernel, 1);
    auto padding = b.padding("padding", kernel);
    return b.add("max_pool", {b.input(0)}, {{"kernel", kernel}, {"stride", stride}, {"padding", padding}});
  };
  for (const char *p : {"max_pool(2)", "max_pool(3, stride=2)", "max_pool((2, 3), stride=(1, 2), padding=(1, 0, 1, 1))"})
    l.samples.push_back(fmt::format("model m\ninput x: f32[2, 9, 8]\nconv(3, kernel=2)\ntanh\n{}\nflatten\ndense(4)\n"
                                    "loss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 5\n",
                                    p));
  r.layers.push_back(l);
}
} // namespace cnnc
