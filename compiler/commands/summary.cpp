// `cnnc summary`: a table of the layers with their cost, and the memory that the library asks for.
#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <thread>

#include "commands/common.h"
#include "layers/op.h"

namespace cnnc::commands {
namespace {

// How much of the image a value sees, and how far apart two neighbours of it look, in pixels: height, width.
struct Sight {
  int64_t size[2] = {1, 1}, step[2] = {1, 1};
};

class Summary {
public:
  explicit Summary(const Graph &graph) : graph_(graph), image_(graph[graph.find("input")].type.dims), sight_(graph.nodes.size()) {}

  std::string text() {
    rows_.push_back({"layer", "output", "parameters", "multiply-adds", "receptive field"});
    for (ValueId v = 0; v <= graph_.output; v++)
      add_row(v);
    rows_.push_back({"total", "", std::to_string(parameters_), std::to_string(macs_), ""});
    return table();
  }

private:
  using Row = std::vector<std::string>;

  void add_row(ValueId v) {
    const Node &n = graph_[v];
    const bool source = has_trait(n, kSource);
    if (source && n.type.kind != Kind::Example)
      return; // parameters count with their layer, labels are no layer
    if (source && n.op != "input")
      return;
    int64_t parameters = 0;
    for (ValueId i : n.inputs)
      if (graph_[i].type.kind == Kind::Parameter)
        parameters += graph_[i].type.size();
    const auto &cost = op_of(n).macs;
    const int64_t macs = cost ? cost(graph_, n) : 0;
    if (!source)
      look(v);
    rows_.push_back({layer_name(n), dims_text(n.type.dims), number(parameters), number(macs), source ? "" : sight_text(v)});
    parameters_ += parameters;
    macs_ += macs;
  }

  static std::string number(int64_t n) { return n ? std::to_string(n) : ""; }

  // "conv1", as its parameters are called; the user's name if there is one; else the operation.
  std::string layer_name(const Node &n) const {
    if (!std::isdigit(static_cast<unsigned char>(n.name[0])))
      return n.name;
    for (ValueId i : n.inputs)
      if (graph_[i].type.kind == Kind::Parameter)
        return graph_[i].name.substr(0, graph_[i].name.rfind('.'));
    return n.op;
  }

  void look(ValueId v) {
    const Node &n = graph_[v];
    Sight &s = sight_[v];
    for (ValueId i : n.inputs)
      if (graph_[i].type.kind == Kind::Example)
        for (int a : {0, 1}) {
          s.size[a] = std::max(s.size[a], sight_[i].size[a]);
          s.step[a] = std::max(s.step[a], sight_[i].step[a]);
        }
    const bool window = n.has("kernel") && n.has("stride");
    for (int a : {0, 1}) {
      if (window) {
        s.size[a] += (n.list("kernel")[a] - 1) * s.step[a];
        s.step[a] *= n.list("stride")[a];
      } else if (has_trait(n, kContraction)) {
        s.size[a] = INT64_MAX; // every output sees all of the input
      }
      if (image_.size() == 3)
        s.size[a] = std::min(s.size[a], image_[1 + a]); // more would be padding
    }
  }

  std::string sight_text(ValueId v) const {
    return image_.size() == 3 ? dims_text({sight_[v].size[0], sight_[v].size[1]}) : "";
  }

  // Names to the left, numbers to the right.
  std::string table() const {
    std::vector<size_t> width(rows_[0].size());
    for (const Row &row : rows_)
      for (size_t i = 0; i < row.size(); i++)
        width[i] = std::max(width[i], row[i].size());
    std::string text;
    for (const Row &row : rows_) {
      std::string line = fmt::format("{:<{}}", row[0], width[0]);
      for (size_t i = 1; i < row.size(); i++)
        line += fmt::format("  {:>{}}", row[i], width[i]);
      text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
  }

  const Graph &graph_;
  std::vector<int64_t> image_;
  std::vector<Sight> sight_;
  std::vector<Row> rows_;
  int64_t parameters_ = 0, macs_ = 0;
};

std::string size_text(uint64_t bytes) {
  if (bytes < 10000)
    return fmt::format("{} bytes", bytes);
  return bytes < 10000000 ? fmt::format("{:.1f} kB", double(bytes) / 1e3) : fmt::format("{:.1f} MB", double(bytes) / 1e6);
}

// `bytes` by the number of threads: for one, and for as many as this machine has and the model can use.
std::string memory_text(const char *what, const std::vector<uint64_t> &bytes) {
  if (bytes.empty())
    return "";
  const size_t threads = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, bytes.size());
  std::string text = fmt::format("memory for {}: {} with 1 thread", what, size_text(bytes[0]));
  if (threads > 1)
    text += fmt::format(", {} with {} threads", size_text(bytes[threads - 1]), threads);
  return text + "\n";
}

// The chunk's values in memory, beside the bound that no plan can go below.
std::string arena_text(const char *what, int64_t arena, int64_t alive) {
  return fmt::format("arena of a thread for {}: {}, {:.1f} % above the most that is alive at one time\n", what, size_text(uint64_t(arena)),
                     alive ? 100.0 * double(arena - alive) / double(alive) : 0.0);
}

struct Options {
  std::string model, target = "host";
  Overrides overrides;
};

int summarise(const Options &o) {
  CompileOptions options;
  options.target = o.target;
  options.stop_at = "header"; // memory is planned, no kernel is compiled
  const Compiled compiled = compile(build_model(read_model(o.model), o.overrides), options);
  const ModelInfo &info = compiled.info;
  const std::string batch = fmt::format("training with batch {}", info.batch);
  print_out(fmt::format("{}\n\n{}\n{}{}", info.name, Summary(compiled.graph).text(), memory_text(batch.c_str(), info.train_bytes),
                        memory_text("inference", info.infer_bytes)) +
            (info.trains ? arena_text("training", info.train_arena, info.train_alive) : "") +
            arena_text("inference", info.infer_arena, info.infer_alive) +
            "multiply-adds: of one example, forward; receptive field: height x width of the image that one value sees\n");
  return kDone;
}

} // namespace

void add_summary(CLI::App &app, Action &action) {
  auto *command = app.add_subcommand("summary", "layers with shapes, parameters, cost and receptive field; memory");
  command->footer(R"(Example:
  cnnc summary models/lenet.dsl --batch 256
)");
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->model, "the file that describes the model")->required()->type_name("");
  command->add_option("--target", o->target, "the machine whose memory plan is shown, as for compile [host]")->type_name("NAME");
  add_override_options(*command, o->overrides);
  command->callback([o, &action] { action = [o] { return summarise(*o); }; });
}

} // namespace cnnc::commands
