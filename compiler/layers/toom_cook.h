// The matrices of the Toom-Cook construction: m outputs of a correlation with r weights in m + r - 1 products.
#pragma once

#include <vector>

namespace cnnc {

using Matrix = std::vector<std::vector<double>>; // rows

// y = output (weight g * input d), the product taken element by element; g has r elements, d has m + r - 1.
// The points are infinity and as many of 0, 1, -1, 2, -2, 1/2, -1/2 as are needed; of nine, 1, -1, 2, -2, 1/4, -1/4,
// 3/4, -3/4 in their place.
struct ToomCook {
  Matrix output; // [m][n]
  Matrix weight; // [n][r]
  Matrix input;  // [n][n]
};

constexpr int kMostPoints = 9; // more lose too many digits

// m, r >= 1, m + r - 1 <= kMostPoints.
ToomCook toom_cook(int m, int r);
Matrix transposed(const Matrix &m);

} // namespace cnnc
