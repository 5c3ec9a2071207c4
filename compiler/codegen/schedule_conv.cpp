// Schedules of the direct convolution (layers/conv.cpp).
#include <Halide.h>
#include <algorithm>
#include <cmath>

#include "codegen/schedule.h"
#include "layers/op.h"

namespace cnnc {
using namespace Halide;

namespace {
// Lines of the cache, of a row of the image that is copied.
constexpr int kShortPiece = 12, kLinesAhead = 72;
int lines_of(int64_t columns, const MachineTarget &m) { return int((columns * m.vector_bytes + 63) / 64); }

// Of the second-level cache, for what is copied and what will be next.
constexpr double kForBoth = 0.8;

// Whether an image leaves the second-level cache before it is read again.
bool is_far(const std::vector<int64_t> &dims, const MachineTarget &m) { return dims[0] * dims[1] * dims[2] * m.vector_bytes > m.l2_bytes / 2; }

int64_t rounded_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Columns that are computed before the next ones: blocks of equal widths, the last of which begins early enough to be whole.
struct Block {
  int columns = 1;
  double cost = INFINITY; // of a column, in those of one that stands in a cache and is computed once
};

// What a convolution copies of the image, for one column of its kernel's result.
struct Copied {
  int64_t bytes = 0;    // that are kept, of all channels; none and no lines where blocks of columns are not possible
  int64_t columns = 1;  // of the image
  int64_t beside = 0;   // columns of the result whose piece of the image the next block copies again
  double weights = 0;   // bytes that pass by for each place, where they can stay near themselves
  double lines = 0;     // of the image for each element of the kernel, where neighbours are read
  int64_t channels = 1; // of the result
};

// The rows of the image that are kept are dense: their channels would otherwise stand at places that share a cache's
// set. A short piece of a channel is fetched ahead of its copy, with lines beyond its end; the lines of a long one come late, and are
// further away when they are read. In multiply-adds (measured with 64 to 1024 channels).
std::vector<Block> blocks_of(int64_t columns, const Copied &copied, int tile, const MachineTarget &m) {
  constexpr double kAgain = 0.1, kBegin = 0.1, kBeyond = 40, kLate = 10, kAway = 0.07, kFar = 0.25;
  std::vector<Block> found; // from the widest
  for (int64_t blocks = 1, wide = columns + 1; wide > tile; blocks++) {
    wide = blocks == 1 ? rounded_up(columns, tile) : rounded_up((columns + blocks - 1) / blocks, tile);
    const double computed = double(wide * ((columns + wide - 1) / wide)) / double(columns);
    const bool near = double(wide * copied.bytes) + copied.weights <= 0.7 * double(m.l2_bytes);
    const double late = lines_of(wide * copied.columns, m) <= kShortPiece ? 0 : kLate / double(copied.channels) + kAway;
    const double begin = kBegin + kBeyond / double(copied.channels);
    const double cost = computed * (1 + (kAgain * double(copied.beside) + begin * copied.lines) / double(wide) + late * copied.lines) + (near ? 0 : kFar);
    const int whole = int(std::min(wide, columns));
    if (found.empty() || found.back().columns != whole)
      found.push_back({whole, cost});
  }
  return found;
}

Block cheapest(const std::vector<Block> &blocks) {
  return *std::min_element(blocks.begin(), blocks.end(), [](const Block &a, const Block &b) { return a.cost < b.cost - 1e-9; });
}

int choose_block(KernelContext &k, const std::vector<Block> &blocks) {
  constexpr double kWorthATry = 1.3;
  const double least = cheapest(blocks).cost;
  std::vector<Block> offered;
  std::vector<Candidate> candidates;
  for (const Block &b : blocks)
    if (b.cost <= kWorthATry * least) {
      offered.push_back(b);
      candidates.push_back({std::to_string(b.columns), b.cost});
    }
  return offered.size() == 1 ? offered[0].columns : offered[k.choose("block", candidates)].columns;
}

// Channels by neighbouring columns whose sums stand in registers, and which of the two loops around them is inside: over
// the columns, so that the weights are in the first-level cache, or over the channels, so that the image is where it fits.
// For each kernel row and input channel: multiply-adds, vectors of the image, and weights that are broadcast.
struct Loops {
  Tile tile;
  int block = 1;
  bool channels_inside = false;
};

// The convolution's results that one of the kernel's is made of, in registers, and the columns to the next one's.
struct Window {
  int64_t rows = 1, columns = 1, step = 1;
};

Loops choose_loops(KernelContext &k, int64_t channels, int64_t columns, const Window &window, int reach, int step, int64_t reduced, Copied copied, bool may_choose, const MachineTarget &m) {
  constexpr double kStoredApart = 20; // cycles a vector
  const int limit = std::min(24, m.accumulators());
  Tiles tiles[2];
  double least[2] = {INFINITY, INFINITY};
  std::vector<Block> blocks = {Block()}; // by columns of the tile
  copied.columns = step * window.step;
  copied.beside = (reach - step + copied.columns - 1) / copied.columns;
  for (int c = 1; c <= std::min<int64_t>(columns, limit); c++)
    blocks.push_back(cheapest(blocks_of(columns, copied, c, m)));
  for (int inside = 0; inside <= int(may_choose); inside++)
    for (int r = 1; r <= std::min<int64_t>(channels, 12); r++)
      for (int c = 1; c < int(blocks.size()); c++) {
        const int across = int((c - 1) * window.step + window.columns), places = int(window.rows) * across, sums = r * places;
        // Those of a window's rows are all read before the next channel's weights are.
        if (sums > 1 && (sums > limit || (window.rows > 1 && sums + places + 2 > m.registers)))
          break;
        const double products = double(sums * reach), image = double(window.rows) * double((across - 1) * step + reach), weights = r * reach;
        const bool near = inside && image * double(reduced * m.vector_bytes) <= 0.75 * double(m.l1_bytes);
        // With the channels inside, neighbouring results of a row are stored at long intervals.
        const double stored = inside ? kStoredApart * double(sums) / double(reduced) : 0;
        const double cycles = std::max({products / 2, (image + weights) / m.loads, 4.0 * reach}) + image * (near ? 0.1 : 0.6) + weights * (inside ? 0.1 : 0.05) + stored;
        const double cost = cycles * blocks[size_t(c)].cost / (products * useful(channels, r));
        tiles[inside].offer(r, c, cost);
        least[inside] = std::min(least[inside], cost);
      }
  Loops l;
  l.channels_inside = may_choose && k.choose("order", {{"columns inside", least[0]}, {"channels inside", least[1]}}) == 1;
  l.tile = tiles[l.channels_inside].choose(k);
  l.block = copied.bytes ? choose_block(k, blocks_of(columns, copied, l.tile.columns, m)) : int(columns);
  return l;
}

// Blocks of columns, then rows of the image outermost: what they need of the image is read once for all channels.
void rows(KernelContext &k, Func whole_kernel, const Type &whole_type, const std::vector<const Node *> &nodes, const MachineTarget &m) {
  const bool by_row = k.by_row.defined();
  Func out = by_row ? take_rows(k, whole_kernel) : whole_kernel;
  const Type &type = by_row ? k.type(*nodes.back(), 0) : whole_type;
  const Node &conv = *nodes.front();
  const auto window = std::find_if(nodes.begin(), nodes.end(), [](const Node *n) { return has_trait(*n, kWindow); });
  // From sums in registers, or, where what follows takes many operations, from stored ones.
  Window each; // column of the result
  bool apart = false;
  if (window != nodes.end()) {
    each = {(*window)->list("kernel")[0], (*window)->list("kernel")[1], (*window)->list("stride")[1]};
    apart = 2 * each.rows * each.columns + 2 > m.registers || !unrolls(nodes, m);
  }
  int64_t columns = (type.dims[2] + k.phases - 1) / k.phases; // of a phase
  const int64_t read_step = each.step;
  if (apart) {
    columns = (columns - 1) * each.step + each.columns; // that windows read
    each = {};
  }
  const int reach = int(*Internal::as_const_int(k.domain[0].extent()));
  const int64_t inputs = *Internal::as_const_int(k.domain[1].extent());
  const int step = k.phases == 1 && conv.op == "conv" && reach > 1 ? int(conv.list("stride")[1]) : 1;
  const int64_t kernel_rows = *Internal::as_const_int(k.domain[2].extent());
  const auto &read = k.type(conv, 0).dims;
  const bool copies = !k.as_stored || is_far(read, m);
  Copied copied;
  copied.channels = type.dims[0];
  // Of what is copied one row is read for each of the result, and each for so many, whose loops are unrolled.
  constexpr int64_t kMostRows = 8;
  const bool one_row = k.phases > 1 && kernel_rows == 1 && conv.list("stride")[0] <= kMostRows;
  if (copies && !by_row && (k.phases == 1 || one_row)) {
    copied.bytes = inputs * k.keep * m.vector_bytes * step * each.step;
    const double weights = double(type.dims[0] * inputs * k.real.bytes());
    if (reach * kernel_rows == 1 && weights <= 0.5 * double(m.l2_bytes))
      copied.weights = weights;
    if (conv.list("stride")[1] == 1)
      copied.lines = 1 / double(reach * kernel_rows);
  }
  const Loops loops = choose_loops(k, type.dims[0], columns, each, reach, step, inputs * kernel_rows, copied, k.phases == 1, m);
  const Tile tile = loops.tile;
  const int wide = loops.block;
  Var channel("channel"), column("column"), block("block");
  Func f = k.reduce, whole = out; // with all columns of the convolution's result
  if (apart) {
    // The sums that a row of windows reads are made of all channels, and pooled from there. What follows the convolution
    // is computed with the windows, which are disjoint.
    const auto id = [&](const Node *n) { return ValueId(n - k.graph.nodes.data()); };
    const auto reader = std::find_if(nodes.begin(), nodes.end(), [&](const Node *n) { return n->inputs[0] == id(&conv); });
    whole = f.in(k.values.at(id(*reader)));
    out.reorder(lane(), dim(2), dim(0), dim(1)).vectorize(lane());
    whole.compute_at(out, dim(1)).store_in(MemoryType::Heap);
  }
  whole.vectorize(lane()).split(dim(0), dim(0), channel, tile.rows);
  LoopLevel store = LoopLevel(whole_kernel, Var::outermost());
  if (k.phases > 1) {
    // A tile of each phase, whose columns then take their places.
    Func apart = k.staged;
    const Var p = apart.args()[4];
    std::vector<VarOrRVar> order = {lane(), column, channel, dim(2), dim(0)};
    if (one_row) { // all rows that it is for
      const Var row("row");
      out.split(dim(1), dim(1), row, int(conv.list("stride")[0]), TailStrategy::GuardWithIf).unroll(row);
      order.push_back(row);
    }
    order.push_back(dim(1));
    if (wide < columns) {
      out.split(dim(2), block, dim(2), wide * int(k.phases), TailStrategy::GuardWithIf);
      order.push_back(block);
      store = LoopLevel(out, block);
    }
    out.split(dim(2), dim(2), column, tile.columns * int(k.phases), TailStrategy::GuardWithIf);
    out.reorder(order).unroll(column);
    apart.compute_at(out, dim(2)).bound_extent(dim(2), tile.columns).store_in(MemoryType::Heap).vectorize(lane());
    apart.split(dim(2), dim(2), column, tile.columns, TailStrategy::RoundUp).split(dim(0), dim(0), channel, tile.rows, TailStrategy::RoundUp);
    apart.reorder(lane(), column, channel, dim(2), p, dim(0), dim(1)).unroll(column).unroll(channel);
    f.compute_at(apart, dim(2));
  } else {
    const Var inner = dim(loops.channels_inside ? 0 : 2), outer = dim(loops.channels_inside ? 2 : 0);
    std::vector<VarOrRVar> order = {lane(), column, channel, inner, outer, dim(1)};
    if (wide < columns && !by_row) {
      store = LoopLevel(out, block);
      if (apart) {
        out.split(dim(2), block, dim(2), std::max<int>(1, wide / int(read_step))).reorder(lane(), dim(2), dim(0), dim(1), block);
      } else {
        out.split(dim(2), block, dim(2), wide);
        order.push_back(block);
      }
    }
    whole.split(dim(2), dim(2), column, tile.columns);
    whole.reorder(order).unroll(column).unroll(channel);
    f.compute_at(whole, inner);
  }
  f.vectorize(lane());
  on_stack(f);
  if (k.scaled.defined()) {
    k.scaled.compute_root();
    on_stack(k.scaled);
  }
  if (copies) {
    auto v = k.rows.args(); // lane, column, row, channel
    k.rows.store_at(store).compute_at(out, dim(1)).store_in(MemoryType::Heap).vectorize(v[0]);
    k.rows.reorder_storage(v[0], v[1], v[3], v[2]).reorder(v[0], v[1], v[3], v[2]);
    if (conv.op == "conv_data_gradient" && kernel_rows > 1) // for forward ones Halide finds that itself
      k.rows.fold_storage(v[2], int(kernel_rows));
    const int64_t kept = inputs * k.keep * wide * step * each.step * m.vector_bytes;
    const int lines = lines_of(wide * step * each.step, m);
    if (is_far(read, m) && 2 * double(kept) <= kForBoth * double(m.l2_bytes))
      k.fetch_next.push_back({k.rows.name(), f.name()});
    else if (const auto image = k.stored.find(conv.inputs[0]); lines <= kShortPiece && image != k.stored.end())
      // Short pieces far apart: the machine's own prefetching does not see them come. A line for each column.
      k.rows.prefetch(image->second, v[1], v[3], kLinesAhead / lines);
  }
  if (!apart && is_far(type.dims, m))
    k.fetches_results = f.name();
  auto update = f.update();
  std::vector<VarOrRVar> inner = {lane(), dim(2), dim(1), dim(0)};
  if (k.phases > 1)
    inner.push_back(f.args()[4]);
  for (int i = 0; i < 3; i++)
    inner.push_back(k.domain[i]);
  update.reorder(inner).vectorize(lane());
  if (reach <= 5)
    update.unroll(k.domain[0]);
  for (size_t i = 1; i < f.args().size(); i++) {
    f.unroll(f.args()[i]);
    update.unroll(f.args()[i]);
  }
}

// part: [k,c,r,s] for a block of places; the vector's channels are c or k.
void channel_sums(KernelContext &k, Func out, const Type &type, const Node &node, const MachineTarget &m) {
  const int width = k.lanes;
  const bool inputs = k.panels || !k.rows.defined();
  const size_t across = inputs ? 1 : 0, other = 1 - across;
  const int64_t groups = (type.dims[across] + width - 1) / width;
  // Tiles that divide: what is added twice would be wrong. Channels of the other factor, where it is not copied, can all
  // belong to one set of the first cache: not too many of them at a time.
  const int64_t most_other = k.panels ? 12 : 4;
  int taps = 1;
  double best = INFINITY;
  Tiles tiles[2]; // the second: with the number of taps that was found to be best
  for (int pass = 0; pass < 2; pass++)
    for (int s = 1; s <= type.dims[3]; s++)
      for (int v = 1; v <= groups; v++)
        for (int r = 1; r <= std::min(most_other, type.dims[other]) && r * v * s <= std::min(24, m.accumulators()); r++) {
          if (type.dims[3] % s || groups % v || type.dims[other] % r || (pass && s != taps))
            continue;
          const double products = r * v * s, broadcast = inputs ? r : r * s, loads = inputs ? v * s : v;
          // Vectors come from a cache once for all taps.
          const double cost = (std::max({products / 2, (loads + broadcast) / m.loads, 6.0}) + (k.panels ? 0.1 : 0.6) * v) / products;
          tiles[pass].offer(r, v, cost);
          if (cost < best - 1e-9)
            best = cost, taps = s;
        }
  const Tile tile = tiles[1].choose(k);
  const int channels = tile.rows, vectors = tile.columns;
  const auto v = out.args(); // s, r, c, k
  const Var tap("tap"), vector("vector"), in_vector("in_vector"), channel("channel"), group("group");
  const Var &a = dim(across), &o = dim(other), &s = dim(3), &row = dim(2);
  auto total = out.update();
  total.split(a, group, in_vector, width * vectors, TailStrategy::GuardWithIf)
      .split(o, o, channel, channels)
      .split(s, s, tap, taps)
      .reorder({in_vector, tap, channel, s, row, k.panels ? o : group, k.panels ? group : o, k.blocks.x, k.blocks.y});
  Func f = k.reduce, turned = k.staged;
  f.compute_at(out, s);
  on_stack(f);
  const Var fa = f.args()[inputs ? 2 : 3], fo = f.args()[inputs ? 3 : 2], fs = f.args()[0];
  f.reorder_storage(fa, fs, f.args()[1], fo, f.args()[4], f.args()[5]);
  for (int stage = 0; stage < 2; stage++) {
    Stage st = stage ? Stage(f.update()) : Stage(f);
    st.split(fa, vector, in_vector, width, TailStrategy::RoundUp);
    std::vector<VarOrRVar> order = {in_vector, vector, fs, fo};
    if (stage)
      order.insert(order.end(), {k.domain[0], k.domain[1], k.domain[2]});
    st.reorder(order).vectorize(in_vector).unroll(vector).unroll(fs).unroll(fo);
  }
  if (type.dims[2] * type.dims[3] == 1 && inputs) {
    if (type.dims[1] % (width * vectors) == 0) // no tail: from registers
      total.split(in_vector, vector, in_vector, width).unroll(vector).unroll(channel);
    total.vectorize(in_vector, width);
  } else if (type.dims[across] % (width * vectors) == 0) {
    total.unroll(in_vector, width);
  }
  auto t = turned.args(); // in vector, lane, column, group, row
  turned.compute_at(k.panels ? LoopLevel(out, group) : LoopLevel(out, k.blocks.x)).store_in(MemoryType::Heap).bound(t[0], 0, width).bound(t[1], 0, width);
  turned.reorder_storage(t[0], t[1], t[2], t[3], t[4]);
  turn(turned, t[0], t[1]);
  if (is_far(k.type(node, inputs ? 1 : 0).dims, m))
    k.fetch_next.push_back({turned.name(), f.name()});
  if (k.rows.defined()) {
    auto r = k.rows.args(); // lane, column, row, channel
    k.rows.compute_at(out, k.blocks.x).store_in(MemoryType::Heap).vectorize(r[0]);
    if (is_far(k.type(node, inputs ? 0 : 1).dims, m))
      k.fetch_next.push_back({k.rows.name(), f.name()});
  }
}
} // namespace

void schedule_conv(KernelContext &k, Func out, const Type &type, const std::vector<const Node *> &nodes, const MachineTarget &m) {
  if (k.form == KernelContext::Form::ChannelSums)
    channel_sums(k, out, type, *nodes.front(), m);
  else
    rows(k, out, type, nodes, m);
}
} // namespace cnnc
