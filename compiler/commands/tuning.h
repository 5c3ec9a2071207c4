// A tuning file beside a model: what `cnnc tune` found faster than the choices of the model of costs.
#pragma once

#include <map>
#include <string>

namespace cnnc::commands {

// Labels by target and by decision, as CompileOptions takes them.
using Tuning = std::map<std::string, std::map<std::string, std::string>>;

std::string tuning_file(const std::string &model); // "dir/lenet.dsl" -> "dir/lenet.tune"
// Empty where there is no such file. Throws InputError where it is not what `tuning_text` writes.
Tuning read_tuning(const std::string &file);
std::string tuning_text(const Tuning &tuning);

} // namespace cnnc::commands
