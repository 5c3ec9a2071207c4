// Gives out the files that cmake/embed.cmake put into the program.
#include "codegen/embedded.h"

extern "C" {
extern const char cnnc_embedded_model_header_begin[], cnnc_embedded_model_header_end[];
extern const char cnnc_embedded_hooks_f32_begin[], cnnc_embedded_hooks_f32_end[];
extern const char cnnc_embedded_hooks_f64_begin[], cnnc_embedded_hooks_f64_end[];
extern const char cnnc_embedded_text_hooks_h_begin[], cnnc_embedded_text_hooks_h_end[];
extern const char cnnc_embedded_text_hooks_c_begin[], cnnc_embedded_text_hooks_c_end[];
extern const char cnnc_embedded_text_random_c_begin[], cnnc_embedded_text_random_c_end[];
extern const char cnnc_embedded_text_threads_c_begin[], cnnc_embedded_text_threads_c_end[];
extern const char cnnc_embedded_text_checkpoint_c_begin[], cnnc_embedded_text_checkpoint_c_end[];
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

std::string embedded_hooks_text() {
  std::string text(between(cnnc_embedded_text_hooks_c_begin, cnnc_embedded_text_hooks_c_end));
  auto put = [&](const char *name, std::string_view content) {
    const std::string line = std::string("#include \"") + name + "\"\n";
    const size_t at = text.find(line);
    if (at != std::string::npos)
      text.replace(at, line.size(), content);
  };
  put("random.c", between(cnnc_embedded_text_random_c_begin, cnnc_embedded_text_random_c_end));
  put("threads.c", between(cnnc_embedded_text_threads_c_begin, cnnc_embedded_text_threads_c_end));
  put("checkpoint.c", between(cnnc_embedded_text_checkpoint_c_begin, cnnc_embedded_text_checkpoint_c_end));
  put("hooks.h", between(cnnc_embedded_text_hooks_h_begin, cnnc_embedded_text_hooks_h_end));
  put("../cnnc_model.h", "");
  return text;
}

} // namespace cnnc
