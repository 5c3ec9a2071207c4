// The list of all operations, layers, losses and optimizers, and what their shape rules share.
#include "layers/registry.h"

#include <fmt/format.h>

namespace cnnc {

const Registry &registry() {
  static const Registry r = [] {
    Registry r;
#define REGISTER(name) register_##name(r);
#include "layers/registry.def"
#undef REGISTER
    return r;
  }();
  return r;
}

namespace {
template <class T>
const T *by_name(const std::vector<T> &all, const std::string &name) {
  for (const T &t : all)
    if (t.name == name)
      return &t;
  return nullptr;
}
} // namespace

const Op *Registry::op(const std::string &name) const { return by_name(ops, name); }
const Layer *Registry::layer(const std::string &name) const { return by_name(layers, name); }
const Loss *Registry::loss(const std::string &name) const { return by_name(losses, name); }
const Optimizer *Registry::optimizer(const std::string &name) const { return by_name(optimizers, name); }

const Op &op_of(const Node &node) {
  static const std::map<std::string, const Op *> index = [] {
    std::map<std::string, const Op *> m;
    for (const Op &o : registry().ops)
      m[o.name] = &o;
    return m;
  }();
  auto it = index.find(node.op);
  if (it == index.end())
    throw GraphError{"unknown operation '" + node.op + "'"};
  return *it->second;
}

Type same_as_first(const Graph &g, const Node &n) { return g[n.inputs[0]].type; }

void expect_rank(const std::string &what, const Type &t, size_t rank) {
  if (t.dims.size() != rank)
    throw GraphError{fmt::format("{}: expected {} dimensions, found {}", what, rank, type_text(t))};
}

std::vector<int64_t> window_output(const Graph &, const Node &n, const std::vector<int64_t> &image) {
  const auto &k = n.list("kernel"), &s = n.list("stride"), &p = n.list("padding");
  if (k.size() != 2 || s.size() != 2 || p.size() != 4 || image.size() != 3)
    throw GraphError{fmt::format("{}: expected a kernel and a stride of two numbers, a padding of four and an input "
                                 "of three dimensions, found an input of {}",
                                 n.op, dims_text(image))};
  std::string padding = p[0] == p[1] && p[1] == p[2] && p[2] == p[3] ? std::to_string(p[0])
                                                                     : "(" + dims_text(p, ", ") + ")";
  std::vector<int64_t> out = {image[0], 0, 0};
  for (int a = 0; a < 2; a++) {
    int64_t whole = image[1 + a] + p[2 * a] + p[2 * a + 1];
    if (k[a] < 1 || s[a] < 1 || whole < k[a])
      throw GraphError{fmt::format("{}: kernel {} does not fit an input of {} ({} {} < {}) with padding {}", n.op,
                                   dims_text(k), dims_text(image), a ? "width" : "height", image[1 + a], k[a],
                                   padding)};
    out[1 + a] = (whole - k[a]) / s[a] + 1;
  }
  return out;
}

void register_sources(Registry &r) {
  auto source = [&](const char *name, Kind kind) {
    Op o;
    o.name = name;
    o.traits = kSource;
    o.arity_min = o.arity_max = 0;
    o.infer = [kind](const Graph &, const Node &n) {
      if (kind == Kind::Label)
        return Type{kind, {}};
      for (int64_t d : n.list("dims"))
        if (d < 1)
          throw GraphError{n.op + ": a dimension is below 1"};
      std::vector<int64_t> dims = n.list("dims");
      if (n.has("border")) { // of zeros, stored with an image
        const auto &border = n.list("border");
        if (dims.size() != 3 || border.size() != 4 || *std::min_element(border.begin(), border.end()) < 0)
          throw GraphError{n.op + ": a border is four numbers around an image"};
        dims[1] += border[0] + border[1], dims[2] += border[2] + border[3];
      }
      return Type{kind, dims};
    };
    r.ops.push_back(o);
  };
  source("input", Kind::Example);
  source("target", Kind::Example);
  source("parameter", Kind::Parameter);
  source("label", Kind::Label);
}
} // namespace cnnc
