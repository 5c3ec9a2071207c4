// The algorithm of each convolution. Along the rows (layers/conv_fast.cpp), for stride one, in all its directions: the
// transformed input and weight of the forward pass serve the gradients too. In two dimensions (layers/conv_winograd.cpp)
// or direct: each direction by itself.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <set>
#include <tuple>

#include "layers/conv_winograd.h"
#include "layers/op.h"
#include "layers/toom_cook.h"
#include "passes/passes.h"

namespace cnnc {

namespace {
// Below this many multiply-adds an image nothing is won that could be measured, and small sums of small integers stay
// exact.
constexpr int64_t kLeastWork = 100000;
// Costs in multiply-adds of a vector, measured on Zen 4, where additions run beside multiply-adds, and on Ice Lake, where
// they take their place; there also for values that the second-level cache does not hold (`far`).
// An element of a transform that is stored; one that is used at once: its sum begins, and leaves the registers and comes
// back; and a product.
double stored(const Decisions &d, bool far) { return d.additions_beside ? 5 : far ? 45
                                                                                  : 16; }
double used(const Decisions &d) { return d.additions_beside ? 2.5 : 8.4; }
double product(const Decisions &d, bool far) { return d.additions_beside ? 1 : far ? 2.1
                                                                                   : 1.35; }
// In two dimensions, what an element of a result (of the gradient of the weights: of both images) takes beside the
// arithmetic: its sums are stored and read again.
double around(const Decisions &d) { return d.additions_beside ? 0 : 30; }
// The direct data gradient of few channels, by its multiply-adds: little is done with what it reads.
double direct_data(const Decisions &d, int64_t channels) { return d.additions_beside ? 1 : 1 + 4 / double(channels); }
// The direct gradient of the weights: its values come from the second-level cache for few products each.
double direct_weight(const Decisions &d) { return d.additions_beside ? 1 : 1.4; }
// What a fast algorithm has to win by its products.
double least_gain(const Decisions &d) { return d.additions_beside ? 1.05 : 1.25; }
constexpr int64_t kMostPhases = 64; // of a stride: with more, a phase has few of the kernel's elements
constexpr int64_t kMostTile = 6;    // outputs along an axis
constexpr int64_t kMostRow = 250;   // vectors, of 64 bytes at most: 16 KB of stack

struct Shape {
  int64_t channels, rows, columns; // of the output
  int64_t inputs, input_rows;      // of the input, padded
  int64_t kernel_rows, kernel_columns;
  bool weight_gradient, data_gradient;                                               // are wanted
  double products() const { return double(channels * rows * inputs * kernel_rows); } // for each point of a row
};

double fast_cost(const Shape &s, int64_t m, const Decisions &d) {
  const double points = double(m + s.kernel_columns - 1), tiles = double((s.columns + m - 1) / m);
  const double input = double(s.inputs * s.input_rows), output = double(s.channels * s.rows);
  auto far = [&](double elements) { return points * tiles * elements > double(d.l2_vectors); };
  double cost = stored(d, far(input)) * input + product(d, far(input)) * s.products() + used(d) * output;
  if (s.weight_gradient || s.data_gradient)
    cost += stored(d, far(output)) * output;
  if (s.data_gradient)
    cost += product(d, far(output)) * s.products() + used(d) * input;
  if (s.weight_gradient) {
    // Both factors are values of the chunk, from the second-level cache: a load takes the time of two multiply-adds.
    const double k = double(std::min<int64_t>(s.channels, 4)), c = double(std::min<int64_t>(s.inputs, 6));
    cost += product(d, far(input + output)) * s.products() * std::max(1.0, 2 * (k + c) / (k * c));
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
int64_t choose_tile(const Shape &s, double by_direction, bool always, Decisions &decisions) {
  if (!always && s.products() * double(s.columns * s.kernel_columns) < double(kLeastWork))
    return 0;
  std::vector<int64_t> tiles;
  std::vector<Candidate> candidates;
  auto offer = [&](int64_t tile, const std::string &label, double cost) {
    tiles.push_back(tile);
    candidates.push_back({label, cost});
  };
  offer(0, "each direction by itself", by_direction);
  for (int64_t m = 2; m + s.kernel_columns - 1 <= kMostPoints; m++)
    if (row_vectors(s, m) <= kMostRow)
      offer(m, "tiles of " + std::to_string(m), fast_cost(s, m, decisions));
  const std::string key = "algorithm.conv." + dims_text({s.channels, s.rows, s.columns}) + "." + dims_text({s.inputs, s.input_rows}) + "." +
                          dims_text({s.kernel_rows, s.kernel_columns}) + (s.weight_gradient ? ".dw" : "") + (s.data_gradient ? ".dx" : "");
  return tiles[decisions.take(key, candidates)];
}

// Two-dimensional tiles: one direction of a convolution.

// Additions of a transform by an a x b matrix of the Toom-Cook construction; opposite points share half of them.
double additions(int64_t a, int64_t b) { return a * b == 1 ? 0 : 0.55 * double(a * b); }

// In multiply-adds of a vector, for `inputs` channels to `outputs` (of the gradient of the weights: no way back, but two
// transforms of images).
constexpr double kProduct = 0.9, kWeightProduct = 1.4; // both factors of the latter are read for one use
double winograd_cost(const WinogradShape &s, double inputs, double outputs, const std::string &of, const Decisions &d) {
  const bool weight_gradient = of == "weight";
  const double tiles = double(s.rows.tiles * s.columns.tiles);
  const int64_t pr = s.rows.points(), pc = s.columns.points(), mr = s.rows.tile, mc = s.columns.tile;
  auto there = [&](int64_t r, int64_t c) { return double(r) * additions(pc, c) + double(pc) * additions(pr, r) + double(r * c + pr * pc); };
  const double back = double(pr) * additions(mc, pc) + double(mc) * additions(mr, pr) + double(pr * pc + mr * mc);
  const double products = double(pr * pc) * inputs * outputs;
  // Of few channels the gradient of the weights has many sums for what is added to each.
  const double elements = double(s.rows.outputs * s.columns.outputs) * (weight_gradient ? (inputs + outputs) * (1 + 16 / std::min(inputs, outputs)) : outputs);
  // Measured: with 64 points a tile, products take 1.04 to 1.13 times as long.
  const double many = !d.additions_beside && std::max(pr, pc) > 7 ? 1.1 : 1;
  const double product = weight_gradient ? kWeightProduct * many : kProduct * many * winograd_block(s, int64_t(outputs) / (of == "data" ? s.phases() : 1), int64_t(inputs)).cost;
  return around(d) * elements + tiles * (product * products + inputs * there(pr, pc) + outputs * (weight_gradient ? there(mr, mc) : back));
}

using Pair = std::vector<int64_t>;

// Outputs a tile of the two-dimensional algorithm for one direction; empty: the direct method.
struct Choice {
  Pair tile;
  double cost;
};

// `of`: the direction, `sizes` of the values it reads: the decision's key.
Choice choose_winograd(const std::string &of, const std::function<WinogradShape(const Pair &)> &shape_of, int64_t inputs, int64_t outputs, double direct,
                       bool always, Decisions &decisions) {
  const WinogradShape one = shape_of({1, 1});
  if ((!always && direct < double(kLeastWork)) || one.phases() > kMostPhases)
    return {{}, direct / least_gain(decisions)};
  std::vector<Pair> tiles;
  std::vector<Candidate> candidates;
  if (!always) {
    tiles.emplace_back();
    candidates.push_back({"direct", direct / least_gain(decisions)});
  }
  for (int64_t rows = 1; rows <= kMostTile; rows++)
    for (int64_t columns = 1; columns <= kMostTile; columns++) {
      const WinogradShape s = shape_of({rows, columns});
      if (s.rows.points() > kMostWinogradPoints || s.columns.points() > kMostWinogradPoints || s.points() == 1)
        continue;
      tiles.push_back({rows, columns});
      candidates.push_back({fmt::format("tiles of {}x{}", rows, columns), winograd_cost(s, double(inputs), double(outputs), of, decisions)});
    }
  if (tiles.empty())
    return {{}, direct / least_gain(decisions)};
  const std::string key = fmt::format("algorithm.conv.{}.{}x{}.{}x{}.{}x{}.{}x{}", of, inputs, outputs, one.rows.outputs, one.columns.outputs, one.rows.taps,
                                      one.columns.taps, one.rows.stride, one.columns.stride);
  const size_t taken = decisions.take(key, candidates);
  return {tiles[taken], candidates[taken].cost};
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
      else if (n.op == "lane_sum" && g_[n.inputs[0]].type.kind == Kind::Sum) {
        g_[n.inputs[0]].name = n.name;
        to[v] = n.inputs[0]; // has summed over the lanes already
        continue;
      }
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
    if (n.list("stride") != std::vector<int64_t>{1, 1} || n.list("kernel")[1] < 2) {
      forward_tiles(n);
      return;
    }
    Chosen c;
    const auto &x = g_[n.inputs[0]].type.dims, &w = g_[n.inputs[1]].type.dims, &y = n.type.dims, &p = n.list("padding");
    const Shape shape = {y[0], y[1], y[2], x[0], x[1] + p[0] + p[1], w[2], w[3], wanted_.count({"conv_weight_gradient", was[0]}) != 0,
                         wanted_.count({"conv_data_gradient", was[1]}) != 0};
    c.tile = choose_tile(shape, tiles_cost(n, shape), always_, decisions_);
    c.columns = n.type.dims[2];
    if (!c.tile) {
      forward_tiles(n);
      return;
    }
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

  // The two-dimensional algorithm, each direction by itself.
  Choice best_forward(const Node &n) {
    const auto &x = g_[n.inputs[0]].type.dims, &y = n.type.dims;
    const Pair &kernel = n.list("kernel"), &stride = n.list("stride"), &padding = n.list("padding"), outputs = {y[1], y[2]};
    auto shape_of = [&](const Pair &tile) { return winograd_forward(kernel, stride, padding, tile, outputs); };
    const double direct = double(n.type.size() * x[0] * kernel[0] * kernel[1]);
    return choose_winograd("forward", shape_of, x[0] * stride[0] * stride[1], y[0], direct, always_, decisions_);
  }
  Choice best_data(const Pair &x, const Pair &y, const Node &n) {
    const Pair &kernel = n.list("kernel"), &stride = n.list("stride"), &padding = n.list("padding"), image = {x[1], x[2]};
    auto shape_of = [&](const Pair &tile) { return winograd_data(kernel, stride, padding, tile, image); };
    const double direct = direct_data(decisions_, x[0]) * double(y[0] * y[1] * y[2] * x[0] * kernel[0] * kernel[1]);
    return choose_winograd("data", shape_of, y[0], x[0] * stride[0] * stride[1], direct, always_, decisions_);
  }
  Choice best_weight(const Pair &x, const Pair &y, const Node &n) {
    const Pair &kernel = n.list("kernel"), &stride = n.list("stride"), &padding = n.list("padding"), outputs = {y[1], y[2]};
    auto shape_of = [&](const Pair &tile) { return winograd_forward(kernel, stride, padding, tile, outputs); };
    const double direct = direct_weight(decisions_) * double(y[0] * y[1] * y[2] * x[0] * kernel[0] * kernel[1]);
    return choose_winograd("weight", shape_of, x[0] * stride[0] * stride[1], y[0], direct, always_, decisions_);
  }
  // Of a convolution with the gradients that are wanted of it.
  double tiles_cost(const Node &n, const Shape &s) {
    const Pair &x = g_[n.inputs[0]].type.dims, &y = n.type.dims;
    return best_forward(n).cost + (s.data_gradient ? best_data(x, y, n).cost : 0) + (s.weight_gradient ? best_weight(x, y, n).cost : 0);
  }

  void forward_tiles(Node &n) {
    const Pair tile = best_forward(n).tile, outputs = {n.type.dims[1], n.type.dims[2]};
    if (tile.empty())
      return;
    Attributes a = common(n, tile);
    a["outputs"] = outputs;
    std::vector<ValueId> inputs = n.inputs;
    inputs[1] = winograd_weight("winograd_weight", ".points", n, a);
    a["channels"] = n.type.dims[0];
    n.op = "winograd_conv";
    n.inputs = std::move(inputs);
    n.attributes = std::move(a);
  }

  void data_gradient_tiles(Node &n) { // dy, w
    const Pair &dy = g_[n.inputs[0]].type.dims, tile = best_data(n.type.dims, dy, n).tile;
    if (tile.empty())
      return;
    Attributes a = common(n, tile);
    a["image"] = n.list("image");
    n.inputs[1] = winograd_weight("winograd_data_weight", ".turned", n, a);
    a["channels"] = n.type.dims[0];
    n.op = "winograd_data_gradient";
    n.attributes = std::move(a);
  }

  void weight_gradient_tiles(Node &n) { // dy, x
    const Pair &dy = g_[n.inputs[0]].type.dims, &x = g_[n.inputs[1]].type.dims, tile = best_weight(x, dy, n).tile;
    if (tile.empty())
      return;
    Attributes a = common(n, tile);
    a["outputs"] = Pair{dy[1], dy[2]};
    a["flip"] = attribute(n, "flip");
    n.op = "winograd_weight_gradient";
    n.attributes = std::move(a);
  }

  static Attributes common(const Node &n, const Pair &tile) {
    return {{"kernel", attribute(n, "kernel")}, {"stride", attribute(n, "stride")}, {"padding", attribute(n, "padding")}, {"tile", tile}};
  }

  ValueId winograd_weight(const char *op, const char *suffix, const Node &n, Attributes a) {
    const Pair tile = std::get<Pair>(a.at("tile"));
    a["flip"] = attribute(n, "flip");
    for (ValueId v = 0; v < ValueId(g_.nodes.size()); v++)
      if (g_[v].op == op && g_[v].inputs[0] == n.inputs[1] && g_[v].attributes == a)
        return v;
    return g_.add(op, {n.inputs[1]}, a, fmt::format("{}{}{}x{}", g_[n.inputs[1]].name, suffix, tile[0], tile[1]), n.location);
  }

  void weight_gradient(Node &n) { // dy, x
    auto it = by_input_.find({n.inputs[1], n.list("kernel"), n.list("padding")});
    if (it == by_input_.end() || n.list("stride") != std::vector<int64_t>{1, 1}) {
      weight_gradient_tiles(n);
      return;
    }
    const Chosen &c = it->second;
    const ValueId tiles = gradient_tiles(n, c);
    become(n, "fast_conv_weight_gradient", {tiles, c.input}, c, {"flip"});
  }

  void data_gradient(Node &n) { // dy, w
    auto it = by_weight_.find(n.inputs[1]);
    if (it == by_weight_.end()) {
      data_gradient_tiles(n);
      return;
    }
    const ValueId tiles = gradient_tiles(n, it->second);
    become(n, "fast_conv_data_gradient", {tiles, it->second.weight}, it->second, {"padding", "image"});
  }

  Graph &g_;
  bool always_;
  Decisions &decisions_;
  std::set<std::pair<std::string, ValueId>> wanted_; // gradients, and the image or weight that they are of
  std::map<std::tuple<ValueId, std::vector<int64_t>, std::vector<int64_t>>, Chosen> by_input_;
  std::map<ValueId, Chosen> by_weight_;
};
} // namespace

void choose_algorithm(Graph &g, Decisions &decisions) { Rewriter(g, false, decisions).run(); }
void use_fast_convolution(Graph &g, Decisions &decisions) { Rewriter(g, true, decisions).run(); }

} // namespace cnnc
