// How a convolution falls into tiles and phases.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "layers/conv_winograd.h"
#include "layers/registry.h"
#include "layers/toom_cook.h"

namespace cnnc {

namespace {
int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }

WinogradAxis forward_axis(int64_t kernel, int64_t stride, int64_t before, int64_t tile, int64_t outputs) {
  return {tile, up(kernel, stride), stride, outputs, up(outputs, tile), -before};
}

// Row a*s + phase of the gradient is the sum over t of dy[a + shift - t] and the kernel's element
// (t - shift + (phase + before) / s) * s + (phase + before) mod s: `shift` makes all of them start at t >= 0.
int64_t shift(int64_t stride, int64_t before) { return (stride - 1 + before) / stride; }

WinogradAxis data_axis(int64_t kernel, int64_t stride, int64_t before, int64_t tile, int64_t image) {
  int64_t taps = 1;
  for (int64_t phase = 0; phase < stride; phase++) {
    const int64_t first = (phase + before) % stride;
    if (first < kernel)
      taps = std::max(taps, (kernel - 1 - first) / stride + shift(stride, before) - (phase + before) / stride + 1);
  }
  const int64_t outputs = up(image, stride);
  return {tile, taps, stride, outputs, up(outputs, tile), shift(stride, before) - (taps - 1)};
}

// Measured with 2 MB of second-level cache, in the time of a product: a line that is read there, written there, or comes from
// or goes to what is behind it. Half of what is read passes beside the products.
constexpr double kRead = 2.5, kWritten = 7, kBehind = 16;
// Bytes: of a line; of a point's values or of sums in the nearest cache; of all points' values in the second-level one beside
// the weights and images that pass through it; of that cache.
constexpr double kLine = 64, kNearest = 40 << 10, kNear = 768 << 10, kCache = 2 << 20;

// In the time of a product: what is computed past the edges and what memory takes included.
double block_cost(const WinogradShape &s, const WinogradBlock &b, int64_t channels, int64_t inputs, bool near) {
  auto waste = [](int64_t n, int64_t of) { return double(up(n, of) * of) / double(n); };
  const double held = double(b.columns * b.held_rows), tiles = double(b.columns * b.rows), block = double(b.channels);
  const double line = double(s.points()) * kLine, values = line * double(inputs) * tiles, weights = line / 16 * double(inputs * channels);
  const double sums = line * tiles * block * double(b.together), summed = sums <= kNearest ? kRead : sums <= kCache / 4 ? kWritten + kRead
                                                                                                                        : 2 * kBehind;
  double cost = std::max(held * block + 0.5 * (held + block), 10.0) / (held * block); // products and loads of a step
  cost *= waste(s.columns.tiles, b.columns) * waste(s.rows.tiles, b.rows) * waste(channels, block);
  cost += (values + weights <= kCache / 2 ? kRead : kBehind) / 32 / std::sqrt(held * tiles) + summed / double(inputs);
  if (near) // the values of all points, for each block
    return cost + kRead / 2 / block + kWritten / double(channels);
  const double taken = values + sums <= kCache ? kRead : kBehind;
  cost += taken / 2 / (block * double(b.together)) + kBehind / double(channels);
  return cost + (double(inputs) * tiles * kLine <= kNearest ? 0 : kRead / 2 / block);
}
} // namespace

WinogradBlock winograd_block(const WinogradShape &s, int64_t channels, int64_t inputs) {
  constexpr int64_t kSums = 25, kMostTiles = 16; // sums: of 32 registers
  const double tile = double(s.points() * inputs) * kLine;
  const bool near = std::min<int64_t>(2, s.rows.tiles * s.columns.tiles) * tile <= kNear;
  WinogradBlock best;
  best.cost = INFINITY;
  auto offer = [&](int64_t rows, int64_t columns, int64_t held, int64_t block) {
    const int64_t blocks = up(channels, block);
    for (int64_t passes = blocks; passes >= 1; passes = passes > 1 && !near ? up(passes, 2) : 0) {
      WinogradBlock b{rows, columns, held, block, up(blocks, passes), 0};
      b.cost = block_cost(s, b, channels, inputs, near);
      if (b.cost < best.cost - 1e-9)
        best = b;
    }
  };
  for (int64_t columns = 1; columns <= std::min(kMostTiles, s.columns.tiles); columns++)
    for (int64_t rows = 1; rows <= (columns == s.columns.tiles ? std::min(s.rows.tiles, kMostTiles / columns) : 1); rows++)
      for (int64_t held = 1; held <= rows && held * columns <= kSums && (!near || double(rows * columns) * tile <= kNear); held++)
        for (int64_t block = 1; rows % held == 0 && block <= std::min<int64_t>({channels, kSums / (held * columns), 12}); block += block < channels && block > 1 ? 2 : 1)
          offer(rows, columns, held, block);
  return best;
}

WinogradBlock winograd_weight_block(const WinogradShape &s, int64_t channels, int64_t inputs) {
  constexpr int64_t kMostTiles = 8;
  WinogradBlock b;
  if (s.rows.tiles * s.columns.tiles <= 2 * kMostTiles) {
    b.rows = s.rows.tiles, b.columns = s.columns.tiles;
    return b;
  }
  // Where all sums stay near, so few tiles that their points do too.
  const double tile = double(s.points() * (channels + inputs)) * kLine, sums = double(s.points() * channels * inputs) * 4;
  const int64_t most = std::clamp<int64_t>(int64_t((0.6 * kCache - sums) / tile), sums < 0.5 * kCache ? 1 : kMostTiles, kMostTiles);
  b.columns = up(s.columns.tiles, up(s.columns.tiles, most));
  b.rows = std::min(s.rows.tiles, std::max<int64_t>(1, most / b.columns));
  return b;
}

WinogradPacking winograd_packing(const WinogradShape &s, int64_t channels, int64_t inputs) {
  WinogradPacking p;
  const WinogradBlock b = winograd_block(s, channels, inputs);
  p.block = b.channels, p.together = b.together;
  p.passes = up(channels, p.block * p.together);
  p.groups = up(inputs, 16);
  p.group = up(inputs, p.groups);
  return p;
}

WinogradShape winograd_forward(const std::vector<int64_t> &kernel, const std::vector<int64_t> &stride, const std::vector<int64_t> &padding,
                               const std::vector<int64_t> &tile, const std::vector<int64_t> &outputs) {
  return {forward_axis(kernel[0], stride[0], padding[0], tile[0], outputs[0]), forward_axis(kernel[1], stride[1], padding[2], tile[1], outputs[1])};
}

WinogradShape winograd_data(const std::vector<int64_t> &kernel, const std::vector<int64_t> &stride, const std::vector<int64_t> &padding,
                            const std::vector<int64_t> &tile, const std::vector<int64_t> &image) {
  return {data_axis(kernel[0], stride[0], padding[0], tile[0], image[0]), data_axis(kernel[1], stride[1], padding[2], tile[1], image[1])};
}

int64_t winograd_data_tap(const WinogradAxis &a, int64_t kernel, int64_t padding, int64_t phase, int64_t tap) {
  const int64_t t = a.taps - 1 - tap; // turned: a correlation
  const int64_t r = (t - shift(a.stride, padding) + (phase + padding) / a.stride) * a.stride + (phase + padding) % a.stride;
  return r >= 0 && r < kernel ? r : -1;
}

WinogradShape winograd_shape(const Node &n) {
  constexpr int64_t kMost = 1 << 24;
  auto numbers = [&](const char *key, size_t length, int64_t least, int64_t most) -> const std::vector<int64_t> & {
    const auto &list = n.list(key);
    bool fits = list.size() == length;
    for (int64_t v : list)
      fits = fits && v >= least && v <= most;
    if (!fits)
      throw GraphError{fmt::format("{}: '{}' has to be {} numbers from {} to {}", n.op, key, length, least, most)};
    return list;
  };
  const auto &kernel = numbers("kernel", 2, 1, kMost), &stride = numbers("stride", 2, 1, 4096), &padding = numbers("padding", 4, 0, kMost), &tile = numbers("tile", 2, 1, kMostWinogradPoints);
  WinogradShape s;
  if (n.has("image")) // of the data gradient
    s = winograd_data(kernel, stride, padding, tile, numbers("image", 2, 1, kMost));
  else
    s = winograd_forward(kernel, stride, padding, tile, numbers("outputs", 2, 1, kMost));
  if (s.rows.points() > kMostWinogradPoints || s.columns.points() > kMostWinogradPoints)
    throw GraphError{fmt::format("{}: tiles of at most {} points along an axis", n.op, kMostWinogradPoints)};
  return s;
}

} // namespace cnnc
