// Stochastic gradient descent: g += weight_decay * p; v = momentum * v + g; p -= lr * v. As PyTorch does.
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
  o.slots = 1;
  o.defaults = {{"momentum", 0}, {"weight_decay", 0}};
  r.optimizers.push_back(o);
}
} // namespace cnnc
