// The way from a checked graph to an object, as one list.
#include <Halide.h>

#include <cctype>
#include <chrono>
#include <fmt/format.h>
#include <iostream>
#include <set>
#include <sstream>
#include <thread>

#include "codegen/cpp.h"
#include "codegen/kernel_code.h"
#include "codegen/kernels.h"
#include "codegen/module.h"
#include "compile.h"
#include "hash.h"
#include "layers/op.h"
#include "passes/differentiate.h"
#include "passes/passes.h"
#include "version.h"

namespace cnnc {

const std::vector<std::string> &stages() {
  static const std::vector<std::string> all = {"graph", "gradient", "fused", "plan", "schedule", "stmt", "llvm", "asm", "cpp", "header", "obj"};
  return all;
}

namespace {
ModelInfo describe(const Graph &g, const Plan &plan, const CompileOptions &options, const MachineTarget &target) {
  ModelInfo info;
  info.name = g.name;
  info.target = target.name;
  info.version = CNNC_VERSION;
  info.command = options.command;
  info.f64 = options.f64;
  info.batch = g.batch;
  info.lanes = plan.lanes;
  info.partial_sums = plan.partial_sums;
  info.alignment = plan.alignment;
  info.train_arena = plan.train.workspace_bytes, info.train_alive = plan.train.workspace_bound;
  const GraphPlan &infer = plan.infer.workspace_bytes < plan.single.workspace_bytes ? plan.single : plan.infer; // they share one
  info.infer_arena = infer.workspace_bytes, info.infer_alive = infer.workspace_bound;
  info.input = g[g.find("input")].type.dims;
  info.output = g[g.output].type.dims;
  info.trains = g.loss != kNoValue;
  std::string shapes = fmt::format("{} {} {}", g.name, dims_text(info.input), dims_text(info.output));
  if (ValueId t = g.find("target"); t != kNoValue) {
    info.target_kind = 3;
    info.target_image = g[t].type.dims;
  }
  if (ValueId l = g.find("label"); l != kNoValue) {
    info.classes = g[l].integer("classes");
    info.target_kind = info.classes > 256 ? 2 : 1;
  }
  if (info.trains)
    info.loss_is_sum = g[g.loss].has("reduction") && g[g.loss].text("reduction") == "sum";
  for (const std::string &name : plan.parameters)
    for (const Node &n : g.nodes)
      if (n.name == name && n.op == "parameter") {
        info.tensors.push_back({name, n.type.dims, plan.offsets.at(name), n.type.size()});
        shapes += fmt::format(" {} {}", name, dims_text(n.type.dims));
      }
  info.parameter_count = plan.parameter_count;
  if (info.trains)
    info.optimizer_count = plan.parameter_count * registry().optimizer(g.optimizer)->slots(g.optimizer_attributes);
  // What saved bytes carry to know their model again.
  info.fingerprint = fnv1a(shapes + " " + g.optimizer + (options.f64 ? " f64" : ""));
  return info;
}

// What the header says holds for every variant.
void merge(ModelInfo &all, const ModelInfo &variant) {
  if (all.name.empty()) {
    all = variant;
    return;
  }
  all.target += "," + variant.target;
  all.partial_sums = std::max(all.partial_sums, variant.partial_sums);
  for (size_t i = 0; i < variant.train_bytes.size(); i++)
    all.train_bytes[i] = std::max(all.train_bytes[i], variant.train_bytes[i]);
  for (size_t i = 0; i < variant.infer_bytes.size(); i++)
    all.infer_bytes[i] = std::max(all.infer_bytes[i], variant.infer_bytes[i]);
}

std::vector<Routine> make_routines(KernelSet &kernels, const Compiled &c, const Plan &plan, const ModelInfo &info) {
  auto image = [&](const char *op) { return c.infer.find(op); };
  auto place = [&](ValueId v) { return plan.infer.of(v)->place; };
  auto pack = [&](const char *name, Halide::Type from, Region region, const Node &n) {
    return Routine{name, kernels.pack(from, region, place(image(n.op.c_str())), n)};
  };
  const Node &input = c.infer[image("input")];
  const int64_t elements = c.graph[c.graph.find("input")].type.size();
  Routine pack_f32 = pack("pack_f32", Halide::Float(32), Region::Images, input), pack_u8 = pack("pack_u8", Halide::UInt(8), Region::Images, input);
  Routine pack_target{"pack_target", {}}, infer{"infer", {}}, prepare{"prepare", {}}, loss{"loss", {}}, train{"train", {}}, train_kept{"train_kept", {}}, finish{"finish_partial", {}};
  Routine prepare_infer{"prepare_infer", {}}, prepare_one{"prepare_one", {}}, infer_one{"infer_one", {}};
  Routine unpack{"unpack", {kernels.unpack(place(c.infer.output), c.infer[c.infer.output].type.size())}};
  if (ValueId t = image("target"); t != kNoValue)
    pack_target = pack("pack_target", Halide::Float(32), Region::Targets, c.infer[t]);
  std::set<std::string> prepared; // in inference and training alike
  auto in_training = [&](const std::string &name) {
    return std::any_of(c.train.nodes.begin(), c.train.nodes.end(), [&](const Node &n) { return n.name == name; });
  };
  auto add = [&](const Graph &g, const GraphPlan &p, const std::vector<ValueId> &group, Routine &usual) {
    const Node &last = g[group.back()];
    if (has_trait(last, kPrepare) && !p.single && !prepared.insert(last.name).second)
      return;
    Routine &preparing = p.single ? prepare_one : in_training(last.name) ? prepare
                                                                         : prepare_infer;
    Routine &r = has_trait(last, kPrepare) ? preparing : has_trait(last, kMetric) && &g == &c.infer ? loss
                                                     : has_trait(last, kFinish)                     ? finish
                                                     : p.late.count(group.back())                   ? train_kept
                                                                                                    : usual;
    r.calls.push_back(kernels.group(g, p, group));
  };
  for (const auto &group : plan.infer.groups)
    add(c.infer, plan.infer, group, infer);
  for (const auto &group : plan.train.groups)
    add(c.train, plan.train, group, train);
  for (const auto &group : plan.single.groups)
    add(c.single, plan.single, group, infer_one);
  Routine convert_u8{"convert_u8", {kernels.convert(Halide::UInt(8), elements)}};
  std::vector<Routine> all = {prepare, prepare_infer, pack_f32, pack_u8, pack_target, infer, unpack, loss, train, train_kept, finish, prepare_one, convert_u8, infer_one};
  if (info.f64)
    all.push_back({"convert_f32", {kernels.convert(Halide::Float(32), elements)}});
  Routine reduce{"reduce", {}}, update{"update", {}};
  if (c.graph.loss != kNoValue) {
    reduce.calls.push_back(kernels.reduce(plan));
    update.calls.push_back(kernels.update(plan, c.train.optimizer, c.train.optimizer_attributes));
  }
  all.push_back(reduce);
  all.push_back(update);
  return all;
}

// Halide numbers its names through the whole process ("out$3"): numbered within one kernel, texts do not depend on
// what was compiled before.
std::string stable_names(const std::string &text) {
  std::map<std::string, std::string> renamed;
  std::map<std::string, int> next;
  std::string out;
  auto is_word = [](char c) { return std::isalnum((unsigned char)c) || c == '_'; };
  for (size_t i = 0; i < text.size();) {
    if (!is_word(text[i])) {
      out += text[i++];
      continue;
    }
    size_t end = i;
    while (end < text.size() && is_word(text[end]))
      end++;
    std::string base = text.substr(i, end - i);
    size_t digits = end;
    if (end < text.size() && text[end] == '$')
      for (digits = end + 1; digits < text.size() && std::isdigit((unsigned char)text[digits]);)
        digits++;
    if (digits > end + 1) {
      auto [it, fresh] = renamed.emplace(text.substr(i, digits - i), "");
      if (fresh)
        it->second = fmt::format("{}${}", base, next[base]++);
      out += it->second;
      i = digits;
    } else {
      out += base;
      i = end;
    }
  }
  return out;
}

std::string loop_nests(const KernelSet &kernels, const Decisions &decisions) {
  std::string s;
  auto comment = [&](const std::string &text, const char *indent) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
      s += indent + ("# " + line) + "\n";
  };
  for (const char *of_passes : {"algorithm.", "layout."})
    comment(decisions.text(of_passes), "");
  for (const Kernel &k : kernels.kernels()) {
    // Halide prints them to the standard error stream alone.
    std::ostringstream nest;
    std::streambuf *keep = std::cerr.rdbuf(nest.rdbuf());
    try {
      Halide::Pipeline(k.pipeline).print_loop_nest();
    } catch (...) {
      std::cerr.rdbuf(keep);
      throw;
    }
    std::cerr.rdbuf(keep);
    s += fmt::format("kernel {}\n", k.name);
    comment(k.text, "  ");
    comment(k.key.empty() ? "" : decisions.text(k.key + "."), "  ");
    s += stable_names(nest.str());
  }
  return s;
}
} // namespace

Compiled compile(Graph graph, const CompileOptions &options) {
  Compiled c;
  auto clock = std::chrono::steady_clock::now();
  // The time since the last stage; a share of it where the rest is another stage's.
  auto took = [&](const char *stage, double share = 1) {
    const auto spent = std::chrono::duration_cast<std::chrono::steady_clock::duration>((std::chrono::steady_clock::now() - clock) * share);
    c.times.emplace_back(stage, std::chrono::duration<double>(spent).count());
    clock += spent;
  };
  auto reached = [&](const char *stage) { return options.stop_at == stage; };
  const std::vector<MachineTarget> targets = machine_targets(options.target);
  if (targets.size() > 1 && reached("cpp"))
    throw TargetError{"the C++ output is for one target"};
  verify(graph, "build");
  c.graph = graph;
  c.text["graph"] = print(graph);
  if (reached("graph"))
    return c;

  Decisions decisions; // of the target at hand
  int lanes = 1;       // of its vectors
  auto pass = [&](const char *name, Graph &g) {
    for (const Pass &p : passes())
      if (p.name == name) {
        std::string before = options.after_pass ? print(g) : "";
        p.run(g, decisions, lanes);
        verify(g, name);
        if (options.after_pass)
          options.after_pass(name, &g == &c.infer ? "inference" : &g == &c.single ? "one image"
                                                                                  : "training",
                             g, before != print(g));
      }
  };
  c.infer = c.train = std::move(graph);
  bool trains = c.train.loss != kNoValue;
  pass("store-border", c.infer);
  if (trains) {
    pass("store-border", c.train);
    pass("differentiate", c.train);
    pass("remove-dead", c.train);
  } else {
    c.train = Graph();
  }
  c.text["gradient"] = print(trains ? c.train : c.infer);
  if (reached("gradient"))
    return c;

  // From here on once for each target: vectors differ, and with them what is best and the plan.
  Halide::Type real = Halide::Float(options.f64 ? 64 : 32);
  LibraryModule library;
  auto append = [&](const char *stage, const MachineTarget &target, const std::string &text) {
    c.text[stage] += (targets.size() > 1 ? fmt::format("# {}\n", target.name) : "") + text;
  };
  const Graph infer = c.infer, train = c.train;
  for (const MachineTarget &target : targets) {
    const auto tuned = options.tuned.find(target.name);
    decisions = Decisions(tuned == options.tuned.end() ? std::map<std::string, std::string>() : tuned->second);
    decisions.additions_beside = target.additions_beside;
    decisions.wide_loads = target.wide_loads;
    decisions.accumulators = target.accumulators();
    decisions.l2_vectors = target.l2_bytes / target.vector_bytes;
    c.infer = infer, c.train = train, c.single = c.graph;
    KernelSet kernels(target, real, c.graph.name, decisions, options.schedule);
    lanes = kernels.lanes();
    for (Graph *g : {&c.infer, &c.train})
      if (!g->nodes.empty()) {
        if (options.conv != "direct")
          pass(options.conv == "fast" ? "use-fast-convolution" : "choose-algorithm", *g);
        pass("choose-layout", *g);
        pass("fuse", *g);
      }
    pass("lay-out-single", c.single);
    pass("fuse", c.single);
    append("fused", target, "# inference\n" + print(c.infer) + (c.train.nodes.empty() ? "" : "# training\n" + print(c.train)) + "# one image\n" + print(c.single));
    c.decisions = decisions.made();
    if (reached("fused"))
      continue;

    Plan plan = plan_memory(c.infer, c.train, c.single, kernels.lanes(), real.bytes(), target.l2_bytes / 2);
    append("plan", target, plan_text(plan, c.infer, c.train, c.single));
    took("passes and plan");
    if (reached("plan"))
      continue;

    ModelInfo info = describe(c.graph, plan, options, target);
    LibraryParts parts{target, plan, c.infer, 0, 0, 0, {}, {}, ""};
    if (info.trains)
      parts.state_slots = registry().optimizer(c.graph.optimizer)->slots(c.graph.optimizer_attributes);
    for (const Node &n : c.graph.nodes)
      if (op_of(n).macs)
        parts.macs += op_of(n).macs(c.graph, n);
    parts.routines = make_routines(kernels, c, plan, info);
    parts.tick = options.instrument ? kTickSymbol : "";
    c.calls.clear();
    for (const Routine &r : parts.routines)
      for (const KernelCall &call : r.calls)
        c.calls.push_back({r.name, call.kernel, call.what, call.macs, call.bytes, call.chunks, call.result, call.places.back(), kernels.key(call.kernel)});
    c.decisions = decisions.made();
    if (options.with_kernels)
      options.with_kernels(kernels, plan);
    took("schedules");
    if (reached("schedule")) {
      append("schedule", target, loop_nests(kernels, decisions));
      continue;
    }
    // Where the lowered form itself is wanted, in this process; else in several, to bitcode.
    Halide::Module module("", Halide::Target());
    KernelCode code;
    if (reached("stmt") || reached("cpp")) {
      module = lower_kernels(kernels);
      took("Halide lowering");
    } else {
      code = compile_kernels(kernels, options.jobs > 0 ? options.jobs : int(std::max(1u, std::thread::hardware_concurrency())), !reached("header"));
      took("Halide lowering", code.lowering / (code.lowering + code.llvm));
      took("LLVM code");
    }
    for (const Kernel &k : kernels.kernels())
      parts.scratch_bytes = std::max(parts.scratch_bytes, k.scratch.bytes);
    if (reached("stmt")) {
      std::ostringstream s;
      for (const auto &f : module.functions())
        s << "kernel " << f.name << "\n"
          << f.body << "\n";
      append("stmt", target, stable_names(s.str()));
      continue;
    }
    parts.kernels = kernels.kernels();
    library.begin_variant(parts, info);
    merge(c.info, info);
    took("constants");
    if (reached("header"))
      continue;
    if (reached("cpp")) {
      c.text["cpp"] = stable_names(cpp_text(parts, info, module));
      took("C++");
      continue;
    }
    library.finish_variant(parts, code.bitcode);
    took("linking and optimisation");
  }
  if (!reached("fused") && !reached("plan"))
    c.text["header"] = header_text(c.info);
  if (!reached("llvm") && !reached("asm") && !reached("obj"))
    return c;

  library.finish(targets[0], c.info);
  took("linking and optimisation");
  if (reached("llvm"))
    c.text["llvm"] = stable_names(library.text());
  else
    c.text[options.stop_at] = library.emit(targets[0], reached("asm"));
  took("machine code");
  return c;
}

} // namespace cnnc
