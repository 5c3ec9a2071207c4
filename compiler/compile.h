// The way through the compiler, top to bottom.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "codegen/model_info.h"
#include "decisions.h"
#include "graph/graph.h"
#include "passes/plan_memory.h"

namespace cnnc {

class KernelSet; // codegen/kernels.h

struct CompileOptions {
  std::string target = "host"; // or one of target_names()
  bool f64 = false;            // elements are doubles: only for the gradient check
  std::string stop_at = "obj"; // the last stage that is wanted; see stages()
  std::string command;         // for the header's first line
  std::string conv = "auto";   // convolutions: direct, fast wherever there is such an algorithm, or what the model of costs says
  // By target, what a tuning file says in place of the model of costs: labels by the decision's key.
  std::map<std::string, std::map<std::string, std::string>> tuned;
  int jobs = 0;            // processes that compile kernels; 0: the processors there are. The result does not depend on it
  bool instrument = false; // routines report to kTickSymbol: for `cnnc bench`
  bool schedule = true;    // false: pipelines as they are defined, for another scheduler; stop_at is "schedule" then
  // Called for each target with its kernels, before they are lowered.
  std::function<void(const KernelSet &, const Plan &)> with_kernels;
  // Called after every pass with its name, the graph that it worked on ("inference", "training"), the graph, and
  // whether it changed anything.
  std::function<void(const std::string &pass, const std::string &of, const Graph &, bool changed)> after_pass;
};

// One call of a kernel, in the order of the numbers that instrumented code reports.
struct CallInfo {
  std::string routine, kernel, what; // "train", "lenet_k3_conv_sigmoid", "%4 = conv sigmoid"
  int64_t macs = 0;                  // an example, by the direct method
  int64_t bytes = 0;                 // read and written by one call
  int64_t chunks = 1;                // that one call works on
  std::string result = "";           // the name of the value that it makes in its graph; empty: none
  Place place;                       // of the result
  std::string decisions = "";        // how the keys of its kernel's decisions begin; empty: there are none
};

struct Compiled {
  Graph graph; // forward, loss and metrics
  // Laid out and fused for one target:
  Graph infer;  // the same
  Graph single; // forward, for one image at a time
  Graph train;  // forward, loss, backward and update; no nodes if the model has no loss
  ModelInfo info;
  // By stage: graph gradient fused plan schedule stmt llvm asm header obj, up to `stop_at` ("obj" is the object's
  // bytes). `stmt`, `schedule`, `llvm` and `asm` are made only where they are the stage asked for.
  std::map<std::string, std::string> text;
  std::vector<CallInfo> calls;                       // of one target
  std::vector<Decision> decisions;                   // the same one's
  std::vector<std::pair<std::string, double>> times; // seconds of each stage, in their order
};

const std::vector<std::string> &stages();
const std::vector<std::string> &target_names();
std::string target_traits(const std::string &names); // what is chosen by beside the names: of this machine, where "host" is asked for
std::string target_list(const std::string &names);   // the same with this machine's name in place of "host"; throws TargetError

// Throws GraphError on a fault of the compiler, TargetError on an unknown target.
Compiled compile(Graph graph, const CompileOptions &options);

// The function that instrumented code calls: void (int call, const cnnc_frame *), with -1 where a routine begins.
constexpr const char *kTickSymbol = "cnnc_bench_tick";

struct TargetError {
  std::string message;
};

} // namespace cnnc
