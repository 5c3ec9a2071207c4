// Checkpoints: as they are, and once more with the size and the check sum put right, to get behind them.
#include "fuzz.h"
#include "runtime/checkpoint.h"
#include "runtime/error.h"

#include <zlib.h>

using namespace cnnc::runtime;

static void put(Bytes &bytes, std::size_t at, std::uint64_t value, int size) {
  for (int i = 0; i < size; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

static void decode(const Bytes &bytes) {
  try {
    REQUIRE(encode_checkpoint(decode_checkpoint(bytes, "fuzz")) == bytes);
  } catch (const InputError &) {
  }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  Bytes bytes(data, data + size);
  decode(bytes);
  if (size < 24) return 0;
  put(bytes, 12, size, 8);
  put(bytes, size - 4, crc32_z(0, bytes.data(), size - 4), 4);
  decode(bytes);
  return 0;
}
