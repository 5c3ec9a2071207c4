// Adam (Kingma and Ba, 2015), epsilon outside the square root, as PyTorch does:
// m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; p -= lr / (1-b1^t) * m / (sqrt(v) / sqrt(1-b2^t) + eps)
#include "layers/registry.h"

namespace cnnc {
void register_adam(Registry &r) {
  Op u;
  u.name = "adam_update"; // parameter, gradient
  u.traits = kUpdate;
  u.arity_min = u.arity_max = 2;
  u.infer = same_as_first;
  r.ops.push_back(u);
  Optimizer o;
  o.name = "adam";
  o.arguments = {{"lr", Argument::Number}, {"beta1", Argument::Number}, {"beta2", Argument::Number},
                 {"epsilon", Argument::Number}, {"weight_decay", Argument::Number}};
  o.update_op = "adam_update";
  o.slots = 2;
  o.defaults = {{"lr", 1e-3}, {"beta1", 0.9}, {"beta2", 0.999}, {"epsilon", 1e-8}, {"weight_decay", 0}};
  r.optimizers.push_back(o);
}
} // namespace cnnc
