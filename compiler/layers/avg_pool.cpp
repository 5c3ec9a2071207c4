// Mean of a window. The padding counts as zeros, or not at all with count_padding=false.
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
// 1 / (elements counted in the window that starts at row y, column x of the unpadded image)
Expr one_over_count(KernelContext &k, const Node &n, Expr y, Expr x, int h, int w) {
  const auto &size = n.list("kernel");
  if (n.flag("count_padding") || n.list("padding") == std::vector<int64_t>{0, 0, 0, 0})
    return k.constant(1.0 / double(size[0] * size[1]));
  Expr rows = min(y + int(size[0]), h) - max(y, 0), columns = min(x + int(size[1]), w) - max(x, 0);
  return k.constant(1) / cast(k.real, max(rows * columns, 1));
}
} // namespace

void register_avg_pool(Registry &r) {
  Op f;
  f.name = "avg_pool";
  f.traits = kWindow;
  f.infer = [](const Graph &g, const Node &n) {
    const Type &x = g[n.inputs[0]].type;
    expect_rank("avg_pool", x, 3);
    return Type{Kind::Example, window_output(g, n, x.dims)};
  };
  f.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type); // lane, q, p, c
    const auto &size = n.list("kernel"), &stride = n.list("stride"), &pad = n.list("padding");
    int h = int(k.type(n, 0).dims[1]), w = int(k.type(n, 0).dims[2]);
    Expr top = v[2] * int(stride[0]) - int(pad[0]), left = v[1] * int(stride[1]) - int(pad[2]);
    std::vector<Expr> sums;
    for (int row = 0; row < int(size[0]); row++)
      for (int column = 0; column < int(size[1]); column++) {
        Expr y = top + row, x = left + column;
        bool inside = pad == std::vector<int64_t>{0, 0, 0, 0};
        Expr e = inside ? k.in(n, 0)(v[0], x, y, v[3]) : k.in(n, 0)(v[0], clamp(x, 0, w - 1), clamp(y, 0, h - 1), v[3]);
        if (!inside)
          e = select(y >= 0 && y < h && x >= 0 && x < w, e, k.constant(0));
        sums.push_back(e);
      }
    while (sums.size() > 1) { // of neighbours, and of their sums
      std::vector<Expr> pairs;
      for (size_t i = 0; i < sums.size(); i += 2)
        pairs.push_back(i + 1 < sums.size() ? sums[i] + sums[i + 1] : sums[i]);
      sums = std::move(pairs);
    }
    Func y;
    y(v) = sums[0] * one_over_count(k, n, top, left, h, w);
    k.result(n, y);
  };
  f.differentiate = [](Backward &b, const Node &n) {
    if (!b.wants(n, 0))
      return;
    auto a = n.attributes;
    const auto &x = b.graph[n.inputs[0]].type.dims;
    a["image"] = std::vector<int64_t>{x[1], x[2]};
    b.accumulate(n.inputs[0], b.graph.add("avg_pool_gradient", {b.of(n)}, a));
  };
  r.ops.push_back(f);

  // dx[c,h,w] = sum over the windows (p, q) that hold (h, w) of dy[c,p,q] / count of the window
  Op g;
  g.name = "avg_pool_gradient"; // dy
  g.traits = kGather;
  g.infer = [](const Graph &gr, const Node &n) {
    return Type{Kind::Example, {gr[n.inputs[0]].type.dims.at(0), n.list("image").at(0), n.list("image").at(1)}};
  };
  g.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type); // lane, w, h, c
    const auto &size = n.list("kernel"), &stride = n.list("stride"), &pad = n.list("padding");
    int sh = int(stride[0]), sw = int(stride[1]), h = int(n.type.dims[1]), w = int(n.type.dims[2]);
    int ph = int(k.type(n, 0).dims[1]), pw = int(k.type(n, 0).dims[2]);
    Expr y = v[2] + int(pad[0]), x = v[1] + int(pad[2]), sum = k.constant(0);
    for (int j = 0; j * sh < int(size[0]); j++)
      for (int i = 0; i * sw < int(size[1]); i++) {
        Expr p = y / sh - j, q = x / sw - i;
        Expr inside = p >= 0 && p < ph && q >= 0 && q < pw && y % sh + j * sh < int(size[0]) && x % sw + i * sw < int(size[1]);
        Expr dy = k.in(n, 0)(v[0], clamp(q, 0, pw - 1), clamp(p, 0, ph - 1), v[3]);
        Expr share = one_over_count(k, n, p * sh - int(pad[0]), q * sw - int(pad[2]), h, w);
        sum += select(inside, dy * share, k.constant(0));
      }
    Func dx;
    dx(v) = sum;
    k.result(n, dx);
  };
  r.ops.push_back(g);

  Layer l;
  l.name = "avg_pool";
  l.arguments = {{"kernel", Argument::Pair, true, true}, {"stride", Argument::Pair}, {"padding", Argument::Padding}, {"count_padding", Argument::Boolean}};
  l.build = [](LayerBuilder &b) {
    auto kernel = b.pair("kernel", {1, 1}, 1);
    auto stride = b.pair("stride", kernel, 1);
    auto padding = b.padding("padding", kernel);
    bool count = b.boolean("count_padding", true);
    return b.add("avg_pool", {b.input(0)},
                 {{"kernel", kernel}, {"stride", stride}, {"padding", padding}, {"count_padding", count}});
  };
  for (const char *p : {"avg_pool(2)", "avg_pool(3, stride=2, padding=1)",
                        "avg_pool((2, 3), stride=(1, 2), padding=(1, 0, 1, 1), count_padding=false)"})
    l.samples.push_back(fmt::format("model m\ninput x: f32[2, 9, 8]\nconv(3, kernel=2)\ntanh\n{}\nflatten\ndense(4)\n"
                                    "loss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 5\n",
                                    p));
  r.layers.push_back(l);
}
} // namespace cnnc
