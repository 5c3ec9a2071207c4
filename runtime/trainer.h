// The training loop: epochs, validation, checkpoints, metrics. A run that is stopped at any moment and resumed
// ends with the same parameters and best checkpoint, bit for bit, as one that was not.
#ifndef CNNC_RUNTIME_TRAINER_H
#define CNNC_RUNTIME_TRAINER_H

#include "cnnc_model.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cnnc::runtime {

// An option left out takes its default, or on resuming what the run was started with. A resumed run refuses
// another batch, seed or validation; more epochs, other threads, and a moved data set (of the same bytes) are well.
struct TrainOptions {
  std::string folder; // output
  bool resume = false;
  std::optional<std::string> data;     // default fashion-mnist; see load_dataset
  std::optional<std::uint32_t> epochs; // default 10
  std::optional<std::uint32_t> batch;  // default and most: the model's
  std::optional<std::uint64_t> seed;   // default 0
  std::optional<double> validation;    // below 1: a fraction, else a count; default 0.1; 0: none
  int threads = 0;                     // 0: all processors
  double checkpoint_seconds = 30;      // 0: not by time
  std::uint64_t checkpoint_steps = 0;  // 0: not by steps
  bool quiet = false;
  std::map<std::string, std::string> overrides;       // kept in run.json for the commands that compile model.dsl
  std::map<std::string, std::string> files;           // more texts that a new run keeps in its folder, by name
  std::string resume_command = "cnnc train --resume"; // what a message tells the user to type before the folder
};

// One epoch, as a line of metrics.jsonl. Losses are means over the examples, whatever the model's reduction.
struct EpochMetrics {
  std::uint32_t epoch = 0; // from 1
  double train_loss = 0;
  std::optional<double> train_accuracy; // running, while the parameters move; none with target images
  std::optional<double> validation_loss, validation_accuracy;
  double seconds = 0, images_per_second = 0; // of training without validation
  bool best = false;                         // lowest validation loss so far; train loss where nothing validates
};

struct TrainResult {
  std::uint32_t epochs = 0, best_epoch = 0;
  double best_loss = 0;
  std::vector<EpochMetrics> history; // all epochs, those before a resume included
};

// Trains `model` and writes options.folder; `model_text` goes to model.dsl (empty: none is written).
// Throws UsageError, InputError (data; a loss that is not finite), SystemError, Interrupted (after SIGINT,
// SIGTERM or SIGHUP, with last.ckpt written).
TrainResult train(const cnnc_model &model, const std::string &model_text, const TrainOptions &options);

} // namespace cnnc::runtime
#endif
