// `cnnc eval`: loss and accuracy of a run on the test images.
#include <fmt/format.h>
#include <memory>

#include "commands/common.h"
#include "runtime/report.h"

namespace cnnc::commands {
namespace {

using namespace runtime;

struct Options {
  std::string run, data, checkpoint;
  int threads = 0;
  BuildOptions build;
  bool json = false;
};

int evaluate_run(const Options &o) {
  const Run run = open_run(o.run, o.build);
  Net net(*run.model, Mode::infer, o.threads, 0);
  load_parameters(net, run.checkpoint(o.checkpoint));
  const Evaluation evaluation = evaluate(net, load_dataset(o.data.empty() ? run.data : o.data, Part::test, *run.model));
  print_out(o.json ? evaluation_json(evaluation) + "\n" : evaluation_text(evaluation));
  return kDone;
}

} // namespace

void add_eval(CLI::App &app, Action &action) {
  auto *command = app.add_subcommand("eval", "loss, accuracy and confusion matrix of a run on the test images");
  command->footer(R"(Example:
  cnnc eval runs/lenet --checkpoint last
)");
  auto o = std::make_shared<Options>();
  command->add_option("RUN", o->run, "the folder that 'cnnc train' wrote")->required()->type_name("");
  command->add_option("--data", o->data, "as for train [what the run was trained with]")->type_name("DATA");
  add_checkpoint_option(*command, o->checkpoint);
  command->add_flag("--json", o->json, "one JSON object on one line");
  add_threads_option(*command, o->threads);
  add_build_options(*command, o->build);
  command->callback([o, &action] { action = [o] { return evaluate_run(*o); }; });
}

} // namespace cnnc::commands
