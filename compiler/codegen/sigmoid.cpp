// The sigmoid in the instructions of AVX-512.
#include <algorithm>
#include <cmath>
#include <llvm/Analysis/VectorUtils.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/PatternMatch.h>
#include <llvm/IR/ValueHandle.h>
#include <llvm/Transforms/Utils/Local.h>
#include <map>
#include <numeric>
#include <vector>

#include "codegen/sigmoid.h"

namespace cnnc {
namespace {
using namespace llvm;
constexpr unsigned kLanes = 16;

// What a sigmoid is of.
struct Argument {
  Value *x = nullptr;
  bool scaled = false; // x is t already
};

// Of 1 / (1 + p * 2^n), where p and n are of x bounded to [-87, 87], or of t to [-125.5, 125.5].
Argument argument_of_sigmoid(Instruction &i) {
  using namespace PatternMatch;
  auto *type = dyn_cast<FixedVectorType>(i.getType());
  if (!type || !type->getElementType()->isFloatTy() || type->getNumElements() % kLanes)
    return {};
  Value *n, *bounded, *below, *x;
  const auto two_n = m_BitCast(m_Shl(m_BitCast(m_Value(n)), m_SpecificInt(23)));
  if (!match(&i, m_FDiv(m_FPOne(), m_c_FAdd(m_c_FMul(m_Value(), two_n), m_FPOne()))))
    return {};
  const float rounding = 12582912.0f + 127;
  const bool scaled = match(n, m_FAdd(m_Value(bounded), m_SpecificFP(rounding)));
  if (!scaled && !match(n, m_FSub(m_SpecificFP(rounding), m_FMul(m_Value(bounded), m_SpecificFP(1.4426951f)))))
    return {};
  const double bound = scaled ? 125.5 : 87;
  if (!match(bounded, m_Select(m_Value(), m_SpecificFP(-bound), m_Value(below))) || !match(below, m_Select(m_Value(), m_SpecificFP(bound), m_Value(x))))
    return {};
  return {x, scaled};
}

using Values = std::vector<Value *>;
using Biases = std::map<Value *, Value *>; // and each times kSigmoidFactor

// Whether x is sum + bias, the same for all lanes, and nothing but a sigmoid: two uses, where it is bounded.
bool match_biased(Value *x, Value *&sum, Value *&bias) {
  using namespace PatternMatch;
  if (!match(x, m_FAdd(m_Value(sum), m_Value(bias))) || !x->hasNUses(2))
    return false;
  auto same = [](const Value *v) {
    const auto *s = dyn_cast<ShuffleVectorInst>(v);
    return s && s->isZeroEltSplat();
  };
  if (same(sum))
    std::swap(sum, bias);
  return same(bias);
}

// A sigmoid, or the sum of two or four, or a half, a quarter, ... of it.
struct Sum {
  Instruction *result, *first;   // of its quotients
  std::vector<WeakTrackingVH> x; // of which one may be a sigmoid that is replaced before
  bool scaled;
  double share = 1;
};

// 1 / (1 + 2^t), t = -x / ln 2 = n + j/32 + f with whole n and j and 0 <= f < 1/32: 2^(j/32) from a table, and 2^f by the
// polynomial of degree 2 with the least largest relative error there, 5.3e-8. The quotient by an estimate to 14 bits and
// one step of Newton's method; those that are added share it, 1 / c + 1 / d = (c + d) / (c d), a / c + b / d = (a d + b c) / (c d).
// A share 1 / s of the sum is that of the quotients 1 / (s + s 2^t), whose s the table contains. t is rounded, by which
// the result is that of a neighbour of x.
// Of several sums, a step of all of them after the other: no operation then waits long for the one before it.
Values sigmoids(IRBuilder<> &b, const std::vector<Sum> &sums, Biases &biases) {
  Values x;
  std::vector<const Sum *> of;
  for (const Sum &s : sums)
    for (Value *v : s.x)
      x.push_back(v), of.push_back(&s);
  Type *floats = x[0]->getType();
  auto number = [&](float v) { return ConstantFP::get(floats, v); };
  auto fma = [&](Value *u, Value *v, Value *w) { return b.CreateIntrinsic(Intrinsic::fma, {floats}, {u, v, w}); };
  auto each = [&](size_t count, auto step) {
    Values all;
    for (size_t i = 0; i < count; i++)
      all.push_back(step(i));
    return all;
  };
  const size_t n = x.size();
  Constant *every = b.getInt16(0xffff), *as_set = b.getInt32(4), *nothing = UndefValue::get(floats);
  constexpr double kFirst = 1.0000000529325516; // the polynomial's constant term, which the table contains
  auto table = [&](double factor, int from) {
    std::vector<Constant *> powers;
    for (int j = from; j < from + int(kLanes); j++)
      powers.push_back(ConstantFP::get(b.getFloatTy(), factor * double(float(kFirst * std::exp2(j / 32.0)))));
    return ConstantVector::get(powers);
  };
  constexpr uint32_t kDown = 1, kNoException = 8;

  Values t = each(n, [&](size_t i) -> Value * {
    Value *sum, *bias;
    if (of[i]->scaled)
      return x[i];
    if (match_biased(x[i], sum, bias)) {
      Value *&scaled = biases[bias];
      if (!scaled)
        scaled = IRBuilder<>(cast<Instruction>(bias)->getNextNode()).CreateFMul(bias, number(kSigmoidFactor));
      return fma(sum, number(kSigmoidFactor), scaled);
    }
    return b.CreateFMul(x[i], number(kSigmoidFactor));
  });
  // As of -87, where 1 / (1 + 2^t) is still normal, or of what leaves the product of all normal. A NaN is not above the
  // bound, and remains.
  t = each(n, [&](size_t i) {
    Constant *most = number(float(125.514465 / double(of[i]->x.size()) + std::log2(of[i]->share)));
    return b.CreateSelect(b.CreateFCmpOLT(most, t[i]), most, t[i]);
  });
  // Beside a number this large 1/32 is the unit in the last place: j stands in the lowest bits.
  constexpr float kLarge = 393216; // 1.5 * 2^18
  const Values j = each(n, [&](size_t i) { return b.CreateIntrinsic(Intrinsic::x86_avx512_add_ps_512, {}, {t[i], number(kLarge), b.getInt32(kNoException | kDown)}); });
  const Values f = each(n, [&](size_t i) { return b.CreateIntrinsic(Intrinsic::x86_avx512_mask_reduce_ps_512, {}, {t[i], b.getInt32(5 << 4 | kNoException | kDown), nothing, every, as_set}); });
  Values power = each(n, [&](size_t i) { return b.CreateIntrinsic(Intrinsic::x86_avx512_vpermi2var_ps_512, {}, {table(1 / of[i]->share, 0), b.CreateBitCast(j[i], FixedVectorType::get(b.getInt32Ty(), kLanes)), table(1 / of[i]->share, kLanes)}); });
  Values p = each(n, [&](size_t i) { return fma(f[i], number(0.24284060895f), number(0.69311652604f)); });
  power = each(n, [&](size_t i) { return b.CreateIntrinsic(Intrinsic::x86_avx512_mask_scalef_ps_512, {}, {power[i], t[i], nothing, every, as_set}); }); // times 2 to the floor of t
  p = each(n, [&](size_t i) { return fma(p[i], f[i], number(1)); });
  const Values parts = each(n, [&](size_t i) { return fma(power[i], p[i], number(float(1 / of[i]->share))); });
  Values above, d; // of the fractions, and below
  for (size_t i = 0; i < n; i += of[i]->x.size()) {
    Values up, down = Values(parts.begin() + std::ptrdiff_t(i), parts.begin() + std::ptrdiff_t(i + of[i]->x.size()));
    for (; down.size() > 1; down.erase(down.begin() + std::ptrdiff_t(down.size() / 2), down.end())) {
      const bool ones = up.empty();
      for (size_t k = 0; 2 * k < down.size(); k++) {
        Value *c = down[2 * k], *e = down[2 * k + 1];
        if (ones)
          up.push_back(b.CreateFAdd(c, e));
        else
          up[k] = fma(up[2 * k], e, b.CreateFMul(up[2 * k + 1], c));
        down[k] = b.CreateFMul(c, e);
      }
    }
    above.push_back(up.empty() ? nullptr : up[0]);
    d.push_back(down[0]);
  }
  const Values y = each(d.size(), [&](size_t i) { return b.CreateIntrinsic(Intrinsic::x86_avx512_rcp14_ps_512, {}, {d[i], nothing, every}); });
  const Values rest = each(d.size(), [&](size_t i) { return fma(b.CreateFNeg(d[i]), y[i], number(2)); });
  return each(d.size(), [&](size_t i) { return b.CreateFMul(above[i] ? b.CreateFMul(above[i], y[i]) : y[i], rest[i]); });
}

bool there_before(const Value *x, const Instruction *i) {
  const auto *made = dyn_cast<Instruction>(x);
  return !made || made->getParent() != i->getParent() || made->comesBefore(i);
}

// What `by` multiplies by: a half, a quarter, ..., a sixteenth of every lane; 0: something else.
double share_of(Value *by) {
  using namespace PatternMatch;
  const APFloat *c = nullptr;
  if (!match(by, m_APFloat(c)))
    return 0;
  const double share = double(c->convertToFloat());
  return share == 0.5 || share == 0.25 || share == 0.125 || share == 0.0625 ? share : 0;
}

std::vector<Sum> find(Function &f) {
  constexpr size_t kMost = 4; // of more the bound of t would be seen in the result
  std::vector<Sum> sums;
  std::map<const Value *, size_t> by_result;
  for (Instruction &i : instructions(f))
    if (const Argument a = argument_of_sigmoid(i); a.x) {
      by_result[&i] = sums.size();
      sums.push_back({&i, &i, {WeakTrackingVH(a.x)}, a.scaled});
    } else if (i.getOpcode() == Instruction::FAdd && i.getOperand(0) != i.getOperand(1)) {
      const auto a = by_result.find(i.getOperand(0)), c = by_result.find(i.getOperand(1));
      if (a == by_result.end() || c == by_result.end() || !a->first->hasOneUse() || !c->first->hasOneUse())
        continue;
      const size_t first = std::min(a->second, c->second);
      Sum &s = sums[first], &other = sums[std::max(a->second, c->second)];
      if (s.x.size() != other.x.size() || s.x.size() + other.x.size() > kMost || s.scaled != other.scaled || s.share + other.share != 2)
        continue;
      if (s.first->getParent() != other.first->getParent() || !std::all_of(other.x.begin(), other.x.end(), [&](const Value *x) { return there_before(x, s.first); }))
        continue;
      s.result = &i;
      s.x.insert(s.x.end(), other.x.begin(), other.x.end());
      other.x.clear();
      by_result[&i] = first;
    } else if (i.getOpcode() == Instruction::FMul) {
      const auto a = by_result.find(i.getOperand(0));
      const double share = share_of(i.getOperand(1));
      if (a == by_result.end() || share == 0 || !a->first->hasOneUse() || sums[a->second].share != 1)
        continue;
      sums[a->second].result = &i;
      sums[a->second].share = share;
    }
  sums.erase(std::remove_if(sums.begin(), sums.end(), [](const Sum &s) { return s.x.empty(); }), sums.end());
  return sums;
}
} // namespace

void select_sigmoids(Function &f) {
  constexpr size_t kTogether = 12; // of each step, that operations which wait for others do not fill the queue
  const std::vector<Sum> all = find(f);
  Biases biases;
  for (size_t next = 0; next < all.size();) {
    std::vector<Sum> group;
    size_t count = 0;
    for (; next < all.size(); next++) {
      const Sum &s = all[next];
      const bool fits = count + s.x.size() <= kTogether && s.x[0]->getType() == all[next - group.size()].x[0]->getType();
      const Instruction *first = group.empty() ? s.first : group[0].first;
      if (!group.empty() && (!fits || s.first->getParent() != first->getParent() || !std::all_of(s.x.begin(), s.x.end(), [&](const Value *x) { return there_before(x, first); })))
        break;
      group.push_back(s);
      count += s.x.size();
    }
    IRBuilder<> b(group[0].first);
    FastMathFlags flags;
    flags.setAllowContract();
    b.setFastMathFlags(flags);
    // Vectors of several times the length part by part.
    const unsigned lanes = cast<FixedVectorType>(group[0].x[0]->getType())->getNumElements();
    std::vector<Values> parts(group.size());
    for (unsigned at = 0; at < lanes; at += kLanes) {
      std::vector<int> part(kLanes);
      std::iota(part.begin(), part.end(), int(at));
      std::vector<Sum> of_part = group;
      for (Sum &s : of_part)
        for (WeakTrackingVH &x : s.x)
          if (lanes != kLanes)
            x = b.CreateShuffleVector(x, part);
      const Values made = sigmoids(b, of_part, biases);
      for (size_t i = 0; i < made.size(); i++)
        parts[i].push_back(made[i]);
    }
    for (size_t i = 0; i < group.size(); i++)
      group[i].result->replaceAllUsesWith(parts[i].size() == 1 ? parts[i][0] : concatenateVectors(b, parts[i]));
    for (const Sum &s : group)
      RecursivelyDeleteTriviallyDeadInstructions(s.result);
  }
}
} // namespace cnnc
