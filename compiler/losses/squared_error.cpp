// Squared difference to a target: the mean over all elements, or with reduction=sum the sum.
// x, t: [...] by lane; the gradient is 2 * (x - t) * scale, and 0 in lanes beyond the batch
#include <Halide.h>

#include "codegen/kernel.h"
#include "layers/builder.h"
#include "layers/registry.h"
#include "passes/differentiate.h"

namespace cnnc {
using namespace Halide;

namespace {
void expect_same(const Graph &g, const Node &n) {
  const Type &x = g[n.inputs[0]].type, &t = g[n.inputs[1]].type;
  if (!(x == t))
    throw GraphError{n.op + ": the output is " + type_text(x) + ", the target " + type_text(t)};
}
} // namespace

void register_squared_error(Registry &r) {
  Op f;
  f.name = "squared_error"; // x, target
  f.traits = kAlone | kMetric;
  f.arity_min = f.arity_max = 2;
  f.infer = [](const Graph &g, const Node &n) { return expect_same(g, n), Type{Kind::LaneSum, {}}; };
  f.define = [](KernelContext &k, const Node &n) {
    Var lane("lane");
    Region ranges;
    const auto &dims = k.type(n, 0).dims;
    for (size_t i = dims.size(); i-- > 0;)
      ranges.emplace_back(0, int(dims[i]));
    RDom d(ranges);
    std::vector<Expr> at = {lane};
    for (int i = 0; i < d.dimensions(); i++)
      at.push_back(d[i]);
    Expr e = k.in(n, 0)(at)-k.in(n, 1)(at);
    Func total("total"), loss;
    total(lane) = k.constant(0);
    total(lane) += e * e;
    loss(lane) = select(lane < k.valid, total(lane), k.constant(0));
    k.roots = {total};
    k.accumulates = true;
    k.result(n, loss);
  };
  f.differentiate = [](Backward &b, const Node &n) {
    b.accumulate(n.inputs[0], b.graph.add("squared_error_gradient", {n.inputs[0], n.inputs[1]}));
  };
  r.ops.push_back(f);

  Op g;
  g.name = "squared_error_gradient"; // x, target
  g.traits = kElementwise;
  g.arity_min = g.arity_max = 2;
  g.infer = [](const Graph &gr, const Node &n) { return expect_same(gr, n), gr[n.inputs[0]].type; };
  g.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type);
    Func dx;
    dx(v) = select(v[0] < k.valid, (k.in(n, 0)(v)-k.in(n, 1)(v)) * 2 * k.scale, k.constant(0));
    k.result(n, dx);
  };
  r.ops.push_back(g);

  Loss l;
  l.name = "squared_error";
  l.labels = false;
  l.arguments = {{"reduction", Argument::Name}};
  l.build = [](LayerBuilder &b) {
    std::string reduction = b.name("reduction", "mean");
    if (reduction != "mean" && reduction != "sum") {
      b.error("squared_error: reduction is 'mean' or 'sum', not '" + reduction + "'");
      return;
    }
    ValueId target = b.graph().find("target");
    if (target == kNoValue) {
      b.error("squared_error: the model has no 'target'");
      return;
    }
    b.graph().loss = b.add("squared_error", {b.input(0), target}, {{"reduction", reduction}});
  };
  l.samples = {"model m\ninput x: f32[1, 5, 4]\ntarget y: f32[2, 4, 3]\nconv(2, kernel=2)\nloss squared_error\n"
               "optimizer sgd(lr=0.1)\nbatch 5\n"};
  r.losses.push_back(l);
}
} // namespace cnnc
