// `cnnc predict`: what a run's network says of images.
#include <fmt/format.h>
#include <memory>

#include "commands/common.h"
#include "runtime/report.h"

namespace cnnc::commands {
namespace {

using namespace runtime;

struct Options {
  std::string run, what, data, checkpoint;
  int threads = 0;
  BuildOptions build;
};

int predict_with_run(const Options &o) {
  const Run run = open_run(o.run, o.build);
  const std::string data = o.data.empty() ? run.data : o.data;
  Net net(*run.model, Mode::infer, o.threads, 0);
  load_parameters(net, run.checkpoint(o.checkpoint));
  print_out(predictions_text(*run.model, predict(net, o.what, data), class_names(data, *run.model)));
  return kDone;
}

} // namespace

void add_predict(CLI::App &app, Action &action) {
  auto *command = app.add_subcommand("predict", "what a run's network says of a picture, an array or an item of the data");
  command->footer(R"(Examples:
  cnnc predict runs/lenet test:17
  cnnc predict runs/lenet shoe.png
)");
  auto o = std::make_shared<Options>();
  command->add_option("RUN", o->run, "the folder that 'cnnc train' wrote")->required()->type_name("");
  command->add_option("WHAT", o->what, "a .png or .npy file, or an item of the data set such as test:17")
      ->required()
      ->allow_extra_args(false) // a nested list is one argument
      ->type_name("");
  command->add_option("--data", o->data, "as for train [what the run was trained with]")->type_name("DATA");
  add_checkpoint_option(*command, o->checkpoint);
  add_threads_option(*command, o->threads);
  add_build_options(*command, o->build);
  command->callback([o, &action] { action = [o] { return predict_with_run(*o); }; });
}

} // namespace cnnc::commands
