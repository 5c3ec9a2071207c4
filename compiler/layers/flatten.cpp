// The same memory as one dimension, channels first; backward under the old shape again.
#include "layers/builder.h"
#include "layers/registry.h"
#include "passes/differentiate.h"

namespace cnnc {

void register_flatten(Registry &r) {
  Op f;
  f.name = "flatten";
  f.traits = kView;
  f.infer = [](const Graph &g, const Node &n) {
    const Type &t = g[n.inputs[0]].type;
    return Type{t.kind, {t.size()}};
  };
  f.differentiate = [](Backward &b, const Node &n) {
    if (b.wants(n, 0))
      b.accumulate(n.inputs[0], b.graph.add("reshape", {b.of(n)}, {{"dims", b.graph[n.inputs[0]].type.dims}}));
  };
  r.ops.push_back(f);

  Op g;
  g.name = "reshape";
  g.traits = kView;
  g.infer = [](const Graph &gr, const Node &n) {
    const Type &t = gr[n.inputs[0]].type;
    Type out{t.kind, n.list("dims")};
    if (out.size() != t.size())
      throw GraphError{"reshape: the number of elements changes"};
    return out;
  };
  r.ops.push_back(g);

  Layer l;
  l.name = "flatten";
  l.build = [](LayerBuilder &b) { return b.add("flatten", {b.input(0)}); };
  l.samples = {"model m\ninput x: f32[2, 3, 4]\nconv(2, kernel=2)\nflatten\ndense(3)\nloss softmax_cross_entropy\n"
               "optimizer sgd(lr=0.1)\nbatch 3\n"};
  r.layers.push_back(l);
}
} // namespace cnnc
