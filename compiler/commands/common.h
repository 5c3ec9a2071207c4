// What the commands share: options of a model, the way from its text to a loaded object, output, exit codes.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "commands/tuning.h"
#include "compile.h"
#include "graph/build.h"

struct cnnc_model;

namespace cnnc::commands {

enum ExitCode { kDone = 0,
                kInput = 1,
                kUsage = 2,
                kSystem = 3,
                kInternal = 70,
                kInterrupted = 130 };

// Errors in the text of a model, or in what the command line changes of it, as Diagnostics::text() gives them:
// printed as they are.
struct ModelError {
  std::string text;
  int exit_code;
};

// What a chosen command does once the command line is parsed; returns the exit code.
using Action = std::function<int()>;

// Each command declares its options below `app` and sets `action` when it is chosen.
void add_compile(CLI::App &app, Action &action);
void add_train(CLI::App &app, Action &action);
void add_eval(CLI::App &app, Action &action);
void add_predict(CLI::App &app, Action &action);
void add_summary(CLI::App &app, Action &action);
void add_run(CLI::App &app, Action &action);
void add_check(CLI::App &app, Action &action);
void add_opt(CLI::App &app, Action &action);
void add_bench(CLI::App &app, Action &action);
void add_tune(CLI::App &app, Action &action);
void add_help(CLI::App &app, Action &action);

// Accepts whole numbers from `least` to the largest int.
CLI::Validator at_least(int64_t least);
// Throws UsageError that lists `all`, with the near miss, where `found` is none of them; `what`: "--emit: stage".
void check_name(const std::string &what, const std::string &found, const std::vector<std::string> &all);

// --batch, --optimizer and --init.
void add_override_options(CLI::App &command, Overrides &overrides);
// --conv: how convolutions are computed.
void add_conv_option(CLI::App &command, std::string &conv);
// --no-cache and --no-tune: what the commands take that compile a model.
struct BuildOptions {
  bool no_cache = false, no_tune = false;
};
void add_build_options(CLI::App &command, BuildOptions &build);
// What the tuning file beside `model` holds, said on standard error where something of it is for `target`. Throws
// InputError where the file is damaged.
Tuning tuning_of(const std::string &model, const std::string &target, const BuildOptions &build);
void add_threads_option(CLI::App &command, int &threads);

// What the command line changed of a model, as run.json keeps it.
std::map<std::string, std::string> kept(const Overrides &overrides);
Overrides overrides_of(const std::map<std::string, std::string> &kept, const std::string &file);

// Parses and builds the graph. Throws ModelError; SystemError where the file cannot be read.
Graph build_model(const Source &source, const Overrides &overrides);
Source read_model(const std::string &file);

// The object that `cnnc compile` would write, loaded into this process.
const cnnc_model *load_model(const Source &source, const Overrides &overrides, const BuildOptions &build);

// A run's folder with its model compiled as it was trained.
struct Run {
  std::string folder, data;
  const cnnc_model *model;
  std::string checkpoint(const std::string &name) const; // "best" or "last"
};
Run open_run(const std::string &folder, const BuildOptions &build);
void add_checkpoint_option(CLI::App &command, std::string &checkpoint); // best or last

// Writes all of it to standard output; throws SystemError on a full disk.
void print_out(std::string_view text);
// The same to `file` ("-": standard output): whole or not there, where it is not a device.
void write_output(const std::string &file, std::string_view text);

} // namespace cnnc::commands
