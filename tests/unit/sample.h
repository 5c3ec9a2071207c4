// What the tests of compiled code share: a model from its text, compiled and loaded. A fault fails the test that calls.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "compile.h"
#include "runtime/cnnc_model.h"

namespace cnnc {

// `batch` 0: as the text says.
Graph build_sample(const std::string &text, int batch = 0);

// Every Nth under CNNC_SAMPLES=N, for the sanitizers: what they look at differs little from one sample to the next.
template <class T>
std::vector<T> sampled(const std::vector<T> &all) {
  const char *every = std::getenv("CNNC_SAMPLES");
  const size_t step = every ? std::max<size_t>(1, std::strtoul(every, nullptr, 10)) : 1;
  std::vector<T> some;
  for (size_t i = 0; i < all.size(); i += step)
    some.push_back(all[i]);
  return some;
}

// Those of every layer and loss in the registry: each has at least one.
std::vector<std::string> registry_samples();

const cnnc_model *load(const Graph &g, const CompileOptions &options);
const cnnc_model *load(const Graph &g, bool f64, const char *target = "host");

struct Free {
  void operator()(void *p) const { std::free(p); }
};
using Memory = std::unique_ptr<void, Free>;
Memory aligned_memory(size_t bytes);

// A model's own floats or doubles.
std::vector<double> as_doubles(const cnnc_model &m, const void *values, size_t count);

// A state for inference on one thread, with the parameters that `init` gives.
struct Inference {
  const cnnc_model *model;
  cnnc_net *net = nullptr;
  Memory memory;

  explicit Inference(const cnnc_model *m);
  ~Inference() { model->destroy(net); }
  Inference(const Inference &) = delete;
  void set_parameters(const std::vector<double> &values);
  std::vector<double> predict(const std::vector<float> &images);
};

double largest(const std::vector<double> &v);
// The largest difference of two elements; a NaN is the largest.
double difference(const std::vector<double> &a, const std::vector<double> &b);

} // namespace cnnc
