// What the fuzz targets share. Each is one file with LLVMFuzzerTestOneInput; tests/fuzz/run builds and runs them.
#ifndef CNNC_FUZZ_H
#define CNNC_FUZZ_H

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

// A property that every input must have; the fuzzer keeps the input that breaks it.
#define REQUIRE(condition)                                                           \
  do {                                                                               \
    if (!(condition)) {                                                              \
      std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                  \
    }                                                                                \
  } while (0)

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);

#endif
