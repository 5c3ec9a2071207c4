// y = a + b; both inputs take dy. Also sums the gradients of a value that is used more than once.
#include <Halide.h>
#include <fmt/format.h>

#include "codegen/kernel.h"
#include "layers/builder.h"
#include "layers/registry.h"
#include "passes/differentiate.h"

namespace cnnc {

void register_add(Registry &r) {
  Op f;
  f.name = "add";
  f.traits = kElementwise;
  f.arity_min = f.arity_max = 2;
  f.infer = [](const Graph &g, const Node &n) {
    const Type &a = g[n.inputs[0]].type, &b = g[n.inputs[1]].type;
    if (!(a == b))
      throw GraphError{fmt::format("add: the shapes {} and {} differ", type_text(a), type_text(b))};
    return a;
  };
  f.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type);
    Halide::Func y;
    y(v) = k.in(n, 0)(v) + k.in(n, 1)(v);
    k.result(n, y);
  };
  f.differentiate = [](Backward &b, const Node &n) {
    for (int i : {0, 1})
      if (b.wants(n, i))
        b.accumulate(n.inputs[i], b.of(n));
  };
  r.ops.push_back(f);

  Layer l;
  l.name = "add";
  l.inputs = 2;
  l.build = [](LayerBuilder &b) { return b.add("add", {b.input(0), b.input(1)}); };
  l.samples = {"model m\ninput x: f32[2, 5, 4]\na = conv(x, 3, kernel=3, padding=1)\nb = conv(x, 3, kernel=1)\n"
               "add(a, b)\ntanh\nflatten\ndense(4)\nloss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 5\n"};
  r.layers.push_back(l);
}
} // namespace cnnc
