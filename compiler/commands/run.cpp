// `cnnc run`: one forward pass, printed as nested lists.
#include <fmt/format.h>
#include <memory>

#include "commands/common.h"
#include "runtime/report.h"
#include "runtime/tensor_text.h"

namespace cnnc::commands {
namespace {

using namespace runtime;

struct Options {
  std::string model, input, weights;
  Overrides overrides;
  BuildOptions build;
  uint64_t seed = 0;
  int threads = 0;
};

int run_model(const Options &o) {
  const cnnc_model &model = *load_model(read_model(o.model), o.overrides, o.build);
  const Dataset inputs = load_inputs(o.input, model);
  Net net(model, Mode::infer, o.threads, o.seed);
  if (!o.weights.empty())
    load_parameters(net, o.weights);
  std::string text;
  for (const Prediction &p : predict_inputs(net, inputs))
    text += format_nested(p.output.data(), model.output_shape, model.output_rank) + "\n";
  print_out(text);
  return kDone;
}

} // namespace

void add_run(CLI::App &app, Action &action) {
  auto *command = app.add_subcommand("run", "one forward pass: print the output for an input");
  command->footer(R"(Examples:
  cnnc run models/edge_detector.dsl --input edges.npy
  cnnc run models/edge_detector.dsl --input '[[[1,1,0,0,0,0,1,1], [1,1,0,0,0,0,1,1], [1,1,0,0,0,0,1,1],
                                               [1,1,0,0,0,0,1,1], [1,1,0,0,0,0,1,1], [1,1,0,0,0,0,1,1]]]'
)");
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->model, "the file that describes the model")->required()->type_name("");
  command->add_option("--input", o->input, "nested lists like '[[[1, 0], [0, 1]]]', or a .npy or .png file")
      ->required()
      ->allow_extra_args(false) // a nested list is one argument
      ->type_name("X");
  command->add_option("--weights", o->weights, "a checkpoint of a run, instead of how the model starts")->type_name("FILE");
  command->add_option("--seed", o->seed, "of the parameters that the model does not give [0]")->type_name("N");
  command->add_option("--init", o->overrides.init, "how parameters start, instead of the model's")->type_name("TEXT");
  add_threads_option(*command, o->threads);
  add_build_options(*command, o->build);
  command->callback([o, &action] { action = [o] { return run_model(*o); }; });
}

} // namespace cnnc::commands
