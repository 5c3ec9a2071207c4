// The training loop. Order at an epoch's end: best.ckpt, metrics.jsonl, last.ckpt; a run that is killed between
// two of them goes on from the older last.ckpt and writes the same bytes again.
#include "trainer.h"

#include "checkpoint.h"
#include "dataset.h"
#include "error.h"
#include "interrupt.h"
#include "measure.h"
#include "metrics.h"
#include "net.h"
#include "progress.h"
#include "random.h"
#include "run_folder.h"

#include <chrono>
#include <cmath>
#include <fmt/format.h>

namespace cnnc::runtime {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::uint32_t validation_count(double wanted, std::uint32_t examples) {
  if (!(wanted >= 0) || wanted >= examples)
    throw UsageError(fmt::format("validation {} of {} examples: expected a fraction below 1 or a count below {}", wanted, examples, examples));
  if (wanted >= 1 && wanted != std::floor(wanted)) throw UsageError(fmt::format("validation {}: a count must be whole", wanted));
  const auto count = static_cast<std::uint32_t>(wanted < 1 ? std::floor(wanted * examples + 0.5) : wanted);
  if (count >= examples) throw UsageError(fmt::format("validation {} leaves none of {} examples to train with", wanted, examples));
  return count;
}

// The checkpoint of a run that has not begun.
Checkpoint fresh_start(const cnnc_model &model, const TrainOptions &options, const std::string &spec, const Dataset &data) {
  Checkpoint c;
  c.model = model.name;
  c.fingerprint = model.fingerprint;
  c.epochs = options.epochs.value_or(10);
  c.batch = options.batch.value_or(model.batch);
  c.seed = options.seed.value_or(0);
  c.examples = data.count;
  c.validation = validation_count(options.validation.value_or(0.1), data.count);
  c.data_crc = data.crc;
  c.data = spec;
  if (c.epochs < 1) throw UsageError("epochs 0, expected at least 1");
  if (c.batch < 1 || c.batch > model.batch)
    throw UsageError(fmt::format("batch {}, expected 1 to {}, which the model was compiled for", c.batch, model.batch));
  return c;
}

template <class T>
void keep(const char *name, const std::optional<T> &wanted, const T &started) {
  if (wanted && *wanted != started)
    throw UsageError(fmt::format("{} {}: the run was started with {}, and a resumed run keeps it", name, *wanted, started));
}

void check_model(const Checkpoint &c, const cnnc_model &model, const std::string &file) {
  if (c.fingerprint != model.fingerprint)
    throw InputError(fmt::format("{}: of another model: {} with fingerprint {:016x}, this is {} with {:016x}", file, c.model,
                                 c.fingerprint, model.name, model.fingerprint));
  if (c.batch < 1 || c.batch > model.batch)
    throw InputError(fmt::format("{}: batch {}, this model was compiled for {}", file, c.batch, model.batch));
}

// A check sum finds damage; this finds values that no run could have written.
void check_place(const Checkpoint &c, const std::string &file) {
  const auto bad = [&](const char *what, std::uint64_t found, const char *bound, std::uint64_t limit) {
    throw InputError(fmt::format("{}: damaged checkpoint: {} {}, {} {}", file, what, found, bound, limit));
  };
  if (c.validation >= c.examples) bad("validation", c.validation, "expected fewer than the examples,", c.examples);
  const std::uint64_t trained = c.examples - c.validation, steps = (trained + c.batch - 1) / c.batch;
  if (c.epoch > c.epochs) bad("epoch", c.epoch, "expected at most", c.epochs);
  if (c.step >= steps) bad("step", c.step, "expected below", steps);
  if (c.step && c.epoch == c.epochs) bad("step", c.step, "of the epoch after the last,", c.epochs);
  if (c.seen != c.step * c.batch) bad("examples seen", c.seen, "expected", c.step * c.batch);
  if (c.correct > c.seen) bad("correct", c.correct, "expected at most", c.seen);
  if (c.best_epoch > c.epoch || (c.epoch && !c.best_epoch)) bad("best epoch", c.best_epoch, "expected 1 to", c.epoch);
  for (double value : {c.loss_sum, c.seconds, c.best_loss})
    if (!std::isfinite(value)) throw InputError(fmt::format("{}: damaged checkpoint: a sum is {}, expected a number", file, value));
}

void check_resumed(Checkpoint &c, const TrainOptions &options, const Dataset &data) {
  keep("batch", options.batch, c.batch);
  keep("seed", options.seed, c.seed);
  if (data.count != c.examples)
    throw InputError(fmt::format("{}: {} images, the run was started with {}", data.file, data.count, c.examples));
  if (data.crc != c.data_crc)
    throw InputError(fmt::format("{}: not the data that the run was started with: check sum {:08x}, expected {:08x}", data.file,
                                 data.crc, c.data_crc));
  if (options.validation) keep("validation", std::optional(validation_count(*options.validation, data.count)), c.validation);
  if (options.epochs) {
    const std::uint32_t begun = c.epoch + (c.step > 0);
    if (*options.epochs < begun) throw UsageError(fmt::format("epochs {}: the run is in epoch {} already", *options.epochs, begun));
    c.epochs = *options.epochs;
  }
}

class Training {
public:
  Training(const cnnc_model &model, const TrainOptions &options, RunFolder &folder, const Dataset &data, Checkpoint start)
      : options_(options), folder_(folder), data_(data), at_(std::move(start)), model_(model),
        net_(model, Mode::train, options.threads, at_.seed), split_(split_items(data.count, at_.validation, at_.seed)),
        room_(data, at_.batch, model.alignment), progress_(options.quiet) {}

  TrainResult run(bool resumed) {
    if (resumed) {
      net_.load(at_.net, folder_.last());
      history_ = read_metrics(folder_.metrics(), at_.epoch);
      write_metrics(folder_.metrics(), history_);
    } else {
      save();
    }
    InterruptGuard guard;
    while (at_.epoch < at_.epochs) {
      train_epoch();
      end_epoch();
      if (at_.epoch < at_.epochs && InterruptGuard::requested()) stop();
    }
    return {at_.epoch, at_.best_epoch, at_.best_loss, history_};
  }

private:
  std::uint64_t steps() const { return (split_.train.size() + at_.batch - 1) / at_.batch; }

  void train_epoch() {
    std::vector<std::uint32_t> order = split_.train;
    shuffle(order, at_.seed, Stream::shuffle, at_.epoch);
    const double before = at_.seconds;
    const auto start = Clock::now();
    const std::uint64_t seen_before = at_.seen;
    while (at_.step < steps()) {
      const std::uint64_t first = at_.step * at_.batch;
      const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(at_.batch, order.size() - first));
      room_.gather(data_, order.data() + first, count);
      train_step(count);
      at_.seconds = before + since(start);
      show(order.size(), since(start), at_.seen - seen_before);
      if (at_.step == steps()) break; // end_epoch saves
      if (InterruptGuard::requested()) {
        save();
        stop();
      }
      if (checkpoint_due()) save();
    }
  }

  void train_step(std::uint32_t count) {
    try {
      Totals totals{at_.loss_sum, at_.correct, at_.seen};
      totals.add(model_, net_.train_step(room_.images.data(), data_.pixels, room_.targets.data(), static_cast<int>(count)));
      ++at_.step;
      at_.loss_sum = totals.loss_sum;
      at_.correct = totals.correct;
      at_.seen = totals.count;
    } catch (const StatusError &e) {
      if (e.status != CNNC_NOT_FINITE) throw;
      not_finite(fmt::format("the loss is not finite in epoch {}, step {} of {}", at_.epoch + 1, at_.step + 1, steps()));
    }
  }

  [[noreturn]] void not_finite(const std::string &what) {
    progress_.clear();
    throw InputError(fmt::format("{}; a smaller learning rate may help; the last good state is in {}", what, folder_.last()));
  }

  void end_epoch() {
    const bool has_accuracy = model_.target_kind != CNNC_TARGET_IMAGE;
    const Totals trained{at_.loss_sum, at_.correct, at_.seen};
    EpochMetrics m;
    m.epoch = at_.epoch + 1;
    m.train_loss = trained.loss();
    if (has_accuracy) m.train_accuracy = trained.accuracy();
    m.seconds = at_.seconds;
    m.images_per_second = at_.seconds > 0 ? static_cast<double>(at_.seen) / at_.seconds : 0;
    if (!split_.validation.empty()) {
      const Totals validated = validate();
      m.validation_loss = validated.loss();
      if (has_accuracy) m.validation_accuracy = validated.accuracy();
    }
    const double loss = m.validation_loss.value_or(m.train_loss);
    m.best = at_.best_epoch == 0 || loss < at_.best_loss;

    at_.epoch += 1;
    at_.step = at_.correct = at_.seen = 0;
    at_.loss_sum = at_.seconds = 0;
    if (m.best) {
      at_.best_epoch = m.epoch;
      at_.best_loss = loss;
    }
    history_.push_back(m);
    at_.net = net_.save();
    if (m.best) write_checkpoint(folder_.best(), at_);
    write_metrics(folder_.metrics(), history_);
    save();
    report(m);
  }

  Totals validate() {
    try {
      return measure(net_, data_, split_.validation);
    } catch (const StatusError &e) {
      if (e.status != CNNC_NOT_FINITE) throw;
      not_finite(fmt::format("the validation loss is not finite after epoch {}", at_.epoch + 1));
    }
  }

  void save() {
    at_.net = net_.save();
    write_checkpoint(folder_.last(), at_);
    saved_ = Clock::now();
    steps_since_save_ = 0;
  }

  bool checkpoint_due() {
    ++steps_since_save_;
    return (options_.checkpoint_steps && steps_since_save_ >= options_.checkpoint_steps) ||
           (options_.checkpoint_seconds > 0 && since(saved_) >= options_.checkpoint_seconds);
  }

  [[noreturn]] void stop() {
    progress_.clear();
    throw Interrupted(fmt::format("interrupted in epoch {}, after step {} of {}; saved; go on with: {} {}", at_.epoch + 1, at_.step,
                                  steps(), options_.resume_command, folder_.path()));
  }

  void show(std::size_t total, double seconds, std::uint64_t seen) {
    const double rate = seconds > 0 ? static_cast<double>(seen) / seconds : 0;
    const double left = static_cast<double>(total - at_.seen) + static_cast<double>(at_.epochs - at_.epoch - 1) * static_cast<double>(total);
    progress_.bar(at_.epoch + 1, at_.epochs, at_.seen, total, rate, rate > 0 ? left / rate : -1,
                  at_.loss_sum / static_cast<double>(at_.seen));
  }

  void report(const EpochMetrics &m) {
    std::string text = fmt::format("epoch {}/{}  train loss {:.4f}", m.epoch, at_.epochs, m.train_loss);
    if (m.train_accuracy) text += fmt::format(" accuracy {:.4f}", *m.train_accuracy);
    if (m.validation_loss) text += fmt::format("  validation loss {:.4f}", *m.validation_loss);
    if (m.validation_accuracy) text += fmt::format(" accuracy {:.4f}", *m.validation_accuracy);
    progress_.line(text + fmt::format("  {:.2f} s  {:.0f} images/s{}", m.seconds, m.images_per_second, m.best ? "  best" : ""));
  }

  const TrainOptions &options_;
  RunFolder &folder_;
  const Dataset &data_;
  Checkpoint at_;
  const cnnc_model &model_;
  Net net_;
  Split split_;
  Batch room_;
  Progress progress_;
  std::vector<EpochMetrics> history_;
  Clock::time_point saved_ = Clock::now();
  std::uint64_t steps_since_save_ = 0;
};

RunInfo info_of(const Checkpoint &c, const std::string &text, const std::map<std::string, std::string> &overrides) {
  return {c.model, text, c.data, overrides, c.epochs, c.batch, c.validation, c.seed};
}

} // namespace

TrainResult train(const cnnc_model &model, const std::string &model_text, const TrainOptions &options) {
  if (model.target_kind == CNNC_NO_TARGET) throw InputError(fmt::format("{}: the model has no loss, so it cannot be trained", model.name));
  if (!options.resume) {
    const std::string spec = absolute_spec(options.data.value_or("fashion-mnist"));
    const Dataset data = load_dataset(spec, Part::train, model); // before the folder is made
    Checkpoint start = fresh_start(model, options, spec, data);
    RunFolder folder(options.folder, true);
    folder.write_info(info_of(start, model_text, options.overrides));
    for (const auto &[name, text] : options.files)
      write_file(join(folder.path(), name), text);
    return Training(model, options, folder, data, std::move(start)).run(false);
  }
  RunFolder folder(options.folder, false);
  if (!file_exists(folder.last()))
    throw SystemError(fmt::format("{}: nothing to resume: last.ckpt is missing", options.folder));
  Checkpoint start = read_checkpoint(folder.last());
  check_model(start, model, folder.last());
  check_place(start, folder.last());
  if (options.data) start.data = absolute_spec(*options.data);
  const Dataset data = load_dataset(start.data, Part::train, model);
  check_resumed(start, options, data);
  RunInfo info = info_of(start, model_text, options.overrides);
  const RunInfo before = read_run(options.folder);
  if (info.model_text.empty()) info.model_text = before.model_text;
  if (info.overrides.empty()) info.overrides = before.overrides;
  folder.write_info(info);
  return Training(model, options, folder, data, std::move(start)).run(true);
}

} // namespace cnnc::runtime
