// `cnnc train`: compiles the model into this process and trains it.
#include <fmt/format.h>
#include <memory>

#include "commands/common.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/report.h"
#include "runtime/run_folder.h"
#include "runtime/trainer.h"

namespace cnnc::commands {
namespace {

using namespace runtime;

struct Options {
  std::string model, resume;
  Overrides overrides;
  TrainOptions train;
  BuildOptions build;
};

std::string report(const cnnc_model &model, const TrainOptions &options, const TrainResult &result) {
  const std::string &folder = options.folder;
  std::string text = fmt::format("trained {} for {} epochs; the best is epoch {} with loss {:.4f}\n", model.name, result.epochs,
                                 result.best_epoch, result.best_loss);
  const std::string data = read_run(folder).data;
  if (has_test_part(data)) {
    Net net(model, Mode::infer, options.threads, 0);
    load_parameters(net, join(folder, "best.ckpt"));
    text += "\ntest of the best epoch\n" + evaluation_text(evaluate(net, load_dataset(data, Part::test, model)));
  }
  const bool labels = model.target_kind != CNNC_TARGET_IMAGE;
  return text + fmt::format("\nresults are in {0}: best.ckpt, last.ckpt, metrics.jsonl\ntry next:\n  cnnc eval {0}\n"
                            "  cnnc predict {0} {1}\n  cnnc train --resume {0} --epochs {2}\n",
                            folder, labels ? "image.png" : "image.npy", 2 * result.epochs);
}

void check(const Options &o) {
  const bool resumes = !o.resume.empty();
  if (resumes == !o.model.empty())
    throw UsageError(resumes ? "--resume takes the model of the run; leave MODEL out" : "MODEL or --resume RUN is required");
  if (!resumes)
    return;
  if (!o.train.folder.empty())
    throw UsageError("--resume writes to the run's own folder; leave --output out");
  if (!o.overrides.optimizer.empty() || !o.overrides.init.empty())
    throw UsageError("a resumed run keeps its optimizer and start; leave --optimizer and --init out");
}

int train_model(const Options &o) {
  check(o);
  TrainOptions options = o.train;
  if (o.overrides.batch)
    options.batch = uint32_t(*o.overrides.batch);
  const cnnc_model *model;
  std::string text;
  if (o.resume.empty()) {
    const Source source = read_model(o.model);
    model = load_model(source, o.overrides, o.build);
    text = source.text();
    // Beside the run's text too: its other commands compile what was trained.
    if (const std::string tuning = tuning_file(o.model); !o.build.no_tune && file_exists(tuning))
      options.files["model.tune"] = read_text(tuning);
    options.overrides = kept(o.overrides);
    if (options.folder.empty())
      options.folder = fmt::format("runs/{}", model->name);
  } else {
    options.folder = o.resume;
    options.resume = true;
    model = open_run(o.resume, o.build).model;
  }
  const TrainResult result = train(*model, text, options);
  print_out(report(*model, options, result));
  return kDone;
}

} // namespace

void add_train(CLI::App &app, Action &action) {
  auto *command = app.add_subcommand("train", "train a model, or go on with a run");
  command->footer(R"(Examples:
  cnnc train models/lenet.dsl --data fashion-mnist --epochs 10 -o runs/lenet
  cnnc train --resume runs/lenet --epochs 20
)");
  auto o = std::make_shared<Options>();
  TrainOptions &t = o->train;
  command->add_option("MODEL", o->model, "the file that describes the model")->type_name("");
  command->add_option("--data", t.data, "fashion-mnist, a folder of IDX or .npy files, or images.npy,labels.npy [fashion-mnist]")
      ->type_name("DATA");
  command->add_option("--epochs", t.epochs, "how often to see every image [10]")->check(at_least(1))->type_name("N");
  command->add_option("-o,--output", t.folder, "the run's folder [runs/<name of the model>]")->type_name("FOLDER");
  add_override_options(*command, o->overrides);
  command->add_option("--seed", t.seed, "of the parameters, the order and the split [0]")->type_name("N");
  add_threads_option(*command, t.threads);
  command->add_option("--validation", t.validation, "a fraction or a count of the training images [0.1]")->type_name("X");
  command->add_option("--resume", o->resume, "go on with the run in this folder, from its last step")->type_name("RUN");
  add_build_options(*command, o->build);
  command->add_flag("-q,--quiet", t.quiet, "no progress");
  command->callback([o, &action] { action = [o] { return train_model(*o); }; });
}

} // namespace cnnc::commands
