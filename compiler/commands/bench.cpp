// `cnnc bench`: examples a second, and each kernel's time, share, rate and limit.
#include "bench.h"

#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "commands/common.h"
#include "runtime/error.h"

namespace cnnc::commands {
namespace {

struct Options {
  std::string model, trace;
  bool json = false;
  Overrides overrides;
  BenchOptions bench;
  BuildOptions build;
};

double flops(const BenchReport &r, const CallInfo &c) { return 2.0 * double(c.macs) * double(c.routine == "infer_one" ? 1 : r.lanes * c.chunks); }

// The least time that a limit allows, and its name: arithmetic, or reading what does not stand in registers.
std::pair<double, const char *> limit(const BenchReport &r, const KernelTime &k) {
  const double compute = flops(r, k.call) / r.peak.flops;
  const bool near = k.call.bytes <= (int64_t(1) << 20);
  const double moved = double(k.call.bytes) / (near ? r.peak.near_bytes : r.peak.far_bytes);
  if (compute >= moved)
    return {compute, "compute"};
  return {moved, near ? "cache" : "memory"};
}

double share_of_peak(const Rate &rate, int64_t macs) { return 2 * double(macs) / rate.possible; }

std::string table(const BenchReport &r) {
  std::string s = fmt::format("{} for {}, {} examples a call, {} thread{}\n", r.model, r.target, r.count, r.threads, r.threads == 1 ? "" : "s");
  s += fmt::format("peak: {:.1f} GFLOP/s a core, {:.1f} with {} threads; a core reads {:.0f} GB/s from cache, {:.0f} from memory\n",
                   r.peak.flops / 1e9, r.peak.flops_all / 1e9, r.threads, r.peak.near_bytes / 1e9, r.peak.far_bytes / 1e9);
  auto line = [&](const char *what, const Rate &rate, int64_t macs) {
    s += fmt::format("{:<10} {:>10.0f} examples/s ({:.0f} to {:.0f}), {:.1f} GFLOP/s, {:.0f} % of peak\n", what, rate.examples, rate.low,
                     rate.high, rate.examples * 2 * double(macs) / 1e9, 100 * share_of_peak(rate, macs));
  };
  if (r.trains)
    line("training", r.train, r.train_macs);
  line("inference", r.infer, r.macs);
  s += fmt::format("one image  {:>10.2f} us, {:.0f} % of one core's peak\n", 1e6 / r.one.examples, 100 * share_of_peak(r.one, r.macs));
  for (const std::string graph : {"training", "inference", "one image"}) {
    if (graph == "training" && !r.trains)
      continue;
    s += "\n" + graph;
    s += graph == "one image" ? ": each kernel\n" : fmt::format(": each kernel over a chunk of {} examples, or a block of parameters\n", r.lanes);
    s += fmt::format("{:>9} {:>6} {:>9} {:>6} {:>9}  {:<14} {}\n", "us", "share", "GFLOP/s", "peak", "KB moved", "limit", "kernel");
    for (const KernelTime &k : r.kernels) {
      if (k.graph != graph)
        continue;
      auto [least, name] = limit(r, k);
      const double f = flops(r, k.call);
      s += fmt::format("{:>9.2f} {:>5.1f}% {:>9} {:>6} {:>9.1f}  {:<8}{:>4.0f}% {}\n", k.seconds * 1e6, 100 * k.share,
                       f ? fmt::format("{:.1f}", f / k.seconds / 1e9) : "", f ? fmt::format("{:.0f}%", 100 * f / k.seconds / r.peak.flops) : "",
                       double(k.call.bytes) / 1024, name, 100 * least / k.seconds, k.call.what);
    }
  }
  return s + "of peak: by the multiply-adds that the machine did just before and after; of a kernel, by the best it did at the start\n"
             "limit: what bounds the kernel from below, and how much of its time that bound is\n";
}

std::string json(const BenchReport &r) {
  auto rate = [](const Rate &x, int64_t macs) {
    return nlohmann::ordered_json{{"examples_per_second", x.examples}, {"low", x.low}, {"high", x.high}, {"share_of_peak", share_of_peak(x, macs)}};
  };
  nlohmann::ordered_json j = {{"model", r.model},
                              {"target", r.target},
                              {"threads", r.threads},
                              {"count", r.count},
                              {"lanes", r.lanes},
                              {"forward_flops", 2 * r.macs},
                              {"training_flops", 2 * r.train_macs},
                              {"peak_gflops_core", r.peak.flops / 1e9},
                              {"peak_gflops", r.peak.flops_all / 1e9}};
  if (r.trains)
    j["training"] = rate(r.train, r.train_macs);
  j["inference"] = rate(r.infer, r.macs);
  j["one_image_seconds"] = 1 / r.one.examples;
  j["one_image_share_of_peak"] = share_of_peak(r.one, r.macs);
  j["kernels"] = nlohmann::ordered_json::array();
  for (const KernelTime &k : r.kernels) {
    auto [least, name] = limit(r, k);
    const double f = flops(r, k.call);
    j["kernels"].push_back({{"name", k.call.kernel},
                            {"op", k.call.what},
                            {"routine", k.call.routine},
                            {"graph", k.graph},
                            {"seconds", k.seconds},
                            {"share", k.share},
                            {"runs", k.runs},
                            {"flops", f},
                            {"gflops", f / k.seconds / 1e9},
                            {"share_of_peak", f / k.seconds / r.peak.flops},
                            {"bytes", k.call.bytes},
                            {"limit", name},
                            {"share_of_limit", least / k.seconds}});
  }
  return j.dump(1) + "\n";
}

// The format of Chrome's trace viewer: complete events, microseconds.
std::string trace(const BenchReport &r) {
  nlohmann::ordered_json j = {{"displayTimeUnit", "ns"}, {"traceEvents", nlohmann::ordered_json::array()}};
  for (const TraceEvent &e : r.events) {
    const CallInfo &c = r.calls[size_t(e.call)];
    j["traceEvents"].push_back({{"name", c.what},
                                {"cat", c.routine},
                                {"ph", "X"},
                                {"ts", e.start * 1e6},
                                {"dur", e.seconds * 1e6},
                                {"pid", 1},
                                {"tid", e.thread + 1},
                                {"args", {{"kernel", c.kernel}, {"flops", flops(r, c)}, {"bytes", c.bytes}}}});
  }
  return j.dump() + "\n";
}

int bench_model(const Options &o) {
  const Graph graph = build_model(read_model(o.model), o.overrides);
  BenchOptions options = o.bench;
  if (options.count > graph.batch)
    throw runtime::UsageError("--count is above the model's batch");
  if (!options.threads)
    options.threads = int(std::max(1u, std::thread::hardware_concurrency()));
  options.tuned = tuning_of(o.model, options.target, o.build);
  options.use_cache = !o.build.no_cache;
  const BenchReport report = bench(graph, options);
  if (!o.trace.empty())
    write_output(o.trace, trace(report));
  print_out(o.json ? json(report) : table(report));
  return kDone;
}

} // namespace

void add_bench(CLI::App &app, Action &action) {
  auto *command = app.add_subcommand("bench", "time a model: examples a second, each kernel's time and what limits it");
  command->footer(R"(Example:
  cnnc bench models/lenet.dsl --batch 256 --threads 1 --trace lenet.json
)");
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->model, "the file that describes the model")->required()->type_name("");
  command->add_option("--count", o->bench.count, "random examples a call [the model's batch]")->check(CLI::PositiveNumber)->type_name("N");
  command->add_option("--seconds", o->bench.seconds, "of each measurement [1]")->check(CLI::Range(0.01, 3600.0))->type_name("S");
  command->add_flag("--json", o->json, "print JSON instead of a table");
  command->add_option("--trace", o->trace, "write a trace for Chrome's viewer (chrome://tracing, Perfetto)")->type_name("FILE");
  add_threads_option(*command, o->bench.threads);
  add_conv_option(*command, o->bench.conv);
  add_override_options(*command, o->overrides);
  add_build_options(*command, o->build);
  command->callback([o, &action] { action = [o] { return bench_model(*o); }; });
}

} // namespace cnnc::commands
