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

std::vector<Halide::Func> sums_over_lanes(const KernelContext &k, int count, const std::vector<Halide::Var> &others,
                                          const std::function<Halide::Expr(Halide::Expr lane, Halide::Expr i)> &at) {
  using namespace Halide;
  Var lane, i, vector; // of no name: `others` have theirs
  std::vector<Func> stages;
  auto place = [&](Expr in_vector, Expr which) {
    std::vector<Expr> p = {in_vector, which, vector};
    p.insert(p.end(), others.begin(), others.end());
    return p;
  };
  std::vector<Var> args = {lane, i, vector};
  args.insert(args.end(), others.begin(), others.end());
  for (int pairs = k.lanes / 2; pairs > 0; pairs /= 2) {
    Func paired("paired"), sum("lane_sum");
    const Expr which = i + pairs * (lane % 2);
    paired(args) = stages.empty() ? at(lane / 2, min(vector * k.lanes + which, count - 1)) : Expr(stages.back()(place(lane / 2, which)));
    sum(args) = paired(place(lane, i)) + paired(place(lane + k.lanes, i));
    stages.insert(stages.end(), {paired, sum});
  }
  return stages;
}
} // namespace cnnc
