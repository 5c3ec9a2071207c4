// Every kernel of a model under cnnc's schedule and under those of Halide's autoschedulers, for tools/bench.
// Usage: autoschedulers make|time MODEL CONV FOLDER SECONDS    CONV as in --conv
//   make   writes a library for each kernel and schedule to FOLDER; one that is not done in SECONDS is given up
//   time   times them; both print a line of JSON for each kernel
//
// Beside them is timed what bounds a kernel that does little else than move memory: loading all that it reads and storing all that it
// writes, once, by the vector.
//
// All of them get the same pipeline, with the same sizes, alignments and target, one thread, and go through the same back end of
// Halide into a shared library each, with Halide's runtime. Each is made and tried in a process of its own, since an autoscheduler
// may fail. The results must agree, or it is not timed.
#include <Halide.h>
#include <HalideRuntime.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codegen/kernels.h"
#include "codegen/target.h"
#include "compile.h"
#include "graph/build.h"

using namespace cnnc;
using nlohmann::ordered_json;

namespace {

using Clock = std::chrono::steady_clock;

const std::vector<std::string> kSchedulers = {"Adams2019", "Li2018", "Mullapudi2016"};
// Sums in another order differ by about 1e-6 of the largest element, a wrong schedule by far more.
constexpr double kTolerance = 1e-4;

// By so many elements at most an index of a buffer's last dimension stands further from the one before than it has to.
constexpr size_t kFurther = 64;

struct Made {
  std::vector<Kernel> kernels;
  Plan plan;
  std::vector<CallInfo> calls;
};

Made make(const Graph &graph, const std::string &conv, bool scheduled) {
  Made made;
  CompileOptions options;
  options.conv = conv;
  options.schedule = scheduled;
  options.stop_at = "schedule";
  options.with_kernels = [&](const KernelSet &set, const Plan &plan) { made.kernels = set.kernels(), made.plan = plan; };
  made.calls = compile(graph, options).calls;
  return made;
}

// Writes the library of one kernel; throws what Halide throws.
void build(Kernel kernel, const std::string &scheduler, const Halide::Target &target, const std::string &path) {
  Halide::Pipeline pipeline(kernel.pipeline);
  if (!scheduler.empty()) {
    const auto defaults = Halide::MachineParams::generic();
    pipeline.auto_schedule(scheduler, target, Halide::MachineParams(1, defaults.last_level_cache_size, defaults.balance));
  }
  pipeline.compile_to_object(path + ".o", kernel.arguments, "kernel", target);
  if (std::system(fmt::format("g++ -shared -o '{0}.so' '{0}.o' -lpthread -ldl", path).c_str()) != 0)
    throw std::runtime_error("the object does not link");
}

// Runs `work` in a process of its own, at most so many seconds of processor time, with its error stream in a file. Returns what went wrong.
template <class F>
std::string apart(int seconds, const std::string &log, F work) {
  std::cout.flush();
  const pid_t child = fork();
  if (child < 0)
    return "no process";
  if (child == 0) {
    const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(file, STDERR_FILENO);
    dup2(file, STDOUT_FILENO); // autoschedulers tell of their search
    const rlimit limit = {rlim_t(seconds), rlim_t(seconds)};
    setrlimit(RLIMIT_CPU, &limit);
    try {
      work();
    } catch (const Halide::Error &e) {
      std::cerr << e.what();
      _exit(1);
    } catch (const std::exception &e) {
      std::cerr << e.what();
      _exit(1);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return "";
  if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
    return fmt::format("not done in {} s", seconds);
  std::ostringstream text;
  text << std::ifstream(log).rdbuf();
  std::string said = text.str();
  while (!said.empty() && said.back() == '\n')
    said.pop_back();
  said = said.substr(said.size() > 200 ? said.size() - 200 : 0);
  std::replace(said.begin(), said.end(), '\n', ' ');
  return WIFSIGNALED(status) ? fmt::format("ended by signal {}", WTERMSIG(status)) : said;
}

// Memory without gaps.
constexpr size_t kPiece = 2048; // bytes at most: reading and writing take turns

struct Piece {
  char *at;
  size_t bytes;
};

// An argument's memory.
struct Memory {
  halide_buffer_t buffer = {};
  std::vector<halide_dimension_t> dims;
  std::vector<char> bytes, start; // `start`: what it holds before a run
  char *data = nullptr;

  Memory(Halide::Type type, const std::vector<std::pair<int, int>> &extents_and_strides, std::mt19937 &random) {
    size_t elements = 1;
    for (auto [extent, stride] : extents_and_strides) {
      dims.emplace_back(0, extent, stride);
      elements = std::max(elements, size_t(extent) * size_t(stride));
    }
    elements += kFurther * size_t(dims.back().extent);
    start.resize(elements * size_t(type.bytes()));
    if (type.is_float()) {
      std::uniform_real_distribution<float> u(-1, 1);
      for (size_t i = 0; i < elements; i++) {
        const float value = u(random);
        std::memcpy(start.data() + i * sizeof value, &value, sizeof value);
      }
    } else { // a class, or a pixel
      for (size_t i = 0; i < start.size(); i += size_t(type.bytes()))
        start[i] = char(random() % 10);
    }
    bytes.resize(start.size() + 64);
    data = bytes.data() + (64 - reinterpret_cast<uintptr_t>(bytes.data()) % 64);
    buffer.host = reinterpret_cast<uint8_t *>(data);
    buffer.type = halide_type_t(type.is_float() ? halide_type_float : halide_type_uint, uint8_t(type.bits()), 1);
    buffer.dimensions = int(dims.size());
    reset();
  }
  Memory(Memory &&) = delete;
  std::vector<Piece> pieces() const {
    std::vector<halide_dimension_t> order = dims; // the innermost first
    std::sort(order.begin(), order.end(), [](const halide_dimension_t &a, const halide_dimension_t &b) { return a.stride < b.stride; });
    const size_t element = size_t(buffer.type.bits) / 8;
    size_t together = 0; // dimensions without gaps
    int64_t run = 1;
    while (together < order.size() && order[together].stride == run)
      run *= order[together++].extent;
    std::vector<Piece> all;
    std::vector<int32_t> at(order.size());
    for (;;) {
      size_t offset = 0;
      for (size_t d = together; d < order.size(); d++)
        offset += size_t(at[d]) * size_t(order[d].stride);
      for (size_t from = 0, bytes = size_t(run) * element; from < bytes; from += kPiece)
        all.push_back({data + offset * element + from, std::min(kPiece, bytes - from)});
      size_t d = together;
      while (d < order.size() && ++at[d] == order[d].extent)
        at[d++] = 0;
      if (d >= order.size())
        return all;
    }
  }
  void reset() {
    buffer.dim = dims.data();
    std::memcpy(data, start.data(), start.size());
  }
};

int extent(const Halide::Expr &e) {
  const int64_t *n = Halide::Internal::as_const_int(e);
  if (!n)
    throw GraphError{"a kernel's size is not a constant"};
  return int(*n);
}

// What a kernel reads and writes.
struct Moved {
  std::vector<Piece> read, written;
  bool adds = false; // to what stands there
};

// The arguments of a kernel with random inputs.
class Call {
public:
  Call(const Kernel &kernel, const Plan &plan, int lanes) : valid_(lanes) {
    std::mt19937 random(1);
    for (const Halide::Argument &a : kernel.arguments) {
      if (a.is_scalar()) {
        if (a.name == "fresh") // it takes several chunks at a time
          valid_ = plan.kept;
        arguments_.push_back(a.name == "valid" ? static_cast<void *>(&valid_) : a.name == "step" ? static_cast<void *>(&step_)
                                                                            : a.name == "fresh"  ? static_cast<void *>(&fresh_)
                                                                                                 : static_cast<void *>(&scale_));
        continue;
      }
      std::vector<std::pair<int, int>> shape;
      int stride = 1;
      for (const Halide::Range &r : a.argument_estimates.buffer_estimates) {
        shape.emplace_back(extent(r.extent), stride);
        stride *= extent(r.extent);
      }
      if (a.name == "partials")
        shape[1].second = int(plan.partial_bytes / a.type.bytes());
      add(a.type, shape, random);
    }
    Halide::Func out = kernel.pipeline.outputs()[0];
    outputs_from_ = memory_.size();
    std::vector<std::pair<int, int>> shape;
    int stride = 1;
    for (const auto &bound : out.function().schedule().bounds()) {
      // A part of a larger image has its strides.
      const auto *fixed = Halide::Internal::as_const_int(out.output_buffers()[0].parameter().stride_constraint(int(shape.size())));
      shape.emplace_back(extent(bound.extent), fixed ? int(*fixed) : stride);
      stride *= extent(bound.extent);
    }
    for (const Halide::Type &t : out.output_types())
      add(t, shape, random);
  }
  void reset() {
    for (auto &m : memory_)
      m->reset();
  }
  void **arguments() { return arguments_.data(); }
  // `bytes`: what is read and written together, of outputs the first part alone where not all of them is.
  Moved moves(int64_t bytes, bool adds) const {
    Moved all;
    all.adds = adds;
    for (size_t i = 0; i < memory_.size(); i++) {
      auto &pieces = i < outputs_from_ ? all.read : all.written;
      for (const Piece &p : memory_[i]->pieces()) {
        if (i >= outputs_from_ && bytes <= 0)
          break;
        pieces.push_back(p);
        bytes -= int64_t(p.bytes);
      }
    }
    return all;
  }
  // All that the outputs hold.
  std::vector<float> outputs() const {
    std::vector<float> all;
    for (size_t i = outputs_from_; i < memory_.size(); i++) {
      const size_t n = memory_[i]->start.size() / sizeof(float), before = all.size();
      all.resize(before + n);
      std::memcpy(all.data() + before, memory_[i]->data, n * sizeof(float));
    }
    return all;
  }

private:
  void add(Halide::Type type, const std::vector<std::pair<int, int>> &shape, std::mt19937 &random) {
    memory_.push_back(std::make_unique<Memory>(type, shape, random));
    arguments_.push_back(&memory_.back()->buffer);
  }
  int valid_, step_ = 1, fresh_ = 0;
  float scale_ = 1.f / 256;
  std::vector<std::unique_ptr<Memory>> memory_;
  std::vector<void *> arguments_;
  size_t outputs_from_ = 0;
};

using Function = int (*)(void **);

Function load(const std::string &path) {
  void *library = dlopen((path + ".so").c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    throw std::runtime_error(dlerror());
  if (auto set = reinterpret_cast<int (*)(int)>(dlsym(library, "halide_set_num_threads")))
    set(1);
  auto f = reinterpret_cast<Function>(dlsym(library, "kernel_argv"));
  if (!f)
    throw std::runtime_error(dlerror());
  return f;
}

void compare(const std::string &path, const std::string &reference, Call &call) {
  const Function ours = load(reference), theirs = load(path);
  call.reset();
  if (ours(call.arguments()) != 0)
    throw std::runtime_error("cnnc's own kernel failed");
  const std::vector<float> expected = call.outputs();
  call.reset();
  if (theirs(call.arguments()) != 0)
    throw std::runtime_error("the kernel failed");
  const std::vector<float> found = call.outputs();
  double largest = 0, worst = 0;
  for (size_t i = 0; i < expected.size(); i++) {
    largest = std::max(largest, std::abs(double(expected[i])));
    const double difference = std::abs(double(expected[i]) - double(found[i]));
    worst = difference <= worst ? worst : difference; // also a NaN
  }
  if (!(worst <= kTolerance * largest))
    throw std::runtime_error(fmt::format("wrong: differs by {:.3g}, the largest element is {:.3g}", worst, largest));
}

// Seconds of a call: the median of several rounds, in which the kernels take turns.
std::vector<double> times(const std::vector<Function> &functions, Call &call) {
  constexpr double kSlot = 3e-3;
  constexpr int kRounds = 9;
  call.reset();
  auto run = [&](Function f, int repeats) {
    const auto from = Clock::now();
    for (int i = 0; i < repeats; i++)
      f(call.arguments());
    return std::chrono::duration<double>(Clock::now() - from).count() / repeats;
  };
  std::vector<int> repeats;
  for (Function f : functions) {
    run(f, 1);
    repeats.push_back(std::max(1, int(kSlot / std::max(run(f, 2), 1e-8))));
  }
  std::vector<std::vector<double>> all(functions.size());
  for (int round = 0; round < kRounds; round++)
    for (size_t i = 0; i < functions.size(); i++)
      all[i].push_back(run(functions[i], repeats[i]));
  std::vector<double> medians;
  for (auto &t : all) {
    std::sort(t.begin(), t.end());
    medians.push_back(t[t.size() / 2]);
  }
  return medians;
}

Moved moved; // by the function that is timed, which has a kernel's type

typedef float V16 __attribute__((vector_size(16), may_alias, aligned(4)));
typedef float V64 __attribute__((vector_size(64), may_alias, aligned(4)));

volatile float sink;

template <class V>
[[gnu::always_inline]] inline int move() {
  V a = {}, b = {}, c = {}, d = {}, stored = {};
  asm volatile(""
               : "+m"(stored)); // else the compiler makes calls of memset
  const size_t steps = std::max(moved.read.size(), moved.written.size());
  size_t reads = 0, writes = 0;
  for (size_t step = 1; step <= steps; step++) {
    for (const size_t end = moved.read.size() * step / steps; reads < end; reads++) {
      const V *from = reinterpret_cast<const V *>(moved.read[reads].at), *stop = from + moved.read[reads].bytes / sizeof(V);
      for (; from + 4 <= stop; from += 4)
        a += from[0], b += from[1], c += from[2], d += from[3];
      for (; from < stop; from++)
        a += *from;
    }
    for (const size_t end = moved.written.size() * step / steps; writes < end; writes++) {
      V *to = reinterpret_cast<V *>(moved.written[writes].at), *stop = to + moved.written[writes].bytes / sizeof(V);
      if (moved.adds)
        for (; to < stop; to++)
          *to += stored;
      else
        for (; to < stop; to++)
          *to = stored;
    }
  }
  sink = (a + b + c + d)[0];
  return 0;
}

int move_16(void **) { return move<V16>(); }
#ifdef __x86_64__
[[gnu::target("avx512f")]] int move_64(void **) { return move<V64>(); }
#endif

Function widest_move() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f"))
    return move_64;
#endif
  return move_16;
}

// What is done with each kernel. `path`: where its libraries stand, for "cnnc" and each autoscheduler.
std::string library(const std::string &path, const std::string &who) { return path + "-" + who; }

std::string failure(const std::string &path) {
  std::ostringstream text;
  text << std::ifstream(path + ".failure").rdbuf();
  return text.str();
}

void make_all(const Graph &graph, const std::string &conv, const Made &ours, size_t i, const std::string &path, int seconds) {
  const Halide::Target target = machine_target("host").halide.without_feature(Halide::Target::NoRuntime);
  const std::string own = library(path, "cnnc");
  std::string fault = apart(seconds, own + ".log", [&] { build(ours.kernels[i], "", target, own); });
  if (!fault.empty())
    throw std::runtime_error(ours.kernels[i].name + ": " + fault);
  Call call(ours.kernels[i], ours.plan, ours.plan.lanes);
  for (const std::string &scheduler : kSchedulers) {
    const std::string its = library(path, scheduler);
    fault = apart(seconds, its + ".log", [&] { build(make(graph, conv, false).kernels[i], scheduler, target, its); });
    if (fault.empty())
      fault = apart(seconds, its + ".log", [&] { compare(its, own, call); });
    std::ofstream(its + ".failure") << fault;
  }
}

// Whether its updates read what the result holds.
bool adds_to_result(const Kernel &kernel) {
  const Halide::Func out = kernel.pipeline.outputs()[0];
  struct : Halide::Internal::IRVisitor {
    using Halide::Internal::IRVisitor::visit;
    std::string name;
    bool found = false;
    void visit(const Halide::Internal::Call *op) override {
      found = found || op->name == name;
      Halide::Internal::IRVisitor::visit(op);
    }
  } reads;
  reads.name = out.name();
  for (int i = 0; i < out.num_update_definitions(); i++)
    for (const Halide::Expr &value : out.function().update(i).values())
      value.accept(&reads);
  return reads.found;
}

ordered_json time_all(const Made &ours, size_t i, const std::string &path) {
  const Kernel &kernel = ours.kernels[i];
  const bool kept = std::any_of(kernel.arguments.begin(), kernel.arguments.end(), [](const Halide::Argument &a) { return a.name == "fresh"; });
  ordered_json answer = {{"kernel", kernel.name}, {"what", ""}, {"routines", ordered_json::array()}, {"chunks", kept ? ours.plan.kept : 1}};
  for (const CallInfo &c : ours.calls)
    if (c.kernel == kernel.name) {
      const size_t equals = c.what.find("= ");
      answer["what"] = equals == std::string::npos ? c.what : c.what.substr(equals + 2);
      answer["routines"].push_back(c.routine);
    }
  std::vector<std::string> names = {"cnnc"};
  ordered_json failures = ordered_json::object();
  for (const std::string &scheduler : kSchedulers)
    if (const std::string fault = failure(library(path, scheduler)); fault.empty())
      names.push_back(scheduler);
    else
      failures[scheduler] = fault;
  std::vector<Function> functions;
  for (const std::string &name : names)
    functions.push_back(load(library(path, name)));
  Call call(kernel, ours.plan, ours.plan.lanes);
  int64_t bytes = 0;
  for (const CallInfo &c : ours.calls)
    if (c.kernel == kernel.name)
      bytes = c.bytes;
  moved = call.moves(bytes, adds_to_result(kernel));
  functions.push_back(widest_move());
  const std::vector<double> medians = times(functions, call);
  for (size_t n = 0; n < names.size(); n++)
    answer["seconds"][names[n]] = medians[n];
  answer["move"] = medians.back();
  answer["failures"] = failures;
  return answer;
}

int run(const std::string &command, const std::string &file, const std::string &conv, const std::string &folder, int seconds) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  const Source source(file, text.str());
  Diagnostics diagnostics(source);
  const auto graph = build_graph(source, {}, diagnostics);
  if (!graph) {
    std::cerr << diagnostics.text();
    return 1;
  }
  setenv("HL_NUM_THREADS", "1", 1);
  setenv("HL_SEED", "1", 1);
  for (const char *plugin : {"adams2019", "li2018", "mullapudi2016"})
    Halide::load_plugin(fmt::format("{}/libautoschedule_{}.so", CNNC_HALIDE_PLUGINS, plugin));
  const Made ours = make(*graph, conv, true);
  for (size_t i = 0; i < ours.kernels.size(); i++) {
    const std::string path = fmt::format("{}/{}-{}", folder, conv, i);
    if (command == "make") {
      make_all(*graph, conv, ours, i, path, seconds);
      std::cout << ordered_json({{"kernel", ours.kernels[i].name}, {"of", ours.kernels.size()}}) << std::endl;
    } else {
      std::cout << time_all(ours, i, path) << std::endl;
    }
  }
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 6 || (std::strcmp(argv[1], "make") != 0 && std::strcmp(argv[1], "time") != 0))
    return 2;
  try {
    return run(argv[1], argv[2], argv[3], argv[4], std::atoi(argv[5]));
  } catch (const GraphError &e) {
    std::cerr << e.message << "\n";
  } catch (const std::exception &e) {
    std::cerr << e.what() << "\n";
  }
  return 1;
}
