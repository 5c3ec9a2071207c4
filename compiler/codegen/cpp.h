// The library as C++ source. Include <Halide.h> first.
#pragma once

#include <string>

#include "codegen/module.h"

namespace cnnc {
// One file that a stock g++ or clang++ builds, with the flags of its first line. It includes the header.
std::string cpp_text(const LibraryParts &parts, const ModelInfo &info, const Halide::Module &kernels);
} // namespace cnnc
