// The sigmoid in the instructions of AVX-512.
#include <cmath>
#include <llvm/Analysis/VectorUtils.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/PatternMatch.h>
#include <llvm/Transforms/Utils/Local.h>
#include <numeric>
#include <vector>

#include "codegen/sigmoid.h"

namespace cnnc {
namespace {
using namespace llvm;
constexpr unsigned kLanes = 16;

// x of 1 / (1 + p * 2^n), where p and n are of x bounded to [-87, 87]; else null.
Value *argument_of_sigmoid(Instruction &i) {
  using namespace PatternMatch;
  auto *type = dyn_cast<FixedVectorType>(i.getType());
  if (!type || !type->getElementType()->isFloatTy() || type->getNumElements() % kLanes)
    return nullptr;
  Value *n, *bounded, *below, *x;
  const auto two_n = m_BitCast(m_Shl(m_BitCast(m_Value(n)), m_SpecificInt(23)));
  if (!match(&i, m_FDiv(m_FPOne(), m_c_FAdd(m_c_FMul(m_Value(), two_n), m_FPOne()))) ||
      !match(n, m_FSub(m_SpecificFP(12582912.0f + 127), m_FMul(m_Value(bounded), m_SpecificFP(1.4426951f)))) ||
      !match(bounded, m_Select(m_Value(), m_SpecificFP(-87), m_Value(below))) || !match(below, m_Select(m_Value(), m_SpecificFP(87), m_Value(x))))
    return nullptr;
  return x;
}

// 1 / (1 + 2^t), t = -x / ln 2 = n + j/32 + f with whole n and j and 0 <= f < 1/32: 2^(j/32) from a table, and 2^f by the
// polynomial of degree 2 with the least largest relative error there, 5.3e-8. The quotient by an estimate to 14 bits and
// one step of Newton's method. t is rounded, by which the result is that of a neighbour of x.
Value *sigmoid(IRBuilder<> &b, Value *x) {
  Type *floats = x->getType();
  auto number = [&](float v) { return ConstantFP::get(floats, v); };
  auto fma = [&](Value *u, Value *v, Value *w) { return b.CreateIntrinsic(Intrinsic::fma, {floats}, {u, v, w}); };
  Constant *all = b.getInt16(0xffff), *as_set = b.getInt32(4), *nothing = UndefValue::get(floats);
  constexpr double kFirst = 1.0000000529325516; // the polynomial's constant term, which the table contains
  std::vector<Constant *> table;
  for (int j = 0; j < 32; j++)
    table.push_back(ConstantFP::get(b.getFloatTy(), double(float(kFirst * std::exp2(j / 32.0)))));
  Constant *low = ConstantVector::get(ArrayRef<Constant *>(table).take_front(kLanes)), *high = ConstantVector::get(ArrayRef<Constant *>(table).drop_front(kLanes));

  Value *t = b.CreateFMul(x, number(-1.44269504f));
  // As of -87, where 1 / (1 + 2^t) is still normal. A NaN is not above the bound, and remains.
  Constant *most = number(125.514465f);
  t = b.CreateSelect(b.CreateFCmpOLT(most, t), most, t);
  constexpr uint32_t kDown = 1, kNoException = 8;
  Value *f = b.CreateIntrinsic(Intrinsic::x86_avx512_mask_reduce_ps_512, {}, {t, b.getInt32(5 << 4 | kNoException | kDown), nothing, all, as_set});
  // Beside a number this large 1/32 is the unit in the last place: j stands in the lowest bits.
  Value *j = b.CreateIntrinsic(Intrinsic::x86_avx512_add_ps_512, {}, {t, number(393216), b.getInt32(kNoException | kDown)}); // 1.5 * 2^18
  Value *power = b.CreateIntrinsic(Intrinsic::x86_avx512_vpermi2var_ps_512, {}, {low, b.CreateBitCast(j, FixedVectorType::get(b.getInt32Ty(), kLanes)), high});
  power = b.CreateIntrinsic(Intrinsic::x86_avx512_mask_scalef_ps_512, {}, {power, t, nothing, all, as_set}); // times 2 to the floor of t
  Value *p = fma(fma(f, number(0.24284060895f), number(0.69311652604f)), f, number(1));
  Value *d = fma(power, p, number(1));
  Value *y = b.CreateIntrinsic(Intrinsic::x86_avx512_rcp14_ps_512, {}, {d, nothing, all});
  return b.CreateFMul(y, fma(b.CreateFNeg(d), y, number(2)));
}
} // namespace

void select_sigmoids(Function &f) {
  std::vector<std::pair<Instruction *, Value *>> found;
  for (Instruction &i : instructions(f))
    if (Value *x = argument_of_sigmoid(i))
      found.push_back({&i, x});
  for (auto [quotient, x] : found) {
    IRBuilder<> b(quotient);
    FastMathFlags flags;
    flags.setAllowContract();
    b.setFastMathFlags(flags);
    const unsigned lanes = cast<FixedVectorType>(x->getType())->getNumElements();
    std::vector<Value *> parts;
    for (unsigned at = 0; at < lanes; at += kLanes) {
      std::vector<int> part(kLanes);
      std::iota(part.begin(), part.end(), int(at));
      parts.push_back(sigmoid(b, lanes == kLanes ? x : b.CreateShuffleVector(x, part)));
    }
    quotient->replaceAllUsesWith(parts.size() == 1 ? parts[0] : concatenateVectors(b, parts));
    RecursivelyDeleteTriviallyDeadInstructions(quotient);
  }
}
} // namespace cnnc
