// A place in the user's file.
#pragma once
#include <cstdint>

namespace cnnc {
struct Location {
  uint32_t offset = 0, length = 0; // bytes from the start of the text
};
} // namespace cnnc
