// y = 1 / (1 + exp(-x)); dx = dy * y * (1 - y)
#include <Halide.h>

#include "codegen/kernel.h"
#include "codegen/target.h"
#include "layers/elementwise.h"

namespace cnnc {
using Halide::Expr;
void register_sigmoid(Registry &r) {
  register_activation(
      r, "sigmoid", safe_sigmoid,
      [](Expr y, Expr dy) { return dy * (y * (1 - y)); },
      [](const MachineTarget &m) { return !m.estimates_reciprocal; }); // else as in codegen/sigmoid.h
}
} // namespace cnnc
