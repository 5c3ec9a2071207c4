// Names of targets and what they mean to Halide and LLVM.
#include <Halide.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "codegen/target.h"
#include "compile.h"

namespace cnnc {

const std::vector<std::string> &target_names() {
  static const std::vector<std::string> names = {"x86-64-linux", "x86-64-linux-avx2", "x86-64-linux-avx512"};
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
  std::vector<T::Feature> features = {T::NoRuntime, T::NoAsserts, T::NoBoundsQuery, T::StrictFloat};
  if (m.name == "x86-64-linux") {
    m.cpu = "x86-64";
    m.compiler_flags = "-march=x86-64";
  } else if (m.name == "x86-64-linux-avx2") {
    m.cpu = "haswell";
    m.compiler_flags = "-march=haswell";
    m.vector_bytes = 32;
  } else if (m.name == "x86-64-linux-avx512") {
    m.cpu = "skylake-avx512";
    m.compiler_flags = "-march=skylake-avx512 -mprefer-vector-width=512";
    m.vector_bytes = 64;
    m.registers = 32;
  } else {
    throw TargetError{fmt::format("unknown target '{}'; there are: host, {}", asked, fmt::join(target_names(), ", "))};
  }
  if (m.vector_bytes >= 32)
    for (T::Feature f : {T::SSE41, T::AVX, T::AVX2, T::FMA, T::F16C})
      features.push_back(f);
  if (m.vector_bytes == 64)
    for (T::Feature f : {T::AVX512, T::AVX512_Skylake})
      features.push_back(f);
  m.halide = T(T::Linux, T::X86, 64, features);
  return m;
}

} // namespace cnnc
