// Memory for nets and data sets.
#ifndef CNNC_RUNTIME_ALIGNED_BYTES_H
#define CNNC_RUNTIME_ALIGNED_BYTES_H

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fmt/format.h>
#include <memory>
#include <sys/mman.h>

#include "error.h"

namespace cnnc::runtime {

// Memory aligned to `alignment` bytes, a power of two. Much of it asks for large pages: wide layers run up to a tenth faster.
class AlignedBytes {
public:
  AlignedBytes() = default;
  // Throws SystemError.
  AlignedBytes(std::uint64_t size, std::uint64_t alignment) : size_(size) {
    constexpr std::uint64_t kLargePage = 2 << 20;
    const bool large = size >= 2 * kLargePage;
    alignment = std::max<std::uint64_t>(alignment, large ? kLargePage : sizeof(void *));
    const std::uint64_t rounded = std::max<std::uint64_t>((size + alignment - 1) / alignment, 1) * alignment;
    data_.reset(static_cast<std::uint8_t *>(std::aligned_alloc(alignment, rounded)));
    if (!data_) throw SystemError(fmt::format("no memory: {} bytes were asked for", size));
#ifdef MADV_HUGEPAGE
    if (large) madvise(data_.get(), rounded, MADV_HUGEPAGE); // no more than a hint
#endif
  }
  std::uint8_t *data() const { return data_.get(); }
  std::uint64_t size() const { return size_; }

private:
  struct Free {
    void operator()(std::uint8_t *p) const { std::free(p); }
  };
  std::unique_ptr<std::uint8_t, Free> data_;
  std::uint64_t size_ = 0;
};

} // namespace cnnc::runtime
#endif
