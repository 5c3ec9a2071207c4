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
Halide::Func turned(const KernelContext &k, int count, const std::vector<Halide::Var> &others,
                    const std::function<Halide::Expr(Halide::Expr lane, Halide::Expr i)> &at) {
  using namespace Halide;
  Var inside("inside"), lane("lane"), vector("vector");
  std::vector<Var> place = {inside, lane, vector};
  place.insert(place.end(), others.begin(), others.end());
  Func f("turned");
  f(place) = at(lane, min(vector * k.lanes + inside, count - 1));
  return f;
}
} // namespace cnnc
