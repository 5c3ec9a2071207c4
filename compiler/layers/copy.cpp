// The same value in another layout: what lay-out-single puts between operations, and the weights that it packs.
#include <Halide.h>

#include "codegen/kernel.h"
#include "layers/registry.h"

namespace cnnc {

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
    f.define(k, n);
    k.bordered = true; // what stands behind the end of a line is added in: zeros
  };
  r.ops.push_back(p);
}
} // namespace cnnc
