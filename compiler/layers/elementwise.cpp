// The common shape of activations.
#include <Halide.h>

#include "codegen/kernel.h"
#include "layers/builder.h"
#include "layers/elementwise.h"
#include "passes/differentiate.h"

namespace cnnc {

void register_activation(Registry &r, const std::string &name, Unary forward, Binary gradient, std::function<bool(const MachineTarget &)> many_operations) {
  Op f;
  f.name = name;
  f.traits = kElementwise;
  f.infer = same_as_first;
  f.many_operations = std::move(many_operations);
  f.define = [forward](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type);
    Halide::Func y;
    y(v) = forward(k.in(n, 0)(v));
    k.result(n, y);
  };
  f.differentiate = [name](Backward &b, const Node &n) {
    if (b.wants(n, 0))
      b.accumulate(n.inputs[0], b.graph.add(name + "_gradient", {ValueId(&n - b.graph.nodes.data()), b.of(n)}));
  };
  r.ops.push_back(f);

  Op g;
  g.name = name + "_gradient";
  g.traits = kElementwise;
  g.arity_min = g.arity_max = 2; // y, dy
  g.infer = [](const Graph &gr, const Node &n) {
    if (!(gr[n.inputs[0]].type == gr[n.inputs[1]].type))
      throw GraphError{n.op + ": the output and its gradient differ in shape"};
    return gr[n.inputs[0]].type;
  };
  g.define = [gradient](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type);
    Halide::Func dx;
    dx(v) = gradient(k.in(n, 0)(v), k.in(n, 1)(v));
    k.result(n, dx);
  };
  r.ops.push_back(g);

  Layer l;
  l.name = name;
  l.build = [name](LayerBuilder &b) { return b.add(name, {b.input(0)}); };
  l.samples = {"model m\ninput x: f32[2, 5, 3]\nconv(3, kernel=2)\n" + name +
               "\nflatten\ndense(4)\nloss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 5\n"};
  r.layers.push_back(l);
}
} // namespace cnnc
