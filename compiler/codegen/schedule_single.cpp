// Schedules for one image: vectors along the innermost dimension of the result's layout, whose lines are whole vectors.
// Read by the vector: what has the same innermost dimension. Read an element at a time, and broadcast: the rest.
#include <Halide.h>
#include <cmath>

#include "codegen/schedule.h"
#include "graph/layout.h"
#include "layers/op.h"

namespace cnnc {
using namespace Halide;

namespace {
constexpr int kUnrolled = 160; // multiply-adds of a loop's body, at most

struct Single {
  KernelContext &k;
  Func out;
  const Node &last;
  const std::vector<const Node *> &nodes;
  const MachineTarget &m;
  size_t rank() const { return last.type.dims.size(); }
  Layout layout = layout_of(last);
  size_t along = size_t(layout.innermost());
  int width = m.vector_bytes / k.real.bytes();
  bool whole() const { return rank() > 0 && layout.pitch % width == 0; } // vectors
};

// The rows and columns of a contraction that a window at the end of its kernel reads for one of its own.
struct Window {
  int64_t rows = 1, columns = 1, row_step = 1, column_step = 1;
  bool there = false;
};
Window window_of(const std::vector<const Node *> &nodes) {
  Window w;
  for (const Node *n : nodes)
    if (has_trait(*n, kWindow))
      w = {n->list("kernel")[0], n->list("kernel")[1], n->list("stride")[0], n->list("stride")[1], true};
  return w;
}

// A stage whose dimension `along` is whole vectors, all of it unrolled around the loops of `domain`.
template <class S>
void vectors(S stage, const Single &s, size_t along, const std::vector<RVar> &domain) {
  Var vector("vector"), in_vector("in_vector");
  stage.split(dim(along), vector, in_vector, s.width, TailStrategy::RoundUp);
  std::vector<VarOrRVar> order = {lane(), in_vector, vector};
  for (size_t i = s.rank(); i-- > 0;)
    if (i != along)
      order.push_back(dim(i));
  order.insert(order.end(), domain.begin(), domain.end());
  stage.reorder(order).vectorize(in_vector).unroll(vector);
  for (size_t i = 0; i < s.rank(); i++)
    if (i != along)
      stage.unroll(dim(i));
}

std::vector<RVar> variables(const RDom &d) {
  std::vector<RVar> v;
  for (int i = 0; i < d.dimensions(); i++)
    v.push_back(d[i]);
  return v;
}

void store_along(Func f, const Single &s, size_t along) {
  std::vector<Var> order = {lane(), dim(along)};
  for (size_t i = s.rank(); i-- > 0;)
    if (i != along)
      order.push_back(dim(i));
  f.reorder_storage(order);
}

// The sums of a tile leave their registers before the rest is made of them, in loops: unrolled as the sums are it would be
// long, with its constants in memory, and a window that reads columns with a step would keep sums from registers.
void stage(const Single &s, Func sums, Var at) {
  Func staged = sums.in();
  staged.compute_at(s.out, at);
  on_stack(staged);
  store_along(staged, s, s.along);
  vectors(staged, s, s.along, {});
}

// An image: a tile of channels, rows and columns in registers. Along channels every element of the input is broadcast
// to them; along columns every weight is.
void image(Single &s) {
  Func f = s.k.reduce;
  const Window w = window_of(s.nodes);
  const auto &dims = s.last.type.dims;
  const bool channels = s.along == 0;
  const int64_t vectors_along = s.layout.pitch / s.width, rows = dims[1];
  const int64_t across = channels ? dims[2] : dims[0]; // the dimension that is neither rows nor in the vector
  auto convolved_rows = [&](int64_t r) { return w.there ? (r - 1) * w.row_step + w.rows : r; };
  auto convolved_columns = [&](int64_t c) { return w.there ? (c - 1) * w.column_step + w.columns : c; };
  struct Cube {
    int along, rows, across;
  };
  std::vector<Cube> tiles;
  std::vector<Candidate> candidates;
  for (int64_t a = 1; a <= vectors_along; a++)
    for (int64_t r = 1; r <= rows; r++)
      for (int64_t c = 1; c <= across; c++) {
        const int64_t held = convolved_rows(r) * (channels ? a * convolved_columns(c) : c * ((convolved_columns(a * s.width) + s.width - 1) / s.width));
        if (held > s.m.accumulators() && a * r * c > 1)
          break;
        if (channels && convolved_columns(c) < s.k.keep && c < across)
          continue;
        // Weights by the vector and elements that stand in the multiply-add, or vectors of the input, which cross cache lines.
        const double loads = channels ? double(a) + double(held / a) : double(c) + 1.5 * double(held / c);
        candidates.push_back({dims_text({a, r, c}), cycles(double(held), loads, useful(vectors_along, a) * useful(rows, r) * useful(across, c), s.m)});
        tiles.push_back({int(a), int(r), int(c)});
      }
  const auto [best_along, best_rows, best_across] = tiles[s.k.choose("tile", candidates)];
  Var in_tile("in_tile"), in_vector("in_tile_vector"), vector("tile_vector"), row("tile_row"), other("tile_other");
  const size_t crossed = channels ? 2 : 0;
  s.out.split(dim(s.along), dim(s.along), in_tile, s.width * best_along, TailStrategy::ShiftInwards)
      .split(in_tile, vector, in_vector, s.width)
      .split(dim(1), dim(1), row, best_rows)
      .split(dim(crossed), dim(crossed), other, best_across)
      .reorder(lane(), in_vector, vector, other, row, dim(2), dim(1), dim(0))
      .vectorize(in_vector);
  f.compute_at(s.out, dim(2));
  on_stack(f);
  store_along(f, s, s.along);
  if (s.nodes.size() > 1)
    stage(s, f, dim(2));
  else
    s.out.unroll(vector).unroll(other).unroll(row);
  vectors(f, s, s.along, {});
  auto update = f.update();
  vectors(update, s, s.along, variables(s.k.domain));
  if (channels) {
    // An element that several kernel columns read would be kept in a register of its own, and there are none left: it is
    // the columns of the image that are gone over.
    if (s.k.keep > 1)
      update.unroll(s.k.domain.x);
    return;
  }
  const int64_t held = convolved_rows(best_rows) * best_across * ((convolved_columns(int64_t(best_along) * s.width) + s.width - 1) / s.width);
  const Node *conv = nullptr;
  for (const Node *n : s.nodes)
    conv = has_trait(*n, kContraction) ? n : conv;
  if (conv && conv->has("kernel") && conv->list("kernel")[1] * held <= kUnrolled)
    update.unroll(s.k.domain.x);
}

// The reduction over one dimension, cut into those that the input has in memory, the innermost first.
std::vector<RVar> cut(Single &s, Stage update, int64_t &innermost) {
  std::vector<RVar> loops = {s.k.domain.x};
  const Node *work = nullptr;
  for (const Node *n : s.nodes)
    work = has_trait(*n, kContraction) ? n : work;
  innermost = work ? s.k.type(*work, 0).size() : 1;
  auto seen = work ? s.k.seen_through.find(work->inputs[0]) : s.k.seen_through.end();
  if (seen == s.k.seen_through.end())
    return loops;
  const auto &dims = seen->second;
  for (size_t i = dims.size() - 1; i > 0; i--) {
    RVar outer("outer" + std::to_string(i)), inner("inner" + std::to_string(i));
    update.split(loops.back(), outer, inner, int(dims[i]));
    loops.back() = inner;
    loops.push_back(outer);
  }
  innermost = dims.back();
  return loops;
}

// A vector of units: as many of them at a time as there are registers; where these are few the sum is taken in parts.
void units(Single &s) {
  Func f = s.k.reduce;
  const int64_t count = s.layout.pitch / s.width;
  std::vector<Candidate> candidates;
  for (int64_t a = 1; a <= std::min<int64_t>(count, s.m.accumulators()); a++)
    candidates.push_back({std::to_string(a), cycles(double(a), double(a) + 1, useful(count, a), s.m)});
  const int64_t held = int64_t(s.k.choose("tile", candidates)) + 1;
  Var in_tile("in_tile"), in_vector("in_tile_vector"), vector("tile_vector"), part("part");
  s.out.split(dim(0), dim(0), in_tile, s.width * int(held), TailStrategy::ShiftInwards)
      .split(in_tile, vector, in_vector, s.width)
      .reorder(lane(), in_vector, vector, dim(0))
      .vectorize(in_vector);
  if (s.nodes.size() > 1)
    stage(s, f, dim(0));
  else
    s.out.unroll(vector);
  int64_t innermost = 1;
  Stage update = f.update();
  std::vector<RVar> loops = cut(s, update, innermost);
  int64_t parts = 1;
  for (int64_t p = 2; p * held <= 8; p++)
    if (innermost % p == 0)
      parts = p;
  if (parts > 1) {
    RVar outer("outer"), inner("inner");
    update.split(loops[0], outer, inner, int(parts));
    loops[0] = outer;
    Func sum = update.rfactor(inner, part);
    sum.compute_at(s.out, dim(0));
    on_stack(sum);
    vectors(sum, s, 0, {});
    sum.unroll(part);
    Stage summing = sum.update();
    Var v("vector"), i("in_vector");
    summing.split(dim(0), v, i, s.width, TailStrategy::RoundUp);
    std::vector<VarOrRVar> order = {lane(), i, v, part};
    order.insert(order.end(), loops.begin(), loops.end());
    summing.reorder(order).vectorize(i).unroll(v).unroll(part);
    vectors(f.update(), s, 0, {inner});
    f.update().unroll(inner);
  } else {
    vectors(update, s, 0, loops);
  }
  vectors(f, s, 0, {});
  f.compute_at(s.out, dim(0));
  on_stack(f);
}

constexpr int64_t kFewVectors = 8; // of a line: no loop

// Nothing is written past the end of a line, and nothing read past the source's: both may be somebody else's.
void copying(Single &s) {
  if (s.k.bordered && s.whole()) {
    Var in_vector("in_vector");
    std::vector<VarOrRVar> order = {in_vector};
    for (size_t i = s.rank(); i-- > 0;)
      order.push_back(dim(size_t(s.layout.order[i])));
    s.out.split(dim(s.along), dim(s.along), in_vector, s.width).reorder(order).vectorize(in_vector);
    if (s.layout.pitch / s.width <= kFewVectors)
      s.out.unroll(dim(s.along));
  }
  auto update = s.out.update();
  if (s.k.copied_parts) {
    update.allow_race_conditions().vectorize(s.k.domain.x); // what two parts share they write alike
    if (s.k.copied_length <= kFewVectors * s.width)
      update.unroll(s.k.domain.y);
    return;
  }
  std::vector<VarOrRVar> order;
  const auto &d = s.k.domain;
  for (size_t i = s.rank(); i-- > 0;)
    order.push_back(d[int(s.rank() - 1 - size_t(s.layout.order[i]))]);
  update.reorder(order);
  int width = 1;
  const int64_t length = s.k.copied_length;
  const bool masked = s.m.masks() && length > s.width;
  while (width < s.width && (masked || length % (2 * width) == 0))
    width *= 2;
  if (s.k.copied_lines && width > 1) {
    RVar outer("outer"), inner("inner");
    update.split(d[int(s.rank() - 1 - s.along)], outer, inner, width, TailStrategy::GuardWithIf).vectorize(inner);
    if (length <= kFewVectors * width)
      update.unroll(outer);
  }
}

// What is left: places one after the other.
void places(Single &s) {
  std::vector<VarOrRVar> order = {lane()};
  Var in_vector("in_vector");
  if (s.whole()) {
    s.out.split(dim(s.along), dim(s.along), in_vector, s.width);
    order.push_back(in_vector);
  }
  const bool by_place = !s.k.roots.empty() && s.rank() > 1; // reductions over the first dimension: inside the rest
  if (by_place)
    order.push_back(dim(0));
  for (size_t i = s.rank(); i-- > 0;)
    if (const size_t d = size_t(s.layout.order[i]); !by_place || d != 0)
      order.push_back(dim(d));
  s.out.reorder(order);
  if (s.whole())
    s.out.vectorize(in_vector);
  for (Func &f : s.k.roots) {
    if (by_place)
      f.compute_at(s.out, dim(s.along == 0 ? size_t(s.layout.order[s.rank() - 2]) : s.along));
    else
      f.compute_root();
    on_stack(f);
    if (by_place && s.whole() && s.along != 0) {
      f.vectorize(dim(s.along), s.width, TailStrategy::RoundUp);
      for (int i = 0; i < f.num_update_definitions(); i++)
        f.update(i).vectorize(dim(s.along), s.width, TailStrategy::RoundUp);
    }
  }
  if (s.k.reduce.defined()) {
    s.k.reduce.compute_at(s.out, lane());
    on_stack(s.k.reduce);
  }
}
} // namespace

void schedule_single(KernelContext &k, Func out, const Node &last, const std::vector<const Node *> &nodes, const MachineTarget &m) {
  using Form = KernelContext::Form;
  Single s{k, out, last, nodes, m};
  if (k.form == Form::Packed)
    schedule_packed(k, out);
  else if (k.form == Form::Copy)
    copying(s);
  else if (k.form == Form::Contraction && s.whole() && s.rank() == 3)
    image(s);
  else if (k.form == Form::Contraction && s.whole() && s.rank() == 1)
    units(s);
  else
    places(s);
}

} // namespace cnnc
