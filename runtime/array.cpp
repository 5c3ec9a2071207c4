// Sizes and names of element types, shared by the readers of array files.
#include "array.h"

#include "error.h"

#include <fmt/format.h>

namespace cnnc::runtime {

std::size_t element_size(Element type) {
  switch (type) {
  case Element::u8:
  case Element::i8: return 1;
  case Element::u16:
  case Element::i16: return 2;
  case Element::u32:
  case Element::i32:
  case Element::f32: return 4;
  case Element::u64:
  case Element::i64:
  case Element::f64: return 8;
  }
  return 0;
}

const char *element_name(Element type) {
  static const char *const names[] = {"uint8", "int8", "uint16", "int16", "uint32",
                                      "int32", "uint64", "int64", "float32", "float64"};
  return names[static_cast<int>(type)];
}

std::string shape_text(const std::vector<std::uint64_t> &shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (std::uint64_t d : shape) text += (text.empty() ? "" : "x") + std::to_string(d);
  return text;
}

std::uint64_t checked_bytes(const std::string &file, const std::vector<std::uint64_t> &shape, Element type) {
  std::uint64_t total = element_size(type);
  // A zero anywhere makes the product zero: look for it first, so that order does not matter.
  for (std::uint64_t d : shape)
    if (d == 0) return 0;
  for (std::uint64_t d : shape)
    if (__builtin_mul_overflow(total, d, &total) || total > largest_file)
      throw InputError(fmt::format("{}: an array of {} {} is above the largest size of {} bytes", file, shape_text(shape),
                                   element_name(type), largest_file));
  return total;
}

} // namespace cnnc::runtime
