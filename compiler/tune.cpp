// Algorithms are tried one after the other, by the time of whole steps; then the schedules of all kernels at once, each
// kernel by its own time, since one kernel's schedule does not touch another's. Steps of the trial and of what it is
// compared with alternate, so that a machine that slows down slows both.
#include "tune.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <memory>
#include <random>

#include "../runtime/aligned_bytes.h"
#include "../runtime/cnnc_model.h"
#include "codegen/object.h"
#include "compile.h"

namespace cnnc {

namespace {
using Clock = std::chrono::steady_clock;
using Labels = std::map<std::string, std::string>;

constexpr size_t kAlternatives = 4; // of a decision, the cheapest by the model
// What counts as faster: by this share of the time, above what medians of equal code differ by.
constexpr double kKernelGain = 0.03, kStepGain = 0.015;
constexpr double kTrialSeconds = 0.6;
constexpr double kAlgorithmShare = 0.6; // of the time; the rest is left for the schedules
constexpr size_t kLeastSteps = 9, kMostSteps = 400;

double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + std::ptrdiff_t(v.size() / 2), v.end());
  return v[v.size() / 2];
}

// Where the instrumented code of the step that runs puts its times: the step has one thread.
struct Watch {
  std::vector<double> seconds; // by call
  Clock::time_point last;
} *watch = nullptr;

void tick(int call, const void *) {
  const auto now = Clock::now();
  if (call >= 0)
    watch->seconds[size_t(call)] += std::chrono::duration<double>(now - watch->last).count();
  watch->last = Clock::now();
}

struct Examples {
  int count;
  std::vector<float> images, target_images;
  std::vector<uint8_t> labels8;
  std::vector<uint16_t> labels16;
};

// One set of choices, compiled, loaded and started.
class Trial {
public:
  Labels labels;
  std::vector<Decision> decisions;
  std::vector<double> steps;                          // seconds of each
  std::map<std::string, std::vector<double>> kernels; // of each step, by the kernel's key

  Trial(const Graph &graph, const std::string &target, Labels chosen) : labels(std::move(chosen)) {
    CompileOptions options;
    options.target = "host";
    options.instrument = true;
    options.tuned[target] = labels;
    Compiled c = compile(graph, options);
    decisions = std::move(c.decisions);
    for (const CallInfo &call : c.calls)
      keys_.push_back(call.decisions);
    model = load_object(c.text.at("obj"), c.info.name, {{kTickSymbol, reinterpret_cast<void *>(&tick)}});
    const bool trains = model->train_bytes != nullptr;
    const size_t bytes = size_t(trains ? model->train_bytes(1) : model->infer_bytes(1));
    memory_ = runtime::AlignedBytes(bytes, model->alignment);
    if ((trains ? model->init : model->init_inference)(&net_, memory_.data(), bytes, 1, 1) != CNNC_OK)
      throw GraphError{"tune: the model does not start"};
  }
  ~Trial() {
    if (net_)
      model->destroy(net_);
  }
  Trial(const Trial &) = delete;
  Trial &operator=(const Trial &) = delete;

  // Gradients and not an update: the parameters stay as they are, and random examples do no harm.
  void step(const Examples &e) {
    Watch own{std::vector<double>(keys_.size()), Clock::now()};
    watch = &own;
    const auto start = Clock::now();
    outputs_.resize(size_t(e.count) * model->output_size);
    if (model->gradients) {
      const void *targets = model->target_kind == CNNC_LABELS_U8    ? static_cast<const void *>(e.labels8.data())
                            : model->target_kind == CNNC_LABELS_U16 ? static_cast<const void *>(e.labels16.data())
                                                                    : e.target_images.data();
      need(model->gradients(net_, e.images.data(), CNNC_F32, targets, e.count, nullptr));
    }
    need(model->predict(net_, e.images.data(), CNNC_F32, e.count, outputs_.data()));
    steps.push_back(since(start));
    std::map<std::string, double> sums;
    for (size_t i = 0; i < keys_.size(); i++)
      if (!keys_[i].empty())
        sums[keys_[i]] += own.seconds[i];
    for (const auto &[key, seconds] : sums)
      kernels[key].push_back(seconds);
  }
  void forget() { steps.clear(), kernels.clear(); }
  const cnnc_model *model = nullptr;

private:
  static void need(cnnc_status s) {
    if (s != CNNC_OK && s != CNNC_NOT_FINITE) // deep nets may overflow on random examples; the time is the same
      throw GraphError{fmt::format("tune: a call gives status {}", int(s))};
  }
  std::vector<std::string> keys_; // by call
  cnnc_net *net_ = nullptr;
  runtime::AlignedBytes memory_;
  std::vector<float> outputs_;
};

Examples random_examples(const cnnc_model &m, int count) {
  Examples e;
  e.count = count;
  std::mt19937 random(1);
  std::uniform_real_distribution<float> pixel(0, 1);
  for (uint64_t i = 0; i < m.input_size * uint64_t(count); i++)
    e.images.push_back(pixel(random));
  for (uint64_t i = 0; i < m.target_size * uint64_t(count); i++)
    e.target_images.push_back(pixel(random));
  for (int i = 0; i < count; i++) {
    e.labels16.push_back(uint16_t(m.classes ? random() % m.classes : 0));
    e.labels8.push_back(uint8_t(e.labels16.back()));
  }
  return e;
}

// Alternating steps of both, after one of each to warm up.
void race(Trial &a, Trial &b, const Examples &examples) {
  for (Trial *t : {&a, &b}) {
    t->step(examples);
    t->forget();
  }
  const auto start = Clock::now();
  for (size_t n = 0; n < kLeastSteps || (n < kMostSteps && since(start) < kTrialSeconds); n++) {
    (n % 2 ? b : a).step(examples);
    (n % 2 ? a : b).step(examples);
  }
}

bool is_algorithm(const Decision &d) { return d.key.compare(0, 10, "algorithm.") == 0; }
std::string kernel_of(const Decision &d) { return d.key.substr(0, d.key.rfind('.')); }

// The cheapest candidates beside the one that was taken.
std::vector<std::string> alternatives(const Decision &d) {
  std::vector<const Candidate *> all;
  for (size_t i = 0; i < d.candidates.size(); i++)
    if (i != d.taken)
      all.push_back(&d.candidates[i]);
  std::stable_sort(all.begin(), all.end(), [](const Candidate *a, const Candidate *b) { return a->cost < b->cost; });
  std::vector<std::string> labels;
  for (size_t i = 0; i < all.size() && i < kAlternatives; i++)
    labels.push_back(all[i]->label);
  return labels;
}

class Search {
public:
  Search(const Graph &graph, const TuneOptions &options) : graph_(graph), options_(options), start_(Clock::now()) {}

  TuneReport run() {
    TuneReport r;
    r.target = target_list("host");
    target_ = r.target;
    const auto model = std::make_shared<Trial>(graph_, target_, Labels());
    best_ = model;
    examples_ = random_examples(*model->model, options_.count ? options_.count : int(std::min<uint32_t>(model->model->batch, 256)));
    r.count = examples_.count;
    r.decisions = int(model->decisions.size());
    const bool algorithms = try_algorithms();
    r.finished = try_schedules() && algorithms;
    r.trials = trials_;
    // The whole of it against the model's own choice: gains of single kernels need not add up.
    const std::shared_ptr<Trial> tuned = best_; // the same one where nothing was better
    model->forget(), tuned->forget();
    race(*model, *tuned, examples_);
    r.model = median(model->steps);
    r.tuned = median(tuned->steps);
    if (!tuned->labels.empty() && r.tuned < r.model)
      r.labels = tuned->labels;
    else
      r.tuned = r.model;
    return r;
  }

private:
  bool over(double share = 1) const { return options_.stop() || since(start_) > share * options_.seconds; }
  void say(const std::string &line) const {
    if (options_.progress)
      options_.progress(fmt::format("{:5.1f} s  {}", since(start_), line));
  }
  std::shared_ptr<Trial> trial(const Labels &labels) {
    trials_++;
    auto t = std::make_shared<Trial>(graph_, target_, labels);
    best_->forget();
    race(*best_, *t, examples_);
    return t;
  }

  bool try_algorithms() {
    const std::vector<Decision> decisions = best_->decisions;
    for (const Decision &d : decisions) {
      if (!is_algorithm(d))
        continue;
      for (const std::string &label : alternatives(d)) {
        if (over(kAlgorithmShare))
          return false;
        Labels labels = best_->labels;
        labels[d.key] = label;
        auto t = trial(labels);
        const double gain = 1 - median(t->steps) / median(best_->steps);
        const bool better = gain > kStepGain;
        say(fmt::format("{} = {}: the step takes {:+.1f} %{}", d.key, label, -100 * gain, better ? ", taken" : ""));
        if (better)
          best_ = std::move(t);
      }
    }
    return true;
  }

  bool try_schedules() {
    // Of each kernel, what else there is to try: one decision changed at a time.
    struct Choice {
      std::string decision, label;
    };
    std::map<std::string, std::vector<Choice>> choices;
    size_t rounds = 0;
    for (const Decision &d : best_->decisions)
      if (!is_algorithm(d)) {
        auto &of_kernel = choices[kernel_of(d)];
        for (const std::string &label : alternatives(d))
          of_kernel.push_back({d.key, label});
        rounds = std::max(rounds, of_kernel.size());
      }
    std::map<std::string, double> gain; // the largest of each kernel
    Labels taken = best_->labels;
    bool all = true;
    for (size_t r = 0; r < rounds && all; r++) {
      if (over()) {
        all = false;
        break;
      }
      Labels labels = best_->labels;
      for (const auto &[kernel, list] : choices)
        if (r < list.size())
          labels[list[r].decision] = list[r].label;
      auto t = trial(labels);
      int better = 0;
      for (const auto &[kernel, list] : choices) {
        if (r >= list.size() || !t->kernels.count(kernel) || !best_->kernels.count(kernel))
          continue;
        const double g = 1 - median(t->kernels.at(kernel)) / median(best_->kernels.at(kernel));
        if (g < kKernelGain || g <= gain[kernel])
          continue;
        for (const Choice &c : list) // one change a kernel
          taken.erase(c.decision);
        taken[list[r].decision] = list[r].label;
        gain[kernel] = g;
        better++;
      }
      say(fmt::format("schedules, round {} of {}: better for {} of {} kernels", r + 1, rounds, better, choices.size()));
    }
    if (taken != best_->labels)
      best_ = std::make_shared<Trial>(graph_, target_, taken);
    return all;
  }

  const Graph &graph_;
  const TuneOptions &options_;
  Clock::time_point start_;
  std::string target_;
  Examples examples_;
  std::shared_ptr<Trial> best_;
  int trials_ = 0;
};
} // namespace

TuneReport tune(const Graph &graph, const TuneOptions &options) { return Search(graph, options).run(); }

} // namespace cnnc
