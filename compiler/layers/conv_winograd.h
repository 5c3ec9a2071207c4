// The geometry of the two-dimensional fast convolution along one axis: what its definition, its schedule and the model
// of its cost agree on.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.h"

namespace cnnc {

// A convolution of stride s is s x s convolutions of stride one, one for each phase of the image: row y*s + phase is row
// y of that phase's image. The same holds, turned round, for its data gradient.
struct WinogradAxis {
  int64_t tile = 1;    // outputs a tile, m
  int64_t taps = 1;    // of the kernel of one phase
  int64_t stride = 1;  // phases
  int64_t outputs = 1; // along the axis: of a forward pass, or of one phase of the data gradient
  int64_t tiles = 1;
  int64_t origin = 0; // the input's row that the first element of the first tile is, in phase 0
  int64_t points() const { return tile + taps - 1; }
};

// Along each axis; more lose too many digits in two dimensions.
constexpr int kMostWinogradPoints = 8;

struct WinogradShape {
  WinogradAxis rows, columns;
  int64_t points() const { return rows.points() * columns.points(); }
  int64_t phases() const { return rows.stride * columns.stride; }
};

// Tiles that are taken through all stages together, so that what lies between the stages stays in the caches, and output
// channels whose sums stand in registers beside them.
struct WinogradBlock {
  int64_t rows = 1, columns = 1;
  int64_t held_rows = 1; // of tiles, of those whose sums stand in registers together
  int64_t channels = 1;  // of the result, the same
  int64_t together = 1;  // blocks of so many, that go by together: all products of one point, then of the next
  double cost = 0;       // of a product of vectors, in its own time: what is computed past the edges and what memory takes included
};
// `channels`: of the result, of one phase. `inputs`: channels that are summed over, with their phases.
WinogradBlock winograd_block(const WinogradShape &s, int64_t channels, int64_t inputs);

// Tiles whose products are added before the sum in memory is touched: the gradient of the weights.
WinogradBlock winograd_weight_block(const WinogradShape &s, int64_t channels, int64_t inputs);

// Transformed weights stand in the order in which they are read: [phase, pass][point][block of outputs, group of inputs][output,
// input], so that a group's weights for a block are whole lines and those of a pass one stretch of memory.
struct WinogradPacking {
  int64_t block = 1, together = 1, passes = 1; // output channels; blocks of a pass; passes of each phase
  int64_t group = 1, groups = 1;               // input channels
};
// `inputs`: channels that are summed over, with their phases.
WinogradPacking winograd_packing(const WinogradShape &s, int64_t channels, int64_t inputs);

// `outputs`: of the convolution. `tile`: outputs a tile; `padding`: top, bottom, left, right.
WinogradShape winograd_forward(const std::vector<int64_t> &kernel, const std::vector<int64_t> &stride, const std::vector<int64_t> &padding,
                               const std::vector<int64_t> &tile, const std::vector<int64_t> &outputs);
// `image`: the gradient's size.
WinogradShape winograd_data(const std::vector<int64_t> &kernel, const std::vector<int64_t> &stride, const std::vector<int64_t> &padding,
                            const std::vector<int64_t> &tile, const std::vector<int64_t> &image);
// The kernel's element that stands at `tap` of the kernel of `phase` for the data gradient; -1: none, or past the end.
int64_t winograd_data_tap(const WinogradAxis &a, int64_t kernel, int64_t padding, int64_t phase, int64_t tap);

// The same of a node; throws GraphError where an attribute is wrong.
WinogradShape winograd_shape(const Node &n);

} // namespace cnnc
