// A state of a compiled model: memory, and status codes turned into errors.
#include "net.h"

#include <algorithm>
#include <fmt/format.h>
#include <thread>

namespace cnnc::runtime {
namespace {

int exit_code_of(cnnc_status status) {
  switch (status) {
  case CNNC_BAD_LABEL:
  case CNNC_BAD_BYTES:
  case CNNC_NOT_FINITE: return 1;
  default: return 3;
  }
}

} // namespace

const char *status_text(cnnc_status status) {
  switch (status) {
  case CNNC_OK: return "done";
  case CNNC_BAD_ARGUMENT: return "a bad argument";
  case CNNC_MEMORY_TOO_SMALL: return "the memory given is too small";
  case CNNC_MISALIGNED: return "the memory given is not aligned";
  case CNNC_BAD_COUNT: return "the count is below 1 or above the batch";
  case CNNC_BAD_LABEL: return "a label is not below the number of classes";
  case CNNC_BAD_BYTES: return "the saved bytes are damaged, or of another model or version";
  case CNNC_NOT_FINITE: return "a loss or an output is not finite";
  case CNNC_NO_THREADS: return "the system could not create a thread";
  case CNNC_INFERENCE_ONLY: return "a training call on a net made for inference";
  case CNNC_UNSUPPORTED_CPU: return "this processor lacks instructions that the model was compiled for";
  }
  return "an unknown status";
}

StatusError::StatusError(const cnnc_model &model, const char *call, cnnc_status s)
    : Error(fmt::format("{}: {}: {}{}", model.name, call, status_text(s),
                        s == CNNC_UNSUPPORTED_CPU ? fmt::format(" ({})", model.target) : ""),
            exit_code_of(s)),
      status(s) {}

int thread_count(const cnnc_model &model, int wanted) {
  if (wanted < 0) throw UsageError(fmt::format("{} threads, expected at least 1", wanted));
  const int threads = wanted ? wanted : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return std::max(1, std::min(threads, static_cast<int>(std::min<std::uint32_t>(model.partial_sums, 1u << 16))));
}

Net::Net(const cnnc_model &model, Mode mode, int threads, std::uint64_t seed)
    : model_(model), threads_(thread_count(model, threads)) {
  if (model.abi != CNNC_ABI) throw InputError(fmt::format("the model's table has version {}, expected {}", model.abi, CNNC_ABI));
  if (model.element_bytes != sizeof(float))
    throw InputError(fmt::format("{}: elements of {} bytes, expected {}", model.name, model.element_bytes, sizeof(float)));
  if (model.classes && model.classes != model.output_size)
    throw InputError(fmt::format("{}: {} outputs for {} classes", model.name, model.output_size, model.classes));
  if (mode == Mode::train && (!model.train_bytes || !model.init || !model.train_step))
    throw InputError(fmt::format("{}: the model has no loss, so it cannot be trained or evaluated", model.name));
  memory_ = AlignedBytes(mode == Mode::train ? model.train_bytes(threads_) : model.infer_bytes(threads_), model.alignment);
  const auto init = mode == Mode::train ? model.init : model.init_inference;
  check("init", init(&net_, memory_.data(), memory_.size(), threads_, seed));
}

Net::~Net() {
  if (net_) model_.destroy(net_);
}

void Net::check(const char *call, cnnc_status status) const {
  if (status != CNNC_OK) throw StatusError(model_, call, status);
}

cnnc_metrics Net::train_step(const void *images, int pixels, const void *targets, int count) {
  cnnc_metrics metrics{};
  check("train_step", model_.train_step(net_, images, pixels, targets, count, &metrics));
  return metrics;
}

cnnc_metrics Net::evaluate(const void *images, int pixels, const void *targets, int count) {
  cnnc_metrics metrics{};
  check("evaluate", model_.evaluate(net_, images, pixels, targets, count, &metrics));
  return metrics;
}

void Net::predict(const void *images, int pixels, int count, float *outputs) {
  check("predict", model_.predict(net_, images, pixels, count, outputs));
}

Bytes Net::save() const {
  Bytes bytes(model_.save_size(net_));
  check("save", model_.save(net_, bytes.data(), bytes.size()));
  return bytes;
}

void Net::load(const Bytes &bytes, const std::string &file) {
  const cnnc_status status = bytes.empty() ? CNNC_BAD_BYTES : model_.load(net_, bytes.data(), bytes.size());
  if (status != CNNC_OK) throw InputError(fmt::format("{}: {}: load: {}", file, model_.name, status_text(status)));
}

} // namespace cnnc::runtime
