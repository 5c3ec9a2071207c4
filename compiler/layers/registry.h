// One line for each file of layers/, losses/ and optimizers/.
#pragma once
#include "layers/op.h"

namespace cnnc {
void register_sources(Registry &);
void register_pad(Registry &);
void register_conv(Registry &);
void register_max_pool(Registry &);
void register_avg_pool(Registry &);
void register_flatten(Registry &);
void register_dense(Registry &);
void register_sigmoid(Registry &);
void register_relu(Registry &);
void register_tanh(Registry &);
void register_softmax(Registry &);
void register_add(Registry &);
void register_softmax_cross_entropy(Registry &);
void register_squared_error(Registry &);
void register_sgd(Registry &);
void register_adam(Registry &);

// Shape rules that several operations share. They throw GraphError.
Type same_as_first(const Graph &, const Node &);
void expect_rank(const std::string &what, const Type &, size_t rank);
// floor((n + before + after - k) / stride) + 1; throws where the kernel does not fit.
std::vector<int64_t> window_output(const Graph &, const Node &, const std::vector<int64_t> &image);
} // namespace cnnc
