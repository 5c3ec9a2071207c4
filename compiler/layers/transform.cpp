// Transforms of the fast convolutions: to the points of evaluation and back. Opposite points share half of the work.
#include <Halide.h>
#include <cmath>

#include "layers/transform.h"

namespace cnnc {
using namespace Halide;

namespace {
Expr sum_of(const KernelContext &k, const Exprs &x, const std::vector<double> &factors) {
  Expr s;
  for (size_t i = 0; i < x.size(); i++) {
    if (factors[i] == 0)
      continue;
    Expr term = factors[i] == 1 ? x[i] : x[i] * k.constant(factors[i]);
    s = s.defined() ? s + term : term;
  }
  return s.defined() ? s : k.constant(0);
}
} // namespace

Exprs to_points(const KernelContext &k, const Matrix &m, const Exprs &x) {
  Exprs y;
  for (size_t j = 0; j < m.size(); j++) {
    bool pair = j + 1 < m.size();
    std::vector<double> even(x.size()), odd(x.size());
    for (size_t i = 0; pair && i < x.size(); i++) {
      (m[j][i] == m[j + 1][i] ? even : odd)[i] = m[j][i];
      pair = std::abs(m[j][i]) == std::abs(m[j + 1][i]);
    }
    if (!pair) {
      y.push_back(sum_of(k, x, m[j]));
      continue;
    }
    Expr e = sum_of(k, x, even), o = sum_of(k, x, odd);
    y.push_back(e + o);
    y.push_back(e - o);
    j++;
  }
  return y;
}

Exprs from_points(const KernelContext &k, const Matrix &m, const Exprs &z) {
  Exprs parts;
  Matrix factors(m.size());
  for (size_t j = 0; j < z.size(); j++) {
    bool pair = j + 1 < z.size();
    for (size_t i = 0; pair && i < m.size(); i++)
      pair = std::abs(m[i][j]) == std::abs(m[i][j + 1]);
    if (!pair) {
      parts.push_back(z[j]);
      for (size_t i = 0; i < m.size(); i++)
        factors[i].push_back(m[i][j]);
      continue;
    }
    parts.push_back(z[j] + z[j + 1]);
    parts.push_back(z[j] - z[j + 1]);
    for (size_t i = 0; i < m.size(); i++) {
      factors[i].push_back(m[i][j] == m[i][j + 1] ? m[i][j] : 0);
      factors[i].push_back(m[i][j] == m[i][j + 1] ? 0 : m[i][j]);
    }
    j++;
  }
  Exprs y;
  for (size_t i = 0; i < m.size(); i++)
    y.push_back(sum_of(k, parts, factors[i]));
  return y;
}

} // namespace cnnc
