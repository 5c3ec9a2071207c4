// Reads and writes the JSON of a tuning file.
#include "commands/tuning.h"

#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/file.h"

namespace cnnc::commands {

namespace {
constexpr int kFormat = 1;
}

std::string tuning_file(const std::string &model) { return std::filesystem::path(model).replace_extension(".tune").string(); }

Tuning read_tuning(const std::string &file) {
  if (!runtime::file_exists(file))
    return {};
  auto damaged = [&](const std::string &why) {
    return runtime::InputError(fmt::format("{}: not a file of 'cnnc tune': {}; remove it, or leave it out with --no-tune", file, why));
  };
  const nlohmann::json j = nlohmann::json::parse(runtime::read_text(file, uint64_t(1) << 24), nullptr, false);
  if (j.is_discarded())
    throw damaged("no JSON");
  if (!j.is_object() || !j.contains("format") || !j["format"].is_number_integer() || !j.contains("targets") || !j["targets"].is_object())
    throw damaged("'format' or 'targets' is missing");
  if (j["format"] != kFormat)
    throw damaged(fmt::format("format {}, expected {}", j["format"].dump(), kFormat));
  Tuning tuning;
  for (const auto &[target, decisions] : j["targets"].items()) {
    if (!decisions.is_object())
      throw damaged(fmt::format("target '{}' has no list of decisions", target));
    for (const auto &[decision, label] : decisions.items()) {
      if (!label.is_string())
        throw damaged(fmt::format("decision '{}' has no label", decision));
      tuning[target][decision] = label.get<std::string>();
    }
  }
  return tuning;
}

std::string tuning_text(const Tuning &tuning) {
  nlohmann::ordered_json j = {{"format", kFormat}, {"targets", nlohmann::ordered_json::object()}};
  for (const auto &[target, decisions] : tuning)
    for (const auto &[decision, label] : decisions)
      j["targets"][target][decision] = label;
  return j.dump(1) + "\n";
}

} // namespace cnnc::commands
