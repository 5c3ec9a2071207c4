// What activations share: y has x's shape, and the gradient comes from the stored output y.
#pragma once
#include <functional>
#include "layers/registry.h"

namespace Halide {
class Expr;
}

namespace cnnc {
using Unary = std::function<Halide::Expr(Halide::Expr)>;
using Binary = std::function<Halide::Expr(Halide::Expr, Halide::Expr)>;
// forward: y of x; gradient: dx of (y, dy); many_operations as in Op
void register_activation(Registry &, const std::string &name, Unary forward, Binary gradient,
                         std::function<bool(const MachineTarget &)> many_operations = nullptr);
} // namespace cnnc
