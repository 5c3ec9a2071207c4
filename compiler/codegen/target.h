// The machines that code is made for. Include <Halide.h> first.
#pragma once

#include <string>

namespace cnnc {

struct MachineTarget {
  std::string name;      // "x86-64-linux-avx512"
  std::string triple;    // LLVM's
  std::string cpu, features;
  std::string compiler_flags; // of g++ and clang++ for the C++ output
  Halide::Target halide;
  int vector_bytes = 16; // of one register
  int registers = 16;
  // Accumulators of a register tile: what is left for operands is enough to load ahead.
  int accumulators() const { return registers == 32 ? 26 : 12; }
};

// Throws TargetError, which lists the names there are.
MachineTarget machine_target(const std::string &name);

} // namespace cnnc
