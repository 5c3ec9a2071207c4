// What registry.def lists, and what the files of layers/ share.
#pragma once
#include "layers/op.h"

namespace cnnc {
#define REGISTER(name) void register_##name(Registry &);
#include "layers/registry.def"
#undef REGISTER

// Shape rules that several operations share. They throw GraphError.
Type same_as_first(const Graph &, const Node &);
void expect_rank(const std::string &what, const Type &, size_t rank);
// floor((n + before + after - k) / stride) + 1; throws where the kernel does not fit.
std::vector<int64_t> window_output(const Graph &, const Node &, const std::vector<int64_t> &image);
} // namespace cnnc
