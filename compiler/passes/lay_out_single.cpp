// The layout of one image. A vector holds either neighbouring channels (units) of one place or neighbouring columns of
// one channel; each convolution takes what fills vectors better, a transposing copy of its input included, and what
// follows it keeps the order. Lines are padded to whole vectors. Weights that are read by the vector are packed to
// match, once after each change of the parameters.
#include <algorithm>
#include <numeric>

#include "graph/layout.h"
#include "layers/op.h"
#include "passes/passes.h"

namespace cnnc {

namespace {
enum class Along { Channels, // the first dimension
                   Columns,  // the last
                   Nothing };

class Rewriter {
public:
  Rewriter(Graph &g, Decisions &decisions, int64_t lanes) : g_(g), decisions_(decisions), lanes_(lanes) {}

  void run() {
    g_.loss = g_.correct = kNoValue;
    g_.optimizer.clear();
    g_.optimizer_attributes.clear();
    remove_dead(g_);
    const auto users = g_.users();
    std::vector<Node> old = std::move(g_.nodes);
    g_.nodes.clear();
    to_.assign(old.size(), kNoValue);
    for (size_t v = 0; v < old.size(); v++) {
      Node n = std::move(old[v]);
      if (has_trait(n, kSource) && n.type.kind != Kind::Parameter && n.op != "input" && users[v].empty())
        continue; // labels and targets
      for (ValueId &i : n.inputs)
        i = to_[size_t(i)];
      lay_out(n);
      to_[v] = ValueId(g_.nodes.size());
      g_.nodes.push_back(std::move(n));
    }
    g_.output = to_[size_t(g_.output)];
    // The caller is given the output row by row; behind its last element there is room.
    const Node &out = g_[g_.output];
    if (has_trait(out, kView | kSource) || !(layout_of(out).dense || out.type.dims.size() == 1))
      g_.output = copy(g_.output, dense(out.type));
  }

private:
  int64_t whole(int64_t n) const { return (n + lanes_ - 1) / lanes_ * lanes_; }
  double useful(int64_t n) const { return double(n) / double(whole(n)); }

  Layout dense(const Type &t) const { return along(t, Along::Nothing); }
  Layout along(const Type &t, Along a) const {
    std::vector<int64_t> order(t.dims.size());
    std::iota(order.begin(), order.end(), 0);
    if (a == Along::Channels && !order.empty())
      std::rotate(order.begin(), order.begin() + 1, order.end());
    const int64_t length = order.empty() ? 1 : t.dims[size_t(order.back())];
    return make_layout(t, order, a == Along::Nothing ? length : whole(length));
  }
  Along of(const Node &n) const {
    const Layout l = layout_of(n);
    return l.order.empty() || l.pitch % lanes_ ? Along::Nothing : l.innermost() == 0 ? Along::Channels
                                                                                     : Along::Columns;
  }

  // The stored value that `v` is a view of, or itself.
  ValueId stored(ValueId v) const {
    while (has_trait(g_[v], kView))
      v = g_[v].inputs[0];
    return v;
  }

  ValueId shared(const char *op, ValueId from, Attributes attributes, const Layout &layout, const char *suffix) {
    Node wanted;
    wanted.attributes = std::move(attributes);
    set_layout(wanted, layout);
    int count = 0;
    for (ValueId v = 0; v < ValueId(g_.nodes.size()); v++)
      if (g_[v].op == op && g_[v].inputs[0] == from) {
        if (g_[v].attributes == wanted.attributes)
          return v;
        count++;
      }
    return g_.add(op, {from}, wanted.attributes, g_[from].name + suffix + (count ? std::to_string(count + 1) : ""), g_[from].location);
  }
  ValueId copy(ValueId v, const Layout &layout) { return shared("copy", v, {}, layout, ".copy"); }

  // `v` in this layout, and in memory behind whose end vectors may read: not the caller's image.
  ValueId in(ValueId v, const Layout &layout) {
    const ValueId s = stored(v);
    return has_trait(g_[s], kSource) || !(layout_of(g_[s]) == layout) || s != v ? copy(v, layout) : v;
  }

  void lay_out(Node &n) {
    if (has_trait(n, kSource | kView))
      return;
    const Op &op = op_of(n);
    if (op.traits & kContraction) {
      contraction(n, op);
      return;
    }
    // The rest keeps the order of its first input.
    Along a = Along::Nothing;
    if (!(op.traits & kGather) && (op.traits & (kElementwise | kWindow) || n.type.dims.size() == 1)) {
      const ValueId first = n.inputs[0];
      a = n.type.dims.size() == 1 ? Along::Channels : Along::Columns;
      if (stored(first) == first && !has_trait(g_[first], kSource) && of(g_[first]) != Along::Nothing)
        a = of(g_[first]);
    }
    for (ValueId &i : n.inputs)
      if (g_[i].type.kind == Kind::Example)
        i = in(i, along(g_[i].type, a));
    set_layout(n, along(n.type, a));
  }

  void contraction(Node &n, const Op &op) {
    const bool image = n.type.dims.size() == 3 && n.has("padding");
    if (op.unit_inputs.empty() || !(image || n.type.dims.size() == 1)) { // nothing is known of what it reads
      for (ValueId &i : n.inputs)
        i = g_[i].type.kind == Kind::Example ? in(i, dense(g_[i].type)) : i;
      return;
    }
    const Along a = image ? choose(n, op) : Along::Channels;
    set_layout(n, along(n.type, a));
    if (a == Along::Channels)
      for (int i : op.unit_inputs)
        if (size_t(i) < n.inputs.size())
          n.inputs[size_t(i)] = shared("packed", n.inputs[size_t(i)], {}, along(g_[n.inputs[size_t(i)]].type, a), ".packed");
    if (!image)
      return;
    ValueId &x = n.inputs[0];
    const std::vector<int64_t> none = {0, 0, 0, 0}, padding = n.list("padding");
    if (padding != none) {
      // Read an element at a time it may stand in any order: then in its own.
      const Along read = a == Along::Channels && stored(x) == x && of(g_[x]) == Along::Channels ? Along::Channels : Along::Columns;
      Type t = g_[x].type;
      t.dims[1] += padding[0] + padding[1], t.dims[2] += padding[2] + padding[3];
      x = shared("pad", x, {{"padding", padding}}, along(t, read), ".padded");
      n.attributes["padding"] = none;
    } else if (a == Along::Columns) {
      x = in(x, along(g_[x].type, a));
    }
  }

  // Cycles of both, a vector multiply-add each. One accumulator takes one in four; copying takes one an element.
  Along choose(const Node &n, const Op &op) {
    const Type &x = g_[n.inputs[0]].type;
    const int64_t channels = n.type.dims[0], rows = n.type.dims[1], columns = n.type.dims[2];
    const double work = double(op.macs(g_, n)) / double(lanes_);
    auto waits = [](int64_t accumulators) { return std::max(1.0, 4.0 / double(accumulators)); };
    const double by_channels = work / useful(channels) * waits(whole(channels) / lanes_ * rows * columns);
    double by_columns = work / useful(columns) * waits(whole(columns) / lanes_ * rows * channels);
    const bool crossed = of(g_[stored(n.inputs[0])]) == Along::Channels;
    if (crossed)
      by_columns += double(x.size());
    const std::string key = "layout." + n.op + "." + dims_text(n.type.dims) + "." + dims_text(g_[n.inputs[1]].type.dims) + (crossed ? ".crossed" : "");
    return decisions_.take(key, {{"channels", by_channels}, {"columns", by_columns}}) == 0 ? Along::Channels : Along::Columns;
  }

  Graph &g_;
  Decisions &decisions_;
  int64_t lanes_;
  std::vector<ValueId> to_;
};
} // namespace

void lay_out_single(Graph &g, Decisions &decisions, int lanes) { Rewriter(g, decisions, lanes).run(); }

} // namespace cnnc
