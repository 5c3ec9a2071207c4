// Linear transforms of a few values by a constant matrix, as expressions. Include <Halide.h> first.
#pragma once

#include <vector>

#include "codegen/kernel.h"
#include "layers/toom_cook.h"

namespace cnnc {

using Exprs = std::vector<Halide::Expr>;

// m x, where rows of opposite points share their even and their odd part.
Exprs to_points(const KernelContext &k, const Matrix &m, const Exprs &x);
// m z, where columns of opposite points are added and subtracted first.
Exprs from_points(const KernelContext &k, const Matrix &m, const Exprs &z);

} // namespace cnnc
