// Softmax regression written by hand behind a model's table: 2x2 images, 3 classes, batch 8, plain gradient
// descent. Large inputs are not needed for a NaN: the test sets `poison_at`.
#ifndef CNNC_FAKE_MODEL_H
#define CNNC_FAKE_MODEL_H

#include "../../runtime/cnnc_model.h"

#include <cmath>
#include <csignal>
#include <cstring>
#include <unistd.h>

namespace fake {

constexpr int inputs = 4, classes = 3, batch = 8, parameters = inputs * classes;

struct Net {
  std::uint64_t step;
  float w[parameters], v[parameters]; // v: momentum, so that the optimizer's state matters
};

// What happens at an update, counted in this process from 0; -1: never.
inline long calls = 0, poison_at = -1, signal_at = -1, kill_at = -1;
inline long bad_validation_at = -1; // calls of evaluate
inline long evaluations = 0;

inline float pixel(const void *images, int pixels, long i) {
  return pixels == CNNC_U8 ? static_cast<const unsigned char *>(images)[i] / 255.0f : static_cast<const float *>(images)[i];
}

inline void forward(const Net *n, const void *images, int pixels, int i, float *y) {
  for (int c = 0; c < classes; ++c) {
    y[c] = 0;
    for (int k = 0; k < inputs; ++k) y[c] += n->w[c * inputs + k] * pixel(images, pixels, long(i) * inputs + k);
  }
}

inline cnnc_status run(Net *n, const void *images, int pixels, const void *targets, int count, cnnc_metrics *m, float *g) {
  if (count < 1 || count > batch) return CNNC_BAD_COUNT;
  *m = {0, 0, count};
  for (int i = 0; i < count; ++i) {
    float y[classes], p[classes], sum = 0;
    forward(n, images, pixels, i, y);
    const int label = static_cast<const unsigned char *>(targets)[i];
    if (label >= classes) return CNNC_BAD_LABEL;
    int best = 0;
    for (int c = 0; c < classes; ++c) {
      sum += p[c] = std::exp(y[c]);
      if (y[c] > y[best]) best = c;
    }
    m->loss -= std::log(p[label] / sum) / count;
    m->correct += best == label;
    for (int c = 0; g && c < classes; ++c)
      for (int k = 0; k < inputs; ++k)
        g[c * inputs + k] += (p[c] / sum - (c == label)) * pixel(images, pixels, long(i) * inputs + k) / count;
  }
  return CNNC_OK;
}

inline cnnc_status init(cnnc_net **net, void *memory, size_t bytes, int, std::uint64_t seed) {
  if (bytes < sizeof(Net)) return CNNC_MEMORY_TOO_SMALL;
  Net *n = static_cast<Net *>(memory);
  std::memset(n, 0, sizeof *n);
  for (int i = 0; i < parameters; ++i) n->w[i] = float((seed * 7 + std::uint64_t(i) * 13) % 11) / 50;
  *net = reinterpret_cast<cnnc_net *>(n);
  return CNNC_OK;
}

inline cnnc_status train_step(cnnc_net *net, const void *images, int pixels, const void *targets, int count, cnnc_metrics *m) {
  Net *n = reinterpret_cast<Net *>(net);
  const long call = calls++;
  if (call == kill_at) _exit(9);
  if (call == signal_at) raise(SIGTERM);
  if (call == poison_at) return CNNC_NOT_FINITE;
  float g[parameters] = {};
  const cnnc_status status = run(n, images, pixels, targets, count, m, g);
  if (status != CNNC_OK) return status;
  for (int i = 0; i < parameters; ++i) n->w[i] -= 0.1f * (n->v[i] = 0.9f * n->v[i] + g[i]);
  ++n->step;
  return CNNC_OK;
}

inline cnnc_status evaluate(cnnc_net *net, const void *images, int pixels, const void *targets, int count, cnnc_metrics *m) {
  if (evaluations++ == bad_validation_at) return CNNC_NOT_FINITE;
  return run(reinterpret_cast<Net *>(net), images, pixels, targets, count, m, nullptr);
}

inline cnnc_status predict(cnnc_net *net, const void *images, int pixels, int count, void *outputs) {
  if (count < 1 || count > batch) return CNNC_BAD_COUNT;
  for (int i = 0; i < count; ++i)
    forward(reinterpret_cast<Net *>(net), images, pixels, i, static_cast<float *>(outputs) + i * classes);
  return CNNC_OK;
}

inline cnnc_model model() {
  static const cnnc_parameter parameter = {"dense1.weight", 0, parameters, 2, {classes, inputs, 1, 1}};
  cnnc_model m{};
  m.abi = CNNC_ABI;
  m.element_bytes = 4;
  m.name = "fake";
  m.target = "host";
  m.version = "0";
  m.fingerprint = 0x1234;
  m.batch = batch;
  m.lanes = m.partial_sums = 1;
  m.alignment = 64;
  m.input_rank = 3;
  m.input_shape[0] = 1, m.input_shape[1] = m.input_shape[2] = 2, m.input_shape[3] = 1;
  m.output_rank = 1;
  m.output_shape[0] = classes, m.output_shape[1] = m.output_shape[2] = m.output_shape[3] = 1;
  m.input_size = inputs;
  m.output_size = classes;
  m.target_kind = CNNC_LABELS_U8;
  m.classes = classes;
  m.parameter_tensors = 1;
  m.parameter_count = m.optimizer_count = parameters;
  m.parameters = &parameter;
  m.train_bytes = m.infer_bytes = [](int) -> std::uint64_t { return sizeof(Net); };
  m.init = m.init_inference = init;
  m.destroy = [](cnnc_net *) {};
  m.train_step = train_step;
  m.evaluate = evaluate;
  m.predict = predict;
  m.save_size = [](const cnnc_net *) { return sizeof(Net); };
  m.save = [](const cnnc_net *n, void *to, size_t size) {
    if (size < sizeof(Net)) return CNNC_MEMORY_TOO_SMALL;
    std::memcpy(to, n, sizeof(Net));
    return CNNC_OK;
  };
  m.load = [](cnnc_net *n, const void *from, size_t size) {
    if (size != sizeof(Net)) return CNNC_BAD_BYTES;
    std::memcpy(reinterpret_cast<Net *>(n), from, sizeof(Net));
    return CNNC_OK;
  };
  m.step = [](const cnnc_net *n) { return reinterpret_cast<const Net *>(n)->step; };
  return m;
}

} // namespace fake
#endif
