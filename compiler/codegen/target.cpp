// Names of targets and what they mean to Halide and LLVM.
#include <Halide.h>
#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <llvm/ADT/StringMap.h>
#include <llvm/ADT/StringRef.h>
#include <llvm/Support/Host.h>

#include "codegen/target.h"
#include "compile.h"

namespace cnnc {

const std::vector<std::string> &target_names() {
  static const std::vector<std::string> names = {"x86-64-linux", "x86-64-linux-avx2", "x86-64-linux-avx512", "arm-64-linux", "riscv-64-linux"};
  return names;
}

namespace {
std::string host_name() {
  Halide::Target host = Halide::get_host_target();
  if (host.arch != Halide::Target::X86 || host.bits != 64)
    throw TargetError{"this machine's processor is not one of those that code can be made for"};
  if (host.has_feature(Halide::Target::AVX512_Skylake))
    return "x86-64-linux-avx512";
  return host.has_feature(Halide::Target::AVX2) && host.has_feature(Halide::Target::FMA) ? "x86-64-linux-avx2" : "x86-64-linux";
}
} // namespace

MachineTarget machine_target(const std::string &asked) {
  using T = Halide::Target;
  MachineTarget m;
  m.name = asked == "host" ? host_name() : asked;
  m.triple = "x86_64-unknown-linux-gnu";
  std::vector<T::Feature> features = {T::NoRuntime, T::NoAsserts, T::NoBoundsQuery, T::DisableLLVMLoopOpt};
  T::Arch arch = T::X86;
  if (m.name == "x86-64-linux") {
    m.cpu = "x86-64";
    m.compiler_flags = "-march=x86-64";
  } else if (m.name == "x86-64-linux-avx2") {
    m.cpu = "haswell";
    m.compiler_flags = "-march=haswell";
    m.vector_bytes = 32;
    m.cpu_needs = 1;
  } else if (m.name == "x86-64-linux-avx512") {
    m.cpu = "skylake-avx512";
    m.compiler_flags = "-march=skylake-avx512 -mprefer-vector-width=512";
    m.vector_bytes = 64;
    m.registers = 32;
    m.l2_bytes = 1 << 20;
    m.loads = 1; // measured on Ice Lake, which has two multipliers; with one, as on Zen 4, more would be of no use
    m.estimates_reciprocal = true;
    m.cpu_needs = 2;
  } else if (m.name == "arm-64-linux") {
    m.arch = Arch::Arm, arch = T::ARM;
    m.triple = "aarch64-unknown-linux-gnu";
    m.cpu = "generic", m.features = "+neon";
    m.compiler_flags = "-march=armv8-a";
    m.registers = 32;
  } else if (m.name == "riscv-64-linux") {
    m.arch = Arch::Riscv, arch = T::RISCV;
    m.triple = "riscv64-unknown-linux-gnu";
    m.cpu = "generic-rv64", m.features = "+m,+a,+f,+d,+c";
    m.compiler_flags = "-march=rv64gc -mabi=lp64d";
    m.registers = 32;
    m.vectors = false;
  } else {
    throw TargetError{fmt::format("unknown target '{}'; there are: host, {}", asked, fmt::join(target_names(), ", "))};
  }
  // Of the processor and not of its instructions: asked for by name, a target is the same everywhere.
  if (asked == "host") {
    llvm::StringMap<bool> has;
    llvm::sys::getHostCPUFeatures(has);
    m.additions_beside = llvm::sys::getHostCPUName().startswith("znver");
    m.wide_loads = m.vector_bytes == 64 && has.lookup("amx-tile"); // measured on Granite Rapids; Ice Lake has not
  }
  if (m.vector_bytes >= 32)
    for (T::Feature f : {T::SSE41, T::AVX, T::AVX2, T::FMA, T::F16C})
      features.push_back(f);
  if (m.vector_bytes == 64)
    for (T::Feature f : {T::AVX512, T::AVX512_Skylake})
      features.push_back(f);
  m.halide = T(T::Linux, arch, 64, features);
  return m;
}

std::vector<MachineTarget> machine_targets(const std::string &names) {
  std::vector<MachineTarget> all;
  for (size_t at = 0; at <= names.size();) {
    size_t end = std::min(names.find(',', at), names.size());
    MachineTarget m = machine_target(names.substr(at, end - at));
    for (const MachineTarget &other : all) {
      if (other.arch != m.arch)
        throw TargetError{fmt::format("the targets '{}' and '{}' are of two architectures; one library is for one", other.name, m.name)};
      if (other.name == m.name)
        throw TargetError{fmt::format("the target '{}' is given twice", m.name)};
    }
    all.push_back(std::move(m));
    at = end + 1;
  }
  std::stable_sort(all.begin(), all.end(), [](const MachineTarget &a, const MachineTarget &b) { return a.cpu_needs > b.cpu_needs; });
  return all;
}

std::string target_traits(const std::string &names) {
  std::string traits;
  for (const MachineTarget &m : machine_targets(names))
    traits += fmt::format("{:d}{:d}", m.additions_beside, m.wide_loads);
  return traits;
}

std::string target_list(const std::string &names) {
  std::string list;
  for (const MachineTarget &m : machine_targets(names))
    list += (list.empty() ? "" : ",") + m.name;
  return list;
}

} // namespace cnnc
