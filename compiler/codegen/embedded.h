// Files that are part of the compiler's program, put there when it is built.
#pragma once

#include <string>
#include <string_view>

namespace cnnc {
enum class Arch { X86,
                  Arm,
                  Riscv }; // all with 64 bits

std::string_view embedded_model_header();             // runtime/cnnc_model.h
std::string_view embedded_hooks(Arch arch, bool f64); // runtime/hooks/hooks.c as LLVM bitcode, elements float or double
std::string_view embedded_dispatch(Arch arch);        // runtime/hooks/dispatch.c as LLVM bitcode
std::string embedded_hooks_text();                    // runtime/hooks/ as one text, without cnnc_model.h
} // namespace cnnc
