// y = 1 / (1 + exp(-x)); dx = dy * y * (1 - y)
#include <Halide.h>

#include "codegen/kernel.h"
#include "codegen/sigmoid.h"
#include "codegen/target.h"
#include "layers/elementwise.h"

namespace cnnc {
using Halide::Expr;
void register_sigmoid(Registry &r) {
  register_activation(
      r, "sigmoid", safe_sigmoid,
      [](Expr y, Expr dy) { return dy * (y * (1 - y)); },
      [](const MachineTarget &m) { return !m.estimates_reciprocal; }); // else as in codegen/sigmoid.h
  Op &f = r.ops[r.ops.size() - 2];                                     // before its gradient
  f.input_factor = kSigmoidFactor;
  f.define = [plain = f.define](KernelContext &k, const Node &n) {
    if (!k.factors.count(n.inputs[0])) {
      plain(k, n);
      return;
    }
    auto v = k.vars(n.type);
    Halide::Func y;
    y(v) = sigmoid_of_scaled(k.in(n, 0)(v));
    k.result(n, y);
  };
  r.layers.back().samples.push_back("model m\ninput x: f32[1, 6, 7]\nconv(3, kernel=2)\nsigmoid\nsigmoid\navg_pool(2)\nflatten\ndense(17)\nsigmoid\nsigmoid\n"
                                    "dense(4)\nloss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 5\n");
}
} // namespace cnnc
