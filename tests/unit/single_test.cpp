// One image at a time: the same results as a batch, for every layer, layout, target and element; nothing is read or
// written past the caller's arrays.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <random>
#include <sstream>
#include <sys/mman.h>
#include <unistd.h>

#include "graph/layout.h"
#include "passes/passes.h"
#include "sample.h"

using namespace cnnc;

namespace {
constexpr int kImages = 16; // a whole chunk of every target: these take the lanes

Graph build(const std::string &text) { return build_sample(text, kImages); }

// Memory that ends where the pages do: a step further is a fault.
class Guarded {
public:
  explicit Guarded(size_t bytes) {
    const size_t page = size_t(sysconf(_SC_PAGESIZE));
    pages_ = (bytes + page - 1) / page * page + page;
    start_ = static_cast<char *>(mmap(nullptr, pages_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(start_ != MAP_FAILED);
    REQUIRE(mprotect(start_ + pages_ - page, page, PROT_NONE) == 0);
    place_ = start_ + pages_ - page - bytes;
  }
  ~Guarded() { munmap(start_, pages_); }
  Guarded(const Guarded &) = delete;
  void *get() { return place_; }

private:
  char *start_, *place_;
  size_t pages_;
};

struct Net {
  const cnnc_model *model;
  cnnc_net *net = nullptr;
  std::unique_ptr<Guarded> memory;

  Net(const Graph &g, bool f64, const std::string &target) : model(load(g, f64, target.c_str())) {
    const size_t bytes = (size_t(model->infer_bytes(1)) + 63) / 64 * 64;
    memory = std::make_unique<Guarded>(bytes);
    std::memset(memory->get(), 0xFF, bytes); // NaN wherever nothing was written
    REQUIRE(model->init_inference(&net, memory->get(), bytes, 1, 3) == CNNC_OK);
    // Parameters that single precision holds, none of them zero.
    std::mt19937 random(9);
    std::uniform_real_distribution<float> value(-0.5f, 0.5f);
    std::vector<float> single;
    for (uint64_t i = 0; i < model->parameter_count; i++)
      single.push_back(value(random));
    const std::vector<double> exact(single.begin(), single.end());
    if (model->parameter_count)
      REQUIRE(model->set_parameters(net, f64 ? static_cast<const void *>(exact.data()) : single.data()) == CNNC_OK);
  }
  ~Net() { model->destroy(net); }
  Net(const Net &) = delete;

  // `count` images by one call, from and to arrays that end at the end of a page.
  std::vector<double> predict(const void *images, int pixels, int count) {
    const size_t image = size_t(model->input_size) * (pixels == CNNC_U8 ? 1 : 4), output = size_t(model->output_size) * model->element_bytes;
    Guarded in(image * size_t(count)), out(output * size_t(count));
    std::memcpy(in.get(), images, image * size_t(count));
    REQUIRE(model->predict(net, in.get(), pixels, count, out.get()) == CNNC_OK);
    return as_doubles(*model, out.get(), size_t(model->output_size) * size_t(count));
  }
};

std::vector<std::string> targets() {
  std::vector<std::string> all = {"x86-64-linux"};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    all.push_back("x86-64-linux-avx2");
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
    all.push_back("x86-64-linux-avx512");
  return all;
}

// In double both ways agree but for the order of sums; in single each is as near to that as rounding allows.
void compare(const std::string &text, const std::vector<std::string> &on) {
  CAPTURE(text);
  const Graph g = build(text);
  std::vector<double> exact;
  std::vector<uint8_t> bytes;
  std::vector<float> images;
  for (const std::string &target : on)
    for (bool f64 : {true, false}) {
      CAPTURE(target);
      CAPTURE(f64);
      Net net(g, f64, target);
      const size_t size = size_t(net.model->input_size);
      if (exact.empty()) {
        std::mt19937 random(4);
        for (size_t i = 0; i < size * kImages; i++) {
          bytes.push_back(uint8_t(random() % 256));
          images.push_back(float(bytes.back()) * (1.0f / 255));
        }
        exact = net.predict(images.data(), CNNC_F32, kImages);
        REQUIRE(largest(exact) > 0);
      }
      std::vector<double> one, from_bytes;
      for (size_t i = 0; i < kImages; i++) {
        const auto a = net.predict(images.data() + i * size, CNNC_F32, 1), b = net.predict(bytes.data() + i * size, CNNC_U8, 1);
        one.insert(one.end(), a.begin(), a.end());
        from_bytes.insert(from_bytes.end(), b.begin(), b.end());
      }
      CHECK(difference(net.predict(images.data(), CNNC_F32, 3), {exact.begin(), exact.begin() + 3 * int64_t(net.model->output_size)}) <= (f64 ? 1e-12 : 1e-5) * largest(exact));
      CHECK(difference(one, exact) <= (f64 ? 1e-12 : 1e-5) * largest(exact));
      CHECK(difference(from_bytes, exact) <= (f64 ? 1e-6 : 1e-5) * largest(exact)); // 1/255 in single against double
      CHECK(difference(net.predict(images.data(), CNNC_F32, kImages), exact) <= (f64 ? 1e-12 : 1e-5) * largest(exact));
    }
}

// The forward part of a sample: compiled in half the time.
std::string without_loss(const std::string &text) {
  std::string out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.compare(0, 5, "loss ") && line.compare(0, 10, "optimizer ") && line.compare(0, 7, "target "))
      out += line + "\n";
  return out;
}

std::string around(const std::string &input, const std::string &layers) {
  return fmt::format("model m\ninput x: f32[{}]\n{}\nbatch 16\n", input, layers);
}
} // namespace

TEST_CASE("every sample of the registry") {
  for (const std::string &text : registry_samples())
    compare(without_loss(text), {"host"});
}

TEST_CASE("layouts: along channels and columns, from one to the other, shared, padded, at the ends of a model") {
  for (const std::string &text : sampled<std::string>({
           around("1, 28, 28", "conv(6, kernel=5, padding=2)\nsigmoid\navg_pool(2)\nconv(16, kernel=5)\nsigmoid\navg_pool(2)\nflatten\ndense(120)\nsigmoid\ndense(84)\nsigmoid\ndense(10)"),
           around("3, 9, 33", "conv(16, kernel=3, padding=1)\nrelu\nmax_pool(2)\nconv(3, kernel=3, padding=1)\ntanh\nconv(20, kernel=(1, 3))"),
           around("2, 7, 40", "conv(17, kernel=3)\nmax_pool(3, stride=2, padding=1)\nconv(2, kernel=1)\navg_pool(3, stride=1, padding=1, count_padding=false)\nsoftmax"),
           around("2, 11, 35", "a = conv(x, 16, kernel=3, padding=1)\nb = conv(x, 16, kernel=(5, 1), padding=same)\nadd(a, b)\nconv(1, kernel=4)\nflatten"),
           around("1, 20, 36", "a = conv(x, 3, kernel=3, padding=1)\nb = conv(a, 32, kernel=1)\nc = conv(b, 3, kernel=3, padding=1)\nadd(a, c)\nrelu\nmax_pool((2, 3), stride=(2, 3))"),
           around("5, 6, 7", "sigmoid\nconv(40, kernel=(2, 3), stride=(2, 1))\nsoftmax\nconv(4, kernel=1, flip=true)\nflatten\nsoftmax"),
           around("1, 5, 70", "conv(2, kernel=(2, 7), stride=(1, 5))\nmax_pool((1, 3), stride=(1, 4))\nflatten\nrelu\ndense(33)"),
           around("4, 6, 6", "avg_pool(2)\nflatten\ndense(1)"),
           around("37", "dense(300)\ntanh\ndense(17)\nsoftmax"),
           around("1, 3, 3", "conv(1, kernel=3)"),
           around("1, 4, 4", "max_pool(3)"),
           around("1, 9, 61", "conv(3, kernel=2)\nmax_pool((2, 5), stride=(2, 5))\nconv(2, kernel=(1, 3), stride=(1, 3))"),
       }))
    compare(text, targets());
}

TEST_CASE("what is not finite is said, and hidden from none") {
  Net net(build(around("1, 6, 6", "conv(2, kernel=3, padding=1)\nsigmoid\nflatten\ndense(3)")), false, "host");
  std::vector<float> image(36, 0.5f);
  float y[3];
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    image[17] = bad;
    CHECK(net.model->predict(net.net, image.data(), CNNC_F32, 1, y) == CNNC_NOT_FINITE);
    image[17] = 0.5f;
    CHECK(net.model->predict(net.net, image.data(), CNNC_F32, 1, y) == CNNC_OK);
  }
}

TEST_CASE("packed parameters follow every change") {
  Net net(build(around("1, 6, 6", "conv(16, kernel=3)\nrelu\nflatten\ndense(3)")), false, "host");
  const std::vector<float> images(36 * kImages, 0.5f);
  std::vector<std::vector<double>> seen;
  for (float scale : {0.1f, 0.2f}) {
    const std::vector<float> values(size_t(net.model->parameter_count), scale);
    REQUIRE(net.model->set_parameters(net.net, values.data()) == CNNC_OK);
    seen.push_back(net.predict(images.data(), CNNC_F32, 1));
    CHECK(difference(seen.back(), [&] { auto y = net.predict(images.data(), CNNC_F32, kImages); y.resize(3); return y; }()) <= 1e-5 * largest(seen.back()));
  }
  CHECK(difference(seen[0], seen[1]) > 0.1 * largest(seen[1]));
  std::vector<char> saved(net.model->save_size(net.net));
  REQUIRE(net.model->save(net.net, saved.data(), saved.size()) == CNNC_OK);
  const std::vector<float> values(size_t(net.model->parameter_count), 0.3f);
  REQUIRE(net.model->set_parameters(net.net, values.data()) == CNNC_OK);
  CHECK(net.predict(images.data(), CNNC_F32, 1) != seen[1]);
  REQUIRE(net.model->load(net.net, saved.data(), saved.size()) == CNNC_OK);
  CHECK(net.predict(images.data(), CNNC_F32, 1) == seen[1]);
}

TEST_CASE("the layout follows what fills vectors") {
  auto order = [](const std::string &text, const char *op, int lanes) {
    Graph g = build(text);
    Decisions decisions;
    lay_out_single(g, decisions, lanes);
    verify(g, "lay-out-single");
    return layout_of(g[g.find(op)]).order;
  };
  const std::vector<int64_t> columns = {0, 1, 2}, channels = {1, 2, 0};
  CHECK(order(around("1, 28, 28", "conv(6, kernel=5)"), "conv", 16) == columns);
  CHECK(order(around("6, 14, 14", "conv(16, kernel=5)"), "conv", 16) == channels);
  CHECK(order(around("6, 14, 14", "conv(12, kernel=3)"), "conv", 4) == channels);
  CHECK(order(around("6, 8, 6", "conv(5, kernel=3)"), "conv", 4) == columns);
}
