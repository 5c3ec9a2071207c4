// `cnnc tune`: searches around the choices of the model of costs, and keeps what is faster beside the model.
#include "tune.h"

#include <fmt/format.h>
#include <memory>

#include "commands/common.h"
#include "commands/tuning.h"
#include "runtime/error.h"
#include "runtime/interrupt.h"

namespace cnnc::commands {
namespace {

using namespace runtime;

struct Options {
  std::string model;
  bool quiet = false;
  TuneOptions tune;
};

int tune_model(const Options &o) {
  const Graph graph = build_model(read_model(o.model), Overrides());
  const std::string file = tuning_file(o.model);
  Tuning tuning = read_tuning(file); // what other machines found stays
  TuneOptions options = o.tune;
  if (options.count > graph.batch)
    throw UsageError("--count is above the model's batch");
  const InterruptGuard guard;
  options.stop = [] { return InterruptGuard::requested(); };
  if (!o.quiet)
    options.progress = [](const std::string &line) { fmt::print(stderr, "{}\n", line); };
  const TuneReport r = tune(graph, options);
  if (r.labels.empty())
    tuning.erase(r.target);
  else
    tuning[r.target] = r.labels;
  write_output(file, tuning_text(tuning));
  print_out(fmt::format("{} for {}: {} trials around {} decisions{}\n"
                        "a step of {} examples, one thread: {:.1f} us by the model's choices, {:.1f} us tuned ({:+.1f} %)\n"
                        "{}: {} choices\n",
                        graph.name, r.target, r.trials, r.decisions, r.finished ? "" : ", not all there are", r.count, r.model * 1e6,
                        r.tuned * 1e6, 100 * (r.tuned / r.model - 1), file, r.labels.size()));
  return InterruptGuard::requested() ? kInterrupted : kDone;
}

} // namespace

void add_tune(CLI::App &app, Action &action) {
  auto *command = app.add_subcommand("tune", "time other tiles and algorithms than the model of costs chooses, and keep what is faster");
  command->footer(R"(Example:
  cnnc tune models/lenet.dsl --seconds 120                 models/lenet.tune, which the other commands read
)");
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->model, "the file that describes the model")->required()->type_name("");
  command->add_option("--seconds", o->tune.seconds, "no trial begins after this [60]")->check(CLI::Range(0.0, 1e6))->type_name("S");
  command->add_option("--count", o->tune.count, "random examples a step [the model's batch, 256 at most]")->check(CLI::PositiveNumber)->type_name("N");
  command->add_flag("-q,--quiet", o->quiet, "no progress");
  command->callback([o, &action] { action = [o] { return tune_model(*o); }; });
}

} // namespace cnnc::commands
