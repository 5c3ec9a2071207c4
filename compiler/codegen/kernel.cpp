// The arguments of a value's Halide function.
#include <Halide.h>

#include "codegen/kernel.h"

namespace cnnc {
std::vector<Halide::Var> KernelContext::vars(const Type &t) const {
  std::vector<Halide::Var> v;
  if (has_lane(t))
    v.emplace_back("lane");
  for (size_t i = t.dims.size(); i-- > 0;)
    v.emplace_back("d" + std::to_string(i));
  return v;
}
} // namespace cnnc
