// A program that trains one model that is linked into it, then tests its best checkpoint.
// Build with -DCNNC_MODEL=lenet_model, the function of the generated library that gives the model's table, and
// with -DCNNC_MODEL_TEXT="models/lenet.dsl" to have the model's text copied into the run's folder.
#include "error.h"
#include "report.h"
#include "run_folder.h"
#include "trainer.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <new>

#ifndef CNNC_MODEL
#error "compile with -DCNNC_MODEL=<name>_model"
#endif
#ifndef CNNC_MODEL_TEXT
#define CNNC_MODEL_TEXT ""
#endif

extern "C" const cnnc_model *CNNC_MODEL(void);

namespace {

using namespace cnnc::runtime;

void report(const cnnc_model &model, const TrainOptions &options, const TrainResult &result) {
  const std::string &folder = options.folder;
  fmt::print("trained {} for {} epochs; the best is epoch {} with loss {:.4f}\n", model.name, result.epochs, result.best_epoch,
             result.best_loss);
  const RunInfo info = read_run(folder);
  if (has_test_part(info.data)) {
    Net net(model, Mode::infer, options.threads, 0);
    load_parameters(net, join(folder, "best.ckpt"));
    fmt::print("\ntest of the best epoch\n{}", evaluation_text(evaluate(net, load_dataset(info.data, Part::test, model))));
  }
  fmt::print("\nresults are in {}: best.ckpt, last.ckpt, metrics.jsonl\n", folder);
  if (info.model_text.empty()) return; // the commands compile model.dsl
  fmt::print("try next:\n  cnnc eval {0}\n  cnnc predict {0} test:17\n  cnnc predict {0} image.png\n"
             "  cnnc train --resume {0} --epochs {1}\n",
             folder, 2 * result.epochs);
}

int run(int argc, char **argv) {
  const cnnc_model &model = *CNNC_MODEL();
  TrainOptions options;
  std::string resume, text_file = CNNC_MODEL_TEXT;
  CLI::App app(fmt::format("trains {} ({} parameters, compiled for {})", model.name, model.parameter_count, model.target));
  app.add_option("--data", options.data, "fashion-mnist, a folder of IDX or .npy files, or images.npy,labels.npy [fashion-mnist]");
  app.add_option("--epochs", options.epochs, "how often to see every image [10]");
  app.add_option("--batch", options.batch, fmt::format("images a step, at most {0} [{0}]", model.batch));
  app.add_option("--seed", options.seed, "of the parameters, the order and the split [0]");
  app.add_option("--threads", options.threads, "0: all processors; the result does not depend on it [0]")->check(CLI::NonNegativeNumber);
  app.add_option("--validation", options.validation, "a fraction or a count of the training images [0.1]");
  app.add_flag("--quiet,-q", options.quiet, "no progress");
  app.add_option("--model-text", text_file, "the file that the model was compiled from, copied to the folder");
  auto *output = app.add_option("--output,-o", options.folder, fmt::format("the run's folder [runs/{}]", model.name));
  app.add_option("--resume", resume, "go on with the run in this folder")->excludes(output);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  options.resume = !resume.empty();
  if (options.resume) options.folder = resume;
  if (options.folder.empty()) options.folder = fmt::format("runs/{}", model.name);
  options.resume_command = fmt::format("{} --resume", argv[0]);
  report(model, options, train(model, text_file.empty() ? "" : read_text(text_file), options));
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  try {
    return run(argc, argv);
  } catch (const Error &e) {
    fmt::print(stderr, "error: {}\n", e.what());
    return e.exit_code;
  } catch (const std::bad_alloc &) {
    fmt::print(stderr, "error: no memory\n");
    return 3;
  } catch (const std::exception &e) {
    fmt::print(stderr, "error: {}\n", e.what());
    return 3;
  }
}
