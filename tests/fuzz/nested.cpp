// The nested lists of `cnnc run --input`.
#include "fuzz.h"
#include "runtime/error.h"
#include "runtime/tensor_text.h"

#include <cmath>
#include <string>
#include <vector>

using namespace cnnc::runtime;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::uint32_t shape[] = {1, 2, 2};
  try {
    const std::vector<float> values = parse_nested(std::string(data, data + size), shape, 3);
    REQUIRE(values.size() == 4);
    for (float v : values) REQUIRE(std::isfinite(v));
    REQUIRE(parse_nested(format_nested(values.data(), shape, 3), shape, 3) == values);
  } catch (const InputError &) {
  }
  return 0;
}
