// The gradients of the float64 build against central differences of its own loss, which only the forward pass makes;
// and the float32 build against it.
#include "check.h"

#include <cmath>
#include <fmt/format.h>
#include <random>

#include "../runtime/aligned_bytes.h"
#include "../runtime/cnnc_model.h"
#include "codegen/object.h"
#include "compile.h"
#include "library.h"

namespace cnnc {

namespace {
// A model that was compiled, loaded and started.
class Running {
public:
  Running(const Graph &forward, bool f64, const CheckOptions &options) {
    CompileOptions compile_options;
    compile_options.target = options.target;
    compile_options.f64 = f64;
    compile_options.conv = options.conv;
    compile_options.tuned = options.tuned;
    const Library c = compile_library(forward, compile_options, options.use_cache);
    model = load_object(c.object, c.name);
    size_t bytes = size_t(model->train_bytes(options.threads));
    memory_ = runtime::AlignedBytes(bytes, model->alignment);
    if (model->init(&net, memory_.data(), bytes, options.threads, options.seed) != CNNC_OK)
      throw GraphError{"check: the model does not start"};
  }
  ~Running() {
    if (net)
      model->destroy(net);
  }
  Running(const Running &) = delete;
  double get(const void *values, uint64_t i) const {
    return model->element_bytes == 8 ? static_cast<const double *>(values)[i] : double(static_cast<const float *>(values)[i]);
  }
  // Sets all parameters, rounded to the model's type.
  void set(const std::vector<double> &values) {
    std::vector<float> rounded(values.begin(), values.end());
    const void *from = model->element_bytes == 8 ? static_cast<const void *>(values.data()) : rounded.data();
    if (cnnc_status status = model->set_parameters(net, from); status != CNNC_OK)
      throw GraphError{fmt::format("check: set_parameters gives status {}", int(status))};
  }
  const cnnc_model *model = nullptr;
  cnnc_net *net = nullptr;

private:
  runtime::AlignedBytes memory_;
};

struct Batch {
  int count;
  std::vector<float> images, target_images;
  std::vector<uint8_t> labels8;
  std::vector<uint16_t> labels16;
  const void *targets(const cnnc_model &m) const {
    return m.target_kind == CNNC_LABELS_U8    ? static_cast<const void *>(labels8.data())
           : m.target_kind == CNNC_LABELS_U16 ? static_cast<const void *>(labels16.data())
                                              : static_cast<const void *>(target_images.data());
  }
};

Batch random_batch(const cnnc_model &m, int count, std::mt19937_64 &random) {
  Batch b;
  b.count = count;
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (uint64_t i = 0; i < m.input_size * uint64_t(count); i++)
    b.images.push_back(uniform(random));
  for (uint64_t i = 0; i < m.target_size * uint64_t(count); i++)
    b.target_images.push_back(uniform(random));
  for (int i = 0; i < count && m.classes; i++) {
    b.labels16.push_back(uint16_t(random() % m.classes));
    b.labels8.push_back(uint8_t(b.labels16.back()));
  }
  return b;
}

double loss_of(Running &r, const Batch &b) {
  cnnc_metrics m;
  if (r.model->evaluate(r.net, b.images.data(), CNNC_F32, b.targets(*r.model), b.count, &m) != CNNC_OK)
    throw GraphError{"check: the loss is not finite"};
  return m.loss;
}

const void *gradient_of(Running &r, const Batch &b) {
  cnnc_metrics m;
  if (r.model->gradients(r.net, b.images.data(), CNNC_F32, b.targets(*r.model), b.count, &m) != CNNC_OK)
    throw GraphError{"check: the loss is not finite"};
  return r.model->gradient_values(r.net);
}
} // namespace

CheckReport check_gradients(const Graph &forward, const CheckOptions &options) {
  if (forward.loss == kNoValue)
    throw GraphError{"check: the model has no loss"};
  Running whole(forward, true, options), single(forward, false, options);
  const cnnc_model &m = *whole.model;
  std::mt19937_64 random(options.seed);
  int count = options.count ? options.count : int(std::min<uint32_t>(m.batch, 5));
  Batch batch = random_batch(m, count, random);
  // Both start from the same values, which float holds; biases are moved off zero, where ReLU has its kink.
  std::uniform_real_distribution<double> nudge(-0.1, 0.1);
  std::vector<double> values(m.parameter_count);
  for (uint64_t i = 0; i < m.parameter_count; i++)
    values[i] = double(float(whole.get(m.parameter_values(whole.net), i) + nudge(random)));
  whole.set(values);
  single.set(values);
  const void *exact = gradient_of(whole, batch), *rounded = gradient_of(single, batch);
  CheckReport report;
  report.loss = loss_of(whole, batch);
  report.ok = true;
  for (uint32_t t = 0; t < m.parameter_tensors; t++) {
    const cnnc_parameter &p = m.parameters[t];
    TensorCheck c;
    c.name = p.name;
    for (uint64_t i = p.offset; i < p.offset + p.size; i++) {
      double e = whole.get(exact, i), d = std::abs(single.get(rounded, i) - e);
      c.largest = std::max(c.largest, std::abs(e));
      c.single = d <= c.single ? c.single : d; // keeps a NaN
    }
    uint64_t samples = std::min<uint64_t>(p.size, uint64_t(options.samples));
    c.sampled = int(samples);
    for (uint64_t s = 0; s < samples; s++) {
      uint64_t i = p.offset + (samples == p.size ? s : random() % p.size);
      double keep = values[i], best = INFINITY;
      // Where the wide step crosses a kink the narrow one does not; a wrong gradient fails both.
      for (double h : {1e-5, 1e-7}) {
        values[i] = keep + h;
        whole.set(values);
        double above = loss_of(whole, batch);
        values[i] = keep - h;
        whole.set(values);
        double below = loss_of(whole, batch);
        values[i] = keep;
        best = std::min(best, std::abs((above - below) / (2 * h) - whole.get(exact, i)) - (h < 1e-6 ? 1e-8 * std::abs(report.loss) : 0));
        if (best <= kDifferenceTolerance * c.largest)
          break;
      }
      c.difference = best <= c.difference ? c.difference : best;
    }
    c.ok = c.largest > 0 && c.difference <= kDifferenceTolerance * c.largest && c.single <= kSingleTolerance * c.largest;
    report.ok = report.ok && c.ok;
    report.tensors.push_back(c);
  }
  return report;
}

std::string check_text(const CheckReport &report) {
  std::string s = fmt::format("loss {:.9g}\n{:<24} {:>12} {:>10} {:>14} {:>14}\n", report.loss, "gradient of", "largest", "sampled",
                              "to difference", "float32");
  bool zeros = false;
  for (const TensorCheck &c : report.tensors) {
    const bool zero = c.largest == 0 && c.difference <= 0 && c.single == 0;
    zeros = zeros || zero;
    const double of = zero ? 1 : c.largest;
    s += fmt::format("{:<24} {:>12.4g} {:>10} {:>14.2g} {:>14.2g}  {}\n", c.name, c.largest, c.sampled, std::max(0.0, c.difference) / of, c.single / of,
                     c.ok ? "ok" : zero ? "zero"
                                        : "WRONG");
  }
  if (zeros)
    s += "zero: neither the gradient nor a difference is anything else with these values; another --seed or --count may say more\n";
  return s + fmt::format("relative to the largest element; allowed: {:g} to central differences in float64, {:g} in float32\n",
                         kDifferenceTolerance, kSingleTolerance);
}

} // namespace cnnc
