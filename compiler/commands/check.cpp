// `cnnc check`: compiled gradients against finite differences.
#include "check.h"

#include <memory>

#include "commands/common.h"
#include "runtime/error.h"

namespace cnnc::commands {
namespace {

struct Options {
  std::string model;
  Overrides overrides;
  CheckOptions check;
  BuildOptions build;
};

int check_model(const Options &o) {
  const Graph graph = build_model(read_model(o.model), o.overrides);
  if (graph.loss == kNoValue)
    throw runtime::InputError(o.model + ": the model has no loss, so there are no gradients to check");
  CheckOptions options = o.check;
  if (options.count > graph.batch)
    throw runtime::UsageError("--count is above the model's batch");
  options.tuned = tuning_of(o.model, options.target, o.build);
  options.use_cache = !o.build.no_cache;
  const CheckReport report = check_gradients(graph, options);
  print_out(check_text(report));
  return report.ok ? kDone : kInput;
}

} // namespace

void add_check(CLI::App &app, Action &action) {
  auto *command = app.add_subcommand("check", "compare the compiled gradients of a model with finite differences");
  command->footer(R"(Example:
  cnnc check models/lenet.dsl --samples 4
)");
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->model, "the file that describes the model")->required()->type_name("");
  command->add_option("--samples", o->check.samples, "parameters of each tensor whose difference is taken [12]")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  command->add_option("--count", o->check.count, "random examples in the batch [5]")->check(CLI::PositiveNumber)->type_name("N");
  command->add_option("--seed", o->check.seed, "of parameters, examples and samples [1]")->type_name("N");
  add_conv_option(*command, o->check.conv);
  add_override_options(*command, o->overrides);
  add_build_options(*command, o->build);
  command->callback([o, &action] { action = [o] { return check_model(*o); }; });
}

} // namespace cnnc::commands
