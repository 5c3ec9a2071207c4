// Cuts the graph into groups, each one kernel with one result. A node joins the group of its only user where the
// user can take it in while it is still in registers:
//   a contraction   followed by elementwise nodes and at most one window whose places do not overlap;
//   an elementwise node, or one that reads computed places (gather), followed by an elementwise node;
//   a window that ends such a kernel, followed by a node that takes its rows as they are made.
// Whether it does is a decision: apart, the value is stored and read again.
// All updates are one group: the flat parameter vector is updated in one pass.
#include <algorithm>
#include <fmt/format.h>

#include "graph/layout.h"
#include "layers/op.h"
#include "passes/passes.h"

namespace cnnc {

namespace {
// Each element of the input is read by at most one window, and none stands outside the image.
bool disjoint_windows(const Node &n) {
  const auto &k = n.list("kernel"), &s = n.list("stride");
  return s[0] >= k[0] && s[1] >= k[1] && n.list("padding") == std::vector<int64_t>{0, 0, 0, 0};
}

// A tiled convolution computes a window from one tile: windows that no tile's edge cuts.
bool in_tiles(const Node &conv, const Node &window) {
  const auto &k = window.list("kernel"), &s = window.list("stride");
  if (const auto *tile = std::get_if<std::vector<int64_t>>(&conv.attributes.at("tile")))
    return k[0] <= 2 && tile->at(0) % s[0] == 0 && tile->at(1) % s[1] == 0;
  return k[0] <= 2; // whole rows stand on the stack until the window has them all
}

// `last`: nothing follows the window in its kernel.
bool takes_window(const Node &contraction, const Node &window, bool last) {
  if (!last && !op_of(contraction).row_by_row)
    return false;
  return !op_of(contraction).no_window && (!contraction.has("tile") || in_tiles(contraction, window));
}

// Whether the kernel that ends in `v` can make its rows one after the other.
bool made_by_row(const Graph &g, const std::vector<std::vector<ValueId>> &users, ValueId v) {
  for (ValueId i : g[v].inputs) {
    const bool alone = users[size_t(i)].size() == 1;
    if (alone && has_trait(g[i], kContraction) && !op_of(g[i]).row_by_row)
      return false;
    if (alone && has_trait(g[i], kElementwise) && !made_by_row(g, users, i))
      return false;
  }
  return true;
}

// The layouts of one image are chosen for fused kernels.
bool joined(const Node &n, const Node &user, Decisions &decisions) {
  if (!layout_of(n).dense || !layout_of(user).dense)
    return true;
  constexpr double kStoredAndRead = 2; // of an element, in multiply-adds of a vector
  const std::string key = fmt::format("algorithm.fusion.{}.{}.{}", n.op, user.op, dims_text(n.type.dims));
  return decisions.take(key, {{"joined", 0}, {"apart", kStoredAndRead * double(n.type.size())}}) == 0;
}
} // namespace

void fuse(Graph &g, Decisions &decisions) {
  int count = int(g.nodes.size());
  auto users = g.users();
  std::vector<int> root(g.nodes.size()); // the last node of a node's group
  std::vector<bool> has_contraction(g.nodes.size());
  std::vector<ValueId> window_of(g.nodes.size(), kNoValue); // a group's
  auto computes = [&](ValueId v) { return !has_trait(g[v], kSource | kView | kUpdate); };
  for (ValueId v = count - 1; v >= 0; v--) {
    const Node &n = g[v];
    root[size_t(v)] = v;
    bool wanted = v == g.output || v == g.loss || v == g.correct;
    unsigned traits = op_of(n).traits;
    const ValueId only_user = !wanted && computes(v) && users[size_t(v)].size() == 1 ? users[size_t(v)][0] : kNoValue;
    if (only_user != kNoValue && (traits & kWindow) && disjoint_windows(n) && has_trait(g[only_user], kRowByRow) && made_by_row(g, users, v) && joined(n, g[only_user], decisions)) {
      root[size_t(v)] = only_user;
      window_of[size_t(only_user)] = v;
      continue;
    }
    if (only_user != kNoValue && !(traits & (kAlone | kWindow))) {
      ValueId u = only_user;
      size_t r = size_t(root[size_t(u)]);
      bool elementwise = has_trait(g[u], kElementwise);
      bool window = has_trait(g[u], kWindow) && disjoint_windows(g[u]);
      bool contraction = (traits & kContraction) != 0;
      if (computes(u) && (elementwise || (window && !(traits & kGather))) && !(contraction && has_contraction[r]) &&
          !(contraction && window_of[r] != kNoValue && !takes_window(n, g[window_of[r]], window_of[r] == ValueId(r))) && joined(n, g[u], decisions)) {
        root[size_t(v)] = int(r);
        has_contraction[r] = has_contraction[r] || contraction;
        continue;
      }
    }
    has_contraction[size_t(v)] = (traits & kContraction) != 0;
    if (traits & kWindow)
      window_of[size_t(v)] = v;
  }
  // The nodes of a group stand together, at the place of the last.
  std::vector<ValueId> order(g.nodes.size());
  for (int v = 0; v < count; v++)
    order[size_t(v)] = v;
  std::stable_sort(order.begin(), order.end(), [&](ValueId a, ValueId b) {
    bool ua = has_trait(g[a], kUpdate), ub = has_trait(g[b], kUpdate);
    if (ua != ub)
      return ub;
    return root[size_t(a)] < root[size_t(b)];
  });
  std::vector<ValueId> to(g.nodes.size());
  for (int i = 0; i < count; i++)
    to[size_t(order[size_t(i)])] = i;
  std::vector<Node> nodes;
  nodes.reserve(g.nodes.size());
  int group = -1, last_root = -1;
  bool updates = false;
  for (ValueId v : order) {
    Node n = std::move(g.nodes[size_t(v)]);
    for (ValueId &i : n.inputs)
      i = to[size_t(i)];
    unsigned traits = op_of(n).traits;
    n.group = -1;
    if (traits & kUpdate) {
      group += !updates;
      updates = true;
      n.group = group;
    } else if (!(traits & (kSource | kView))) {
      if (root[size_t(v)] != last_root)
        group++;
      last_root = root[size_t(v)];
      n.group = group;
    }
    nodes.push_back(std::move(n));
  }
  g.nodes = std::move(nodes);
  for (ValueId *v : {&g.output, &g.loss, &g.correct})
    if (*v != kNoValue)
      *v = to[size_t(*v)];
}

} // namespace cnnc
