// An array read from a file, and the readers of the two array formats.
#ifndef CNNC_RUNTIME_ARRAY_H
#define CNNC_RUNTIME_ARRAY_H

#include "file.h"

#include <cstdint>
#include <string>
#include <vector>

namespace cnnc::runtime {

enum class Element { u8,
                     i8,
                     u16,
                     i16,
                     u32,
                     i32,
                     u64,
                     i64,
                     f32,
                     f64 };
std::size_t element_size(Element type);
const char *element_name(Element type); // as numpy says it: "uint8"

// Row-major, little-endian. `bytes` holds exactly the product of the shape times the element's size.
struct Array {
  std::string file; // for messages
  Element type = Element::u8;
  std::vector<std::uint64_t> shape;
  Bytes bytes;
};

std::string shape_text(const std::vector<std::uint64_t> &shape); // "60000x28x28"; "scalar" for none

// Elements times their size; throws InputError with `file` when it does not fit 64 bits or largest_file.
std::uint64_t checked_bytes(const std::string &file, const std::vector<std::uint64_t> &shape, Element type);

// IDX (the format of MNIST's files) of unsigned bytes, 1 to 4 dimensions. A name that ends in .gz is unpacked;
// what its header promises is the most that is ever unpacked. Throws InputError, SystemError.
Array read_idx(const std::string &path);
Array parse_idx(Bytes bytes, const std::string &file, bool gzip);

// numpy's .npy, versions 1 to 3, little-endian, C order. Throws InputError, SystemError.
Array read_npy(const std::string &path);
Array parse_npy(Bytes bytes, const std::string &file);

} // namespace cnnc::runtime
#endif
