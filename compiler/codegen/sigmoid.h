// The sigmoid in the instructions of AVX-512.
#pragma once

namespace llvm {
class Function;
}

namespace cnnc {

constexpr float kSigmoidFactor = -1.44269504f; // -1 / ln 2: a sigmoid of x is 1 / (1 + 2^t) of t = kSigmoidFactor * x

// Replaces each sigmoid of sixteen float32 that `f`'s vectors hold, written as codegen/math.cpp writes it, by one in
// instructions that other processors lack: 14 operations in place of 17, and with the bounds that kernel.h states.
void select_sigmoids(llvm::Function &f);

} // namespace cnnc
