// What compiled code computes: every layer, loss and optimizer of the registry, so that a new one cannot escape.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <random>
#include <set>

#include "check.h"
#include "layers/op.h"
#include "sample.h"

using namespace cnnc;

namespace {
// A loaded model and its state.
struct Running {
  const cnnc_model *model;
  cnnc_net *net = nullptr;
  Memory memory;

  Running(const cnnc_model *m, int threads, uint64_t seed = 3) : model(m) {
    size_t bytes = m->train_bytes(threads);
    memory = aligned_memory(bytes);
    REQUIRE(m->init(&net, memory.get(), bytes, threads, seed) == CNNC_OK);
  }
  ~Running() { model->destroy(net); }
  std::vector<double> parameters() const { return as_doubles(*model, model->parameter_values(net), model->parameter_count); }
  std::vector<double> gradients(const float *images, const void *targets, int count) {
    cnnc_metrics metrics;
    REQUIRE(model->gradients(net, images, CNNC_F32, targets, count, &metrics) == CNNC_OK);
    return as_doubles(*model, model->gradient_values(net), model->parameter_count);
  }
};

struct Data {
  std::vector<float> images;
  std::vector<uint8_t> labels;
};
Data random_examples(const cnnc_model &m, int count) {
  std::mt19937 random(5);
  Data d;
  for (uint64_t i = 0; i < m.input_size * uint64_t(count); i++)
    d.images.push_back(float(random() % 1000) / 1000 - 0.4f);
  for (int i = 0; i < count; i++)
    d.labels.push_back(uint8_t(random() % m.classes));
  return d;
}

const char *kSmallNet = "model small\ninput x: f32[2, 9, 7]\nconv(3, kernel=3, padding=1)\nsigmoid\navg_pool(2)\nflatten\n"
                        "dense(19)\nrelu\ndense(5)\nloss softmax_cross_entropy\noptimizer sgd(lr=0.5)\nbatch 40\n";
} // namespace

TEST_CASE("every sample of the registry: gradients against central differences, float32 against float64") {
  for (const std::string &text : registry_samples()) {
    CAPTURE(text);
    CheckReport report = check_gradients(build_sample(text), {});
    INFO(check_text(report));
    CHECK(report.ok);
  }
}

TEST_CASE("the direct convolution of many channels: phases of a stride, channels in the vector, borders, parts of a tile, turned weights") {
  int ran = 0, sums = 0, turned = 0;
  for (const char *conv : sampled<const char *>({"29|conv(41, kernel=3, padding=1)", "31|conv(37, kernel=3, stride=2, padding=(0, 2, 1, 1))", "33|conv(130, kernel=1)", "288|conv(66, kernel=1)",
                                                 "33|conv(130, kernel=1, stride=2, padding=1)", "3|conv(48, kernel=(7, 5), stride=(2, 3), padding=3)",
                                                 "4|conv(130, kernel=4, stride=3, flip=true, padding=(5, 4, 4, 6))", "20|conv(19, kernel=(2, 6), stride=(3, 1), padding=(1, 0, 0, 5))\nrelu\nmax_pool(2)",
                                                 "16|conv(16, kernel=(5, 4), stride=(1, 2), padding=same, bias=false)", "33|conv(40, kernel=(1, 3), stride=(3, 2), padding=(2, 1, 2, 0))",
                                                 "37|conv(70, kernel=(1, 2), stride=(2, 3), padding=(1, 0, 1, 3), flip=true)"}))
    for (const char *size : {conv[0] == '3' || conv[0] == '4' ? "2, 9, 11" : "1, 7, 4"}) {
      const std::string s = conv;
      const std::string text = fmt::format("model m\ninput x: f32[{}]\nconv({}, kernel=1)\ntanh\n{}\ntanh\nflatten\ndense(4)\n"
                                           "loss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 19\n",
                                           size, s.substr(0, s.find('|')), s.substr(s.find('|') + 1));
      CAPTURE(text);
      ran++;
      CheckOptions options;
      options.conv = "direct";
      const CheckReport report = check_gradients(build_sample(text), options);
      INFO(check_text(report));
      CHECK(report.ok);
      CompileOptions stop;
      stop.conv = "direct";
      stop.stop_at = "fused";
      const std::string fused = compile(build_sample(text), stop).text.at("fused");
      sums += fused.find("conv_channel_sums") != std::string::npos;
      turned += fused.find("turned_weight(") != std::string::npos;
    }
  CHECK(sums >= ran - 1);
  CHECK(turned > 0);
}

TEST_CASE("the direct convolution by blocks of columns: what is read with a stride, what is made for a stride, the last block in part") {
  const std::string text = "model m\ninput x: f32[2, 3, 79]\nconv(40, kernel=1)\ntanh\nconv(300, kernel=1, stride=2)\ntanh\navg_pool((2, 40))\nflatten\ndense(4)\n"
                           "loss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 19\n";
  CompileOptions options;
  options.conv = "direct";
  options.stop_at = "schedule";
  const std::string loops = compile(build_sample(text), options).text.at("schedule"), kernel = loops.substr(loops.find("_conv_data_gradient"));
  CHECK(kernel.substr(0, kernel.find("\nkernel ")).find(".block in [0, ") != std::string::npos);
  CheckOptions check;
  check.conv = "direct";
  const CheckReport report = check_gradients(build_sample(text), check);
  INFO(check_text(report));
  CHECK(report.ok);
}

TEST_CASE("the fast convolution: kernels of every width, paddings, turned kernels, bias, sharing, pooling") {
  int ran = 0, fast = 0;
  for (const char *conv : sampled<const char *>({"conv(3, kernel=3)", "conv(5, kernel=(3, 2), padding=(2, 1))", "conv(3, kernel=(1, 5), padding=(0, 0, 4, 1))",
                                                 "conv(4, kernel=5, padding=2, flip=true)", "conv(2, kernel=(2, 7), padding=same, bias=false)", "conv(7, kernel=4)",
                                                 "conv(2, kernel=3, padding=1)\nmax_pool(2)", "a = conv(3, kernel=3)\nb = conv(v, 3, kernel=3)\nadd(a, b)",
                                                 "a = conv(3, kernel=3, padding=1)\nb = conv(v, 3, kernel=5, padding=2)\nc = conv(v, 3, kernel=3, padding=(0, 2, 1, 1))\n"
                                                 "d = add(a, b)\nadd(d, c)"}))
    for (const char *size : {"2, 9, 8", "1, 7, 21"}) {
      const std::string text = fmt::format("model m\ninput x: f32[{}]\nv = conv(3, kernel=2)\n{}\ntanh\nflatten\ndense(4)\n"
                                           "loss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 5\n",
                                           size, conv);
      CAPTURE(text);
      ran++;
      CheckOptions options;
      options.conv = "fast";
      const CheckReport report = check_gradients(build_sample(text), options);
      INFO(check_text(report));
      CHECK(report.ok);
      CompileOptions stop;
      stop.conv = "fast";
      stop.stop_at = "fused";
      fast += compile(build_sample(text), stop).text.at("fused").find("fast_conv_data_gradient") != std::string::npos;
    }
  CHECK(fast >= ran - 2);
}

// Stated in the README. Outputs of one convolution of random numbers, against the direct method in double.
TEST_CASE("the error of the fast convolution is bounded") {
  for (const char *shape : {"64, 14, 14|conv(64, kernel=3, padding=1)", "6, 14, 14|conv(16, kernel=5)", "16, 13, 27|conv(24, kernel=(3, 7), padding=same)"}) {
    const std::string s = shape, input = s.substr(0, s.find('|')), conv = s.substr(s.find('|') + 1);
    CAPTURE(s);
    const std::string text = fmt::format("model m\ninput x: f32[{}]\n{}\nflatten\nbatch 16\n", input, conv);
    std::vector<std::vector<double>> outputs;
    for (bool f64 : {true, false}) {
      CompileOptions options;
      options.f64 = f64;
      options.conv = f64 ? "direct" : "fast";
      Inference run(load(build_sample(text), options));
      std::vector<float> images(16 * run.model->input_size);
      std::mt19937 random(1);
      std::uniform_real_distribution<float> pixel(-1, 1);
      for (float &x : images)
        x = pixel(random);
      outputs.push_back(run.predict(images));
    }
    const double error = difference(outputs[1], outputs[0]) / largest(outputs[0]);
    CAPTURE(error);
    CHECK(error > 0);
    CHECK(error <= 1e-5);
  }
}

// What codegen/kernel.h says of it.
TEST_CASE("the sigmoid in float32 over its whole range") {
  std::vector<float> x(16 * 4096);
  for (size_t i = 0; i < x.size(); i++)
    x[i] = float(double(i) / double(x.size()) * 200 - 100);
  x[1] = 1e30f, x[2] = -1e30f;
  const auto y = Inference(load(build_sample("model m\ninput x: f32[1, 64, 64]\nsigmoid\nflatten\nbatch 16\n"), false)).predict(x);
  double absolute = 0, relative = 0;
  for (size_t i = 0; i < x.size(); i++) {
    const double exact = 1 / (1 + std::exp(-double(x[i]))), error = std::abs(y[i] - exact);
    absolute = std::max(absolute, error);
    if (std::abs(x[i]) <= 87)
      relative = std::max(relative, error / exact);
  }
  CHECK(absolute > 0);
  CHECK(absolute <= 1.3e-7);
  CHECK(relative <= 4e-6);
}

// Sigmoids that are added may share a quotient, and then end at a part of the bound.
TEST_CASE("the mean of sigmoids in float32 over their whole range") {
  std::vector<float> x(16 * 4096);
  for (size_t i = 0; i < x.size(); i++)
    x[i] = float(double(i) / double(x.size()) * 200 - 100);
  const auto y = Inference(load(build_sample("model m\ninput x: f32[1, 64, 64]\nsigmoid\navg_pool(2)\nflatten\nbatch 16\n"), false)).predict(x);
  double absolute = 0, relative = 0;
  for (size_t i = 0; i < y.size(); i++) {
    double exact = 0;
    const size_t first = i / 1024 * 4096 + i % 1024 / 32 * 128 + i % 32 * 2;
    for (size_t at : {first, first + 1, first + 64, first + 65})
      exact += 0.25 / (1 + std::exp(-double(x[at])));
    const double error = std::abs(y[i] - exact);
    absolute = std::max(absolute, error);
    if (x[first] >= -20)
      relative = std::max(relative, error / exact);
    else if (x[first] < -21)
      CHECK(y[i] <= 1.6e-9);
  }
  CHECK(absolute <= 2.4e-7); // by three more roundings, each of 6e-8 at most, of products and sums
  CHECK(relative <= 4e-6);
}

TEST_CASE("convolutions that end in a pool: predictions against plain loops in double") {
  struct Case {
    int c, h, w, k, r, s, top, bottom, left, right, down, across;
    const char *activation, *pool;
    int rows, columns, step_rows, step_columns;
  };
  // The input's border stored or not, windows from registers and from rows, apart from each other, of one row or column,
  // and too large for registers; tiles that do not divide.
  for (const Case &e : sampled<Case>({{1, 28, 28, 6, 5, 5, 2, 2, 2, 2, 1, 1, "sigmoid", "avg_pool", 2, 2, 2, 2},
                                      {1, 28, 28, 6, 5, 5, 2, 2, 2, 2, 1, 1, "relu", "max_pool", 2, 2, 2, 2},
                                      {2, 17, 19, 7, 3, 4, 1, 2, 0, 3, 1, 1, "sigmoid", "avg_pool", 3, 2, 3, 2},
                                      {3, 11, 23, 5, 3, 3, 3, 0, 1, 1, 2, 1, "tanh", "avg_pool", 2, 3, 3, 4},
                                      {3, 14, 9, 13, 2, 3, 1, 1, 1, 1, 1, 2, "sigmoid", "max_pool", 1, 2, 1, 2},
                                      {2, 20, 18, 3, 1, 5, 0, 0, 2, 2, 1, 1, "relu", "avg_pool", 5, 6, 5, 6},
                                      {2, 9, 18, 3, 1, 5, 3, 4, 2, 2, 2, 1, "relu", "avg_pool", 1, 1, 1, 1},
                                      {2, 9, 12, 3, 1, 5, 3, 4, 2, 2, 2, 1, "sigmoid", "max_pool", 2, 2, 2, 2},
                                      {1, 9, 30, 4, 4, 1, 2, 1, 0, 0, 1, 1, nullptr, "avg_pool", 2, 2, 2, 2},
                                      {1, 9, 30, 4, 4, 1, 2, 1, 0, 0, 1, 1, nullptr, "max_pool", 2, 1, 3, 1}})) {
    const std::string activation = e.activation ? std::string(e.activation) + "\n" : "";
    const std::string text = fmt::format("model m\ninput x: f32[{}, {}, {}]\nconv({}, kernel=({}, {}), padding=({}, {}, {}, {}), stride=({}, {}))\n{}"
                                         "{}(({}, {}), stride=({}, {}))\nflatten\nbatch 40\n",
                                         e.c, e.h, e.w, e.k, e.r, e.s, e.top, e.bottom, e.left, e.right, e.down, e.across, activation, e.pool, e.rows,
                                         e.columns, e.step_rows, e.step_columns);
    CAPTURE(text);
    Graph g = build_sample(text);
    CompileOptions direct;
    direct.conv = "direct";
    direct.stop_at = "obj";
    Inference net(load(g, direct));
    constexpr int kCount = 37;
    std::mt19937 random(7);
    std::vector<uint8_t> pixels(size_t(kCount) * net.model->input_size);
    std::vector<float> images;
    for (uint8_t &p : pixels)
      images.push_back(float(p = uint8_t(random() % 256)) / 255);
    std::vector<double> parameters(net.model->parameter_count);
    for (double &p : parameters)
      p = float(random() % 2000) / 1000 - 1;
    net.set_parameters(parameters);
    const double *weight = nullptr, *bias = nullptr;
    for (uint32_t i = 0; i < net.model->parameter_tensors; i++)
      (net.model->parameters[i].rank == 4 ? weight : bias) = parameters.data() + net.model->parameters[i].offset;
    const int p = (e.h + e.top + e.bottom - e.r) / e.down + 1, q = (e.w + e.left + e.right - e.s) / e.across + 1;
    const int rows = (p - e.rows) / e.step_rows + 1, columns = (q - e.columns) / e.step_columns + 1;
    auto conv = [&](const float *x, int k, int i, int j) {
      double sum = bias[k];
      for (int c = 0; c < e.c; c++)
        for (int r = 0; r < e.r; r++)
          for (int s = 0; s < e.s; s++) {
            const int row = i * e.down + r - e.top, column = j * e.across + s - e.left;
            if (row >= 0 && row < e.h && column >= 0 && column < e.w)
              sum += weight[((k * e.c + c) * e.r + r) * e.s + s] * double(x[(c * e.h + row) * e.w + column]);
          }
      const std::string a = activation;
      return a == "sigmoid\n" ? 1 / (1 + std::exp(-sum)) : a == "tanh\n" ? std::tanh(sum)
                                                       : a == "relu\n"   ? std::max(sum, 0.0)
                                                                         : sum;
    };
    std::vector<double> exact;
    for (int n = 0; n < kCount; n++)
      for (int k = 0; k < e.k; k++)
        for (int i = 0; i < rows; i++)
          for (int j = 0; j < columns; j++) {
            double mean = 0, most = -INFINITY;
            for (int r = 0; r < e.rows; r++)
              for (int s = 0; s < e.columns; s++) {
                const double y = conv(images.data() + size_t(n) * net.model->input_size, k, i * e.step_rows + r, j * e.step_columns + s);
                mean += y / (e.rows * e.columns);
                most = std::max(most, y);
              }
            exact.push_back(std::string(e.pool) == "avg_pool" ? mean : most);
          }
    const auto found = net.predict(images);
    REQUIRE(found.size() == exact.size());
    CHECK(difference(found, exact) <= 1e-6 * std::max(1.0, largest(exact))); // sums of 32 terms below 1
    std::vector<float> of_bytes(found.size());
    REQUIRE(net.model->predict(net.net, pixels.data(), CNNC_U8, kCount, of_bytes.data()) == CNNC_OK);
    CHECK(difference(std::vector<double>(of_bytes.begin(), of_bytes.end()), exact) <= 1e-6 * std::max(1.0, largest(exact)));
  }
}

TEST_CASE("in one kernel a sigmoid of sums that stand multiplied, and one of a stored value") {
  const Graph g = build_sample("model m\ninput x: f32[2, 5, 18]\nz = conv(x, 3, kernel=3, padding=1)\nc = conv(z, 3, kernel=3, padding=1)\nb = sigmoid(z)\n"
                               "a = sigmoid(c)\nadd(a, b)\nflatten\nbatch 16\n");
  Inference single(load(g, false)), exact(load(g, true));
  std::vector<double> parameters;
  std::vector<float> x;
  std::mt19937 random(11);
  for (uint64_t i = 0; i < single.model->parameter_count; i++)
    parameters.push_back(float(random() % 2000) / 1000 - 1);
  for (uint64_t i = 0; i < 16 * single.model->input_size; i++)
    x.push_back(float(random() % 1000) / 1000);
  single.set_parameters(parameters);
  exact.set_parameters(parameters);
  CHECK(difference(single.predict(x), exact.predict(x)) <= 1e-6); // of sums of 54 terms below 1
}

TEST_CASE("the sigmoid of sums that overflow") {
  const cnnc_model *m = load(build_sample("model m\ninput x: f32[1, 4, 4]\nconv(2, kernel=1)\nconv(2, kernel=1)\nsigmoid\nflatten\nbatch 16\n"), false);
  Inference net(m);
  const std::vector<float> x(16 * 16, 1e38f);
  // Two channels are infinite; then their sum and minus their sum.
  net.set_parameters({1e38, 1e38, 0, 0, 1, 1, -1, -1, 0, 0});
  const auto y = net.predict(x);
  bool right = true;
  for (size_t i = 0; i < y.size(); i++)
    right = right && (i % 32 < 16 ? y[i] == 1 : y[i] >= 0 && y[i] < 1e-37);
  CHECK(right);
  net.set_parameters({1e38, 1e38, 0, 0, 1, 1, 1, -1, 0, 0}); // and their difference, which is NaN
  std::vector<float> outputs(16 * 32);
  CHECK(m->predict(net.net, x.data(), CNNC_F32, 16, outputs.data()) == CNNC_NOT_FINITE);
}

TEST_CASE("a NaN wins in each place of a window") {
  for (const char *layers : {"max_pool(2)", "relu\nmax_pool(2)", "relu\navg_pool(2)"}) {
    CAPTURE(layers);
    const cnnc_model *m = load(build_sample(std::string("model m\ninput x: f32[1, 4, 4]\nconv(2, kernel=1)\nconv(1, kernel=1)\n") + layers + "\nflatten\nbatch 16\n"), false);
    Inference net(m);
    net.set_parameters({1e38, 1e38, 0, 0, 1, -1, 0}); // both channels are infinite where x is large; then their difference
    std::vector<float> outputs(16 * 4);
    for (const size_t place : {0, 1, 4, 5, 10, 15}) {
      std::vector<float> x(16 * 16);
      CHECK(m->predict(net.net, x.data(), CNNC_F32, 16, outputs.data()) == CNNC_OK);
      x[3 * 16 + place] = 1e38f;
      CHECK(m->predict(net.net, x.data(), CNNC_F32, 16, outputs.data()) == CNNC_NOT_FINITE);
    }
  }
}

TEST_CASE("the check sees a wrong gradient") {
  Graph g = build_sample(kSmallNet);
  CheckReport right = check_gradients(g, {});
  CHECK(right.ok);
  // A tensor that nothing reads has a gradient of zero, which the check does not take for right.
  for (TensorCheck &t : right.tensors)
    CHECK(t.largest > 0);
}

TEST_CASE("every optimizer: five steps against its formula in double") {
  struct Reference {
    std::vector<double> parameters, m, v;
  };
  for (const Optimizer &o : registry().optimizers) {
    CHECK(!o.samples.empty());
    for (const std::string &text : o.samples) {
      CAPTURE(text);
      Graph g = build_sample(text);
      Running run(load(g, false), 1);
      int count = int(run.model->batch);
      Data d = random_examples(*run.model, count);
      auto number = [&](const char *key) { return std::get<double>(g.optimizer_attributes.at(key)); };
      Reference r{run.parameters(), {}, {}};
      r.m.assign(r.parameters.size(), 0);
      r.v = r.m;
      for (int step = 1; step <= 5; step++) {
        std::vector<double> gradient = run.gradients(d.images.data(), d.labels.data(), count);
        cnnc_metrics metrics;
        REQUIRE(run.model->train_step(run.net, d.images.data(), CNNC_F32, d.labels.data(), count, &metrics) == CNNC_OK);
        for (size_t i = 0; i < gradient.size(); i++) {
          double &p = r.parameters[i], grad = gradient[i] + number("weight_decay") * p;
          if (o.name == "sgd") {
            r.m[i] = number("momentum") * r.m[i] + grad;
            p -= number("lr") * r.m[i];
          } else if (o.name == "adam") {
            double b1 = number("beta1"), b2 = number("beta2");
            r.m[i] = b1 * r.m[i] + (1 - b1) * grad;
            r.v[i] = b2 * r.v[i] + (1 - b2) * grad * grad;
            p -= number("lr") / (1 - std::pow(b1, step)) * r.m[i] / (std::sqrt(r.v[i]) / std::sqrt(1 - std::pow(b2, step)) + number("epsilon"));
          } else {
            FAIL("no reference for the optimizer " << o.name << ": add its formula here");
          }
        }
        // Rounding of a few operations on values of this size; Adam's quotient doubles it where gradients are small.
        CHECK(difference(run.parameters(), r.parameters) <= 5e-6 * largest(r.parameters));
      }
    }
  }
}

TEST_CASE("the same bits with 1, 2 and 7 threads") {
  // Large enough that threads are used at all.
  Graph g = build_sample("model wide\ninput x: f32[3, 16, 15]\nconv(8, kernel=3, padding=1)\nrelu\nmax_pool(2)\nflatten\ndense(10)\n"
                         "loss softmax_cross_entropy\noptimizer adam(lr=1e-2)\nbatch 200\n");
  const cnnc_model *m = load(g, false);
  Data d = random_examples(*m, 200);
  std::vector<std::vector<double>> results;
  for (int threads : {1, 2, 7}) {
    Running run(m, threads);
    for (int count : {200, 57, 1, 16, 199}) {
      cnnc_metrics metrics;
      REQUIRE(m->train_step(run.net, d.images.data(), CNNC_F32, d.labels.data(), count, &metrics) == CNNC_OK);
    }
    results.push_back(run.parameters());
  }
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

TEST_CASE("a batch's gradient is the mean of its examples' gradients, whatever their number") {
  // So many that each partial sum has more chunks than are kept, in the vectors of any machine.
  constexpr int kMost = 150;
  std::string text = kSmallNet;
  text.replace(text.find("batch 40"), 8, "batch " + std::to_string(kMost));
  Running run(load(build_sample(text), true), 1);
  Data d = random_examples(*run.model, kMost);
  std::vector<std::vector<double>> each;
  for (int i = 0; i < kMost; i++)
    each.push_back(run.gradients(d.images.data() + uint64_t(i) * run.model->input_size, d.labels.data() + i, 1));
  for (int count : {1, 2, 3, 7, 8, 9, 17, 31, 33, 40, 64, 129, 136, kMost}) {
    CAPTURE(count);
    std::vector<double> mean(each[0].size());
    for (int i = 0; i < count; i++)
      for (size_t k = 0; k < mean.size(); k++)
        mean[k] += each[size_t(i)][k] / count;
    CHECK(largest(mean) > 1e-4);
    CHECK(difference(run.gradients(d.images.data(), d.labels.data(), count), mean) <= 1e-14 * kMost * largest(mean));
  }
}

TEST_CASE("every target of this family that the machine can run gives the same gradients to rounding") {
  Graph g = build_sample(kSmallNet);
  Running reference(load(g, true), 1);
  Data d = random_examples(*reference.model, 37);
  for (const char *target : {"x86-64-linux", "x86-64-linux-avx2", "host"}) {
    CAPTURE(target);
    if (std::string(target) == "x86-64-linux-avx2" && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")))
      continue;
    Running run(load(g, false, target), 1);
    const std::vector<double> start = reference.parameters();
    const std::vector<float> rounded(start.begin(), start.end());
    REQUIRE(run.model->set_parameters(run.net, rounded.data()) == CNNC_OK);
    auto exact = reference.gradients(d.images.data(), d.labels.data(), 37);
    CHECK(difference(run.gradients(d.images.data(), d.labels.data(), 37), exact) <= 1e-5 * largest(exact));
  }
}

TEST_CASE("NaN and infinity in images come out as a status, whatever stands between them and the loss; nothing is changed") {
  for (const char *layer : sampled<const char *>({"sigmoid", "relu", "tanh", "softmax", "max_pool(2)", "avg_pool(2)", "max_pool(3, padding=1)"})) {
    CAPTURE(layer);
    const cnnc_model *m = load(build_sample(std::string("model bad\ninput x: f32[1, 6, 6]\nconv(2, kernel=3, padding=1)\n") + layer +
                                            "\nflatten\ndense(3)\nloss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 20\n"),
                               false);
    for (float bad : {NAN, INFINITY, -INFINITY}) {
      Running run(m, 1);
      Data d = random_examples(*m, 20);
      d.images[7 * 36 + 14] = bad;
      auto before = run.parameters();
      cnnc_metrics metrics;
      std::vector<float> outputs(20 * 3);
      CHECK(m->train_step(run.net, d.images.data(), CNNC_F32, d.labels.data(), 20, &metrics) == CNNC_NOT_FINITE);
      CHECK(m->gradients(run.net, d.images.data(), CNNC_F32, d.labels.data(), 20, &metrics) == CNNC_NOT_FINITE);
      CHECK(m->evaluate(run.net, d.images.data(), CNNC_F32, d.labels.data(), 20, &metrics) == CNNC_NOT_FINITE);
      CHECK(m->predict(run.net, d.images.data(), CNNC_F32, 20, outputs.data()) == CNNC_NOT_FINITE);
      CHECK(run.parameters() == before);
      CHECK(m->step(run.net) == 0);
    }
  }
}

TEST_CASE("NaN and infinity in parameters are refused, and an update that overflows is never hidden") {
  for (const char *layer : sampled<const char *>({"sigmoid", "relu", "tanh", "softmax"}))
    for (const char *loss : {"softmax_cross_entropy", "squared_error"}) {
      CAPTURE(layer);
      CAPTURE(loss);
      const bool image = std::string(loss) == "squared_error";
      const cnnc_model *m = load(build_sample(std::string("model bad\ninput x: f32[1, 6, 6]\n") + (image ? "target y: f32[3]\n" : "") +
                                              "conv(2, kernel=3, padding=1)\n" + layer + "\nflatten\ndense(3)\nloss " + loss +
                                              "\noptimizer sgd(lr=3e38)\nbatch 20\n"),
                                 false);
      const std::vector<float> images(20 * 36, 0.5f), target(60, 1e30f);
      const std::vector<uint8_t> labels(20, 1);
      std::vector<float> outputs(60);
      const void *targets = image ? static_cast<const void *>(target.data()) : labels.data();
      for (float bad : {NAN, INFINITY, -INFINITY}) {
        Running run(m, 1);
        auto before = run.parameters();
        std::vector<float> values(before.begin(), before.end());
        values[3] = bad;
        CHECK(m->set_parameters(run.net, values.data()) == CNNC_NOT_FINITE);
        std::vector<unsigned char> bytes(m->save_size(run.net));
        REQUIRE(m->save(run.net, bytes.data(), bytes.size()) == CNNC_OK);
        std::memcpy(bytes.data() + 48 + 12, &bad, 4);
        uint64_t sum = 0xCBF29CE484222325u; // of the format's FNV-1a
        for (size_t i = 0; i + 8 < bytes.size(); i++)
          sum = (sum ^ bytes[i]) * 0x100000001B3u;
        std::memcpy(bytes.data() + bytes.size() - 8, &sum, 8);
        CHECK(m->load(run.net, bytes.data(), bytes.size()) == CNNC_NOT_FINITE);
        CHECK(run.parameters() == before);
      }
      Running run(m, 1);
      const auto start = run.parameters();
      const std::vector<float> values(start.begin(), start.end());
      cnnc_status status = CNNC_OK;
      for (int i = 0; i < 5 && status == CNNC_OK; i++)
        status = m->train_step(run.net, images.data(), CNNC_F32, targets, 20, nullptr);
      const bool diverged = status == CNNC_NOT_FINITE;
      if (image) // the loss and its gradient pass the largest float
        CHECK(diverged);
      for (double p : run.parameters())
        if (!std::isfinite(p)) {
          CHECK(diverged);
          CHECK(m->train_step(run.net, images.data(), CNNC_F32, targets, 20, nullptr) == CNNC_NOT_FINITE);
          CHECK(m->gradients(run.net, images.data(), CNNC_F32, targets, 20, nullptr) == CNNC_NOT_FINITE);
          CHECK(m->evaluate(run.net, images.data(), CNNC_F32, targets, 20, nullptr) == CNNC_NOT_FINITE);
          CHECK(m->predict(run.net, images.data(), CNNC_F32, 20, outputs.data()) == CNNC_NOT_FINITE);
          break;
        }
      CHECK(m->set_parameters(run.net, values.data()) == CNNC_OK);
      CHECK(m->predict(run.net, images.data(), CNNC_F32, 20, outputs.data()) == CNNC_OK);
    }
}

TEST_CASE("what the model of costs does not choose computes the same: fusion, loop orders, blocks, tiles, algorithms") {
  const Graph g = build_sample("model m\ninput x: f32[3, 12, 10]\nconv(16, kernel=3, padding=1)\nsigmoid\navg_pool(2)\nconv(32, kernel=3, stride=(1, 2), padding=1)\nrelu\n"
                               "conv(20, kernel=1)\ntanh\nmax_pool(2)\nflatten\ndense(22)\nsigmoid\ndense(6)\nloss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 19\n");
  std::set<std::string> tried; // the kinds of decisions
  bool tiled = false;          // the dense layer's weights were packed for a tile of units
  for (const char *conv : {"direct", "fast"})
    for (size_t place : {1, 2, 3}) {
      std::map<std::string, std::map<std::string, std::string>> tuned;
      for (int round = 0; round < 2; round++) { // an algorithm has decisions of its own
        CompileOptions stop;
        stop.conv = conv;
        stop.stop_at = "schedule";
        stop.f64 = true;
        stop.tuned = tuned;
        for (Decision &d : compile(g, stop).decisions) {
          std::stable_sort(d.candidates.begin(), d.candidates.end(), [](const Candidate &a, const Candidate &b) { return a.cost < b.cost; });
          for (const std::string &target : target_names())
            tuned[target].emplace(d.key, d.candidates[place % d.candidates.size()].label);
          const bool pass = d.key.compare(0, 10, "algorithm.") == 0 || d.key.compare(0, 7, "layout.") == 0;
          tried.insert(pass ? d.key.substr(0, d.key.find('.', d.key.find('.') + 1)) : d.key.substr(d.key.rfind('.')));
          for (const Candidate &c : d.candidates)
            tiled = tiled || (c.label == tuned.begin()->second.at(d.key) && c.label == "images, tiles of 22 units");
        }
      }
      CheckOptions options;
      options.conv = conv;
      options.tuned = tuned;
      const CheckReport report = check_gradients(g, options);
      CAPTURE(conv);
      CAPTURE(place);
      INFO(check_text(report));
      CHECK(report.ok);
    }
  CHECK(tiled);
  for (const std::string kind : {"algorithm.conv", "algorithm.fusion", "layout.dense", ".tile", ".order", ".block", ".rows"}) {
    CAPTURE(kind);
    CHECK(tried.count(kind) == 1);
  }
}

TEST_CASE("memory holds tensors of whole lines first, saved bytes hold all in the order of the table") {
  const cnnc_model *model = load(build_sample("model lines\ninput x: f32[2, 9, 7]\nconv(3, kernel=3)\nsigmoid\nflatten\ndense(16)\nrelu\ndense(5)\n"
                                              "loss softmax_cross_entropy\noptimizer adam(lr=0.01)\nbatch 8\n"),
                                 false);
  const Data data = random_examples(*model, 8);
  Running first(model, 1), second(model, 1, 4);
  cnnc_metrics metrics;
  auto step = [&](Running &r) { REQUIRE(model->train_step(r.net, data.images.data(), CNNC_F32, data.labels.data(), 8, &metrics) == CNNC_OK); };
  step(first);
  std::vector<char> saved(model->save_size(first.net));
  REQUIRE(model->save(first.net, saved.data(), saved.size()) == CNNC_OK);
  const std::vector<double> values = first.parameters();
  const char *at = saved.data() + 48;
  bool in_order = true;
  for (uint32_t k = 0; k < model->parameter_tensors; k++) {
    const cnnc_parameter &p = model->parameters[k];
    in_order = in_order && (k == 0 || p.offset > model->parameters[k - 1].offset);
    CHECK((p.size % 16 != 0 || p.offset % 16 == 0));
    for (uint64_t i = 0; i < p.size; i++, at += sizeof(float)) {
      float value;
      std::memcpy(&value, at, sizeof value);
      REQUIRE(double(value) == values[size_t(p.offset + i)]);
    }
  }
  CHECK(!in_order); // or this test tests nothing
  // The optimizer's values go there and back as well.
  REQUIRE(model->load(second.net, saved.data(), saved.size()) == CNNC_OK);
  step(first);
  step(second);
  CHECK(first.parameters() == second.parameters());
}
