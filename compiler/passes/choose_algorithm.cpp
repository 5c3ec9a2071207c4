// Convolutions of stride one that save enough products take the fast algorithm of layers/conv_fast.cpp, in all their
// directions: the transformed input and weight of the forward pass serve the gradients too.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "layers/op.h"
#include "layers/toom_cook.h"
#include "passes/passes.h"

namespace cnnc {

namespace {
// Below this many multiply-adds an image nothing is won that could be measured, and small sums of small integers stay
// exact.
constexpr int64_t kLeastWork = 100000;
// Costs in multiply-adds of a vector. An element of a transform that is stored, and of one that is used at once:
constexpr double kStored = 5, kUsed = 2.5;
constexpr double kLeastGain = 1.25;
constexpr int64_t kMostRow = 250; // vectors, of 64 bytes at most: 16 KB of stack

struct Shape {
  int64_t channels, rows, columns; // of the output
  int64_t inputs, input_rows;      // of the input, padded
  int64_t kernel_rows, kernel_columns;
  bool weight_gradient, data_gradient;                                               // are wanted
  double products() const { return double(channels * rows * inputs * kernel_rows); } // for each point of a row
};

double direct_cost(const Shape &s) {
  return s.products() * double(s.columns * s.kernel_columns) * (1 + s.weight_gradient + s.data_gradient);
}

double fast_cost(const Shape &s, int64_t m) {
  const double points = double(m + s.kernel_columns - 1), tiles = double((s.columns + m - 1) / m);
  const double input = double(s.inputs * s.input_rows), output = double(s.channels * s.rows);
  double cost = kStored * input + s.products() + kUsed * output;
  if (s.weight_gradient || s.data_gradient)
    cost += kStored * output;
  if (s.data_gradient)
    cost += s.products() + kUsed * input;
  if (s.weight_gradient) {
    // Both factors are values of the chunk, from the second-level cache: a load takes the time of two multiply-adds.
    const double k = double(std::min<int64_t>(s.channels, 4)), c = double(std::min<int64_t>(s.inputs, 6));
    cost += s.products() * std::max(1.0, 2 * (k + c) / (k * c));
  }
  return points * tiles * cost;
}

// The largest buffer of a kernel for one channel: the points of a row, two rows of outputs (a window may join the
// kernel), or a row of the data gradient.
int64_t row_vectors(const Shape &s, int64_t m) {
  const int64_t tiles = (s.columns + m - 1) / m, points = m + s.kernel_columns - 1;
  return std::max({tiles * points, tiles * 2 * m, (tiles + (points - 1) / m) * m});
}

// Outputs a tile; 0: the direct method.
int64_t choose_tile(const Shape &s, bool always, Decisions &decisions) {
  if (!always && s.products() * double(s.columns * s.kernel_columns) < double(kLeastWork))
    return 0;
  std::vector<int64_t> tiles;
  std::vector<Candidate> candidates;
  auto offer = [&](int64_t tile, const std::string &label, double cost) {
    tiles.push_back(tile);
    candidates.push_back({label, cost});
  };
  if (!always)
    offer(0, "direct", direct_cost(s) / kLeastGain);
  for (int64_t m = 2; m + s.kernel_columns - 1 <= kMostPoints; m++)
    if (row_vectors(s, m) <= kMostRow)
      offer(m, "tiles of " + std::to_string(m), fast_cost(s, m));
  if (tiles.empty())
    return 0;
  const std::string key = "algorithm.conv." + dims_text({s.channels, s.rows, s.columns}) + "." + dims_text({s.inputs, s.input_rows}) + "." +
                          dims_text({s.kernel_rows, s.kernel_columns}) + (s.weight_gradient ? ".dw" : "") + (s.data_gradient ? ".dx" : "");
  return tiles[decisions.take(key, candidates)];
}

// Throws GraphError where a graph that somebody wrote lacks it.
const Attribute &attribute(const Node &n, const std::string &key) {
  auto it = n.attributes.find(key);
  if (it == n.attributes.end())
    throw GraphError{n.op + ": expected the attribute '" + key + "'"};
  return it->second;
}

// What the gradients of a convolution share with it.
struct Chosen {
  int64_t tile = 0, columns = 0; // outputs a tile and a row
  ValueId input = kNoValue, weight = kNoValue;
};

class Rewriter {
public:
  Rewriter(Graph &g, bool always, Decisions &decisions) : g_(g), always_(always), decisions_(decisions) {}

  void run() {
    std::vector<Node> old = std::move(g_.nodes);
    g_.nodes.clear();
    std::vector<ValueId> to(old.size(), kNoValue);
    for (const Node &n : old)
      if (n.op == "conv_weight_gradient" || n.op == "conv_data_gradient")
        wanted_.insert({n.op, n.inputs[1]});
    for (size_t v = 0; v < old.size(); v++) {
      Node n = std::move(old[v]);
      const std::vector<ValueId> was = n.inputs;
      for (ValueId &i : n.inputs)
        i = to[size_t(i)];
      if (n.op == "conv")
        forward(n, was);
      else if (n.op == "conv_weight_gradient")
        weight_gradient(n);
      else if (n.op == "conv_data_gradient")
        data_gradient(n);
      else if (n.op == "lane_sum")
        finish(n);
      n.type = op_of(n).infer ? op_of(n).infer(g_, n) : n.type;
      to[v] = ValueId(g_.nodes.size());
      g_.nodes.push_back(std::move(n));
    }
    for (ValueId *v : {&g_.output, &g_.loss, &g_.correct})
      if (*v != kNoValue)
        *v = to[size_t(*v)];
  }

private:
  // A value of the fast algorithm, made once for all that want the same.
  ValueId shared(const std::string &op, ValueId from, const Attributes &attributes, const char *suffix, const Node &n) {
    for (ValueId v = 0; v < ValueId(g_.nodes.size()); v++)
      if (g_[v].op == op && g_[v].inputs[0] == from && g_[v].attributes == attributes)
        return v;
    int count = 0;
    for (const Node &other : g_.nodes)
      count += other.op == op && other.inputs[0] == from;
    return g_.add(op, {from}, attributes, g_[from].name + suffix + (count ? std::to_string(count + 1) : ""), n.location);
  }

  ValueId gradient_tiles(const Node &n, const Chosen &c) {
    return shared("fast_conv_gradient_input", n.inputs[0], {{"kernel", attribute(n, "kernel")}, {"tile", c.tile}}, ".tiles", n);
  }

  void become(Node &n, const char *op, std::vector<ValueId> inputs, const Chosen &c, std::vector<const char *> kept) {
    Attributes a = {{"kernel", attribute(n, "kernel")}, {"tile", c.tile}, {"columns", c.columns}};
    for (const char *key : kept)
      a[key] = attribute(n, key);
    n.op = op;
    n.inputs = std::move(inputs);
    n.attributes = std::move(a);
  }

  void forward(Node &n, const std::vector<ValueId> &was) {
    if (n.list("stride") != std::vector<int64_t>{1, 1} || n.list("kernel")[1] < 2)
      return;
    Chosen c;
    const auto &x = g_[n.inputs[0]].type.dims, &w = g_[n.inputs[1]].type.dims, &y = n.type.dims, &p = n.list("padding");
    const Shape shape = {y[0], y[1], y[2], x[0], x[1] + p[0] + p[1], w[2], w[3], wanted_.count({"conv_weight_gradient", was[0]}) != 0,
                         wanted_.count({"conv_data_gradient", was[1]}) != 0};
    c.tile = choose_tile(shape, always_, decisions_);
    c.columns = n.type.dims[2];
    if (!c.tile)
      return;
    const Attribute &kernel = attribute(n, "kernel"), &padding = attribute(n, "padding");
    c.input = shared("fast_conv_input", n.inputs[0], {{"kernel", kernel}, {"tile", c.tile}, {"padding", padding}}, ".tiles", n);
    c.weight = shared("fast_conv_weight", n.inputs[1], {{"kernel", kernel}, {"tile", c.tile}, {"flip", attribute(n, "flip")}}, ".points", n);
    by_input_[{n.inputs[0], n.list("kernel"), n.list("padding")}] = c;
    by_weight_[n.inputs[1]] = c;
    std::vector<ValueId> inputs = {c.input, c.weight};
    if (n.inputs.size() == 3)
      inputs.push_back(n.inputs[2]);
    become(n, "fast_conv", inputs, c, {});
  }

  void weight_gradient(Node &n) { // dy, x
    auto it = by_input_.find({n.inputs[1], n.list("kernel"), n.list("padding")});
    if (it == by_input_.end() || n.list("stride") != std::vector<int64_t>{1, 1})
      return;
    const Chosen &c = it->second;
    const ValueId tiles = gradient_tiles(n, c);
    finishes_[ValueId(g_.nodes.size())] = {{"kernel", attribute(n, "kernel")}, {"tile", c.tile}, {"flip", attribute(n, "flip")}};
    become(n, "fast_conv_weight_sum", {tiles, c.input}, c, {});
  }

  void data_gradient(Node &n) { // dy, w
    auto it = by_weight_.find(n.inputs[1]);
    if (it == by_weight_.end())
      return;
    const ValueId tiles = gradient_tiles(n, it->second);
    become(n, "fast_conv_data_gradient", {tiles, it->second.weight}, it->second, {"padding", "image"});
  }

  void finish(Node &n) {
    auto it = finishes_.find(n.inputs[0]);
    if (it == finishes_.end())
      return;
    n.op = "fast_conv_weight_gradient";
    n.attributes = it->second;
  }

  Graph &g_;
  bool always_;
  Decisions &decisions_;
  std::set<std::pair<std::string, ValueId>> wanted_; // gradients, and the image or weight that they are of
  std::map<std::tuple<ValueId, std::vector<int64_t>, std::vector<int64_t>>, Chosen> by_input_;
  std::map<ValueId, Chosen> by_weight_;
  std::map<ValueId, Attributes> finishes_; // what lane_sum becomes after which sum
};
} // namespace

void choose_algorithm(Graph &g, Decisions &decisions) { Rewriter(g, false, decisions).run(); }
void use_fast_convolution(Graph &g, Decisions &decisions) { Rewriter(g, true, decisions).run(); }

} // namespace cnnc
