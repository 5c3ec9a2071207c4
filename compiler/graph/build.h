// From the text of a model to its forward graph.
#pragma once

#include <optional>
#include <string>

#include "graph/graph.h"
#include "syntax/diagnostics.h"

namespace cnnc {

// What the command line changes of the model; empty: what the text says.
struct Overrides {
  std::optional<int64_t> batch;
  std::string optimizer; // "sgd(lr=0.9)"
  std::string init;      // "he_uniform"
};

// Parses, checks and builds; every independent error is reported to `diagnostics`, and the graph is then absent.
// The result is forward only: inputs, parameters, layers, loss and metrics; `graph.optimizer_attributes` is complete.
std::optional<Graph> build_graph(const Source &source, const Overrides &overrides, Diagnostics &diagnostics);

} // namespace cnnc
