// Tensors as nested lists of numbers, the way `cnnc run` takes and prints them.
#ifndef CNNC_RUNTIME_TENSOR_TEXT_H
#define CNNC_RUNTIME_TENSOR_TEXT_H

#include <cstdint>
#include <string>
#include <vector>

namespace cnnc::runtime {

// values: row-major, the product of `shape` of them. Each number as %.9g: "[[[19, 25], [37, 43]]]".
std::string format_nested(const float *values, const std::uint32_t *shape, std::uint32_t rank);

// Reads "[[[1, 1, 0], [1, 1, 0]]]". The lists must have the shape, where leading dimensions of 1 may be left out.
// Throws InputError: not a list, ragged, another shape (both are named), a number that float32 cannot hold.
std::vector<float> parse_nested(const std::string &text, const std::uint32_t *shape, std::uint32_t rank);

} // namespace cnnc::runtime
#endif
