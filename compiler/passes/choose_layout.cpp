// Stores the zero border of a convolution's input, once for each input and border, so that its inner loops have no
// tests, decides where channels or units stand in the vector instead of the images, and turns or packs weights for what
// reads them across.
#include <algorithm>
#include <utility>

#include "graph/layout.h"
#include "layers/dense.h"
#include "layers/op.h"
#include "passes/passes.h"

namespace cnnc {

namespace {
// A weight gradient with many sums would keep as many times the weights as there are lanes: where there are channels to
// fill a vector they stand in it instead, and the sum over the lanes falls away.
constexpr int64_t kManySums = 4096, kManyChannels = 16;

// Weights of so many elements are not in the first-level cache from one place of the image to the next: they are read as
// they come.
constexpr int64_t kLargeWeight = 8192;

void choose_sums(Graph &g) {
  std::vector<ValueId> summed(g.nodes.size(), kNoValue);
  bool changed = false;
  for (ValueId v = 0; v < ValueId(g.nodes.size()); v++) {
    Node &n = g[v];
    for (ValueId &i : n.inputs)
      i = summed[size_t(i)] == kNoValue ? i : summed[size_t(i)];
    const Op &op = op_of(n);
    if (!op.channel_sums.empty() && n.type.size() >= kManySums && std::max(n.type.dims[0], n.type.dims[1]) >= kManyChannels) {
      n.op = op.channel_sums;
      n.type = op_of(n).infer(g, n);
      changed = true;
    } else if (has_trait(n, kFinish) && op_of(n).name == "lane_sum" && g[n.inputs[0]].type.kind == Kind::Sum) {
      summed[size_t(v)] = n.inputs[0];
      std::swap(n.name, g[n.inputs[0]].name);
    }
  }
  if (changed)
    remove_dead(g);
}

// The weight in the order in which it is read: tile by tile of units, or with the units innermost, in the layout that one image's
// kernels read too.
void pack_weight(Graph &g, Node &n, Decisions &decisions, int lanes) {
  const Node &w = g[n.inputs[1]];
  const int64_t units = w.type.dims[0], inputs = w.type.dims[1];
  const DenseForward all = dense_forward(units, inputs, lanes, decisions.wide_loads, decisions.accumulators);
  if (all.candidates.size() < 2)
    return;
  const size_t taken = decisions.take("layout.dense." + dims_text({inputs, units}), all.candidates);
  const int64_t tile = all.tiles[taken];
  if (!tile && all.candidates[taken].label != "units")
    return;
  Node packed;
  if (tile)
    packed.attributes = {{"tile", tile}};
  else
    set_layout(packed, make_layout(w.type, {1, 0}, (units + lanes - 1) / lanes * lanes));
  const char *op = tile ? "dense_tiles" : "packed";
  for (ValueId v = 0; v < ValueId(g.nodes.size()); v++)
    if (g[v].op == op && g[v].inputs[0] == n.inputs[1] && g[v].attributes == packed.attributes) {
      n.inputs[1] = v;
      return;
    }
  n.inputs[1] = g.add(op, {n.inputs[1]}, packed.attributes, w.name + (tile ? ".tiles" : ".packed"), n.location);
}
} // namespace

void choose_layout(Graph &g, Decisions &decisions, int lanes) {
  choose_sums(g);
  const std::vector<int64_t> none = {0, 0, 0, 0};
  std::vector<Node> old = std::move(g.nodes);
  g.nodes.clear();
  g.nodes.reserve(old.size() + old.size() / 2);
  std::vector<ValueId> to(old.size(), kNoValue);
  std::map<std::pair<ValueId, std::vector<int64_t>>, ValueId> padded;
  std::map<ValueId, ValueId> turned;
  // In training a weight changes with each step, and gradients read it as it is: a copy would only take room in the cache.
  const bool trains = std::any_of(old.begin(), old.end(), [](const Node &n) { return has_trait(n, kUpdate); });
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
    if (op_of(n).turns_weight && !n.has("turned") && g[n.inputs[1]].type.size() >= kLargeWeight) {
      auto [at, fresh] = turned.insert({n.inputs[1], kNoValue});
      if (fresh)
        at->second = g.add("turned_weight", {n.inputs[1]}, {}, g[n.inputs[1]].name + ".turned", n.location);
      n.inputs[1] = at->second;
      n.attributes["turned"] = true;
    }
    if (n.op == "dense" && !trains)
      pack_weight(g, n, decisions, lanes);
    to[v] = ValueId(g.nodes.size());
    g.nodes.push_back(std::move(n));
  }
  for (ValueId *v : {&g.output, &g.loss, &g.correct})
    if (*v != kNoValue)
      *v = to[size_t(*v)];
}

} // namespace cnnc
