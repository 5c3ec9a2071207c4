// Stochastic gradient descent: g += weight_decay * p; v = momentum * v + g; p -= lr * v. As PyTorch does.
#include <Halide.h>

#include "codegen/kernel.h"
#include "layers/registry.h"

namespace cnnc {
void register_sgd(Registry &r) {
  Op u;
  u.name = "sgd_update"; // parameter, gradient
  u.traits = kUpdate;
  u.arity_min = u.arity_max = 2;
  u.infer = same_as_first;
  r.ops.push_back(u);

  Optimizer o;
  o.name = "sgd";
  o.arguments = {{"lr", Argument::Number, true}, {"momentum", Argument::Number}, {"weight_decay", Argument::Number}};
  o.update_op = "sgd_update";
  o.slots = [](const Attributes &a) { return std::get<double>(a.at("momentum")) != 0 ? 1 : 0; };
  o.defaults = {{"momentum", 0}, {"weight_decay", 0}};
  o.define = [](UpdateContext &c) {
    Halide::Expr g = c.gradient;
    if (c.number("weight_decay") != 0)
      g += c.constant("weight_decay") * c.parameter;
    if (!c.state.empty())
      g = c.state[0] = c.constant("momentum") * c.state[0] + g;
    c.parameter -= c.constant("lr") * g;
  };
  const char *net = "model m\ninput x: f32[7]\ndense(5)\nloss softmax_cross_entropy\nbatch 5\noptimizer ";
  for (const char *s : {"sgd(lr=0.1)\n", "sgd(lr=0.1, momentum=0.9)\n", "sgd(lr=0.1, momentum=0.5, weight_decay=0.01)\n"})
    o.samples.push_back(std::string(net) + s);
  r.optimizers.push_back(o);
}
} // namespace cnnc
