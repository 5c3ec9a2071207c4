// FNV-1a: names what has the same bytes.
#pragma once

#include <cstdint>
#include <string_view>

namespace cnnc {
inline uint64_t fnv1a(std::string_view bytes, uint64_t h = 14695981039346656037u) {
  for (unsigned char c : bytes)
    h = (h ^ c) * 1099511628211u;
  return h;
}
} // namespace cnnc
