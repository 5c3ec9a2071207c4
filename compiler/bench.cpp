// Times a compiled model: whole calls as a user makes them, then each kernel.
#include "bench.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <random>

#include "../runtime/aligned_bytes.h"
#include "../runtime/cnnc_model.h"
#include "codegen/object.h"
#include "library.h"

namespace cnnc {
namespace {

using Clock = std::chrono::steady_clock;

// What the instrumented routines report. A thread's times stand in its own log; a log outlives its thread.
struct Log {
  int thread = 0;
  Clock::time_point last;
  std::vector<double> seconds;
  std::vector<int64_t> runs;
  std::vector<TraceEvent> events;
};

struct Recorder {
  std::mutex mutex;
  std::vector<std::unique_ptr<Log>> logs;
  size_t calls = 0, events_left = 0;
  Clock::time_point start;
} recorder;

thread_local Log *own_log = nullptr;

// -1 begins a routine; a call's number says that it has ended.
void tick(int call, const void *) {
  if (!own_log) {
    std::lock_guard<std::mutex> lock(recorder.mutex);
    recorder.logs.push_back(std::make_unique<Log>());
    own_log = recorder.logs.back().get();
    own_log->thread = int(recorder.logs.size()) - 1;
  }
  Log &log = *own_log;
  if (log.seconds.size() != recorder.calls) {
    log.seconds.assign(recorder.calls, 0);
    log.runs.assign(recorder.calls, 0);
  }
  const auto now = Clock::now();
  if (call >= 0) {
    const double seconds = std::chrono::duration<double>(now - log.last).count();
    log.seconds[size_t(call)] += seconds;
    log.runs[size_t(call)]++;
    if (log.events.size() < recorder.events_left)
      log.events.push_back({call, log.thread, std::chrono::duration<double>(log.last - recorder.start).count(), seconds});
  }
  log.last = Clock::now();
}

// A started model with a batch of random examples.
class Bench {
public:
  Bench(const cnnc_model *model, int threads, int count) : model_(model), count_(count) {
    const bool trains = model->train_bytes != nullptr;
    const size_t bytes = size_t(trains ? model->train_bytes(threads) : model->infer_bytes(threads));
    memory_ = runtime::AlignedBytes(bytes, model->alignment);
    if ((trains ? model->init : model->init_inference)(&net_, memory_.data(), bytes, threads, 1) != CNNC_OK)
      throw GraphError{"bench: the model does not start"};
    std::mt19937 random(1);
    std::uniform_real_distribution<float> pixel(0, 1);
    images_.resize(size_t(count) * model->input_size);
    for (float &x : images_)
      x = pixel(random);
    target_images_.resize(size_t(count) * model->target_size);
    for (float &x : target_images_)
      x = pixel(random);
    for (int i = 0; i < count; i++) {
      labels8_.push_back(uint8_t(model->classes ? random() % std::min<uint32_t>(model->classes, 256) : 0));
      labels16_.push_back(uint16_t(model->classes ? random() % model->classes : 0));
    }
    outputs_.resize(size_t(count) * model->output_size);
  }
  ~Bench() {
    if (net_)
      model_->destroy(net_);
  }
  Bench(const Bench &) = delete;

  void train() {
    const void *targets = model_->target_kind == CNNC_LABELS_U8    ? static_cast<const void *>(labels8_.data())
                          : model_->target_kind == CNNC_LABELS_U16 ? static_cast<const void *>(labels16_.data())
                                                                   : target_images_.data();
    const cnnc_status s = model_->train_step(net_, images_.data(), CNNC_F32, targets, count_, nullptr);
    // The values do not matter here, and random ones may diverge: start again.
    if (s == CNNC_NOT_FINITE)
      throw GraphError{"bench: the model diverges on random examples; lower the learning rate with --optimizer"};
    need(s);
  }
  void predict(int count) { need(model_->predict(net_, images_.data(), CNNC_F32, count, outputs_.data())); }

private:
  static void need(cnnc_status s) {
    if (s != CNNC_OK)
      throw GraphError{"bench: a call failed"};
  }
  const cnnc_model *model_;
  int count_;
  cnnc_net *net_ = nullptr;
  runtime::AlignedBytes memory_;
  std::vector<float> images_, target_images_, outputs_;
  std::vector<uint8_t> labels8_;
  std::vector<uint16_t> labels16_;
};

constexpr int kSlices = 20;

// Single calls of `count` examples, after some to warm up. Between slices of the time the peak is measured: others may use the machine,
// and its clock changes. `threads`: as many take part, or 0 where only the calls are wanted.
template <class F>
Rate rate_of(double seconds, int count, int threads, F call) {
  auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  const auto warm = Clock::now();
  do
    call();
  while (since(warm) < seconds / 5);
  std::vector<double> all, possible;
  double spent = 0, before = threads ? flops_now(threads) : 0;
  while (all.size() < 3 || spent < seconds) {
    const size_t first = all.size();
    const auto begin = Clock::now();
    do {
      const auto start = Clock::now();
      call();
      all.push_back(since(start));
    } while (since(begin) < seconds / kSlices);
    spent += since(begin);
    const double after = threads ? flops_now(threads) : 0;
    for (size_t i = first; i < all.size(); i++)
      possible.push_back(all[i] * (before + after) / 2);
    before = after;
  }
  std::sort(all.begin(), all.end());
  std::sort(possible.begin(), possible.end());
  const size_t n = all.size();
  return {count / all[n / 2], count / all[n * 3 / 4], count / all[n / 4], possible[n / 2] / count};
}

} // namespace

BenchReport bench(const Graph &forward, const BenchOptions &options) {
  BenchReport r;
  CompileOptions plain;
  plain.target = options.target;
  plain.conv = options.conv;
  plain.tuned = options.tuned;
  const Library c = compile_library(forward, plain, options.use_cache);
  const cnnc_model *model = load_object(c.object, c.name);
  r.model = c.name;
  r.target = c.target;
  r.trains = c.trains;
  r.threads = options.threads;
  r.lanes = c.lanes;
  r.count = options.count ? options.count : int(model->batch);
  r.peak = measure_peak(options.threads);
  {
    Bench all(model, options.threads, r.count), one(model, 1, 1);
    if (r.trains)
      r.train = rate_of(options.seconds, r.count, options.threads, [&] { all.train(); });
    r.infer = rate_of(options.seconds, r.count, options.threads, [&] { all.predict(r.count); });
    r.one = rate_of(std::min(options.seconds, 0.5), 1, 1, [&] { one.predict(1); });
  }

  CompileOptions instrumented = plain;
  instrumented.instrument = true;
  const Library watched = compile_library(forward, instrumented, options.use_cache);
  const cnnc_model *slow = load_object(watched.object, watched.name, {{kTickSymbol, reinterpret_cast<void *>(&tick)}});
  r.calls = watched.calls;
  for (const CallInfo &call : r.calls) {
    r.macs += call.routine == "infer" ? call.macs : 0;
    r.train_macs += call.routine == "train" || call.routine == "train_kept" ? call.macs : 0;
  }
  for (const std::string graph : {"training", "inference", "one image"}) {
    const bool training = graph == "training", single = graph == "one image";
    if (training && !r.trains)
      continue;
    recorder.calls = 0; // a log of other calls starts anew
    recorder.logs.clear();
    own_log = nullptr;
    recorder.calls = r.calls.size();
    recorder.events_left = training || (!r.trains && !single) ? 20000 : 0;
    recorder.start = Clock::now();
    {
      Bench some(slow, single ? 1 : options.threads, single ? 1 : r.count);
      rate_of(single ? std::min(options.seconds, 0.5) : options.seconds, 1, 0, [&] { training ? some.train() : some.predict(single ? 1 : r.count); });
    }
    std::vector<KernelTime> kernels;
    double total = 0;
    for (size_t i = 0; i < r.calls.size(); i++) {
      KernelTime k;
      k.call = r.calls[i];
      k.graph = graph;
      for (const auto &log : recorder.logs)
        if (i < log->seconds.size()) {
          k.seconds += log->seconds[i];
          k.runs += log->runs[i];
        }
      total += k.seconds;
      k.share = k.seconds;
      if (k.runs)
        kernels.push_back(k);
    }
    for (KernelTime &k : kernels) {
      k.share /= total;
      k.seconds /= double(k.runs);
      r.kernels.push_back(k);
    }
    for (const auto &log : recorder.logs)
      r.events.insert(r.events.end(), log->events.begin(), log->events.end());
  }
  recorder.logs.clear();
  own_log = nullptr;
  return r;
}

} // namespace cnnc
