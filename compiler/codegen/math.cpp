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

// exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln 2 / 2; exp(r) by its Taylor polynomial of degree 7,
// whose remainder is below 6e-9 there. ln 2 in two parts keeps r exact.
Expr safe_exp(Expr x) {
  if (x.type().bits() == 64)
    return exp(x);
  Expr c = clamp(x, -87.0f, 88.5f);
  // Rounded by way of an integer: a vector floor is taken apart in the C++ output. c / ln 2 + 128 is above 0.
  Expr whole = cast(Int(32), c * 1.44269504f + 128.5f) - 128;
  Expr n = cast(Float(32), whole);
  Expr r = c - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  Expr p = 1.0f / 5040;
  for (float k : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    p = p * r + k;
  Expr two_n = reinterpret(Float(32), (whole + 127) << 23);
  return select(not_a_number(x), x, p * two_n);
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
  Expr t = 1.0f - 2.0f / (safe_exp(2.0f * a) + 1.0f);
  Expr big = select(x < 0.0f, -t, t);
  return select(a < 0.35f, small, big);
}
} // namespace cnnc
