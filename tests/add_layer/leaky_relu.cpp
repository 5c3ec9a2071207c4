// y = x where x > 0, else x / 100. Not part of cnnc: the example of the README's "Adding a layer".
#include <Halide.h>

#include "layers/elementwise.h"

namespace cnnc {
using namespace Halide;

void register_leaky_relu(Registry &r) {
  register_activation(
      r, "leaky_relu", [](Expr x) { return select(x > 0, x, x / 100); },
      [](Expr y, Expr dy) { return select(y > 0, dy, dy / 100); });
}
} // namespace cnnc
