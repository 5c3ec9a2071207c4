// Predictions for pictures, arrays and items of a data set.
#include "error.h"
#include "png.h"
#include "report.h"
#include "tensor_text.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>

namespace cnnc::runtime {
namespace {

bool ends_with(const std::string &text, const std::string &end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// A model that wants no target, so that make_dataset reads images alone.
cnnc_model without_target(const cnnc_model &model) {
  cnnc_model copy = model;
  copy.target_kind = CNNC_NO_TARGET;
  return copy;
}

std::vector<std::uint64_t> without_ones(std::vector<std::uint64_t> shape) {
  shape.erase(std::remove(shape.begin(), shape.end(), 1u), shape.end());
  return shape;
}

// One input has the model's shape itself: give it a count of one in front.
Array as_batch(Array array, const cnnc_model &model) {
  const std::vector<std::uint64_t> expected(model.input_shape, model.input_shape + model.input_rank);
  const bool one = array.shape.size() <= expected.size() && without_ones(array.shape) == without_ones(expected);
  if (one) array.shape.insert(array.shape.begin(), 1);
  return array;
}

Array nested_array(const std::string &text, const cnnc_model &model) {
  const std::vector<float> values = parse_nested(text, model.input_shape, model.input_rank);
  Array array;
  array.file = "input";
  array.type = Element::f32;
  array.shape.assign(model.input_shape, model.input_shape + model.input_rank);
  array.bytes.resize(values.size() * sizeof(float));
  if (!values.empty()) std::memcpy(array.bytes.data(), values.data(), array.bytes.size());
  return array;
}

Dataset one_item(const Dataset &data, const Item &item) {
  if (item.index >= data.count)
    throw InputError(fmt::format("{}: item {} of {}, the last is {}", data.file, item.index, data.count, data.count - 1));
  Dataset one;
  one.file = data.file;
  one.count = 1;
  one.pixels = data.pixels;
  one.image_bytes = data.image_bytes;
  one.target_bytes = data.target_bytes;
  one.images.assign(data.image(item.index), data.image(item.index) + data.image_bytes);
  if (data.target_bytes) one.targets.assign(data.target(item.index), data.target(item.index) + data.target_bytes);
  return one;
}

std::string class_text(std::uint32_t label, const std::vector<std::string> &names) {
  return label < names.size() ? fmt::format("{} ({})", label, names[label]) : std::to_string(label);
}

} // namespace

std::vector<Guess> top_guesses(const float *logits, std::uint32_t classes, std::size_t most) {
  std::vector<Guess> guesses(classes);
  if (classes == 0) return guesses;
  const double largest = *std::max_element(logits, logits + classes);
  double sum = 0;
  for (std::uint32_t c = 0; c < classes; ++c) {
    guesses[c] = {c, std::exp(static_cast<double>(logits[c]) - largest)};
    sum += guesses[c].probability;
  }
  for (Guess &g : guesses) g.probability /= sum;
  // By the outputs: probabilities of different outputs can both round to zero.
  std::stable_sort(guesses.begin(), guesses.end(), [&](const Guess &a, const Guess &b) { return logits[a.label] > logits[b.label]; });
  guesses.resize(std::min<std::size_t>(most, guesses.size()));
  return guesses;
}

Dataset load_inputs(const std::string &what, const cnnc_model &model) {
  const cnnc_model plain = without_target(model);
  const std::size_t first = what.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && what[first] == '[') return make_dataset(as_batch(nested_array(what, model), model), nullptr, plain);
  if (ends_with(what, ".npy")) return make_dataset(as_batch(read_npy(what), model), nullptr, plain);
  if (ends_with(what, ".png") || ends_with(what, ".PNG")) return make_dataset(as_batch(read_png(what, model), model), nullptr, plain);
  if (file_exists(what)) throw InputError(fmt::format("{}: unknown kind of file, expected .png or .npy", what));
  throw SystemError(fmt::format("{}: no such file; expected a .png or .npy file, or an item of the data set such as test:17", what));
}

std::vector<Prediction> predict_inputs(Net &net, const Dataset &data) {
  const cnnc_model &model = net.model();
  const bool labelled = model.target_kind == CNNC_LABELS_U8 || model.target_kind == CNNC_LABELS_U16;
  std::vector<Prediction> predictions;
  std::vector<float> outputs(std::size_t(model.batch) * model.output_size);
  each_batch(data, all_items(data), model.batch, model.alignment,
             [&](const void *images, const void *, std::uint32_t first, std::uint32_t count) {
               net.predict(images, data.pixels, static_cast<int>(count), outputs.data());
               for (std::uint32_t i = 0; i < count; ++i) {
                 const float *output = &outputs[i * model.output_size];
                 Prediction p;
                 p.output.assign(output, output + model.output_size);
                 if (labelled) p.top = top_guesses(output, model.classes);
                 if (labelled && data.target_bytes) {
                   std::uint16_t label = 0; // little-endian: a uint8_t label is its low byte
                   std::memcpy(&label, data.target(first + i), data.target_bytes);
                   p.expected = label;
                 }
                 predictions.push_back(std::move(p));
               }
             });
  return predictions;
}

std::vector<Prediction> predict(Net &net, const std::string &what, const std::string &spec) {
  if (const auto item = parse_item(what))
    return predict_inputs(net, one_item(load_dataset(spec, item->part, net.model()), *item));
  return predict_inputs(net, load_inputs(what, net.model()));
}

std::string predictions_text(const cnnc_model &model, const std::vector<Prediction> &predictions,
                             const std::vector<std::string> &names) {
  std::string text;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const Prediction &p = predictions[i];
    if (p.top.empty()) {
      text += format_nested(p.output.data(), model.output_shape, model.output_rank) + "\n";
      continue;
    }
    if (predictions.size() > 1) text += fmt::format("{}: ", i);
    text += "class " + class_text(p.top[0].label, names);
    for (std::size_t k = 0; k < p.top.size(); ++k)
      text += fmt::format("{}{} {:.4f}", k ? ", " : "  ", class_text(p.top[k].label, names), p.top[k].probability);
    if (p.expected) text += fmt::format("  label {}", class_text(*p.expected, names));
    text += '\n';
  }
  return text;
}

} // namespace cnnc::runtime
