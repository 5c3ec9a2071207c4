// y = 1 / (1 + exp(-x)); dx = dy * y * (1 - y)
#include <Halide.h>

#include "codegen/kernel.h"
#include "layers/elementwise.h"

namespace cnnc {
using Halide::Expr;
void register_sigmoid(Registry &r) {
  register_activation(
      r, "sigmoid", [](Expr x) { return 1 / (1 + safe_exp(-x)); },
      [](Expr y, Expr dy) { return dy * (y * (1 - y)); });
}
} // namespace cnnc
