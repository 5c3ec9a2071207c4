// A convolution's weight with its output channels innermost, for what sums over them: t[c,r,s,k] = w[k,c,r,s]
#include <Halide.h>

#include "codegen/kernel.h"
#include "layers/registry.h"

namespace cnnc {

void register_turned_weight(Registry &r) {
  Op op;
  op.name = "turned_weight";
  op.traits = kAlone | kPrepare;
  op.arity_min = op.arity_max = 1;
  op.infer = [](const Graph &g, const Node &n) {
    const auto &w = g[n.inputs[0]].type.dims;
    if (w.size() != 4)
      throw GraphError{"turned_weight: expected a weight of four dimensions"};
    return Type{Kind::Parameter, {w[1], w[2], w[3], w[0]}};
  };
  op.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type); // k, s, r, c
    Halide::Func turned("turned_weight");
    turned(v) = k.in(n, 0)(v[1], v[2], v[3], v[0]);
    k.form = KernelContext::Form::TurnedWeight;
    k.result(n, turned);
  };
  r.ops.push_back(op);
}
} // namespace cnnc
