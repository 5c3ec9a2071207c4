// `cnnc opt`: passes on the text of a graph, each tested by itself.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>

#include "commands/common.h"
#include "passes/passes.h"
#include "runtime/error.h"
#include "runtime/file.h"

namespace cnnc::commands {
namespace {

constexpr int kLanes = 16; // of a vector of 64 bytes

struct Options {
  std::string file, output = "-";
  std::vector<std::string> passes;
};

Graph read(const std::string &file) {
  const std::string text = runtime::read_text(file);
  try {
    Graph graph = read_graph(text);
    verify(graph, "read");
    return graph;
  } catch (const GraphError &e) {
    throw runtime::InputError(fmt::format("{}: {}", file, e.message)); // here the graph is the user's
  }
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const Pass &p : passes())
    all.push_back(p.name);
  return all;
}

int run_passes(const Options &o) {
  for (const std::string &name : o.passes)
    check_name("--pass: pass", name, names());
  Graph graph = read(o.file);
  Decisions decisions;
  for (const std::string &name : o.passes)
    for (const Pass &p : passes())
      if (p.name == name) {
        p.run(graph, decisions, kLanes);
        verify(graph, name);
      }
  write_output(o.output, print(graph));
  return kDone;
}

} // namespace

void add_opt(CLI::App &app, Action &action) {
  auto *command = app.add_subcommand("opt", "run passes on the text of a graph, as --emit=graph prints it");
  command->footer(R"(Example:
  cnnc compile models/lenet.dsl --emit=graph -o lenet.graph
  cnnc opt --pass=choose-layout --pass=fuse lenet.graph
)");
  auto o = std::make_shared<Options>();
  command->add_option("GRAPH", o->file, "the file with the graph")->required()->type_name("");
  command->add_option("--pass", o->passes, fmt::format("in this order; several may be given: {}", fmt::join(names(), ", ")))
      ->allow_extra_args(false)
      ->type_name("PASS");
  command->add_option("-o,--output", o->output, "a file, or - for standard output [-]")->type_name("FILE");
  command->callback([o, &action] { action = [o] { return run_passes(*o); }; });
}

} // namespace cnnc::commands
