// Mean over the batch of log(sum over k of exp(x[k])) - x[label], by way of the largest logit.
// x: [C] by lane; the gradient is (softmax(x)[j] - [j = label]) * scale, and 0 in lanes beyond the batch
#include <Halide.h>
#include <fmt/format.h>

#include "codegen/kernel.h"
#include "layers/builder.h"
#include "layers/registry.h"
#include "passes/differentiate.h"

namespace cnnc {
using namespace Halide;

namespace {
struct Sums {
  Func largest{"largest"}, total{"total"};
};
Sums sums(KernelContext &k, const Node &n) {
  Var lane("lane");
  RDom c(0, int(k.type(n, 0).dims[0]));
  Func x = k.in(n, 0);
  Sums s;
  s.largest(lane) = k.real.min();
  s.largest(lane) = max(s.largest(lane), x(lane, c));
  s.total(lane) = k.constant(0);
  s.total(lane) += safe_exp(x(lane, c) - s.largest(lane));
  k.roots = {s.largest, s.total};
  return s;
}
Type check(const Graph &g, const Node &n, Type out) {
  expect_rank(n.op, g[n.inputs[0]].type, 1);
  if (g[n.inputs[1]].type.kind != Kind::Label)
    throw GraphError{n.op + ": expected a label, found " + type_text(g[n.inputs[1]].type)};
  return out;
}
Expr label(KernelContext &k, const Node &n, Var lane) {
  return clamp(cast(Int(32), k.in(n, 1)(lane)), 0, int(k.type(n, 0).dims[0]) - 1);
}
} // namespace

void register_softmax_cross_entropy(Registry &r) {
  Op f;
  f.name = "softmax_cross_entropy"; // logits, label
  f.traits = kAlone | kMetric;
  f.arity_min = f.arity_max = 2;
  f.infer = [](const Graph &g, const Node &n) { return check(g, n, {Kind::LaneSum, {}}); };
  f.define = [](KernelContext &k, const Node &n) {
    Var lane("lane");
    Sums s = sums(k, n);
    Func loss;
    loss(lane) = select(lane < k.valid, log(s.total(lane)) + s.largest(lane) - k.in(n, 0)(lane, label(k, n, lane)), k.constant(0));
    k.accumulates = true;
    k.result(n, loss);
  };
  f.differentiate = [](Backward &b, const Node &n) {
    b.accumulate(n.inputs[0], b.graph.add("softmax_cross_entropy_gradient", {n.inputs[0], n.inputs[1]}));
  };
  r.ops.push_back(f);

  Op g;
  g.name = "softmax_cross_entropy_gradient"; // logits, label
  g.traits = kAlone;
  g.arity_min = g.arity_max = 2;
  g.infer = [](const Graph &gr, const Node &n) { return check(gr, n, gr[n.inputs[0]].type); };
  g.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type); // lane, c
    Sums s = sums(k, n);
    Func dx;
    Expr p = safe_exp(k.in(n, 0)(v)-s.largest(v[0])) / s.total(v[0]);
    dx(v) = select(v[0] < k.valid, (p - select(v[1] == label(k, n, v[0]), k.constant(1), k.constant(0))) * k.scale, k.constant(0));
    k.result(n, dx);
  };
  r.ops.push_back(g);

  // 1 where the first largest logit is the label's
  Op c;
  c.name = "correct"; // logits, label
  c.traits = kAlone | kMetric;
  c.arity_min = c.arity_max = 2;
  c.infer = f.infer;
  c.define = [](KernelContext &k, const Node &n) {
    Var lane("lane");
    RDom d(0, int(k.type(n, 0).dims[0]));
    Func x = k.in(n, 0), best("best"), out;
    Expr l = label(k, n, lane);
    best(lane) = k.constant(1);
    best(lane) = select(x(lane, d) > x(lane, l) || (x(lane, d) == x(lane, l) && d < l), k.constant(0), best(lane));
    out(lane) = select(lane < k.valid, best(lane), k.constant(0));
    k.roots = {best};
    k.accumulates = true;
    k.result(n, out);
  };
  r.ops.push_back(c);

  Loss l;
  l.name = "softmax_cross_entropy";
  l.build = [](LayerBuilder &b) {
    ValueId logits = b.input(0);
    if (b.input_dims(0).size() != 1) {
      b.error(fmt::format("softmax_cross_entropy: expected one dimension of classes, found f32[{}]", dims_text(b.input_dims(0), ", ")));
      return;
    }
    ValueId label = b.add("label", {}, {{"classes", b.input_dims(0)[0]}});
    b.graph().loss = b.add("softmax_cross_entropy", {logits, label});
    b.graph().correct = b.add("correct", {logits, label});
  };
  l.samples = {"model m\ninput x: f32[7]\ndense(5)\nloss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 5\n"};
  r.losses.push_back(l);
}
} // namespace cnnc
