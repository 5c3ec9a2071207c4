// Softmax over the first dimension: y[j] = exp(x[j] - max x) / sum over k of exp(x[k] - max x)
// dx[j] = y[j] * (dy[j] - sum over k of dy[k] * y[k])
#include <Halide.h>

#include "codegen/kernel.h"
#include "layers/builder.h"
#include "layers/registry.h"
#include "passes/differentiate.h"

namespace cnnc {
using namespace Halide;

void register_softmax(Registry &r) {
  Op f;
  f.name = "softmax";
  f.traits = kAlone;
  f.infer = same_as_first;
  f.define = [](KernelContext &k, const Node &n) {
    // x: [C, ...] by lane; the largest and the sum: [...] by lane
    auto v = k.vars(n.type);
    std::vector<Var> rest(v.begin(), v.end() - 1);
    RDom c(0, int(n.type.dims[0]));
    std::vector<Expr> at(rest.begin(), rest.end());
    at.push_back(c);
    Func x = k.in(n, 0), largest("largest"), total("total"), y;
    largest(rest) = k.real.min();
    largest(rest) = max(largest(rest), x(at));
    total(rest) = k.constant(0);
    total(rest) += safe_exp(x(at) - largest(rest));
    y(v) = safe_exp(x(v) - largest(rest)) / total(rest);
    k.roots = {largest, total};
    k.result(n, y);
  };
  f.differentiate = [](Backward &b, const Node &n) {
    if (b.wants(n, 0))
      b.accumulate(n.inputs[0], b.graph.add("softmax_gradient", {ValueId(&n - b.graph.nodes.data()), b.of(n)}));
  };
  r.ops.push_back(f);

  Op g;
  g.name = "softmax_gradient";
  g.traits = kAlone;
  g.arity_min = g.arity_max = 2;
  g.infer = same_as_first;
  g.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type);
    std::vector<Var> rest(v.begin(), v.end() - 1);
    RDom c(0, int(n.type.dims[0]));
    std::vector<Expr> at(rest.begin(), rest.end());
    at.push_back(c);
    Func y = k.in(n, 0), dy = k.in(n, 1), dot("dot"), dx;
    dot(rest) = k.constant(0);
    dot(rest) += y(at) * dy(at);
    dx(v) = y(v) * (dy(v) - dot(rest));
    k.roots = {dot};
    k.result(n, dx);
  };
  r.ops.push_back(g);

  Layer l;
  l.name = "softmax";
  l.build = [](LayerBuilder &b) { return b.add("softmax", {b.input(0)}); };
  l.samples = {"model m\ninput x: f32[1, 3, 4]\ntarget y: f32[5]\nflatten\ndense(5)\nsoftmax\nloss squared_error\n"
               "optimizer sgd(lr=0.1)\nbatch 5\n"};
  r.layers.push_back(l);
}
} // namespace cnnc
