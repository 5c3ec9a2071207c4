// A border of zeros, stored: convolutions then read it without a test. Inserted by choose_layout.
// x: [C,H,W] by lane; y: [C,H+top+bottom,W+left+right] by lane
#include <Halide.h>

#include "codegen/kernel.h"
#include "layers/registry.h"

namespace cnnc {
using namespace Halide;

void register_pad(Registry &r) {
  Op f;
  f.name = "pad";
  f.traits = kAlone;
  f.infer = [](const Graph &g, const Node &n) {
    const Type &t = g[n.inputs[0]].type;
    expect_rank("pad", t, 3);
    const auto &p = n.list("padding");
    return Type{t.kind, {t.dims[0], t.dims[1] + p[0] + p[1], t.dims[2] + p[2] + p[3]}};
  };
  f.define = [](KernelContext &k, const Node &n) {
    auto v = k.vars(n.type); // lane, w, h, c
    const auto &p = n.list("padding");
    int h = int(k.type(n, 0).dims[1]), w = int(k.type(n, 0).dims[2]);
    Expr y = v[2] - int(p[0]), x = v[1] - int(p[2]);
    Func out;
    out(v) = select(y >= 0 && y < h && x >= 0 && x < w,
                    k.in(n, 0)(v[0], clamp(x, 0, w - 1), clamp(y, 0, h - 1), v[3]), k.constant(0));
    k.form = k.single ? KernelContext::Form::Copy : KernelContext::Form::Elementwise;
    k.copied = k.in(n, 0);
    k.copied_extents = k.type(n, 0).dims;
    k.copied_to = {0, int(p[0]), int(p[2])};
    k.bordered = true;
    k.result(n, out);
  };
  r.ops.push_back(f);
}
} // namespace cnnc
