// The machines that code is made for. Include <Halide.h> first.
#pragma once

#include <string>
#include <vector>

#include "codegen/embedded.h"

namespace cnnc {

struct MachineTarget {
  std::string name;   // "x86-64-linux-avx512"
  std::string triple; // LLVM's
  std::string cpu, features;
  std::string compiler_flags; // of g++ and clang++ for the C++ output
  Halide::Target halide;
  Arch arch = Arch::X86;
  uint32_t cpu_needs = 0; // bits of runtime/hooks/cpu.c
  int vector_bytes = 16;  // of one register
  int registers = 16;
  int64_t l1_bytes = 32 << 10, l2_bytes = 512 << 10; // of a core
  bool vectors = true;                               // false: a vector of 16 bytes is four registers
  double loads = 2;                                  // of a vector, a cycle
  bool estimates_reciprocal = false;                 // of float32, to 14 bits
  bool wide_loads = false;                           // two of 64 bytes a cycle, also of one number for all lanes
  bool additions_beside = false;                     // additions have units of their own, and take no time of multiply-adds
  bool masks() const { return vector_bytes == 64; }  // loads and stores of some elements of a vector
  // Accumulators of a register tile: what is left for operands is enough to load ahead.
  int accumulators() const { return !vectors ? 6 : registers == 32 ? 26
                                                                   : 12; }
};

// Throws TargetError, which lists the names there are.
MachineTarget machine_target(const std::string &name);
// "a,b,c": of one architecture, the most demanding first.
std::vector<MachineTarget> machine_targets(const std::string &names);

} // namespace cnnc
