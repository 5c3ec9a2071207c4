// Searches around the choices of the model of costs by timing what they make, on this machine.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "graph/graph.h"

namespace cnnc {

struct TuneOptions {
  double seconds = 60;                               // no new trial begins after this
  int count = 0;                                     // examples a step; 0: the model's batch, 256 at most
  std::function<void(const std::string &)> progress; // a line for each trial
  std::function<bool()> stop = [] { return false; }; // asked between trials: what was found so far is kept
};

struct TuneReport {
  std::string target;
  std::map<std::string, std::string> labels; // by decision, where another choice than the model's is faster
  int decisions = 0, trials = 0, count = 0;
  double model = 0, tuned = 0; // seconds of a step, medians of alternating runs: gradients where there is a loss, and prediction
  bool finished = false;       // every trial was made
};

// Throws GraphError where the model does not run.
TuneReport tune(const Graph &graph, const TuneOptions &options);

} // namespace cnnc
