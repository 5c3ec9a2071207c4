// Elementary functions in which a NaN survives.
#include <Halide.h>

#include "codegen/kernel.h"

namespace cnnc {
using namespace Halide;

// By the bits: a floating-point comparison of a value with itself would be simplified away.
Expr not_a_number(Expr x) {
  if (x.type().bits() == 64)
    return (reinterpret(UInt(64), x) & Internal::make_const(UInt(64), int64_t(0x7fffffffffffffff))) >
           Internal::make_const(UInt(64), int64_t(0x7ff0000000000000));
  return (reinterpret(UInt(32), x) & Internal::make_const(UInt(32), 0x7fffffff)) > Internal::make_const(UInt(32), 0x7f800000);
}

// exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln 2 / 2; exp(r) by the polynomial of degree 5 with the least
// largest relative error there, 7.6e-8. ln 2 in two parts keeps r exact.
Expr safe_exp(Expr x) {
  if (x.type().bits() == 64)
    return exp(x);
  Expr c = clamp(x, -87.0f, 88.5f);
  // Beside a number this large nothing but whole numbers is left: n stands in the lowest bits.
  const float rounding = 12582912.0f; // 1.5 * 2^23
  Expr shifted = c * 1.44269504f + rounding;
  Expr n = shifted - rounding;
  Expr r = c - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  // clamp has lost a NaN: x times a zero, which only the machine knows to be one, brings it back (and of an infinite x
  // makes one). A select by masks would do as well, but is taken apart in the C++ output.
  Expr zero = reinterpret(Float(32), reinterpret(UInt(32), shifted) >> 31);
  Expr p = x * zero + 0.008297619311751296f;
  for (float k : {0.04191563014283593f, 0.16667576549541901f, 0.4999889265333041f, 0.9999996910660249f, 1.0000000718671374f})
    p = p * r + k;
  Expr two_n = reinterpret(Float(32), (reinterpret(UInt(32), shifted) << 23) + Internal::make_const(UInt(32), 0x3f800000));
  return p * two_n;
}

// 1 / (1 + 2^t), t = n + f, |f| <= 1/2; 2^f by the polynomial of degree 5 with the least largest relative error there,
// 7.5e-8.
static Expr one_over_one_plus(Expr f, Expr two_n) {
  Expr p = 0.0013276472631950876f;
  for (float k : {0.0096755413431213274f, 0.055507132718556442f, 0.2402211972371072f, 0.69314696706503521f, 1.0000000716547141f})
    p = p * f + k;
  return 1.0f / (1.0f + p * two_n);
}

// t = -x / ln 2. What it loses to rounding is small where the result depends on it.
Expr safe_sigmoid(Expr x) {
  if (x.type().bits() == 64)
    return 1 / (1 + exp(-x));
  // The bounds stand first: of a comparison with a NaN the second operand is the result.
  Expr c = max(Expr(-87.0f), min(Expr(87.0f), x));
  // As in safe_exp, with the exponent's offset in n. It is rounded of a neighbour of -1 / ln 2: two products, each of
  // which fuses with its sum, where one with two users would not.
  const float rounding = 12582912.0f + 127.0f;
  Expr shifted = rounding - c * 1.4426951f;
  return one_over_one_plus(c * -1.44269502f - (shifted - rounding), reinterpret(Float(32), reinterpret(UInt(32), shifted) << 23));
}

Expr sigmoid_of_scaled(Expr t) {
  Expr c = max(Expr(-125.5f), min(Expr(125.5f), t));
  const float rounding = 12582912.0f + 127.0f;
  Expr shifted = c + rounding;
  return one_over_one_plus(c - (shifted - rounding), reinterpret(Float(32), reinterpret(UInt(32), shifted) << 23));
}

// |x| < 0.6: odd polynomial (a rational form would divide twice); else 1 - 2 / (exp(2|x|) + 1) with x's sign.
Expr safe_tanh(Expr x) {
  if (x.type().bits() == 64)
    return tanh(x);
  Expr a = abs(x);
  Expr s = x * x;
  Expr q = -0.0035921280f; // Taylor coefficients of tanh(x)/x up to x^12: remainder 2e-6 relative at 0.6
  q = q * s + 0.0088632355f;
  q = q * s - 0.0218694885f;
  q = q * s + 0.0539682540f;
  q = q * s - 0.1333333333f;
  q = q * s + 0.3333333333f;
  Expr small = x - x * s * q;
  Expr e = safe_exp(a); // of 2|x| it could overflow
  Expr t = 1.0f - 2.0f / (e * e + 1.0f);
  Expr big = select(x < 0.0f, -t, t);
  return select(a < 0.35f, small, big);
}
} // namespace cnnc
