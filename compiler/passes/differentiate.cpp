// Reverse-mode differentiation: walks the nodes backwards, each adds the gradients of its inputs as ordinary
// nodes. Then one update node a parameter. Runs before layout and fusion, which treat both directions alike.
#include "passes/differentiate.h"

#include "layers/op.h"

namespace cnnc {

void Backward::accumulate(ValueId v, ValueId contribution) {
  if (v >= ValueId(gradient.size()))
    throw GraphError{"a gradient of a value that the backward pass made"};
  gradient[v] = gradient[v] == kNoValue ? contribution : graph.add("add", {gradient[v], contribution});
}

void differentiate(Graph &g) {
  if (g.loss == kNoValue)
    return;
  ValueId forward_end = ValueId(g.nodes.size());
  g.nodes.reserve(g.nodes.size() * 8 + 64);
  Backward b(g);
  b.needed.resize(forward_end);
  for (ValueId v = 0; v < forward_end; v++) {
    b.needed[v] = g[v].op == "parameter";
    for (ValueId i : g[v].inputs)
      b.needed[v] = b.needed[v] || b.needed[i];
  }
  for (ValueId v = forward_end - 1; v >= 0; v--) {
    Node n = g[v];
    bool is_loss = v == g.loss;
    if (n.inputs.empty() || !b.needed[v] || (!is_loss && b.gradient[v] == kNoValue))
      continue;
    const Op &op = op_of(n);
    if (!op.differentiate)
      throw GraphError{"no gradient is known for " + n.op};
    op.differentiate(b, g[v]);
  }
  for (ValueId v = 0; v < forward_end; v++) {
    if (g[v].op != "parameter" || b.gradient[v] == kNoValue)
      continue;
    ValueId gradient = b.gradient[v];
    std::string name = g[v].name;
    // Per-lane sums stay apart until the last chunk of a partial sum.
    if (g[gradient].type.kind == Kind::LaneSum)
      gradient = g.add("lane_sum", {gradient}, {}, name + ".gradient");
    else
      g[gradient].name = name + ".gradient";
    g.add(registry().optimizer(g.optimizer)->update_op, {v, gradient}, g.optimizer_attributes, name + ".update");
  }
}
} // namespace cnnc
