// Writes the library as C++: the header, Halide's C++ of the kernels, the hooks, and the constants and routines
// between them, from the same description that the LLVM module is made from.
#include <Halide.h>

#include <cmath>
#include <fmt/format.h>
#include <sstream>

#include "codegen/cpp.h"
#include "codegen/embedded.h"

namespace cnnc {

namespace {
std::string number(double v) {
  if (std::isinf(v))
    return v > 0 ? "INFINITY" : "-INFINITY";
  std::string s = fmt::format("{:.9g}", float(v)); // rounded once: nine digits give a float back
  return s.find_first_of(".e") == std::string::npos ? s + ".0f" : s + "f";
}

std::string dims4(const std::vector<int64_t> &d) {
  std::string s = "{";
  for (size_t i = 0; i < 4; i++)
    s += (i ? ", " : "") + std::to_string(i < d.size() ? d[i] : 1);
  return s + "}";
}

int64_t elements(const std::vector<int64_t> &d) {
  int64_t n = 1;
  for (int64_t x : d)
    n *= x;
  return n;
}

std::string starts(const LibraryParts &parts) {
  std::string values, rows;
  int given = 0;
  for (const std::string &name : parts.plan.parameters) {
    const Node *n = nullptr;
    for (const Node &candidate : parts.infer.nodes)
      if (candidate.name == name)
        n = &candidate;
    if (!n)
      throw GraphError{"the plan names a parameter that the graph lacks"};
    std::string init = n->has("init") ? n->text("init") : "constant";
    int kind = init == "uniform" ? 1 : init == "normal" ? 2
                                   : init == "given"    ? 3
                                                        : 0;
    std::string pointer = "NULL";
    if (kind == 3) {
      pointer = fmt::format("start_values{}", given++);
      values += fmt::format("static const float {}[] = {{", pointer);
      const Attribute &a = n->attributes.at("values");
      if (auto *reals = std::get_if<std::vector<double>>(&a))
        for (double v : *reals)
          values += number(v) + ", ";
      else
        for (int64_t v : std::get<std::vector<int64_t>>(a))
          values += number(double(v)) + ", ";
      values += "};\n";
    }
    rows += fmt::format("    {{{}, {}, {}, {}}}, // {}\n", kind, kind != 3 && n->has("a") ? number(n->number("a")) : "0",
                        kind != 3 && n->has("b") ? number(n->number("b")) : "0", pointer, name);
  }
  if (rows.empty())
    return "";
  return values + "static const cnnc_start the_starts[] = {\n" + rows + "};\n";
}

std::string constants(const LibraryParts &parts, const ModelInfo &info) {
  const Plan &p = parts.plan;
  std::string s = starts(parts);
  if (!p.sums.empty()) {
    s += "static const cnnc_range the_sums[] = {\n";
    for (const auto &[offset, bytes] : p.sums)
      s += fmt::format("    {{{}, {}}},\n", offset, bytes);
    s += "};\n";
  }
  s += fmt::format("const cnnc_plan cnnc_the_plan = {{\n    {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},\n    {}, {}, {}, {}, {}, {}, {}}};\n", p.padded(), p.blocks,
                   p.block_elements, parts.state_slots, int(info.trains), p.partial_bytes, p.partial_metrics,
                   p.train.workspace_bytes, std::max(p.infer.workspace_bytes, p.single.workspace_bytes), p.prepared_bytes, p.copied_bytes, parts.scratch_bytes, parts.macs, p.parameters.empty() ? "NULL" : "the_starts", parts.target.cpu_needs, p.single_most, p.kept, p.sums.size(), p.sums.empty() ? "NULL" : "the_sums");
  if (!info.tensors.empty()) {
    s += "static const cnnc_parameter the_tensors[] = {\n";
    for (const TensorInfo &t : info.tensors)
      s += fmt::format("    {{\"{}\", {}, {}, {}, {}}},\n", t.name, t.offset, t.size, t.dims.size(), dims4(t.dims));
    s += "};\n";
  }
  s += fmt::format("const cnnc_model cnnc_the_model = {{\n    CNNC_ABI, {}, \"{}\", \"{}\", \"{}\", {}u, {}, {}, {}, {},\n", info.f64 ? 8 : 4,
                   info.name, info.target, info.version, info.fingerprint, info.batch, info.lanes, info.partial_sums, info.alignment);
  for (const auto *d : {&info.input, &info.output, &info.target_image})
    s += fmt::format("    {}, {},\n", d->size(), dims4(*d));
  s += fmt::format("    {}, {}, {}, {}, {}, {}, {}, {}, {}, {},\n", elements(info.input), elements(info.output),
                   info.target_kind == 3 ? elements(info.target_image) : 0, info.target_kind, info.classes, int(info.loss_is_sum),
                   info.tensors.size(), info.parameter_count, info.optimizer_count, info.tensors.empty() ? "NULL" : "the_tensors");
  struct {
    const char *name;
    bool trains;
  } functions[] = {{"train_bytes", true}, {"infer_bytes", false}, {"init", true}, {"init_inference", false}, {"destroy", false}, {"train_step", true}, {"gradients", true}, {"evaluate", true}, {"predict", false}, {"save_size", false}, {"save", false}, {"load", false}, {"set_parameters", false}, {"parameter_values", false}, {"gradient_values", false}, {"step", false}};
  std::string list;
  for (const auto &f : functions)
    list += (list.empty() ? "    " : ", ") + (info.trains || !f.trains ? std::string("cnnc_hook_") + f.name : "NULL");
  return s + list + "};\n";
}

std::string routines(const LibraryParts &parts) {
  std::map<std::string, const Kernel *> kernels;
  for (const Kernel &k : parts.kernels)
    kernels[k.name] = &k;
  std::string s;
  for (const Routine &r : parts.routines) {
    size_t buffers = 0;
    for (const KernelCall &c : r.calls)
      buffers = std::max(buffers, c.places.size());
    s += fmt::format("void cnnc_{}(const cnnc_frame *frame) {{\n", r.name);
    if (r.calls.empty())
      s += "  (void)frame;\n";
    else
      // Sizes are constants of the kernels, which all the same look at the description of the dimensions.
      s += fmt::format("  struct halide_dimension_t dimensions[5] = {{}};\n  struct halide_buffer_t b[{}] = {{}};\n"
                       "  for (struct halide_buffer_t &each : b) each.dim = dimensions;\n",
                       buffers);
    for (const KernelCall &c : r.calls) {
      for (size_t i = 0; i < c.places.size(); i++) {
        std::string at = fmt::format("(uint8_t *)frame->region[{}] + {}", int(c.places[i].region), c.places[i].offset);
        if (c.block_bytes[i])
          at += fmt::format(" + (int64_t)frame->block * {}", c.block_bytes[i]);
        s += fmt::format("  b[{}].host = {};\n", i, at);
      }
      std::string arguments;
      size_t place = 0;
      for (const Halide::Argument &a : kernels.at(c.kernel)->arguments)
        arguments += a.is_buffer() ? fmt::format("&b[{}], ", place++) : fmt::format("frame->{}, ", a.name);
      for (; place < c.places.size(); place++)
        arguments += fmt::format("&b[{}], ", place);
      if (!kernels.at(c.kernel)->fetches_images.empty())
        arguments += fmt::format("frame->region[{}], frame->pixel, ", int(Region::Ahead));
      for (int64_t offset : kernels.at(c.kernel)->scratch.offsets)
        arguments += fmt::format("(uint8_t *)frame->region[{}] + {}, ", int(Region::Scratch), offset);
      s += fmt::format("  {}({});\n", c.kernel, arguments.substr(0, arguments.size() - 2));
    }
    s += "}\n";
  }
  return s;
}

std::string public_functions(const ModelInfo &info) {
  std::string s;
  const char *labels = info.target_kind == 2 ? "uint16_t" : info.target_kind == 3 ? "float"
                                                                                  : "uint8_t";
  const std::string n = info.name;
  for (int u8 : {0, 1}) {
    const char *pixel = u8 ? "uint8_t" : "float", *suffix = u8 ? "_u8" : "";
    if (info.trains)
      for (const char *f : {"train_step", "gradients", "evaluate"})
        s += fmt::format("cnnc_status {0}_{1}{2}(cnnc_net *net, const {3} *images, const {4} *targets, int count, cnnc_metrics *metrics) {{\n"
                         "  return cnnc_hook_{1}(net, images, {5}, targets, count, metrics);\n}}\n",
                         n, f, suffix, pixel, labels, u8);
    s += fmt::format("cnnc_status {0}_predict{1}(cnnc_net *net, const {2} *images, int count, {4} *outputs) {{\n"
                     "  return cnnc_hook_predict(net, images, {3}, count, outputs);\n}}\n",
                     n, suffix, pixel, u8, info.f64 ? "double" : "float");
  }
  s += fmt::format("cnnc_status {}_set_parameters(cnnc_net *net, const {} *values) {{ return cnnc_hook_set_parameters(net, values); }}\n", n,
                   info.f64 ? "double" : "float");
  return s + fmt::format("const cnnc_model *{}_model(void) {{ return &cnnc_the_model; }}\n", n);
}

// Halide's vector operations copy through memory and work lane by lane under one compiler or the other. The same in
// vector expressions: g++ then keeps the accumulators in registers (50 times faster), clang the activations (twice).
std::string with_whole_vectors(std::string text) {
  auto replace = [&](const std::string &from, const std::string &to) {
    size_t at = text.find(from);
    if (at == std::string::npos)
      throw GraphError{"C++ output: Halide's text is not as expected, lacks: " + from};
    for (; at != std::string::npos; at = text.find(from, at + to.size()))
      text.replace(at, from.size(), to);
  };
  replace("    using Mask = NativeVector<uint8_t, Lanes>;\n",
          "    using Mask = NativeVector<uint8_t, Lanes>;\n"
          "    struct __attribute__((packed, may_alias)) Unaligned { Vec v; };\n");
  replace("        memcpy(&r, ((const ElementType*)base + offset), sizeof(ElementType) * Lanes);\n        return r;",
          "        return ((const Unaligned *)((const ElementType*)base + offset))->v;");
  replace("        memcpy(((ElementType*)base + offset), &v, sizeof(ElementType) * Lanes);",
          "        ((Unaligned *)((ElementType*)base + offset))->v = v;");
  replace("#if defined(__GNUC__) && !defined(__clang__)", "#if defined(__GNUC__)");
  replace("        return b ? true_value : false_value;", "        return b != 0 ? true_value : false_value;");
  // Halide keeps what a prefetch returns, which is nothing, and asks for no place in the caches.
  if (text.find(" = __builtin_prefetch(") != std::string::npos) {
    replace(" = __builtin_prefetch(", " = 0; __builtin_prefetch(");
    replace("/*rw*/0, /*locality*/0);", "/*rw*/0, /*locality*/3);");
  }
  return text;
}
} // namespace

std::string cpp_text(const LibraryParts &parts, const ModelInfo &info, const Halide::Module &kernels) {
  std::ostringstream halide;
  Halide::Module inside(kernels.name(), kernels.target());
  for (Halide::Internal::LoweredFunc f : kernels.functions()) {
    f.linkage = Halide::LinkageType::Internal; // no description of its arguments, no wrapper
    inside.append(f);
  }
  Halide::Internal::CodeGen_C(halide, parts.target.halide, Halide::Internal::CodeGen_C::CPlusPlusImplementation).compile(inside);
  std::string s = fmt::format("// {}: c++ -std=c++17 -O2 {} -ffp-contract=fast -c {}.cpp\n", info.command.empty() ? "cnnc " + info.version : info.command,
                              parts.target.compiler_flags, info.name);
  s += fmt::format("#include \"{}.h\"\n#include <pthread.h>\n\n", info.name);
  // What Halide writes is not free of warnings: unused functions, comparisons, and values that are used uninitialised on
  // purpose where an output starts undefined.
  s += "// From here to the pop: Halide's prologue (MIT licence, halide-lang.org), changed in its vector loads, stores and\n// selects, and the kernels that Halide wrote.\n#pragma GCC diagnostic push\n";
  for (const char *w : {"-Wunknown-pragmas", "-Wpragmas", "-Wunknown-warning-option", "-Wunused-function", "-Wunused-variable", "-Wunused-parameter",
                        "-Wunused-but-set-variable", "-Wuninitialized", "-Wmaybe-uninitialized", "-Wsign-compare", "-Wpsabi", "-Wextra",
                        "-Wtautological-compare", "-Wparentheses", "-Wmissing-field-initializers", "-Wclass-memaccess"})
    s += fmt::format("#pragma GCC diagnostic ignored \"{}\"\n", w);
  s += with_whole_vectors(halide.str()) + "#pragma GCC diagnostic pop\n\n";
  // Every symbol begins with the model's name: two models link into one program.
  std::vector<std::string> names = {"the_plan", "the_model"};
  for (const Routine &r : parts.routines)
    names.push_back(r.name);
  for (const char *hook : {"train_bytes", "infer_bytes", "train_step", "gradients", "evaluate", "predict", "set_parameters", "parameter_values", "gradient_values", "step"})
    names.push_back(std::string("hook_") + hook);
  for (const std::string &n : names)
    s += fmt::format("#define cnnc_{} {}_internal_{}\n", n, info.name, n);
  for (const char *hook : {"init", "init_inference", "destroy", "save_size", "save", "load"})
    s += info.trains || std::string(hook) != "init" ? fmt::format("#define cnnc_hook_{0} {1}_{0}\n", hook, info.name)
                                                    : fmt::format("#define cnnc_hook_{0} {1}_internal_{0}\n", hook, info.name);
  s += fmt::format("#define CNNC_REAL {}\n\nextern \"C\" {{\n", info.f64 ? "double" : "float");
  s += embedded_hooks_text() + "\n" + routines(parts) + "\n" + constants(parts, info) + "\n" + public_functions(info);
  return s + "} // extern \"C\"\n";
}

} // namespace cnnc
