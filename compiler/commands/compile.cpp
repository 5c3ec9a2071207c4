// `cnnc compile`: the header and the library, or any stage on the way.
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "codegen/object.h"
#include "commands/common.h"
#include "library.h"
#include "passes/passes.h"
#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/interrupt.h"

namespace cnnc::commands {
namespace {

using namespace runtime;
namespace fs = std::filesystem;

struct Options {
  std::string model, output, stage, target = "host", conv = "auto";
  std::vector<std::string> print_after;
  bool print_after_all = false, time = false;
  int jobs = 0;
  Overrides overrides;
  BuildOptions build;
};

std::vector<std::string> pass_names() {
  std::vector<std::string> names;
  for (const Pass &p : passes())
    names.push_back(p.name);
  return names;
}

// What the header says of its origin: all that changes the bytes and nothing else, so that the same text gives the
// same bytes from any folder.
std::string command_text(const Options &o, bool tuned) {
  std::string text = "cnnc compile " + fs::path(o.model).filename().string();
  if (o.overrides.batch)
    text += fmt::format(" --batch {}", *o.overrides.batch);
  if (!o.overrides.optimizer.empty())
    text += fmt::format(" --optimizer '{}'", o.overrides.optimizer);
  if (!o.overrides.init.empty())
    text += fmt::format(" --init '{}'", o.overrides.init);
  if (o.target != "host")
    text += " --target " + o.target;
  if (o.conv != "auto")
    text += " --conv " + o.conv;
  if (tuned)
    text += fmt::format(" with {}", fs::path(tuning_file(o.model)).filename().string());
  return text;
}

// Both files, or neither: each is written beside its place, and they are put there together.
void write_both(const std::string &folder, const Library &library) {
  const std::string &name = library.name;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    throw SystemError(fmt::format("{}: cannot create the folder: {}", folder, error.message()));
  const InterruptGuard guard; // a signal waits for the end of this
  const std::string text[2] = {library.header, archive(name + ".o", library.object)};
  const std::string file[2] = {join(folder, name + ".h"), join(folder, "lib" + name + ".a")};
  std::string temporary[2];
  for (int i : {0, 1})
    temporary[i] = join(folder, fmt::format("{}{}-{}", temporary_prefix, ::getpid(), i == 0 ? "header" : "library"));
  auto remove_all = [&] {
    for (const std::string &t : temporary)
      fs::remove(t, error);
  };
  try {
    for (int i : {0, 1}) {
      if (fs::is_directory(file[i], error))
        throw SystemError(fmt::format("{}: cannot write: it is a folder", file[i]));
      write_file(temporary[i], text[i]);
    }
    for (int i : {0, 1}) {
      fs::rename(temporary[i], file[i], error);
      if (error)
        throw SystemError(fmt::format("{}: cannot write: {}", file[i], error.message()));
    }
  } catch (...) {
    remove_all();
    throw;
  }
}

// A stage that ran for several targets is one line.
void print_times(const std::vector<std::pair<std::string, double>> &times) {
  std::vector<std::pair<std::string, double>> lines;
  double total = 0;
  for (const auto &time : times) {
    const auto &[stage, seconds] = time;
    auto line = std::find_if(lines.begin(), lines.end(), [&](const auto &l) { return l.first == time.first; });
    if (line == lines.end())
      line = lines.emplace(line, stage, 0);
    line->second += seconds;
    total += seconds;
  }
  lines.emplace_back("total", total);
  for (const auto &[stage, seconds] : lines)
    fmt::print(stderr, "{:<26} {:8.3f} s\n", stage, seconds);
}

int compile_model(const Options &o) {
  if (!o.stage.empty())
    check_name("--emit: stage", o.stage, stages());
  for (const std::string &pass : o.print_after)
    check_name("--print-after: pass", pass, pass_names());
  if (o.stage == "obj" && (o.output.empty() || o.output == "-") && ::isatty(STDOUT_FILENO))
    throw UsageError("--emit=obj: an object is not written to a terminal; give a file: -o FILE");
  if (o.stage.empty() && o.output == "-")
    throw UsageError("-o -: the header and the library are two files; give a folder, or a stage: --emit=STAGE");
  if (o.stage.empty() && !o.output.empty() && file_exists(o.output) && !fs::is_directory(o.output))
    throw UsageError(fmt::format("-o {}: not a folder", o.output));
  CompileOptions options;
  options.target = o.target;
  options.conv = o.conv;
  options.jobs = o.jobs;
  options.tuned = tuning_of(o.model, o.target, o.build);
  options.command = command_text(o, !options.tuned.empty());
  if (!o.stage.empty())
    options.stop_at = o.stage;
  const bool shows = o.print_after_all || !o.print_after.empty();
  if (shows)
    options.after_pass = [&](const std::string &pass, const std::string &of, const Graph &g, bool changed) {
      if (o.print_after_all || std::find(o.print_after.begin(), o.print_after.end(), pass) != o.print_after.end())
        fmt::print(stderr, "# after {}, {}{}\n{}", pass, of, changed ? "" : " (unchanged)", changed ? print(g) : "");
    };
  const Graph graph = build_model(read_model(o.model), o.overrides);
  if (!o.stage.empty() && o.stage != "obj") {
    const Compiled compiled = compile(graph, options);
    if (o.time)
      print_times(compiled.times);
    write_output(o.output.empty() ? "-" : o.output, compiled.text.at(o.stage));
    return kDone;
  }
  const Library library = compile_library(graph, options, !o.build.no_cache && !shows);
  if (o.time)
    print_times(library.times);
  if (o.stage.empty())
    write_both(o.output.empty() ? "." : o.output, library);
  else
    write_output(o.output.empty() ? "-" : o.output, library.object);
  return kDone;
}

} // namespace

void add_compile(CLI::App &app, Action &action) {
  auto *command = app.add_subcommand("compile", "write the header and the library of a model, or show a stage on the way");
  command->footer(R"(Examples:
  cnnc compile models/lenet.dsl -o out                     out/lenet.h and out/liblenet.a
  cnnc compile models/lenet.dsl --emit=plan                where every value lives
  cnnc compile models/lenet.dsl --target x86-64-linux-avx512,x86-64-linux-avx2,x86-64-linux -o out
)");
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->model, "the file that describes the model")->required()->type_name("");
  command->add_option("-o,--output", o->output, "the folder of the two files [.]; with --emit a file, or - for standard output")
      ->type_name("PATH");
  command->add_option("--emit", o->stage, fmt::format("show one stage: {}", fmt::join(stages(), ", ")))->type_name("STAGE");
  command->add_option("--target", o->target, fmt::format("the machine to compile for: host, {} [host]", fmt::join(target_names(), ", ")))
      ->type_name("NAME");
  add_conv_option(*command, o->conv);
  add_override_options(*command, o->overrides);
  add_build_options(*command, o->build);
  command->add_option("--jobs", o->jobs, "processes that compile; 0: as many as processors; the result does not depend on it [0]")
      ->check(at_least(0))
      ->type_name("N");
  command->add_option("--print-after", o->print_after, fmt::format("show the graph after a pass: {}", fmt::join(pass_names(), ", ")))
      ->allow_extra_args(false)
      ->type_name("PASS");
  command->add_flag("--time", o->time, "show the seconds of each stage, on standard error");
  command->add_flag("--print-after-all", o->print_after_all, "show the graph after every pass");
  command->callback([o, &action] { action = [o] { return compile_model(*o); }; });
}

} // namespace cnnc::commands
