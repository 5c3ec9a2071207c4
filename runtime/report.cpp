// Evaluation of a model on a data set, as values and as text.
#include "report.h"

#include "checkpoint.h"
#include "error.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace cnnc::runtime {
namespace {

std::uint32_t label_of(const cnnc_model &model, const std::uint8_t *target) {
  if (model.target_kind == CNNC_LABELS_U8) return *target;
  std::uint16_t label;
  std::memcpy(&label, target, 2);
  return label;
}

struct ClassCounts {
  std::uint64_t of = 0, predicted = 0, correct = 0;
};

std::vector<ClassCounts> count_classes(const Evaluation &e) {
  std::vector<ClassCounts> counts(e.classes);
  for (std::uint32_t t = 0; t < e.classes; ++t)
    for (std::uint32_t p = 0; p < e.classes; ++p) {
      const std::uint64_t n = e.confusion[std::size_t(t) * e.classes + p];
      counts[t].of += n;
      counts[p].predicted += n;
      if (t == p) counts[t].correct += n;
    }
  return counts;
}

std::string ratio_text(std::uint64_t part, std::uint64_t whole) {
  return whole ? fmt::format("{:.4f}", static_cast<double>(part) / static_cast<double>(whole)) : "-";
}

std::string name_of(const Evaluation &e, std::uint32_t c) { return c < e.class_names.size() ? e.class_names[c] : std::to_string(c); }

} // namespace

void load_parameters(Net &net, const std::string &path) {
  const Checkpoint c = read_checkpoint(path);
  const cnnc_model &model = net.model();
  if (c.fingerprint != model.fingerprint)
    throw InputError(fmt::format("{}: of another model: {} with fingerprint {:016x}, this is {} with {:016x}", path, c.model,
                                 c.fingerprint, model.name, model.fingerprint));
  net.load(c.net, path);
}

Evaluation evaluate(Net &net, const Dataset &data) {
  const cnnc_model &model = net.model();
  if (model.target_kind == CNNC_NO_TARGET || !model.evaluate)
    throw InputError(fmt::format("{}: the model has no loss, so it cannot be evaluated", model.name));
  Evaluation e;
  e.class_names = data.class_names;
  if (model.target_kind != CNNC_TARGET_IMAGE) {
    e.classes = model.classes;
    e.confusion.assign(std::size_t(e.classes) * e.classes, 0);
  }
  std::vector<float> outputs(std::size_t(model.batch) * model.output_size);
  each_batch(data, all_items(data), model.batch, model.alignment,
             [&](const void *images, const void *targets, std::uint32_t first, std::uint32_t count) {
               e.totals.add(model, net.evaluate(images, data.pixels, targets, static_cast<int>(count)));
               if (!e.classes) return;
               net.predict(images, data.pixels, static_cast<int>(count), outputs.data());
               for (std::uint32_t i = 0; i < count; ++i) {
                 const float *logits = &outputs[i * model.output_size];
                 const auto guess = static_cast<std::size_t>(std::max_element(logits, logits + e.classes) - logits);
                 ++e.confusion[std::size_t(label_of(model, data.target(first + i))) * e.classes + guess];
               }
             });
  return e;
}

std::string evaluation_text(const Evaluation &e) {
  std::string text = fmt::format("examples {}\nloss     {:.6f}\n", e.totals.count, e.totals.loss());
  if (!e.classes) return text;
  text += fmt::format("accuracy {:.4f} ({} of {})\n\n", e.totals.accuracy(), e.totals.correct, e.totals.count);
  const auto counts = count_classes(e);
  std::size_t width = 5;
  for (std::uint32_t c = 0; c < e.classes; ++c) width = std::max(width, name_of(e, c).size());
  text += fmt::format("{:<{}}  examples  correct  recall  precision\n", "class", width);
  for (std::uint32_t c = 0; c < e.classes; ++c)
    text += fmt::format("{:<{}}  {:>8}  {:>7}  {:>6}  {:>9}\n", name_of(e, c), width, counts[c].of, counts[c].correct,
                        ratio_text(counts[c].correct, counts[c].of), ratio_text(counts[c].correct, counts[c].predicted));
  if (e.classes > 32) return text; // a matrix that no terminal can show: evaluation_json has it
  std::size_t cell = 4;
  for (std::uint64_t n : e.confusion) cell = std::max(cell, std::to_string(n).size());
  text += fmt::format("\nconfusion: a row for each true class, a column for each predicted one\n{:<{}}", "", width + 4);
  for (std::uint32_t p = 0; p < e.classes; ++p) text += fmt::format(" {:>{}}", p, cell);
  text += '\n';
  for (std::uint32_t t = 0; t < e.classes; ++t) {
    text += fmt::format("{:>2}  {:<{}}", t, name_of(e, t), width);
    for (std::uint32_t p = 0; p < e.classes; ++p) text += fmt::format(" {:>{}}", e.confusion[std::size_t(t) * e.classes + p], cell);
    text += '\n';
  }
  return text;
}

std::string evaluation_json(const Evaluation &e) {
  nlohmann::ordered_json j;
  j["examples"] = e.totals.count;
  j["loss"] = e.totals.loss();
  if (e.classes) {
    j["accuracy"] = e.totals.accuracy();
    j["correct"] = e.totals.correct;
    const auto rows = [&] {
      nlohmann::ordered_json matrix = nlohmann::ordered_json::array();
      for (std::uint32_t t = 0; t < e.classes; ++t) {
        const auto row = e.confusion.begin() + static_cast<std::ptrdiff_t>(std::size_t(t) * e.classes);
        matrix.push_back(std::vector<std::uint64_t>(row, row + e.classes));
      }
      return matrix;
    };
    j["confusion"] = rows();
    if (!e.class_names.empty()) j["classes"] = e.class_names;
  }
  return j.dump();
}

} // namespace cnnc::runtime
