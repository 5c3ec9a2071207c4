// Compiled gradients against finite differences: what `cnnc check` and the numeric tests do.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace cnnc {

struct CheckOptions {
  std::string target = "host";
  std::string conv = "auto"; // as in CompileOptions
  std::map<std::string, std::map<std::string, std::string>> tuned;
  bool use_cache = false; // see compile_library
  int threads = 1;
  uint64_t seed = 1;
  int count = 0;    // examples of the batch; 0: at most 5
  int samples = 12; // parameters of each tensor whose difference is taken
};

struct TensorCheck {
  std::string name;
  double largest = 0;    // of the gradient, compiled in float64
  double difference = 0; // largest |compiled - central difference| over the samples
  double single = 0;     // largest |float32 - float64| over all elements
  int sampled = 0;
  bool ok = false;
};

struct CheckReport {
  double loss = 0;
  std::vector<TensorCheck> tensors;
  bool ok = false;
};

// Relative to a tensor's largest element. Central differences: the third derivative's share, h^2 / 6 = 2e-11, and
// rounding, 1e-16 * loss / h = 1e-11, with room for the curvature of deep nets. float32: rounding of some thousand
// additions.
constexpr double kDifferenceTolerance = 1e-6, kSingleTolerance = 1e-4;

// The forward graph, with a loss. Throws GraphError on a fault.
CheckReport check_gradients(const Graph &forward, const CheckOptions &options);
std::string check_text(const CheckReport &report);

} // namespace cnnc
