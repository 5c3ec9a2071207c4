// Gives out the files that cmake/embed.cmake put into the program.
#include "codegen/embedded.h"

#define EMBEDDED(name) extern "C" const char cnnc_embedded_##name##_begin[], cnnc_embedded_##name##_end[];
EMBEDDED(model_header)
EMBEDDED(f32_x86)
EMBEDDED(f64_x86)
EMBEDDED(dispatch_x86)
EMBEDDED(f32_arm)
EMBEDDED(f64_arm)
EMBEDDED(dispatch_arm)
EMBEDDED(f32_riscv)
EMBEDDED(f64_riscv)
EMBEDDED(dispatch_riscv)
EMBEDDED(text_hooks_h)
EMBEDDED(text_hooks_c)
EMBEDDED(text_cpu_c)
EMBEDDED(text_random_c)
EMBEDDED(text_threads_c)
EMBEDDED(text_checkpoint_c)
#undef EMBEDDED

namespace cnnc {
namespace {
std::string_view between(const char *begin, const char *end) { return {begin, size_t(end - begin)}; }
} // namespace
#define EMBEDDED(name) between(cnnc_embedded_##name##_begin, cnnc_embedded_##name##_end)

std::string_view embedded_model_header() { return EMBEDDED(model_header); }

std::string_view embedded_hooks(Arch arch, bool f64) {
  switch (arch) {
  case Arch::X86: return f64 ? EMBEDDED(f64_x86) : EMBEDDED(f32_x86);
  case Arch::Arm: return f64 ? EMBEDDED(f64_arm) : EMBEDDED(f32_arm);
  case Arch::Riscv: return f64 ? EMBEDDED(f64_riscv) : EMBEDDED(f32_riscv);
  }
  return {};
}

std::string_view embedded_dispatch(Arch arch) {
  return arch == Arch::X86 ? EMBEDDED(dispatch_x86) : arch == Arch::Arm ? EMBEDDED(dispatch_arm)
                                                                        : EMBEDDED(dispatch_riscv);
}

std::string embedded_hooks_text() {
  std::string text(EMBEDDED(text_hooks_c));
  auto put = [&](const char *name, std::string_view content) {
    const std::string line = std::string("#include \"") + name + "\"\n";
    const size_t at = text.find(line);
    if (at != std::string::npos)
      text.replace(at, line.size(), content);
  };
  put("cpu.c", EMBEDDED(text_cpu_c));
  put("random.c", EMBEDDED(text_random_c));
  put("threads.c", EMBEDDED(text_threads_c));
  put("checkpoint.c", EMBEDDED(text_checkpoint_c));
  put("hooks.h", EMBEDDED(text_hooks_h));
  put("../cnnc_model.h", "");
  return text;
}

} // namespace cnnc
