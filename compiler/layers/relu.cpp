// y = max(x, 0), NaN stays; dx = dy where y > 0, and 0 at 0
#include <Halide.h>

#include "codegen/kernel.h"
#include "layers/elementwise.h"

namespace cnnc {
using Halide::Expr;
void register_relu(Registry &r) {
  register_activation(
      r, "relu",
      [](Expr x) { return Halide::max(Halide::Internal::make_zero(x.type()), x); }, // of a NaN the second one
      [](Expr y, Expr dy) { return Halide::select(y > 0, dy, Halide::Internal::make_zero(y.type())); });
}
} // namespace cnnc
