// What the commands share.
#include "commands/common.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <sys/stat.h>
#include <unistd.h>

#include "codegen/object.h"
#include "library.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/run_folder.h"

namespace cnnc::commands {

using namespace runtime;

CLI::Validator at_least(int64_t least) {
  return CLI::Validator(
      [least](std::string &text) {
        int64_t value = 0;
        const bool ok = CLI::detail::lexical_cast(text, value) && value >= least && value <= INT32_MAX;
        return ok ? std::string() : fmt::format("expected a whole number from {} to {}, found '{}'", least, INT32_MAX, text);
      },
      "");
}

void check_name(const std::string &what, const std::string &found, const std::vector<std::string> &all) {
  if (std::find(all.begin(), all.end(), found) != all.end())
    return;
  const std::string near = near_miss(found, all);
  throw UsageError(fmt::format("{} '{}' is unknown; {}there are: {}", what, found,
                               near.empty() ? "" : fmt::format("did you mean '{}'? ", near), fmt::join(all, ", ")));
}

void add_override_options(CLI::App &command, Overrides &overrides) {
  command.add_option("--batch", overrides.batch, "examples of one training step, instead of the model's")
      ->check(at_least(1))
      ->type_name("N");
  command.add_option("--optimizer", overrides.optimizer, "instead of the model's, like 'sgd(lr=0.9)'")->type_name("TEXT");
  command.add_option("--init", overrides.init, "how parameters start, instead of the model's, like he_uniform")
      ->type_name("TEXT");
}

void add_conv_option(CLI::App &command, std::string &conv) {
  command.add_option("--conv", conv, "how convolutions are computed: auto (by their cost), direct, or fast (in fewer products, wherever possible) [auto]")
      ->check(CLI::IsMember({"auto", "direct", "fast"}))
      ->type_name("METHOD");
}

void add_build_options(CLI::App &command, BuildOptions &build) {
  command.add_flag("--no-cache", build.no_cache, "compile, whatever earlier compilations left, and leave nothing");
  command.add_flag("--no-tune", build.no_tune, "ignore what 'cnnc tune' left beside the model");
}

Tuning tuning_of(const std::string &model, const std::string &target, const BuildOptions &build) {
  if (build.no_tune)
    return {};
  const std::string file = tuning_file(model);
  Tuning all = read_tuning(file), wanted;
  const std::string names = "," + target_list(target) + ",";
  for (auto &[name, decisions] : all)
    if (names.find("," + name + ",") != std::string::npos) {
      fmt::print(stderr, "{}: {} tuned choices for {}\n", file, decisions.size(), name);
      wanted[name] = std::move(decisions);
    }
  return wanted;
}

void add_threads_option(CLI::App &command, int &threads) {
  command.add_option("--threads", threads, "0: all processors; the result does not depend on it [0]")
      ->check(at_least(0))
      ->type_name("N");
}

void add_checkpoint_option(CLI::App &command, std::string &checkpoint) {
  checkpoint = "best";
  command.add_option("--checkpoint", checkpoint, "of the best epoch or the last step: best or last [best]")
      ->check(CLI::IsMember({"best", "last"}))
      ->type_name("NAME");
}

std::map<std::string, std::string> kept(const Overrides &overrides) {
  std::map<std::string, std::string> texts;
  if (overrides.batch)
    texts["batch"] = std::to_string(*overrides.batch);
  if (!overrides.optimizer.empty())
    texts["optimizer"] = overrides.optimizer;
  if (!overrides.init.empty())
    texts["init"] = overrides.init;
  return texts;
}

Overrides overrides_of(const std::map<std::string, std::string> &kept, const std::string &file) {
  Overrides overrides;
  for (const auto &[name, value] : kept)
    if (name == "optimizer") {
      overrides.optimizer = value;
    } else if (name == "init") {
      overrides.init = value;
    } else if (name == "batch") {
      int64_t batch = 0;
      if (!CLI::detail::lexical_cast(value, batch) || batch < 1)
        throw InputError(fmt::format("{}: damaged: batch '{}'", file, value));
      overrides.batch = batch;
    } else {
      throw InputError(fmt::format("{}: changes '{}' of the model, which this version does not know", file, name));
    }
  return overrides;
}

Graph build_model(const Source &source, const Overrides &overrides) {
  Diagnostics diagnostics(source);
  std::optional<Graph> graph = build_graph(source, overrides, diagnostics);
  if (graph && !diagnostics.failed())
    return std::move(*graph);
  // The command line is at fault where the text by itself is well.
  Diagnostics alone(source);
  const bool well = !kept(overrides).empty() && build_graph(source, Overrides(), alone) && !alone.failed();
  throw ModelError{diagnostics.text(), well ? kUsage : kInput};
}

// The front end has a limit of its own, and its message is the better one; this one only guards the memory.
Source read_model(const std::string &file) { return Source(file, read_text(file, uint64_t(1) << 30)); }

const cnnc_model *load_model(const Source &source, const Overrides &overrides, const BuildOptions &build) {
  CompileOptions options;
  options.tuned = tuning_of(source.name(), options.target, build);
  const Library library = compile_library(build_model(source, overrides), options, !build.no_cache);
  return load_object(library.object, library.name);
}

Run open_run(const std::string &folder, const BuildOptions &build) {
  const RunInfo info = read_run(folder);
  if (info.model_text.empty())
    throw SystemError(fmt::format("{}: cannot open: the folder has no text of the model to compile", join(folder, "model.dsl")));
  const Source source(join(folder, "model.dsl"), info.model_text);
  const std::string said = join(folder, "run.json");
  try {
    return {folder, info.data, load_model(source, overrides_of(info.overrides, said), build)};
  } catch (const ModelError &e) {
    if (e.exit_code != kUsage)
      throw;
    throw InputError(fmt::format("{}: damaged: what it changes of the model does not fit it\n{}", said, e.text));
  }
}

std::string Run::checkpoint(const std::string &name) const { return join(folder, name + ".ckpt"); }

namespace {

void write_all(int fd, const std::string &name, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      throw SystemError(fmt::format("{}: cannot write: {}", name, std::strerror(errno)));
    text.remove_prefix(size_t(n));
  }
}

} // namespace

void print_out(std::string_view text) {
  if (std::fflush(stdout) != 0)
    throw SystemError(fmt::format("standard output: cannot write: {}", std::strerror(errno)));
  write_all(STDOUT_FILENO, "standard output", text);
}

void write_output(const std::string &file, std::string_view text) {
  if (file == "-")
    return print_out(text);
  struct stat info;
  if (::stat(file.c_str(), &info) != 0 || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode))
    return write_file(file, text);
  // A device or a pipe is written to; a file in its place would destroy it.
  const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    throw SystemError(fmt::format("{}: cannot write: {}", file, std::strerror(errno)));
  try {
    write_all(fd, file, text);
  } catch (...) {
    ::close(fd);
    throw;
  }
  if (::close(fd) != 0)
    throw SystemError(fmt::format("{}: cannot write: {}", file, std::strerror(errno)));
}

} // namespace cnnc::commands
