// Kernels through Halide to LLVM bitcode. Include <Halide.h> first.
#pragma once

#include <string>
#include <vector>

#include "codegen/kernels.h"

namespace cnnc {

// All kernels lowered in this process; says what scratch memory each needs.
Halide::Module lower_kernels(KernelSet &kernels);

struct KernelCode {
  std::vector<std::string> bitcode; // a module for each part; none where only the scratch memory was asked for
  double lowering = 0, llvm = 0;    // how the seconds of all parts divide
};
// The same in up to `jobs` processes, and to bitcode where `code` is set. The parts do not depend on `jobs`.
KernelCode compile_kernels(KernelSet &kernels, int jobs, bool code);

} // namespace cnnc
