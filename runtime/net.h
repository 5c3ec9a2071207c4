// A state of a compiled model with its memory: the only place that calls the model's table.
#ifndef CNNC_RUNTIME_NET_H
#define CNNC_RUNTIME_NET_H

#include "aligned_bytes.h"
#include "cnnc_model.h"
#include "error.h"
#include "file.h"

#include <cstdint>
#include <string>

namespace cnnc::runtime {

// "a label is not below the number of classes"
const char *status_text(cnnc_status status);

// A call of the table that did not return CNNC_OK.
struct StatusError : Error {
  StatusError(const cnnc_model &model, const char *call, cnnc_status status);
  cnnc_status status;
};

enum class Mode { train,
                  infer };

// How many threads to use: `wanted`, or all processors when it is 0; never more than can share a step.
int thread_count(const cnnc_model &model, int wanted);

class Net {
public:
  // Throws SystemError (memory, threads, processor), InputError (a table of another version, no loss to train).
  Net(const cnnc_model &model, Mode mode, int threads, std::uint64_t seed);
  ~Net();
  Net(const Net &) = delete;
  Net &operator=(const Net &) = delete;

  const cnnc_model &model() const { return model_; }
  cnnc_net *handle() const { return net_; }
  int threads() const { return threads_; }

  // images: `count` inputs of input_size elements, float or uint8_t by `pixels` (enum cnnc_pixels);
  // targets: `count` labels or target images by model().target_kind; 1 <= count <= model().batch.
  // outputs: count * output_size floats. Each throws StatusError; after one nothing has changed.
  cnnc_metrics train_step(const void *images, int pixels, const void *targets, int count);
  cnnc_metrics evaluate(const void *images, int pixels, const void *targets, int count);
  void predict(const void *images, int pixels, int count, float *outputs);

  Bytes save() const;                                     // parameters, optimizer state, step
  void load(const Bytes &bytes, const std::string &file); // throws InputError with `file`
  std::uint64_t step() const { return model_.step(net_); }

private:
  void check(const char *call, cnnc_status status) const;
  const cnnc_model &model_;
  int threads_;
  AlignedBytes memory_;
  cnnc_net *net_ = nullptr;
};

} // namespace cnnc::runtime
#endif
