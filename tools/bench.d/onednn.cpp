// One convolution in oneDNN, for the section `layers` of tools/bench; square images and kernels, one engine and stream.
// Usage: onednn CHANNELS SIZE OUTPUTS KERNEL STRIDE PADDING BATCH FOLDER   raw floats of x, w and dy, row-major
//
// Values stand in the layouts that the library itself prefers (`any`), reordered before anything is timed, as a framework keeps
// them from layer to layer and the weights from call to call. Each direction takes the fastest of the algorithms that exist for it (Winograd's, for AVX-512,
// in version 2 alone).
//
// Reads commands, a line each, and answers each with one line of JSON:
//   compare      the largest difference of y, dx, dw and of what was inferred to the files of these names, and the largest element
//   time CALLS   seconds of each direction in each call; they take turns, as in a step of training
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include <dnnl.hpp>

using namespace dnnl;
using Dims = memory::dims;
using Tag = memory::format_tag;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

std::vector<float> read_file(const std::string &path, size_t n) {
  std::vector<float> values(n);
  std::ifstream f(path, std::ios::binary);
  if (!f.read(reinterpret_cast<char *>(values.data()), std::streamsize(n * sizeof(float)))) {
    std::cerr << path << ": cannot be read\n";
    std::exit(1);
  }
  return values;
}

size_t size_of(const Dims &dims) {
  size_t n = 1;
  for (auto d : dims)
    n *= size_t(d);
  return n;
}

// A tensor's numbers, row-major.
struct Tensor {
  std::string name;
  Dims dims;
  bool is_weight;
  Tag plain() const { return is_weight ? Tag::oihw : Tag::nchw; }
  memory::desc as(Tag tag) const { return memory::desc(dims, memory::data_type::f32, tag); }
};

struct Direction {
  const char *name;
  std::vector<std::string> compared; // the files that its result is compared with
  const Tensor *result;
  std::string chosen;
  primitive run;
  std::unordered_map<int, memory> arguments;
  memory out;
};

class Convolution {
public:
  Convolution(const std::vector<long> &n, std::string folder) : folder_(std::move(folder)) {
    const long c = n[0], h = n[1], k = n[2], r = n[3], batch = n[6], p = (h + 2 * n[5] - r) / n[4] + 1;
    stride_ = {n[4], n[4]}, padding_ = {n[5], n[5]};
    x_ = {"x", {batch, c, h, h}, false}, w_ = {"w", {k, c, r, r}, true}, y_ = {"y", {batch, k, p, p}, false};
    for (int d = 0; d < 3; d++) {
      std::optional<Direction> best;
      double least = 0;
      for (algorithm a : {algorithm::convolution_direct, algorithm::convolution_auto, algorithm::convolution_winograd}) {
        std::optional<Direction> made;
        try {
          made = d == 0 ? forward(a) : d == 1 ? data_gradient(a)
                                              : weight_gradient(a);
        } catch (const error &) {
          continue; // there is no such algorithm for this shape
        }
        const double seconds = trial(*made);
        if (!best || seconds < least)
          best = std::move(made), least = seconds;
      }
      if (!best) {
        std::cerr << "no algorithm for direction " << d << "\n";
        std::exit(1);
      }
      directions_.push_back(std::move(*best));
    }
  }

  void hello() const {
    const version_t *v = dnnl_version();
    std::printf("{\"version\": \"%d.%d.%d\", \"kernels\": {", v->major, v->minor, v->patch);
    for (const Direction &d : directions_)
      std::printf("%s\"%s\": \"%s\"", &d == &directions_[0] ? "" : ", ", d.name, d.chosen.c_str());
    std::printf("}}\n");
  }

  void compare() {
    std::printf("{");
    bool first = true;
    for (Direction &d : directions_) {
      run(d);
      std::vector<float> ours(size_of(d.result->dims));
      memory plain(d.result->as(d.result->plain()), engine_, ours.data());
      reorder(d.out, plain).execute(stream_, d.out, plain);
      stream_.wait();
      for (const std::string &name : d.compared) {
        const std::vector<float> theirs = read_file(folder_ + "/" + name + ".f32", ours.size());
        double worst = 0, largest = 0;
        for (size_t i = 0; i < ours.size(); i++) {
          const double difference = std::abs(double(ours[i]) - double(theirs[i]));
          worst = difference <= worst ? worst : difference; // also a NaN
          largest = std::max(largest, std::abs(double(ours[i])));
        }
        std::printf("%s\"%s\": {\"difference\": %.6g, \"largest\": %.6g}", first ? "" : ", ", name.c_str(), worst, largest);
        first = false;
      }
    }
    std::printf("}\n");
  }

  void time(int calls) {
    std::vector<std::vector<double>> seconds(directions_.size());
    for (int i = 0; i < calls; i++)
      for (size_t d = 0; d < directions_.size(); d++) {
        const auto from = Clock::now();
        run(directions_[d]);
        seconds[d].push_back(seconds_since(from));
      }
    std::printf("{");
    for (size_t d = 0; d < directions_.size(); d++) {
      std::printf("%s\"%s\": [", d ? ", " : "", directions_[d].name);
      for (size_t i = 0; i < seconds[d].size(); i++)
        std::printf("%s%.9g", i ? ", " : "", seconds[d][i]);
      std::printf("]");
    }
    std::printf("}\n");
  }

private:
  void run(Direction &d) {
    d.run.execute(stream_, d.arguments);
    stream_.wait();
  }

  double trial(Direction &d) {
    run(d);
    double least = 1e9;
    for (int i = 0; i < 3; i++) {
      const auto from = Clock::now();
      run(d);
      least = std::min(least, seconds_since(from));
    }
    return least;
  }

  // The file's numbers in the layout that the primitive asked for.
  memory filled(const Tensor &t, const char *file, const memory::desc &layout) {
    std::vector<float> values = read_file(folder_ + "/" + file + ".f32", size_of(t.dims));
    memory plain(t.as(t.plain()), engine_, values.data()), to(layout, engine_);
    reorder(plain, to).execute(stream_, plain, to);
    stream_.wait();
    return to;
  }

  // Versions 2 and 3 differ in how a primitive is described.
#if DNNL_VERSION_MAJOR < 3
  convolution_forward::primitive_desc describe_forward(algorithm a) const {
    return {{prop_kind::forward_training, a, x_.as(Tag::any), w_.as(Tag::any), y_.as(Tag::any), stride_, padding_, padding_}, engine_};
  }
  template <class Primitive>
  typename Primitive::primitive_desc describe_backward(algorithm a) const {
    return {{a, x_.as(Tag::any), w_.as(Tag::any), y_.as(Tag::any), stride_, padding_, padding_}, engine_, describe_forward(a)};
  }
#else
  convolution_forward::primitive_desc describe_forward(algorithm a) const {
    return {engine_, prop_kind::forward_training, a, x_.as(Tag::any), w_.as(Tag::any), y_.as(Tag::any), stride_, padding_, padding_};
  }
  template <class Primitive>
  typename Primitive::primitive_desc describe_backward(algorithm a) const {
    return {engine_, a, x_.as(Tag::any), w_.as(Tag::any), y_.as(Tag::any), stride_, padding_, padding_, describe_forward(a)};
  }
#endif

  Direction forward(algorithm a) {
    const auto d = describe_forward(a);
    memory out(d.dst_desc(), engine_);
    return {"forward", {"y", "inferred"}, &y_, d.impl_info_str(), convolution_forward(d), {{DNNL_ARG_SRC, filled(x_, "x", d.src_desc())}, {DNNL_ARG_WEIGHTS, filled(w_, "w", d.weights_desc())}, {DNNL_ARG_DST, out}}, out};
  }

  Direction data_gradient(algorithm a) {
    const auto d = describe_backward<convolution_backward_data>(a);
    memory out(d.diff_src_desc(), engine_);
    return {"data", {"dx"}, &x_, d.impl_info_str(), convolution_backward_data(d), {{DNNL_ARG_DIFF_DST, filled(y_, "dy", d.diff_dst_desc())}, {DNNL_ARG_WEIGHTS, filled(w_, "w", d.weights_desc())}, {DNNL_ARG_DIFF_SRC, out}}, out};
  }

  Direction weight_gradient(algorithm a) {
    const auto d = describe_backward<convolution_backward_weights>(a);
    memory out(d.diff_weights_desc(), engine_);
    return {"weight", {"dw"}, &w_, d.impl_info_str(), convolution_backward_weights(d), {{DNNL_ARG_SRC, filled(x_, "x", d.src_desc())}, {DNNL_ARG_DIFF_DST, filled(y_, "dy", d.diff_dst_desc())}, {DNNL_ARG_DIFF_WEIGHTS, out}}, out};
  }

  std::string folder_;
  engine engine_{engine::kind::cpu, 0};
  stream stream_{engine_};
  Dims stride_, padding_;
  Tensor x_, w_, y_;
  std::vector<Direction> directions_;
};

} // namespace

int main(int argc, char **argv) {
  if (argc != 9)
    return 2;
  std::vector<long> numbers;
  for (int i = 1; i < 8; i++)
    numbers.push_back(std::atol(argv[i]));
  Convolution convolution(numbers, argv[8]);
  convolution.hello();
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command;
    int calls = 1;
    words >> command >> calls;
    if (command == "compare")
      convolution.compare();
    else if (command == "time")
      convolution.time(calls);
    else
      return 2;
    std::fflush(stdout);
  }
}
