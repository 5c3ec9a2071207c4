// One convolution, trained by the instrumented library, for the section `layers` of tools/bench.
// Usage: layer_worker CHANNELS SIZE OUTPUTS KERNEL STRIDE PADDING BATCH CONV   square images and kernels; CONV as in --conv.
//
// The layer stands in a small model: a 1x1 convolution in front, so that its data gradient is needed, and a squared error behind.
// A direction's time is that of every kernel between the values that it is given and the one that it makes:
//   forward    x, w -> y        in training, with what is made of w once an update
//   data       dy, w -> dx
//   weight     dy, x -> dw      with all sums to the end, and with clearing them: what a call does outside its kernels
//   inference  x, w -> y        in predict, which finds what is made of w there
// A kernel that two directions need is counted in both; `all` is the three of training with each kernel once.
//
// Reads commands, a line each, and answers each with one line of JSON:
//   data FOLDER    writes x, w, dy, y, dx and dw as raw floats, row-major, and measures the largest errors of a sample
//   time CALLS     seconds of each direction in each call, and of each kernel in the mean
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sstream>

#include "codegen/object.h"
#include "compile.h"
#include "graph/build.h"
#include "layers/op.h"
#include "runtime/aligned_bytes.h"
#include "runtime/cnnc_model.h"

using namespace cnnc;
using nlohmann::ordered_json;

namespace {

using Clock = std::chrono::steady_clock;
using Floats = std::vector<float>;

[[noreturn]] void fail(const std::string &message) {
  std::cerr << message << "\n";
  std::exit(1);
}

struct Shape {
  int64_t c, h, k, r, stride, pad, batch;
  int64_t p() const { return (h + 2 * pad - r) / stride + 1; }
  int64_t feeding() const { return std::min<int64_t>(c, 16); } // channels in front of the 1x1 convolution
  int64_t x() const { return c * h * h; }
  int64_t y() const { return k * p() * p(); }
  int64_t w() const { return k * c * r * r; }
  double macs() const { return double(batch) * double(y()) * double(c * r * r); }
};

std::string model_text(const Shape &s) {
  return fmt::format("model layer\ninput image: f32[{0}, {1}, {1}]\ntarget goal: f32[{2}, {3}, {3}]\n"
                     "x = conv(image, {4}, kernel=1, bias=false)\ny = conv(x, {2}, kernel={5}, stride={6}, padding={7}, bias=false)\n"
                     "loss squared_error(reduction=sum)\noptimizer sgd(lr=0.1)\nbatch {8}\n",
                     s.feeding(), s.h, s.k, s.p(), s.c, s.r, s.stride, s.pad, s.batch);
}

ValueId named(const Graph &g, const std::string &name) {
  for (ValueId v = 0; v < ValueId(g.nodes.size()); v++)
    if (g[v].name == name)
      return v;
  return kNoValue;
}

// The graph's groups: each is a kernel whose result is its last node.
class Groups {
public:
  explicit Groups(const Graph &g) : g_(g) {
    for (ValueId v = 0; v < ValueId(g.nodes.size()); v++)
      if (g[v].group >= 0)
        members_[g[v].group].push_back(v);
  }
  ValueId result(ValueId v) const { return g_[v].group < 0 ? v : members_.at(g_[v].group).back(); }
  // The results that `v` is made of, its own included, up to the groups that hold one of `given`.
  std::set<std::string> between(ValueId v, const std::set<ValueId> &given) const {
    std::set<std::string> names;
    std::set<ValueId> seen;
    std::function<void(ValueId)> walk = [&](ValueId at) {
      if (!seen.insert(at).second || given.count(at))
        return;
      const std::vector<ValueId> alone = {at};
      const auto &members = g_[at].group < 0 ? alone : members_.at(g_[at].group);
      for (ValueId m : members)
        if (given.count(m))
          return;
      if (g_[at].group >= 0)
        names.insert(g_[members.back()].name);
      for (ValueId m : members)
        for (ValueId i : g_[m].inputs)
          walk(i);
    };
    walk(v);
    return names;
  }

private:
  const Graph &g_;
  std::map<int, std::vector<ValueId>> members_;
};

enum Direction : unsigned { Forward,
                            Data,
                            Weight,
                            Inference,
                            Directions };
const char *const direction_names[] = {"forward", "data", "weight", "inference"};

struct CompiledLayer {
  Shape shape;
  Compiled compiled;
  std::vector<unsigned> directions; // of each call, a bit each
  int y_call = -1, dx_call = -1;
};

CompiledLayer compile_layer(const Shape &shape, const std::string &conv) {
  CompiledLayer l;
  l.shape = shape;
  const Source source("layer.dsl", model_text(shape));
  Diagnostics diagnostics(source);
  auto graph = build_graph(source, {}, diagnostics);
  if (!graph)
    fail(diagnostics.text());
  CompileOptions options;
  options.conv = conv;
  options.instrument = true;
  l.compiled = compile(*graph, options);

  const Graph &train = l.compiled.train, &infer = l.compiled.infer;
  const Groups trained(train), inferred(infer);
  const ValueId x = named(train, "x"), y = named(train, "y"), goal = train.find("target"), dw = named(train, "y.weight.gradient");
  if (x == kNoValue || y == kNoValue || goal == kNoValue || dw == kNoValue)
    fail("the layer's values are not in the graph:\n" + print(train));
  // dy is the first value of an example that is made of y and the target; dx the last of x's shape that is made of dy.
  ValueId dy = kNoValue, dx = kNoValue;
  std::vector<bool> of_dy(train.nodes.size());
  for (ValueId v = 0; v < ValueId(train.nodes.size()); v++) {
    const Node &n = train[v];
    std::set<ValueId> inputs(n.inputs.begin(), n.inputs.end());
    if (dy == kNoValue && n.type.kind == Kind::Example && inputs.count(y) && inputs.count(goal))
      dy = v;
    for (ValueId i : n.inputs)
      of_dy[size_t(v)] = of_dy[size_t(v)] || i == dy || of_dy[size_t(i)];
    if (of_dy[size_t(v)] && n.type.kind == Kind::Example && n.type.dims == train[x].type.dims && trained.result(v) == v)
      dx = v;
  }
  if (dy == kNoValue || dx == kNoValue)
    fail("the layer's gradients are not in the graph:\n" + print(train));
  const std::set<ValueId> given = {x, y, dy};
  const std::set<std::string> needed[] = {trained.between(y, {x}), trained.between(dx, given), trained.between(dw, given),
                                          inferred.between(named(infer, "y"), {named(infer, "x")})};
  for (size_t i = 0; i < l.compiled.calls.size(); i++) {
    const CallInfo &call = l.compiled.calls[i];
    unsigned bits = 0;
    if (call.routine == "infer")
      bits = needed[Inference].count(call.result) ? 1u << Inference : 0;
    else if (call.routine == "reduce")
      bits = 1u << Weight;
    else if (!call.result.empty() && call.routine != "loss")
      for (unsigned d : {Forward, Data, Weight})
        bits |= needed[d].count(call.result) ? 1u << d : 0;
    l.directions.push_back(bits);
    if (call.routine == "train" && call.result == train[trained.result(y)].name && trained.result(y) == y)
      l.y_call = int(i);
    if (call.routine == "train" && call.result == train[dx].name)
      l.dx_call = int(i);
  }
  if (l.y_call < 0 || l.dx_call < 0)
    fail("the layer's values are not stored:\n" + print(train));
  return l;
}

// What the instrumented library reports.
struct Recorder {
  Clock::time_point last;
  std::vector<double> seconds; // of each call of a kernel, in all
  std::function<void(int, const void *)> watch;
} recorder;

void tick(int call, const void *frame) {
  const auto now = Clock::now();
  if (call >= 0) {
    recorder.seconds[size_t(call)] += std::chrono::duration<double>(now - recorder.last).count();
    if (recorder.watch)
      recorder.watch(call, frame);
  }
  recorder.last = Clock::now();
}

Floats uniform(size_t n, unsigned seed, float bound) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> u(-bound, bound);
  Floats v(n);
  for (float &x : v)
    x = u(random);
  return v;
}

class Net {
public:
  explicit Net(CompiledLayer layer) : l_(std::move(layer)), s_(l_.shape) {
    model_ = load_object(l_.compiled.text.at("obj"), l_.compiled.info.name, {{kTickSymbol, reinterpret_cast<void *>(&tick)}});
    const size_t bytes = model_->train_bytes(1);
    memory_ = runtime::AlignedBytes(bytes, model_->alignment); // as cnnc train has it
    if (model_->init(&net_, memory_.data(), bytes, 1, 1) != CNNC_OK)
      fail(fmt::format("the layer does not start with {} bytes", bytes));
    recorder.seconds.assign(l_.compiled.calls.size(), 0);
    const size_t n = size_t(s_.batch);
    images_ = uniform(n * size_t(s_.feeding() * s_.h * s_.h), 1, 1);
    goals_ = uniform(n * size_t(s_.y()), 2, 2);
    w_ = uniform(size_t(s_.w()), 3, std::sqrt(3.f / float(s_.c * s_.r * s_.r)));
    outputs_.resize(n * size_t(s_.y()));
    // Each channel of x is one of the images times a power of two: exact, so that everyone works on the same numbers.
    parameters_.assign(model_->parameter_count, 0);
    for (uint32_t i = 0; i < model_->parameter_tensors; i++) {
      const cnnc_parameter &p = model_->parameters[i];
      float *to = parameters_.data() + p.offset;
      if (!std::strcmp(p.name, "y.weight"))
        std::copy(w_.begin(), w_.end(), to), w_offset_ = p.offset;
      else
        for (int64_t c = 0; c < s_.c; c++)
          to[c * s_.feeding() + c % s_.feeding()] = factor(c);
    }
    gradients(); // also the first touch of the memory
  }
  ~Net() {
    model_->destroy(net_);
  }
  Net(const Net &) = delete;

  int lanes() const { return int(model_->lanes); }
  const char *version() const { return model_->version; }

  ordered_json time(int calls) {
    ordered_json answer;
    std::vector<double> of[Directions], all, kernel(l_.compiled.calls.size());
    for (int n = 0; n < calls; n++) {
      std::fill(recorder.seconds.begin(), recorder.seconds.end(), 0);
      double total = gradients(), once = 0;
      double sums[Directions] = {};
      predict();
      for (size_t i = 0; i < recorder.seconds.size(); i++) {
        const std::string &routine = l_.compiled.calls[i].routine;
        kernel[i] += recorder.seconds[i] / calls;
        const bool predicts = routine == "infer" || routine == "unpack";
        if (!predicts && routine.compare(0, 4, "pack") != 0)
          total -= recorder.seconds[i];
        for (unsigned d = 0; d < Directions; d++)
          sums[d] += l_.directions[i] >> d & 1 ? recorder.seconds[i] : 0;
        once += l_.directions[i] && !predicts ? recorder.seconds[i] : 0;
      }
      const double outside = std::max(0.0, total - packing_);
      sums[Weight] += outside;
      all.push_back(once + outside);
      for (unsigned d = 0; d < Directions; d++)
        of[d].push_back(sums[d]);
    }
    for (unsigned d = 0; d < Directions; d++)
      answer[direction_names[d]] = of[d];
    answer["all"] = all;
    answer["kernels"] = ordered_json::array();
    for (size_t i = 0; i < kernel.size(); i++) {
      const CallInfo &call = l_.compiled.calls[i];
      ordered_json in = ordered_json::array();
      for (unsigned d = 0; d < Directions; d++)
        if (l_.directions[i] >> d & 1)
          in.push_back(direction_names[d]);
      if (!in.empty())
        answer["kernels"].push_back({{"routine", call.routine}, {"op", call.what}, {"directions", in}, {"seconds", kernel[i]}});
    }
    return answer;
  }

  ordered_json data(const std::string &folder) {
    const size_t n = size_t(s_.batch);
    Floats x(n * size_t(s_.x())), y(n * size_t(s_.y())), dy(y.size()), dx(x.size());
    const int64_t image = s_.h * s_.h;
    for (size_t i = 0; i < n; i++)
      for (int64_t c = 0; c < s_.c; c++)
        for (int64_t e = 0; e < image; e++)
          x[(i * size_t(s_.c) + size_t(c)) * size_t(image) + size_t(e)] =
              factor(c) * images_[(i * size_t(s_.feeding()) + size_t(c % s_.feeding())) * size_t(image) + size_t(e)];
    // Chunks come partial sum by partial sum.
    std::vector<size_t> order;
    const size_t lanes = model_->lanes, chunks = (n + lanes - 1) / lanes;
    for (size_t p = 0; p < model_->partial_sums; p++)
      for (size_t c = p; c < chunks; c += model_->partial_sums)
        order.push_back(c);
    size_t y_chunk = 0, dx_chunk = 0;
    recorder.watch = [&](int call, const void *frame) {
      if (call == l_.y_call)
        copy_chunk(call, frame, order[y_chunk++], size_t(s_.y()), y);
      if (call == l_.dx_call)
        copy_chunk(call, frame, order[dx_chunk++], size_t(s_.x()), dx);
    };
    gradients();
    recorder.watch = nullptr;
    if (y_chunk != chunks || dx_chunk != chunks)
      fail("a chunk is missing");
    for (size_t i = 0; i < y.size(); i++)
      dy[i] = 2 * (y[i] - goals_[i]); // the loss is the sum of the squares
    const float *g = static_cast<const float *>(model_->gradient_values(net_)) + w_offset_;
    const Floats dw(g, g + s_.w());
    predict();
    write(folder, "x", x), write(folder, "w", w_), write(folder, "dy", dy), write(folder, "y", y), write(folder, "dx", dx);
    write(folder, "dw", dw), write(folder, "inferred", outputs_);
    return {{"forward", error(y, [&](size_t i) { return reference_y(x, i); })},
            {"data", error(dx, [&](size_t i) { return reference_dx(dy, i); })},
            {"weight", error(dw, [&](size_t i) { return reference_dw(x, dy, i); })},
            {"inference", error(outputs_, [&](size_t i) { return reference_y(x, i); })}};
  }

private:
  static float factor(int64_t c) { return std::ldexp(c % 3 == 1 ? -1.f : 1.f, int(c / 16 % 3) - 1); }

  void need(cnnc_status status, const char *what) const {
    if (status != CNNC_OK)
      fail(fmt::format("{}: status {}", what, int(status)));
  }

  // Seconds of the call. Parameters set anew, as after an update.
  double gradients() {
    need(model_->set_parameters(net_, parameters_.data()), "set_parameters");
    cnnc_metrics m;
    const auto from = Clock::now();
    need(model_->gradients(net_, images_.data(), CNNC_F32, goals_.data(), int(s_.batch), &m), "gradients");
    const double seconds = std::chrono::duration<double>(Clock::now() - from).count();
    packing_ = 0;
    for (size_t i = 0; i < recorder.seconds.size(); i++)
      if (l_.compiled.calls[i].routine.compare(0, 4, "pack") == 0)
        packing_ += recorder.seconds[i];
    return seconds;
  }
  void predict() { need(model_->predict(net_, images_.data(), CNNC_F32, int(s_.batch), outputs_.data()), "predict"); }

  // The result of `call`, from lanes to examples.
  void copy_chunk(int call, const void *frame, size_t chunk, size_t size, Floats &to) const {
    const Place &place = l_.compiled.calls[size_t(call)].place;
    const void *region;
    std::memcpy(&region, static_cast<const char *>(frame) + size_t(place.region) * sizeof(void *), sizeof region);
    const float *from = reinterpret_cast<const float *>(static_cast<const char *>(region) + place.offset);
    const size_t lanes = model_->lanes;
    for (size_t lane = 0; lane < lanes && chunk * lanes + lane < size_t(s_.batch); lane++)
      for (size_t e = 0; e < size; e++)
        to[(chunk * lanes + lane) * size + e] = from[e * lanes + lane];
  }

  static void write(const std::string &folder, const std::string &name, const Floats &values) {
    std::ofstream f(folder + "/" + name + ".f32", std::ios::binary);
    f.write(reinterpret_cast<const char *>(values.data()), std::streamsize(values.size() * sizeof(float)));
    if (!f.flush())
      fail(folder + "/" + name + ".f32: cannot be written");
  }

  // The largest difference among a sample of elements, and the largest element of all.
  static ordered_json error(const Floats &values, const std::function<double(size_t)> &reference) {
    constexpr int kSample = 1000;
    std::mt19937_64 random(7);
    double largest = 0, worst = 0;
    for (float v : values)
      largest = std::max(largest, std::abs(double(v)));
    for (int n = 0; n < kSample; n++) {
      const size_t i = random() % values.size();
      const double difference = std::abs(reference(i) - double(values[i]));
      worst = difference <= worst ? worst : difference; // also a NaN
    }
    return {{"error", worst}, {"largest", largest}, {"relative", worst / largest}};
  }

  double reference_y(const Floats &x, size_t i) const {
    const int64_t p = s_.p(), q = int64_t(i) % p, row = int64_t(i) / p % p, k = int64_t(i) / (p * p) % s_.k, n = int64_t(i) / s_.y();
    double sum = 0;
    for (int64_t c = 0; c < s_.c; c++)
      for (int64_t r = 0; r < s_.r; r++)
        for (int64_t s = 0; s < s_.r; s++) {
          const int64_t a = row * s_.stride + r - s_.pad, b = q * s_.stride + s - s_.pad;
          if (a >= 0 && a < s_.h && b >= 0 && b < s_.h)
            sum += double(x[size_t(n * s_.x() + (c * s_.h + a) * s_.h + b)]) * double(w_[size_t(((k * s_.c + c) * s_.r + r) * s_.r + s)]);
        }
    return sum;
  }

  double reference_dx(const Floats &dy, size_t i) const {
    const int64_t h = s_.h, b = int64_t(i) % h, a = int64_t(i) / h % h, c = int64_t(i) / (h * h) % s_.c, n = int64_t(i) / s_.x(), p = s_.p();
    double sum = 0;
    for (int64_t r = 0; r < s_.r; r++)
      for (int64_t s = 0; s < s_.r; s++) {
        const int64_t row = a + s_.pad - r, column = b + s_.pad - s;
        if (row < 0 || column < 0 || row % s_.stride || column % s_.stride || row / s_.stride >= p || column / s_.stride >= p)
          continue;
        for (int64_t k = 0; k < s_.k; k++)
          sum += double(dy[size_t(n * s_.y() + (k * p + row / s_.stride) * p + column / s_.stride)]) *
                 double(w_[size_t(((k * s_.c + c) * s_.r + r) * s_.r + s)]);
      }
    return sum;
  }

  double reference_dw(const Floats &x, const Floats &dy, size_t i) const {
    const int64_t s = int64_t(i) % s_.r, r = int64_t(i) / s_.r % s_.r, c = int64_t(i) / (s_.r * s_.r) % s_.c, k = int64_t(i) / (s_.r * s_.r * s_.c);
    const int64_t p = s_.p();
    double sum = 0;
    for (int64_t n = 0; n < s_.batch; n++)
      for (int64_t row = 0; row < p; row++)
        for (int64_t q = 0; q < p; q++) {
          const int64_t a = row * s_.stride + r - s_.pad, b = q * s_.stride + s - s_.pad;
          if (a >= 0 && a < s_.h && b >= 0 && b < s_.h)
            sum += double(dy[size_t(n * s_.y() + (k * p + row) * p + q)]) * double(x[size_t(n * s_.x() + (c * s_.h + a) * s_.h + b)]);
        }
    return sum;
  }

  CompiledLayer l_;
  const Shape &s_;
  const cnnc_model *model_ = nullptr;
  cnnc_net *net_ = nullptr;
  runtime::AlignedBytes memory_;
  size_t w_offset_ = 0;
  double packing_ = 0; // seconds of the last call of gradients
  Floats images_, goals_, w_, outputs_, parameters_;
};

} // namespace

int main(int argc, char **argv) {
  if (argc != 9)
    return 2;
  auto number = [&](int i) { return std::atoll(argv[i]); };
  const Shape shape = {number(1), number(2), number(3), number(4), number(5), number(6), number(7)};
  try {
    const auto from = Clock::now();
    CompiledLayer layer = compile_layer(shape, argv[8]);
    const double seconds = std::chrono::duration<double>(Clock::now() - from).count();
    Net net(std::move(layer));
    std::cout << ordered_json({{"version", net.version()}, {"lanes", net.lanes()}, {"compile_seconds", seconds}, {"multiply_adds", shape.macs()}}) << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
      std::istringstream words(line);
      std::string command, rest;
      words >> command >> rest;
      if (command == "time")
        std::cout << net.time(std::stoi(rest)) << std::endl;
      else if (command == "data")
        std::cout << net.data(rest) << std::endl;
      else
        return 2;
    }
  } catch (const GraphError &e) {
    fail(e.message);
  }
}
