// Adds loss gradients and the optimizer's updates as ordinary nodes.
#pragma once
#include "graph/graph.h"

namespace cnnc {

class Backward {
public:
  explicit Backward(Graph &g) : graph(g), gradient(g.nodes.size(), kNoValue) {}
  Graph &graph;
  std::vector<ValueId> gradient; // of the loss by value; kNoValue: none yet
  std::vector<bool> needed;      // values on a way to a parameter
  bool wants(const Node &n, int i) const { return needed[n.inputs[i]]; }
  ValueId of(const Node &n) const { return gradient[&n - graph.nodes.data()]; }
  // Adds to the gradient of `v`; a second contribution is summed by an `add` node.
  void accumulate(ValueId v, ValueId contribution);
};

void differentiate(Graph &g);
} // namespace cnnc
