// Times a compiled model: whole calls as a user makes them, and each kernel in a build of its own whose routines
// report after every kernel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compile.h"
#include "peak.h"

namespace cnnc {

struct BenchOptions {
  std::string target = "host";
  int threads = 1;
  int count = 0;             // examples a call; 0: the model's batch
  double seconds = 1;        // of each measurement
  std::string conv = "auto"; // as in CompileOptions
  std::map<std::string, std::map<std::string, std::string>> tuned;
  bool use_cache = false; // see compile_library
};

struct Rate {
  double examples = 0;      // a second: the median over calls
  double low = 0, high = 0; // the first and third quartile
  double possible = 0;      // operations that the machine could do in the time of one example: the median over calls, by the peak around each
};

struct KernelTime {
  CallInfo call;
  std::string graph;  // "training", "inference" or "one image"
  double seconds = 0; // one run over a chunk of `lanes` examples, over one image, or over a block of parameters
  double share = 0;   // of the time of all kernels of its graph
  int64_t runs = 0;
};

struct TraceEvent {
  int call = 0, thread = 0;
  double start = 0, seconds = 0;
};

struct BenchReport {
  std::string model, target;
  int threads = 1, count = 1, lanes = 1;
  int64_t macs = 0;       // forward, an example
  int64_t train_macs = 0; // forward and backward
  Peak peak;
  bool trains = false;
  Rate train, infer;
  Rate one; // one example a call, with one thread
  std::vector<CallInfo> calls;
  std::vector<KernelTime> kernels;
  std::vector<TraceEvent> events; // of the first instrumented steps
};

BenchReport bench(const Graph &forward, const BenchOptions &options);

} // namespace cnnc
