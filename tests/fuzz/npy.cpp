// NumPy files: one or two (images and labels), the first of the length that bytes 1 and 2 give.
#include "arrays.h"

#include <algorithm>

using namespace cnnc::runtime;

static Array parse(const std::uint8_t *data, std::size_t size) {
  Array array = parse_npy(Bytes(data, data + size), "fuzz");
  check_array(array);
  return array;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size < 3) return 0;
  const unsigned kind = data[0];
  const std::size_t first = std::min<std::size_t>(data[1] | data[2] << 8, size - 3);
  data += 3, size -= 3;
  try {
    const Array images = parse(data, first);
    const Array labels = first == size ? images : parse(data + first, size - first);
    use_arrays(images, labels, kind);
  } catch (const InputError &) {
  }
  return 0;
}
