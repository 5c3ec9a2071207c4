// The arithmetic of the layers' definitions, unscheduled and in double, node by node: worked cases, and
// gradients against central differences.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <Halide.h>

#include <cmath>
#include <random>

#include "codegen/kernel.h"
#include "layers/op.h"
#include "passes/differentiate.h"

using namespace cnnc;
using Values = std::map<ValueId, Halide::Buffer<>>;

namespace {
constexpr int kLanes = 3, kValid = 2;

std::vector<int> extents(const Type &t) {
  std::vector<int> e;
  if (has_lane(t))
    e.push_back(kLanes);
  for (size_t i = t.dims.size(); i-- > 0;)
    e.push_back(int(t.dims[i]));
  return e;
}

// Evaluates every node that has a definition; a view shares the memory of its input.
void evaluate(const Graph &g, Values &values) {
  for (ValueId v = 0; v < ValueId(g.nodes.size()); v++) {
    const Node &n = g[v];
    unsigned traits = op_of(n).traits;
    if (traits & (kSource | kUpdate))
      continue;
    Halide::Buffer<double> out(extents(n.type));
    if (traits & kView) {
      Halide::Buffer<double> in = values[n.inputs[0]];
      std::copy(in.begin(), in.end(), out.begin());
    } else {
      KernelContext k(g, Halide::Float(64), kLanes);
      k.scale = Halide::Expr(1.0 / kValid);
      k.valid.set(kValid);
      for (ValueId i : n.inputs)
        k.values[i] = Halide::Func(values[i]);
      op_of(n).define(k, n);
      for (auto &root : k.roots)
        root.compute_root();
      k.values[v].realize(out);
    }
    values[v] = out;
  }
}

double loss_of(const Graph &g, Values &values) {
  evaluate(g, values);
  Halide::Buffer<double> lanes = values[g.loss];
  double sum = 0;
  for (double x : lanes)
    sum += x;
  return sum / kValid;
}

std::string pass_through(const std::string &middle) {
  return "graph m batch 2\n  %x = input {dims=[2, 6, 5]} : f32[2, 6, 5]\n"
         "  %w = parameter {dims=[3, 2, 2, 2]} : param f32[3, 2, 2, 2]\n"
         "  %0 = conv(%x, %w) {flip=false, kernel=[2, 2], padding=[0, 0, 0, 0], stride=[1, 1]} : f32[3, 5, 4]\n" +
         middle + "end\n";
}
} // namespace

TEST_CASE("worked cases: convolution, turned, and pooling") {
  auto one = [](const std::string &op, std::vector<double> expected) {
    Graph g = read_graph("graph m batch 1\n  %x = input {dims=[1, 3, 3]} : f32[1, 3, 3]\n"
                         "  %w = parameter {dims=[1, 1, 2, 2]} : param f32[1, 1, 2, 2]\n  %0 = " + op + " : f32[1, 2, 2]\n  output %0\nend\n");
    Values values;
    Halide::Buffer<double> x(kLanes, 3, 3, 1), w(2, 2, 1, 1);
    x.for_each_element([&](int l, int c, int r, int k) { x(l, c, r, k) = 3 * r + c; });
    w.for_each_element([&](int s, int r, int c, int k) { w(s, r, c, k) = 2 * r + s; });
    values[0] = x, values[1] = w;
    evaluate(g, values);
    Halide::Buffer<double> y = values[g.output];
    for (int i = 0; i < 4; i++)
      CHECK(y(1, i % 2, i / 2, 0) == expected[size_t(i)]);
  };
  std::string window = "kernel=[2, 2], padding=[0, 0, 0, 0], stride=[1, 1]}";
  one("conv(%x, %w) {flip=false, " + window, {19, 25, 37, 43});
  one("conv(%x, %w) {flip=true, " + window, {5, 11, 23, 29});
  one("max_pool(%x) {" + window, {4, 5, 7, 8});
  one("avg_pool(%x) {count_padding=true, " + window, {2, 3, 5, 6});
}

TEST_CASE("gradients against central differences") {
  const std::string tail = "  %f = flatten(%1) : f32[N]\n  %d = parameter {dims=[4, N]} : param f32[4, N]\n"
                           "  %b = parameter {dims=[4]} : param f32[4]\n  %label = label {classes=4} : label f32[]\n"
                           "  %y = dense(%f, %d, %b) : f32[4]\n  %l = softmax_cross_entropy(%y, %label) : lanesum f32[]\n"
                           "  output %y\n  loss %l\n  optimizer sgd {lr=0.1}\n";
  struct Case {
    const char *node, *elements;
  };
  for (const Case &c : {Case{"sigmoid(%0) : f32[3, 5, 4]", "60"}, Case{"tanh(%0) : f32[3, 5, 4]", "60"},
                        Case{"relu(%0) : f32[3, 5, 4]", "60"}, Case{"softmax(%0) : f32[3, 5, 4]", "60"},
                        Case{"add(%0, %0) : f32[3, 5, 4]", "60"},
                        Case{"max_pool(%0) {kernel=[3, 2], padding=[1, 1, 0, 1], stride=[2, 1]} : f32[3, 3, 4]", "36"},
                        Case{"avg_pool(%0) {count_padding=true, kernel=[3, 2], padding=[1, 1, 0, 1], stride=[2, 1]} : f32[3, 3, 4]", "36"},
                        Case{"avg_pool(%0) {count_padding=false, kernel=[3, 2], padding=[1, 1, 0, 1], stride=[2, 1]} : f32[3, 3, 4]", "36"},
                        Case{"conv(%0, %v) {flip=false, kernel=[3, 2], padding=[0, 0, 0, 0], stride=[2, 1]} : f32[2, 2, 3]", "12"},
                        Case{"conv(%0, %v) {flip=true, kernel=[3, 2], padding=[0, 0, 0, 0], stride=[1, 2]} : f32[2, 3, 2]", "12"}}) {
    CAPTURE(c.node);
    std::string end = tail;
    for (size_t at; (at = end.find("N]")) != std::string::npos;)
      end.replace(at, 1, c.elements);
    Graph g = read_graph(pass_through("  %v = parameter {dims=[2, 3, 3, 2]} : param f32[2, 3, 3, 2]\n  %1 = " + std::string(c.node) + "\n" + end));
    Graph forward = g;
    differentiate(g);
    std::mt19937 random(7);
    std::uniform_real_distribution<double> uniform(-1, 1);
    Values values;
    for (ValueId v = 0; v < ValueId(g.nodes.size()); v++)
      if (op_of(g[v]).traits & kSource) {
        Halide::Buffer<double> b(extents(g[v].type));
        for (double &x : b)
          x = g[v].op == "label" ? double(random() % 4) : uniform(random);
        values[v] = b;
      }
    evaluate(g, values);
    for (ValueId u = 0; u < ValueId(g.nodes.size()); u++) {
      if (!(op_of(g[u]).traits & kUpdate))
        continue;
      Halide::Buffer<double> p = values[g[u].inputs[0]], gradient = values[g[u].inputs[1]];
      double largest = 0;
      for (double x : gradient)
        largest = std::max(largest, std::abs(x));
      CHECK(largest > 1e-6);
      for (size_t i = 0; i < p.number_of_elements(); i += std::max<size_t>(1, p.number_of_elements() / 2)) { // each try compiles every node again
        const double h = 1e-5; // error about h^2 = 1e-10 of the third derivative, and 1e-16 / h by rounding
        double keep = p.data()[i];
        p.data()[i] = keep + h;
        double above = loss_of(forward, values);
        p.data()[i] = keep - h;
        double below = loss_of(forward, values);
        p.data()[i] = keep;
        CHECK(std::abs((above - below) / (2 * h) - gradient.data()[i]) <= 1e-7 * std::max(1.0, largest));
      }
    }
  }
}
