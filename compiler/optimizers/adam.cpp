// Adam (Kingma and Ba, 2015), epsilon outside the square root, as PyTorch does:
// m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; p -= lr / (1-b1^t) * m / (sqrt(v) / sqrt(1-b2^t) + eps)
#include <Halide.h>

#include "codegen/kernel.h"
#include "layers/registry.h"

namespace cnnc {
using namespace Halide;

void register_adam(Registry &r) {
  Op u;
  u.name = "adam_update"; // parameter, gradient
  u.traits = kUpdate;
  u.arity_min = u.arity_max = 2;
  u.infer = same_as_first;
  r.ops.push_back(u);

  Optimizer o;
  o.name = "adam";
  o.arguments = {{"lr", Argument::Number}, {"beta1", Argument::Number}, {"beta2", Argument::Number}, {"epsilon", Argument::Number}, {"weight_decay", Argument::Number}};
  o.update_op = "adam_update";
  o.slots = [](const Attributes &) { return 2; };
  o.defaults = {{"lr", 1e-3}, {"beta1", 0.9}, {"beta2", 0.999}, {"epsilon", 1e-8}, {"weight_decay", 0}};
  o.define = [](UpdateContext &c) {
    // The corrections in double: 1 - 0.999^t loses its digits in float.
    Expr t = cast<double>(c.step);
    Func rate("rate"), root("root");
    rate() = cast(c.real, Expr(c.number("lr")) / (Expr(1.0) - pow(Expr(c.number("beta1")), t)));
    root() = cast(c.real, Expr(1.0) / sqrt(Expr(1.0) - pow(Expr(c.number("beta2")), t)));
    c.roots = {rate, root};
    Expr g = c.gradient;
    if (c.number("weight_decay") != 0)
      g += c.constant("weight_decay") * c.parameter;
    Expr m = c.state[0] + (g - c.state[0]) * Internal::make_const(c.real, 1 - c.number("beta1"));
    Expr v = c.constant("beta2") * c.state[1] + Internal::make_const(c.real, 1 - c.number("beta2")) * (g * g);
    c.state = {m, v};
    c.parameter -= rate() * m / (sqrt(v) * root() + c.constant("epsilon"));
  };
  const char *net = "model m\ninput x: f32[7]\ndense(5)\nloss softmax_cross_entropy\nbatch 5\noptimizer ";
  for (const char *s : {"adam\n", "adam(lr=1e-2, beta1=0.8, beta2=0.99, epsilon=1e-6)\n", "adam(weight_decay=0.01)\n"})
    o.samples.push_back(std::string(net) + s);
  r.optimizers.push_back(o);
}
} // namespace cnnc
