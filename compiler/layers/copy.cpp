// The same value in another layout: what lay-out-single puts between operations, and the weights that it packs.
#include <Halide.h>

#include "codegen/kernel.h"
#include "graph/layout.h"
#include "layers/registry.h"

namespace cnnc {

namespace {
// A weight of units by inputs with the units in the vector; zeros stand behind the last. Blocks of inputs overlap where
// they are not whole.
void define_packed(KernelContext &k, const Node &n) {
  using namespace Halide;
  const int units = int(n.type.dims[0]), inputs = int(n.type.dims[1]);
  auto v = k.vars(n.type); // input, unit
  Var unit("unit"), input("input");
  Func turned("turned"), packed("packed");
  turned(unit, input) = k.in(n, 0)(input, min(unit, units - 1));
  packed(v) = turned(v[1], v[0]);
  k.domain = RDom(0, k.vector, 0, (inputs + k.vector - 1) / k.vector, "inputs");
  k.place = {min(k.domain[1] * k.vector, inputs - k.vector) + k.domain[0], v[1]};
  k.added = select(v[1] < units, turned(v[1], k.place[0]), k.constant(0));
  k.form = KernelContext::Form::Packed;
  k.staged = turned;
  k.result(n, packed);
}
} // namespace

void register_copy(Registry &r) {
  Op f;
  f.name = "copy";
  f.traits = kAlone;
  f.infer = same_as_first;
  f.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type);
    Halide::Func y;
    y(v) = k.in(n, 0)(v);
    k.form = KernelContext::Form::Copy;
    k.copied = k.in(n, 0);
    k.copied_extents = n.type.dims;
    k.copied_to.assign(n.type.dims.size(), 0);
    k.result(n, y);
  };
  r.ops.push_back(f);

  Op p = f; // a parameter's copy, made once after each change
  p.name = "packed";
  p.traits = kAlone | kPrepare | kShapeless;
  p.define = [f](KernelContext &k, const Node &n) {
    const Layout layout = layout_of(n);
    if (n.type.dims.size() == 2 && layout.innermost() == 0 && n.type.dims[1] >= k.vector) {
      define_packed(k, n);
      return;
    }
    f.define(k, n);
    k.bordered = true; // what stands behind the end of a line is added in: zeros
  };
  r.ops.push_back(p);
}
} // namespace cnnc
