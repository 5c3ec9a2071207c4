// What a generated library says of itself: its table, its header and the summary are made from this.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cnnc {

struct TensorInfo {
  std::string name;
  std::vector<int64_t> dims;
  int64_t offset = 0, size = 0; // elements of the flat vector
};

struct ModelInfo {
  std::string name;    // also the prefix of every symbol
  std::string target;  // "x86-64-linux-avx512"
  std::string version; // of cnnc
  std::string command; // that made it
  bool f64 = false;
  uint64_t fingerprint = 0;
  int64_t batch = 1;
  int lanes = 1, partial_sums = 1, alignment = 64;
  std::vector<int64_t> input, output, target_image; // dimensions, channel first
  int target_kind = 0;                              // enum cnnc_target_kind
  int64_t classes = 0;
  bool loss_is_sum = false, trains = false;
  std::vector<TensorInfo> tensors;
  int64_t parameter_count = 0, optimizer_count = 0;
  std::vector<uint64_t> train_bytes, infer_bytes; // [i]: for i + 1 threads, up to partial_sums; more need no more
  // The arena of a thread, bytes: what it takes, and the most that is alive at one time.
  int64_t train_arena = 0, train_alive = 0, infer_arena = 0, infer_alive = 0;
};

// The C header: C99, C11, C++17 and C++20.
std::string header_text(const ModelInfo &info);

} // namespace cnnc
