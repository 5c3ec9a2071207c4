// A polynomial of degree n-1 is known from its values at n-1 points and its leading coefficient; read backwards
// (transposed), interpolating a product of two polynomials computes a correlation.
#include "layers/toom_cook.h"

#include <cmath>

#include "graph/graph.h"

namespace cnnc {

Matrix transposed(const Matrix &m) {
  Matrix t(m.at(0).size(), std::vector<double>(m.size()));
  for (size_t i = 0; i < m.size(); i++)
    for (size_t j = 0; j < t.size(); j++)
      t[j][i] = m[i][j];
  return t;
}

ToomCook toom_cook(int m, int r) {
  static const double kUsual[] = {0, 1, -1, 2, -2, 0.5, -0.5};
  // Nine points are four pairs and infinity: of pairs of small fractions these lose the fewest digits, less than half of
  // what any eighth number beside the usual ones does.
  static const double kPairs[] = {1, -1, 2, -2, 0.25, -0.25, 0.75, -0.75};
  const int n = m + r - 1;
  if (m < 1 || r < 1 || n > kMostPoints)
    throw GraphError{"toom_cook: too many points"};
  const double *points = n == 9 ? kPairs : kUsual;
  auto product = [&](int without) { // of (x - point), coefficients from the lowest
    std::vector<double> c = {1};
    for (int l = 0; l < n - 1; l++) {
      if (l == without)
        continue;
      std::vector<double> next(c.size() + 1);
      for (size_t i = 0; i < c.size(); i++) {
        next[i + 1] += c[i];
        next[i] -= points[l] * c[i];
      }
      c = next;
    }
    c.resize(size_t(n));
    return c;
  };
  ToomCook t;
  t.output.assign(size_t(m), std::vector<double>(size_t(n)));
  for (int j = 0; j < n; j++) {
    bool infinite = j == n - 1;
    double scale = 1;
    for (int l = 0; l < n - 1 && !infinite; l++)
      if (l != j)
        scale *= points[j] - points[l];
    std::vector<double> w(static_cast<size_t>(r));
    for (int i = 0; i < r; i++)
      w[size_t(i)] = infinite ? i == r - 1 : std::pow(points[j], i) / scale;
    t.weight.push_back(w);
    for (int i = 0; i < m; i++)
      t.output[size_t(i)][size_t(j)] = infinite ? i == m - 1 : std::pow(points[j], i);
    t.input.push_back(product(infinite ? -1 : j));
  }
  return t;
}

} // namespace cnnc
