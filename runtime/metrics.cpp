// Reads and writes metrics.jsonl.
#include "metrics.h"

#include "error.h"
#include "file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sstream>

namespace cnnc::runtime {
namespace {

using json = nlohmann::ordered_json;

json number_or_null(const std::optional<double> &value) { return value ? json(*value) : json(nullptr); }

std::optional<double> optional_number(const json &j) {
  if (j.is_null()) return std::nullopt;
  return j.get<double>();
}

} // namespace

std::string metrics_line(const EpochMetrics &m) {
  json j;
  j["epoch"] = m.epoch;
  j["train_loss"] = m.train_loss;
  j["train_accuracy"] = number_or_null(m.train_accuracy);
  j["validation_loss"] = number_or_null(m.validation_loss);
  j["validation_accuracy"] = number_or_null(m.validation_accuracy);
  j["seconds"] = m.seconds;
  j["images_per_second"] = m.images_per_second;
  j["best"] = m.best;
  return j.dump();
}

EpochMetrics parse_metrics(const std::string &line, const std::string &file) {
  try {
    const json j = json::parse(line);
    EpochMetrics m;
    m.epoch = j.at("epoch").get<std::uint32_t>();
    m.train_loss = j.at("train_loss").get<double>();
    m.train_accuracy = optional_number(j.at("train_accuracy"));
    m.validation_loss = optional_number(j.at("validation_loss"));
    m.validation_accuracy = optional_number(j.at("validation_accuracy"));
    m.seconds = j.at("seconds").get<double>();
    m.images_per_second = j.at("images_per_second").get<double>();
    m.best = j.at("best").get<bool>();
    return m;
  } catch (const nlohmann::json::exception &e) {
    throw InputError(fmt::format("{}: damaged: {}", file, e.what()));
  }
}

std::vector<EpochMetrics> read_metrics(const std::string &path, std::uint32_t epochs) {
  std::vector<EpochMetrics> history;
  if (epochs == 0) return history;
  std::istringstream text(read_text(path));
  for (std::string line; history.size() < epochs && std::getline(text, line);) {
    EpochMetrics m = parse_metrics(line, path);
    if (m.epoch != history.size() + 1)
      throw InputError(fmt::format("{}:{}: epoch {}, expected {}", path, history.size() + 1, m.epoch, history.size() + 1));
    history.push_back(m);
  }
  if (history.size() < epochs)
    throw InputError(fmt::format("{}: {} epochs, the checkpoint has {}", path, history.size(), epochs));
  return history;
}

void write_metrics(const std::string &path, const std::vector<EpochMetrics> &history) {
  std::string text;
  for (const EpochMetrics &m : history) text += metrics_line(m) + "\n";
  write_file(path, text);
}

} // namespace cnnc::runtime
