// Stores the zero border of a convolution's input, once for each input and border, so that its inner loops have no
// tests. The data gradient needs none: it skips the rows that are outside.
#include "layers/op.h"
#include "passes/passes.h"

namespace cnnc {

void choose_layout(Graph &g) {
  const std::vector<int64_t> none = {0, 0, 0, 0};
  std::vector<Node> old = std::move(g.nodes);
  g.nodes.clear();
  g.nodes.reserve(old.size() + old.size() / 2);
  std::vector<ValueId> to(old.size(), kNoValue);
  std::map<std::pair<ValueId, std::vector<int64_t>>, ValueId> padded;
  for (size_t v = 0; v < old.size(); v++) {
    Node n = std::move(old[v]);
    for (ValueId &i : n.inputs)
      i = to[size_t(i)];
    // Which input has the border around it; -1: the operation needs no stored border.
    int bordered = op_of(n).padded_input;
    if (bordered >= 0 && n.list("padding") != none) {
      ValueId x = n.inputs[size_t(bordered)];
      auto [at, fresh] = padded.insert({{x, n.list("padding")}, kNoValue});
      if (fresh)
        at->second = g.add("pad", {x}, {{"padding", n.list("padding")}}, g[x].name + ".padded" + (padded.size() > 1 ? std::to_string(padded.size()) : ""), n.location);
      n.inputs[size_t(bordered)] = at->second;
      n.attributes["padding"] = none;
    }
    to[v] = ValueId(g.nodes.size());
    g.nodes.push_back(std::move(n));
  }
  for (ValueId *v : {&g.output, &g.loss, &g.correct})
    if (*v != kNoValue)
      *v = to[size_t(*v)];
}

} // namespace cnnc
