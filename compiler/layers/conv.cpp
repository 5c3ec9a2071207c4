// Two-dimensional convolution (cross-correlation, as the field does; flip=true turns the kernel).
// x: [C,H,W] by lane; w: [K,C,R,S]; b: [K]; y: [K,P,Q] by lane
#include <Halide.h>
#include <array>
#include <fmt/format.h>

#include "codegen/schedule.h"
#include "graph/layout.h"
#include "layers/builder.h"
#include "layers/registry.h"
#include "passes/differentiate.h"

namespace cnnc {
using namespace Halide;

namespace {
bool turned(const Node &n) { return n.has("turned") && n.flag("turned"); }

// w[k,c,r,s], or the turned kernel; with "turned" as turned_weight stores it
Expr weight(const KernelContext &, const Node &n, Func w, Expr k, Expr c, Expr r, Expr s) {
  const auto &size = n.list("kernel");
  if (n.flag("flip")) {
    r = int(size[0]) - 1 - r;
    s = int(size[1]) - 1 - s;
  }
  return turned(n) ? w(k, s, r, c) : w(s, r, c, k);
}

// [K,C,R,S]
std::vector<int64_t> weight_dims(const Node &n, const Type &w) {
  const auto &d = w.dims;
  return turned(n) ? std::vector<int64_t>{d.at(3), d.at(0), d.at(1), d.at(2)} : d;
}

// An image with its border of zeros, of which every `step`-th row and column is wanted.
struct Image {
  Func x; // lane, column, row, channel
  std::vector<int64_t> dims;
  std::array<int, 2> before, step; // rows and columns of zeros before the first; they do not end after the last
  bool border;                     // any of the zeros are read

  Expr at(const KernelContext &k, Expr lane, Expr column, Expr row, Expr channel) const {
    const int height = int(dims[1]), width = int(dims[2]);
    Expr h = row * step[0] - before[0], w = column * step[1] - before[1];
    if (!border)
      return x(lane, w, h, channel);
    const Expr inside = likely(x(lane, clamp(likely(w), 0, width - 1), clamp(likely(h), 0, height - 1), channel));
    return select(h < 0 || h >= height, k.constant(0), likely(select(w < 0 || w >= width, k.constant(0), inside)));
  }
  // A stage of which the schedule keeps `count` rows.
  Func rows(KernelContext &k, int count) const {
    Var lane("lane"), column("column"), row("row"), channel("channel");
    Func f("rows");
    f(lane, column, row, channel) = at(k, lane, column, row, channel);
    k.rows = f;
    k.keep = count;
    k.as_stored = !border && step == std::array<int, 2>{1, 1};
    return f;
  }
};

// Each place of the image for itself: a product of matrices.
bool pointwise(const Node &n) {
  const std::vector<int64_t> one = {1, 1}, none = {0, 0, 0, 0};
  return n.list("kernel") == one && n.list("stride") == one && n.list("padding") == none;
}

// What a kernel of one row or column steps over is left out of the image that it reads: step of the image, then of the kernel.
std::array<int, 2> image_step(const std::vector<int64_t> &kernel, const std::vector<int64_t> &stride) {
  return {kernel[0] == 1 ? int(stride[0]) : 1, kernel[1] == 1 ? int(stride[1]) : 1};
}
std::array<int, 2> kernel_step(const std::vector<int64_t> &kernel, const std::vector<int64_t> &stride) {
  return {kernel[0] == 1 ? 1 : int(stride[0]), kernel[1] == 1 ? 1 : int(stride[1])};
}

Type infer_forward(const Graph &g, const Node &n) {
  const Type &x = g[n.inputs[0]].type, &w = g[n.inputs[1]].type;
  expect_rank("conv", x, 3);
  std::vector<int64_t> expected = {w.dims.empty() ? 0 : w.dims[0], x.dims[0], n.list("kernel").at(0), n.list("kernel").at(1)};
  if (w.dims != expected)
    throw GraphError{fmt::format("conv: expected a weight of {}, found {}", dims_text(expected), dims_text(w.dims))};
  if (n.inputs.size() == 3 && g[n.inputs[2]].type.dims != std::vector<int64_t>{w.dims[0]})
    throw GraphError{fmt::format("conv: expected a bias of {}, found {}", w.dims[0], dims_text(g[n.inputs[2]].type.dims))};
  if (n.has("zero_rows") && n.list("zero_rows").size() != 2)
    throw GraphError{"conv: 'zero_rows' are two numbers"};
  auto out = window_output(g, n, x.dims);
  out[0] = w.dims[0];
  return {Kind::Example, out};
}

// Whether a kernel with the channels in the vector goes over the columns of the image and adds each element to all results
// of a row that it is part of: it is then broadcast once for all columns of the kernel. All sums of the row, or of the rows
// of a window behind, stand in registers beside the weights of a kernel row.
bool by_image_columns(KernelContext &k, const Node &n) {
  if (layout_of(k.graph[n.inputs[1]]).innermost() != 0)
    return false;
  int64_t rows = 1;
  for (const Node &other : k.graph.nodes)
    if (other.group == n.group && has_trait(other, kWindow))
      rows = other.list("kernel")[0];
  const int64_t columns = n.type.dims[2], taps = n.list("kernel")[1], sums = rows * columns;
  const int64_t read = rows * ((columns - 1) * n.list("stride")[1] + taps);
  if (taps < 2 || sums > k.machine.accumulators() || sums + taps + 2 > k.machine.registers)
    return false;
  const double products = double(sums * taps);
  return k.choose("columns", {{"of the kernel", cycles(products, products + double(taps), 1, k.machine)},
                              {"of the image", cycles(products, double(read + taps), 1, k.machine)}}) == 1;
}

// y[k,p,q] = b[k] + sum over c,r,s of x[c, p*sh+r, q*sw+s] * w[k,c,r,s], the border laid out, one image at a time: the layout says what stands in the vector.
void define_single(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // lane, q, p, k
  const auto &wd = k.type(n, 1).dims;
  const auto &stride = n.list("stride");
  for (int64_t p : n.list("padding"))
    if (p != 0)
      throw GraphError{"conv: the padding has not been laid out"};
  const bool image = by_image_columns(k, n);
  const int taps = int(wd[3]), step = int(stride[1]);
  RDom d(0, image ? (int(n.type.dims[2]) - 1) * step + taps : taps, 0, int(wd[2]), 0, int(wd[1]), "conv_domain"); // s or column, r, c
  const Expr s = image ? d.x - v[1] * step : Expr(d.x);
  if (image)
    d.where(s >= 0 && s < taps);
  k.keep = image ? int(n.type.dims[2]) : 1;
  Func y("conv");
  if (n.inputs.size() == 3)
    y(v) = k.in(n, 2)(v[3]);
  else
    y(v) = k.constant(0);
  y(v) += k.in(n, 0)(v[0], image ? Expr(d.x) : v[1] * step + d.x, v[2] * int(stride[0]) + d.y, d.z) *
          weight(k, n, k.in(n, 1), v[3], d.z, d.y, image ? clamp(s, 0, taps - 1) : s);
  k.form = KernelContext::Form::Contraction;
  k.reduce = y;
  k.domain = d;
  k.result(n, y);
}

// What the only function of n's value in its kernel wants it multiplied by.
constexpr int64_t kFewWeights = 1024; // less than a row of sums to multiply
float wanted_factor(const KernelContext &k, const Node &n) {
  const ValueId id = ValueId(&n - k.graph.nodes.data());
  const Node *reader = nullptr;
  for (const Node &other : k.graph.nodes)
    if (n.group >= 0 && other.group == n.group && std::find(other.inputs.begin(), other.inputs.end(), id) != other.inputs.end()) {
      if (reader)
        return 1;
      reader = &other;
    }
  return reader && k.real.bits() == 32 ? op_of(*reader).input_factor : 1;
}

// y[k,p,q] = b[k] + sum over c,r,s of x[c, p*sh+r, q*sw+s] * w[k,c,r,s]; the input is padded already
void define_forward(KernelContext &k, const Node &n) {
  if (k.single) {
    define_single(k, n);
    return;
  }
  auto v = k.vars(n.type); // lane, q, p, k
  const auto &wd = k.type(n, 1).dims;
  const auto &stride = n.list("stride");
  const auto &padding = n.list("padding");
  RDom d(0, int(wd[3]), 0, int(wd[1]), 0, int(wd[2]), "conv_domain"); // s, c, r
  Func y("conv"), w = k.in(n, 1);
  const float factor = wd[0] * wd[1] * wd[2] * wd[3] <= kFewWeights ? wanted_factor(k, n) : 1;
  const bool scales = factor != 1;
  if (scales) { // the weights, once, in the place of all sums
    k.factors[ValueId(&n - k.graph.nodes.data())] = factor;
    k.scaled = Func("scaled");
    const std::vector<Var> at = w.args();
    k.scaled(at) = w(std::vector<Expr>(at.begin(), at.end())) * factor;
    w = k.scaled;
  }
  if (n.inputs.size() == 3)
    y(v) = scales ? k.in(n, 2)(v[3]) * factor : Expr(k.in(n, 2)(v[3]));
  else
    y(v) = k.constant(0);
  const auto &kernel = n.list("kernel");
  const bool border = padding != std::vector<int64_t>{0, 0, 0, 0};
  const Image image{k.in(n, 0), k.type(n, 0).dims, {int(padding[0]), int(padding[2])}, image_step(kernel, stride), border};
  const std::array<int, 2> step = kernel_step(kernel, stride);
  Func x = image.rows(k, int(wd[2]));
  Expr row = v[2] * step[0] + d[2];
  if (padding[0] || padding[1]) // rows of zeros are left out
    d.where(row * image.step[0] >= int(padding[0]) && row * image.step[0] < int(padding[0] + k.type(n, 0).dims[1]));
  if (n.has("zero_rows")) { // those that no row of a window needs
    int high = 1, down = 1;
    for (const Node &other : k.graph.nodes)
      if (other.group == n.group && n.group >= 0 && has_trait(other, kWindow))
        high = int(other.list("kernel")[0]), down = int(other.list("stride")[0]);
    const auto &zeros = n.list("zero_rows");
    const Expr first = v[2] / down * down * step[0] + d[2];
    d.where((first + (high - 1) * step[0]) * image.step[0] >= int(zeros[0]) && first * image.step[0] < int(k.type(n, 0).dims[1] - zeros[1]));
  }
  y(v) += x(v[0], v[1] * step[1] + d[0], row, d[1]) * weight(k, n, w, v[3], d[1], d[2], d[0]);
  k.form = KernelContext::Form::Rows;
  k.reduce = y;
  k.domain = d;
  k.result(n, y);
}

// dx[c,h,w] = sum over k,r,s of dy[k, (h+top-r)/sh, (w+left-s)/sw] * w[k,c,r,s], where these are whole and inside.
// Rows and columns that are equal modulo the stride are an image of their own, whose kernel is every sh-th row and sw-th
// column of w, turned: row h + top = i*sh + a takes dy's row i - j by the kernel's row a + j*sh.
void define_data_gradient(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // lane, w, h, c
  const auto wd = weight_dims(n, k.type(n, 1));
  const auto &dy = k.type(n, 0).dims;
  const auto &stride = n.list("stride"), &padding = n.list("padding");
  const int sh = int(stride[0]), sw = int(stride[1]);
  const int height = int(wd[2] + sh - 1) / sh, width = int(wd[3] + sw - 1) / sw; // of the largest kernel
  RDom d(0, width, 0, int(wd[0]), 0, height, "gradient_domain");                 // column, k, row
  const bool same = wd[2] == 1 && wd[3] == 1 && dy[1] == n.type.dims[1] && dy[2] == n.type.dims[2];
  const Image image{k.in(n, 0), dy, {0, width - 1}, {1, 1}, !(pointwise(n) && same)};
  Func gradient = image.rows(k, height);
  Var phase("phase");
  Expr u = v[2] + int(padding[0]), row = u / sh - d[2], r = u % sh + sh * d[2], s = d[0], i = v[1] + int(padding[2]);
  std::vector<Var> at = v;
  if (sw > 1) { // column w is number w / sw of its phase w % sw
    at.push_back(phase);
    const Expr left = phase + int(padding[2]);
    s = left % sw + sw * d[0];
    i = v[1] + left / sw;
    if (wd[3] % sw)
      d.where(s < int(wd[3]));
  }
  // As unsigned numbers: Halide, which asks what is read, cannot solve that for the row of the result. So it sees that the
  // rows of dy move on with those of the result, copies each once, and keeps it for the next.
  auto below = [](const Expr &e, int64_t limit) { return cast<uint32_t>(e) < cast<uint32_t>(int(limit)); };
  d.where(below(row, dy[1]));
  if (wd[2] % sh)
    d.where(below(r, wd[2]));
  Func sum("gradient"), whole("phases"), dx("dx");
  sum(at) = k.constant(0);
  sum(at) += gradient(v[0], i - d[0] + (width - 1), clamp(row, 0, int(dy[1]) - 1), d[1]) *
             weight(k, n, k.in(n, 1), d[1], v[3], wd[2] % sh ? min(r, int(wd[2]) - 1) : r, wd[3] % sw ? min(s, int(wd[3]) - 1) : s);
  if (sw > 1) {
    whole(at) = sum(at);
    dx(v) = whole(v[0], v[1] / sw, v[2], v[3], v[1] % sw);
    k.staged = whole;
  } else {
    dx(v) = sum(v);
  }
  k.form = KernelContext::Form::Rows;
  k.reduce = sum;
  k.domain = d;
  k.phases = sw;
  k.result(n, dx);
}

// A block of dw's positions, whose vectors are to stay in the second-level cache while all channels of the other factor
// pass by.
struct PositionBlock {
  int rows = 1, columns = 1;
};
constexpr int kPanel = 4; // vectors of channels

// Costs for each position, element of dw and vector, in multiply-adds: adding a block's sums to dw, turning what the vector
// holds, and reading it from beyond the cache. `inputs`: x stands in the vector, or else dy.
PositionBlock choose_block(KernelContext &k, const std::vector<int64_t> &dy, const std::vector<int64_t> &x, const std::vector<int64_t> &kernel,
                           const std::array<int, 2> &step, bool inputs) {
  const double added = kernel[0] * kernel[1] == 1 ? 0.2 : 1.5, turned = 0.5 * k.lanes, far = k.panels ? 0.05 : 0.3, second = 0.12;
  const int64_t channels = inputs ? x[0] : dy[0], others = inputs ? dy[0] : x[0];
  std::vector<PositionBlock> blocks;
  std::vector<Candidate> candidates;
  for (int rows = 1; rows <= dy[1]; rows++)
    for (int columns = 1; columns <= dy[2]; columns++) {
      if (dy[1] % rows || dy[2] % columns)
        continue;
      const double positions = double(rows) * columns;
      const double of_x = double((rows - 1) * step[0] + kernel[0]) * double((columns - 1) * step[1] + kernel[1]), area = inputs ? of_x : positions;
      const double column = double(k.lanes * k.real.bytes()), all = k.panels ? double(others) * positions : double(channels) * area;
      const bool fits = all * column <= double(k.machine.l2_bytes) / 2;
      const bool near = !k.panels || kPanel * area * double(k.lanes) * column <= 0.9 * double(k.machine.l1_bytes);
      blocks.push_back({rows, columns});
      candidates.push_back({fmt::format("{}x{}", rows, columns), added / positions + turned * area / (positions * double(others * kernel[0] * kernel[1])) + (fits ? 0 : far) + (near ? 0 : second)});
    }
  return blocks[k.choose("block", candidates)];
}

// The same sum with channels in the vector, for layers that have enough of them: no sum a lane, which would be as many
// times the weights. What the vector holds is turned, 16 channels by 16 images, the other factor is broadcast:
//   part[k,c,r,s,b,b'] = sum over p of block b, q of block b' and the lanes
void define_channel_sums(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // s, r, c, k
  const auto &dy = k.type(n, 0).dims, &x = k.type(n, 1).dims;
  const auto &kernel = n.list("kernel"), &stride = n.list("stride"), &padding = n.list("padding");
  const bool inputs = x[0] >= k.lanes || x[0] >= dy[0]; // in the vector: input channels, or output channels
  const std::array<int, 2> step = kernel_step(kernel, stride);
  // Of all channels of x, or of some vectors at a time, which the first-level cache may hold while all of dy passes by. For
  // that dy is copied: an element of it is multiplied as often as x has channels and the kernel elements; what is turned, as
  // often as dy has channels, and it is stored to a further cache where it is that of all channels.
  if (inputs) {
    const double taps = double(kernel[0] * kernel[1]);
    k.panels = k.choose("order", {{"all channels", 0.65 + 8 / (double(dy[0]) * taps)}, {"panels", 0.53 + 40 / (double(x[0]) * taps)}}) == 1;
  }
  const PositionBlock size = choose_block(k, dy, x, kernel, step, inputs);
  const bool flip = n.flag("flip");
  Expr r = flip ? int(kernel[0]) - 1 - v[1] : Expr(v[1]), s = flip ? int(kernel[1]) - 1 - v[0] : Expr(v[0]);
  RDom d(0, k.lanes, 0, size.columns, 0, size.rows, "positions"), blocks(0, int(dy[2]) / size.columns, 0, int(dy[1]) / size.rows, "blocks");
  const bool border = padding != std::vector<int64_t>{0, 0, 0, 0};
  const Image image{k.in(n, 1), x, {int(padding[0]), int(padding[2])}, image_step(kernel, stride), border};
  const Image gradient{k.in(n, 0), dy, {0, 0}, {1, 1}, false};
  Var i("i"), lane("lane"), column("column"), group("group"), row("row"), block_column("block_column"), block_row("block_row");
  Func part("part");
  const int last = int(inputs ? x[0] : dy[0]) - 1;
  Expr p = block_row * size.rows + d[2], q = block_column * size.columns + d[1];
  Expr column_of_x = q * step[1] + s, row_of_x = p * step[0] + r;
  std::vector<Var> at = v;
  at.push_back(block_column);
  at.push_back(block_row);
  part(at) = k.constant(0);
  Func turned("turned"); // channel in its group, lane, column, group, row
  turned(i, lane, column, group, row) = (inputs ? image : gradient).at(k, lane, column, row, min(group * k.lanes + i, last));
  Func other = !inputs ? image.rows(k, 0) : k.panels ? gradient.rows(k, 0)
                                                     : k.in(n, 0);
  if (inputs)
    part(at) += turned(v[2] % k.lanes, d[0], column_of_x, v[2] / k.lanes, row_of_x) * other(d[0], q, p, v[3]);
  else
    part(at) += turned(v[3] % k.lanes, d[0], q, v[3] / k.lanes, p) * other(d[0], column_of_x, row_of_x, v[2]);
  k.form = KernelContext::Form::ChannelSums;
  k.reduce = part;
  k.staged = turned;
  k.domain = d;
  k.blocks = blocks;
  k.accumulates = true;
  k.added = part(v[0], v[1], v[2], v[3], blocks.x, blocks.y);
}

// Rows of dy whose products are summed in registers, before all of them are for the next rows: what the kernel's rows and
// x's channels read again is then still in a near cache. Costs in cycles a multiply-add: the sums leave the registers once a
// block, and values come from the second-level cache, or from beyond it, for a tile of about 16 sums.
int rows_of_block(KernelContext &k, const std::vector<int64_t> &dy, const std::vector<int64_t> &x, const std::vector<int64_t> &kernel, int64_t step) {
  constexpr double kAdded = 1.5, kSecond = 2 / 16.0, kBeyond = 24 / 16.0;
  int64_t channels = std::clamp<int64_t>(k.machine.accumulators() / kernel[1], 1, dy[0]); // of a tile
  while (dy[0] % channels)
    channels--;
  std::vector<int> sizes;
  std::vector<Candidate> candidates;
  for (int64_t rows = dy[1]; rows >= 1; rows--) {
    if (dy[1] % rows)
      continue;
    const int64_t gradient = channels * rows * dy[2], image = ((rows - 1) * step + kernel[0]) * x[2];
    const int64_t bytes = (gradient + image) * k.lanes * k.real.bytes();
    const double read = bytes <= k.machine.l1_bytes * 9 / 10 ? 0 : bytes <= k.machine.l2_bytes / 2 ? kSecond
                                                                                                   : kBeyond;
    const double again = 1 - 1 / double(kernel[0] * x[0]); // the share that has been read before
    sizes.push_back(int(rows));
    candidates.push_back({std::to_string(rows), kAdded / double(rows * dy[2]) + read * again});
  }
  return sizes[k.choose("rows", candidates)];
}

// dw[k,c,r,s] = sum over p,q of dy[k,p,q] * x[c, p*sh+r, q*sw+s], a sum a lane, block by block of p
void define_weight_gradient(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // lane, s, r, c, k
  const auto &dy = k.type(n, 0).dims, &x = k.type(n, 1).dims;
  const auto &stride = n.list("stride"), &kernel = n.list("kernel");
  const int rows = rows_of_block(k, dy, x, kernel, stride[0]);
  RDom d(0, int(dy[2]), 0, rows, "positions"), blocks(0, int(dy[1]) / rows, "blocks"); // q, p in its block
  Func part("part");
  Var block("block");
  std::vector<Var> at = v;
  at.push_back(block);
  const bool flip = n.flag("flip");
  Expr r = flip ? int(kernel[0]) - 1 - v[2] : Expr(v[2]), s = flip ? int(kernel[1]) - 1 - v[1] : Expr(v[1]), p = block * rows + d.y;
  part(at) = k.constant(0);
  part(at) += k.in(n, 0)(v[0], d.x, p, v[4]) * k.in(n, 1)(v[0], d.x * int(stride[1]) + s, p * int(stride[0]) + r, v[3]);
  k.form = KernelContext::Form::PerLane;
  k.reduce = part;
  k.domain = d;
  k.blocks = blocks;
  k.accumulates = true;
  k.added = part(v[0], v[1], v[2], v[3], v[4], blocks.x);
}

// db[k] = sum over p,q of dy[k,p,q], a sum a lane
void define_bias_gradient(KernelContext &k, const Node &n) {
  auto v = k.vars(n.type); // lane, k
  const auto &dy = k.type(n, 0).dims;
  RDom d(0, int(dy[2]), 0, int(dy[1]), "positions");
  Func db("db");
  db(v) = k.constant(0);
  db(v) += k.in(n, 0)(v[0], d.x, d.y, v[1]);
  k.form = KernelContext::Form::PerLane;
  k.reduce = db;
  k.domain = d;
  k.accumulates = true;
  k.result(n, db);
}

void differentiate_conv(Backward &b, const Node &n) {
  ValueId dy = b.of(n), x = n.inputs[0], w = n.inputs[1];
  auto a = n.attributes;
  a.erase("zero_rows");
  if (b.wants(n, 1))
    b.accumulate(w, b.graph.add("conv_weight_gradient", {dy, x}, a));
  if (n.inputs.size() == 3 && b.wants(n, 2))
    b.accumulate(n.inputs[2], b.graph.add("conv_bias_gradient", {dy}));
  if (b.wants(n, 0)) {
    a["image"] = std::vector<int64_t>{b.graph[x].type.dims[1], b.graph[x].type.dims[2]};
    b.accumulate(x, b.graph.add("conv_data_gradient", {dy, w}, a));
  }
}

ValueId build(LayerBuilder &b) {
  const auto &x = b.input_dims(0);
  int64_t channels = b.integer("channels", 1, 1, 1 << 20);
  auto kernel = b.pair("kernel", {1, 1}, 1);
  auto stride = b.pair("stride", {1, 1}, 1);
  auto padding = b.padding("padding", kernel);
  bool bias = b.boolean("bias", true), flip = b.boolean("flip", false);
  if (x.size() != 3)
    return b.error(fmt::format("conv: expected an input of three dimensions, found f32[{}]", dims_text(x, ", ")));
  int64_t area = kernel[0] * kernel[1];
  std::vector<ValueId> inputs = {
      b.input(0), b.parameter("weight", {channels, x[0], kernel[0], kernel[1]}, x[0] * area, channels * area, false)};
  if (bias)
    inputs.push_back(b.parameter("bias", {channels}, x[0] * area, channels * area, true));
  return b.add("conv", inputs, {{"kernel", kernel}, {"stride", stride}, {"padding", padding}, {"flip", flip}});
}
} // namespace

void register_conv(Registry &r) {
  Op f;
  f.name = "conv";
  f.traits = kContraction;
  f.unit_inputs = {1, 2};
  f.zero_padding = true;
  f.row_by_row = true;
  f.arity_min = 2, f.arity_max = 3;
  f.infer = infer_forward;
  f.define = define_forward;
  f.pointwise = pointwise;
  f.differentiate = differentiate_conv;
  f.macs = [](const Graph &g, const Node &n) {
    const auto &w = g[n.inputs[1]].type.dims;
    return n.type.size() * w[1] * w[2] * w[3];
  };
  r.ops.push_back(f);

  Op dx;
  dx.name = "conv_data_gradient"; // dy, w
  dx.traits = kContraction;
  dx.no_window = true;
  dx.turns_weight = true;
  dx.arity_min = dx.arity_max = 2;
  dx.infer = [](const Graph &g, const Node &n) {
    const auto &image = n.list("image");
    return Type{Kind::Example, {weight_dims(n, g[n.inputs[1]].type).at(1), image.at(0), image.at(1)}};
  };
  dx.define = define_data_gradient;
  dx.pointwise = pointwise;
  dx.macs = [](const Graph &g, const Node &n) {
    const auto w = weight_dims(n, g[n.inputs[1]].type);
    return g[n.inputs[0]].type.size() * w[1] * w[2] * w[3];
  };
  r.ops.push_back(dx);

  Op dw;
  dw.name = "conv_weight_gradient"; // dy, x
  dw.channel_sums = "conv_channel_sums";
  dw.padded_input = 1;
  dw.traits = kContraction | kAlone;
  dw.arity_min = dw.arity_max = 2;
  dw.infer = [](const Graph &g, const Node &n) {
    const auto &kernel = n.list("kernel");
    return Type{Kind::LaneSum, {g[n.inputs[0]].type.dims.at(0), g[n.inputs[1]].type.dims.at(0), kernel.at(0), kernel.at(1)}};
  };
  dw.define = [](KernelContext &k, const Node &n) { define_weight_gradient(k, n); };
  dw.macs = [](const Graph &g, const Node &n) { return g[n.inputs[0]].type.size() * n.type.size() / n.type.dims[0]; };
  r.ops.push_back(dw);

  Op sums = r.ops.back();
  sums.name = "conv_channel_sums"; // dy, x
  sums.padded_input = -1;
  sums.channel_sums.clear();
  sums.infer = [](const Graph &g, const Node &n) {
    const auto &kernel = n.list("kernel");
    return Type{Kind::Sum, {g[n.inputs[0]].type.dims.at(0), g[n.inputs[1]].type.dims.at(0), kernel.at(0), kernel.at(1)}};
  };
  sums.define = define_channel_sums;
  r.ops.push_back(sums);

  Op db;
  db.name = "conv_bias_gradient"; // dy
  db.traits = kContraction | kAlone;
  db.infer = [](const Graph &g, const Node &n) { return Type{Kind::LaneSum, {g[n.inputs[0]].type.dims.at(0)}}; };
  db.define = define_bias_gradient;
  r.ops.push_back(db);

  Layer l;
  l.name = "conv";
  l.arguments = {{"channels", Argument::Integer, true, true}, {"kernel", Argument::Pair, true}, {"stride", Argument::Pair}, {"padding", Argument::Padding}, {"bias", Argument::Boolean}, {"flip", Argument::Boolean}, {"weight", Argument::Values}, {"bias_values", Argument::Values}};
  l.build = build;
  // the first convolution makes the second one's data gradient needed
  for (const char *c : {"conv(3, kernel=3)", "conv(2, kernel=(5, 3), padding=(2, 1))", "conv(3, kernel=3, stride=2, padding=1)",
                        "conv(3, kernel=(2, 3), stride=(3, 2), padding=(1, 0, 2, 1))", "conv(2, kernel=4, padding=same)",
                        "conv(2, kernel=(1, 2), bias=false)", "conv(2, kernel=(1, 3), stride=(2, 1), padding=(3, 4, 1, 1))", "conv(2, kernel=(2, 1), stride=(1, 3), padding=(0, 1, 4, 2))",
                        "conv(3, kernel=2, flip=true, padding=1)", "conv(5, kernel=1)"})
    l.samples.push_back(fmt::format("model m\ninput x: f32[2, 9, 8]\nconv(3, kernel=2)\ntanh\n{}\ntanh\nflatten\ndense(4)\n"
                                    "loss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 5\n",
                                    c));
  // rows that are longer than a vector, and have a border; two convolutions that read it
  l.samples.push_back("model m\ninput x: f32[2, 6, 17]\nconv(3, kernel=(3, 5), padding=(1, 0, 2, 1))\nsigmoid\navg_pool(2)\nconv(2, kernel=2)\n"
                      "flatten\ndense(3)\nloss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 5\n");
  l.samples.push_back("model m\ninput x: f32[1, 5, 18]\na = conv(x, 2, kernel=3, padding=1)\nb = conv(x, 2, kernel=3, padding=1)\n"
                      "y = add(a, b)\ntanh\nflatten\ndense(3)\nloss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 5\n");
  r.layers.push_back(l);
}
} // namespace cnnc
