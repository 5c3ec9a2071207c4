// Gives out the files that cmake/embed.cmake put into the program.
#include "codegen/embedded.h"

extern "C" {
extern const char cnnc_embedded_model_header_begin[], cnnc_embedded_model_header_end[];
extern const char cnnc_embedded_hooks_f32_begin[], cnnc_embedded_hooks_f32_end[];
extern const char cnnc_embedded_hooks_f64_begin[], cnnc_embedded_hooks_f64_end[];
}

namespace cnnc {
namespace {
std::string_view between(const char *begin, const char *end) { return {begin, size_t(end - begin)}; }
} // namespace

std::string_view embedded_model_header() {
  return between(cnnc_embedded_model_header_begin, cnnc_embedded_model_header_end);
}

std::string_view embedded_hooks(bool f64) {
  return f64 ? between(cnnc_embedded_hooks_f64_begin, cnnc_embedded_hooks_f64_end)
             : between(cnnc_embedded_hooks_f32_begin, cnnc_embedded_hooks_f32_end);
}

} // namespace cnnc
