// Builds the Halide pipeline of each group, and of what stands between the user's memory and the lanes.
#include <Halide.h>
#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <numeric>
#include <optional>

#include "codegen/kernels.h"
#include "codegen/schedule.h"
#include "graph/layout.h"
#include "hash.h"
#include "layers/op.h"

namespace cnnc {
using namespace Halide;

namespace {
// A buffer whose every size is known: the innermost dimension is dense.
template <class B>
void fix_shape(B &&buffer, const std::vector<int64_t> &extents, int alignment) {
  int64_t stride = 1;
  for (int i = 0; i < int(extents.size()); i++) {
    buffer.dim(i).set_bounds(0, int(extents[size_t(i)])).set_stride(int(stride)).set_estimate(0, int(extents[size_t(i)]));
    stride *= extents[size_t(i)];
  }
  buffer.set_host_alignment(alignment);
}

// Bytes of the cache that cores share, in a large machine: of a kernel that moves as much, no result is left there when
// the next one reads it.
constexpr int64_t kSharedCache = 32 << 20;
constexpr int64_t kShareOfImages = 4; // of the second-level cache, which the next chunk's images may take

int64_t count_of(const std::vector<int64_t> &dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t(1), std::multiplies<>());
}

// A stored value's dimensions, the lane first; the innermost of a layout reaches to the end of its line.
struct Shape {
  std::vector<int64_t> extents, strides;
};
Shape shape_of(const Node &n, int lanes, Halide::Type real) {
  const Layout layout = stored_layout(n, lanes, real.bytes());
  const int64_t each = has_lane(n.type) ? lanes : 1;
  Shape s;
  if (has_lane(n.type))
    s = {{lanes}, {1}};
  for (size_t i = n.type.dims.size(); i-- > 0;) {
    s.extents.push_back(int64_t(i) == layout.innermost() ? layout.pitch : n.type.dims[i]);
    s.strides.push_back(layout.strides[i] * each);
  }
  return s;
}

template <class B>
void fix_shape(B &&buffer, const Shape &shape, int alignment) {
  for (int i = 0; i < int(shape.extents.size()); i++)
    buffer.dim(i).set_bounds(0, int(shape.extents[size_t(i)])).set_stride(int(shape.strides[size_t(i)]));
  buffer.set_host_alignment(alignment);
}

// The value `seen` of another shape in the same order, row by row, as what is stored.
Func view_of(Func stored, const Type &type, const std::vector<Var> &at, const Type &seen) {
  Expr flat = 0;
  for (size_t i = 0; i < seen.dims.size(); i++)
    flat = flat * int(seen.dims[i]) + at[at.size() - 1 - i];
  std::vector<Expr> place = {at[0]};
  int64_t step = 1;
  for (size_t i = type.dims.size(); i-- > 0; step *= type.dims[i])
    place.push_back(i ? flat / int(step) % int(type.dims[i]) : flat / int(step));
  Func view("view");
  view(at) = stored(place);
  return view;
}

// The result of Form::Copy: what is copied, a part or all of `out`. Lines that vectors of `width` do not divide are copied by
// vectors of which the last begins where it ends with the line.
void define_copy(KernelContext &k, Func out, const Node &last, const Node &from, bool stored_as_seen, int width) {
  const Layout to = layout_of(last), source = layout_of(from);
  const size_t rank = last.type.dims.size();
  // Lines of one order and pitch are copied with what stands behind their ends.
  const bool lines = stored_as_seen && !to.order.empty() && to.innermost() == source.innermost() && from.type.dims.size() == rank;
  const bool wholes = lines && k.lanes == 1 && has_lane(last.type) && to.pitch == source.pitch && to.innermost() == 0 && rank > 1;
  k.copied_length = wholes ? to.pitch : k.copied_extents[size_t(to.innermost())];
  k.copied_parts = lines && width > 1 && k.copied_length > width && k.copied_length % width && !k.machine.masks();
  Halide::Region ranges;
  std::vector<Expr> read, write;
  std::vector<int> place(rank); // of each dimension in the domain
  if (k.copied_parts) {         // innermost first, since these are not to be reordered
    ranges.emplace_back(Expr(0), width);
    for (size_t i = rank; i-- > 0;) {
      const size_t d = size_t(to.order[i]);
      place[d] = int(ranges.size());
      ranges.emplace_back(Expr(0), int(int64_t(d) == to.innermost() ? (k.copied_length + width - 1) / width : k.copied_extents[d]));
    }
  } else {
    for (size_t i = rank; i-- > 0;) {
      place[i] = int(ranges.size());
      ranges.emplace_back(Expr(0), int(wholes && i == 0 ? to.pitch : k.copied_extents[i]));
    }
  }
  k.domain = RDom(ranges, "copied");
  if (has_lane(last.type)) {
    read.push_back(0);
    write.push_back(0);
  }
  for (size_t i = rank; i-- > 0;) {
    Expr at = k.domain[place[i]];
    if (k.copied_parts && int64_t(i) == to.innermost())
      at = min(at * width, int(k.copied_length) - width) + k.domain.x;
    read.push_back(at);
    write.push_back(at + k.copied_to[i]);
  }
  k.copied_lines = lines;
  out(k.vars(last.type)) = k.bordered ? k.constant(0) : undef(k.real);
  out(write) = k.copied(read);
}

void bound_all(Func f, const std::vector<int64_t> &extents) {
  for (int i = 0; i < int(extents.size()); i++)
    f.bound(f.args()[size_t(i)], 0, int(extents[size_t(i)]));
}

// Only the arena and the sums a lane are aligned: a tensor of the flat vector stands where the one before it ends.
int alignment_of(const Place &p, Halide::Type real) {
  return p.region == Region::Workspace || p.region == Region::Prepared || (p.region == Region::Partial && p.offset % 64 == 0) ? 64 : real.bytes();
}
} // namespace

const Kernel *KernelSet::find(const std::string &text) const {
  auto it = by_text_.find(text);
  return it == by_text_.end() ? nullptr : &kernels_[it->second];
}

const std::string &KernelSet::key(const std::string &kernel) const {
  return std::find_if(kernels_.begin(), kernels_.end(), [&](const Kernel &k) { return k.name == kernel; })->key;
}

Kernel &KernelSet::add(const std::string &what, const std::string &text, Pipeline pipeline, std::vector<Halide::Argument> arguments) {
  by_text_[text] = kernels_.size();
  kernels_.push_back({fmt::format("{}_k{}_{}", prefix_, kernels_.size(), what), text, "", pipeline, std::move(arguments)});
  return kernels_.back();
}

namespace {
// Where each place of the images is for itself, a row of all of them serves as well, and makes longer loops.
bool each_place(const Graph &g, const std::vector<ValueId> &nodes) {
  bool product = false;
  for (ValueId v : nodes) {
    const Op &op = op_of(g[v]);
    product = product || op.pointwise;
    if (g[v].type.dims.size() != 3 || (op.pointwise ? !op.pointwise(g[v]) : op.traits != kElementwise))
      return false;
  }
  return product;
}

// Of a chunk's images, where one of the values is what was packed of them; else 0.
int64_t numbers_of_images(const Graph &g, const GraphPlan &plan, const std::vector<ValueId> &values) {
  for (ValueId v : values)
    if (const ValueId stored = plan.memory.at(size_t(v)); stored != kNoValue && g[stored].op == "input")
      return count_of(g[stored].list("dims")) * plan.lanes;
  return 0;
}

// The group of values of fewer dimensions that computes the same.
std::optional<Graph> flattened(const Graph &whole, const std::vector<ValueId> &nodes, bool single) {
  const Node &last = whole[nodes.back()];
  const Layout layout = layout_of(last);
  const size_t rank = last.type.dims.size();
  const bool shapeless = has_trait(last, kShapeless), crossed = rank > 2 && layout.order == std::vector<int64_t>{1, 2, 3, 0};
  if (shapeless ? rank < 2 || !(layout.dense || crossed) : single || !each_place(whole, nodes))
    return {};
  Graph g = whole;
  auto flatten = [&](ValueId v) {
    Type &t = g[v].type;
    if (shapeless && crossed)
      t.dims = {t.dims[0], t.size() / t.dims[0]};
    else if (shapeless)
      t.dims = {t.size()};
    else if (t.kind == Kind::Example && t.dims.size() == 3)
      t.dims = {t.dims[0], 1, t.dims[1] * t.dims[2]};
  };
  for (ValueId v : nodes) {
    flatten(v);
    for (ValueId i : g[v].inputs)
      flatten(i);
  }
  if (shapeless && crossed)
    set_layout(g[nodes.back()], make_layout(g[nodes.back()].type, {1, 0}, layout.pitch));
  return g;
}
} // namespace

KernelCall KernelSet::group(const Graph &whole, const GraphPlan &plan, const std::vector<ValueId> &nodes) {
  const bool late = plan.late.count(nodes.back()) != 0;
  const std::optional<Graph> flat = flattened(whole, nodes, plan.single);
  const Graph &g = flat ? *flat : whole;
  KernelCall call;
  ValueId root = nodes.back();
  const Node &last = g[root];
  const int lanes = plan.lanes;
  // What it reads from outside, in the order of first use, under names that do not depend on the place in the net.
  std::vector<ValueId> reads;
  std::map<ValueId, std::string> name;
  std::string text = plan.single && !has_trait(last, kPrepare) ? "single\n" : late ? fmt::format("kept {}\n", plan.kept)
                                                                                   : "",
              what;
  // The stored value that `i` is, or is a view of; a view in the same memory needs no other name.
  auto source_of = [&](ValueId i) {
    ValueId m = plan.memory.at(size_t(i));
    return m != kNoValue && m != i && !layout_of(g[m]).dense ? m : i;
  };
  auto layout_text = [&](const Node &n) {
    const Layout l = layout_of(n);
    return l.dense ? stored_layout(n, lanes, real_.bytes()).size == l.size ? "" : " spread" : fmt::format(" order {} pitch {}", dims_text(l.order, ","), l.pitch);
  };
  for (ValueId v : nodes) {
    const Node &n = g[v];
    std::string line = n.op + "(";
    for (ValueId i : n.inputs) {
      auto [it, fresh] = name.emplace(i, "");
      if (fresh) {
        const Storage *s = plan.of(i);
        if (!s)
          throw GraphError{fmt::format("kernel: %{} is not stored", g[i].name)};
        it->second = fmt::format("in{}", reads.size());
        text += fmt::format("{} : {}{} align {}\n", it->second, type_text(g[i].type), layout_text(g[i]), alignment_of(s->place, real_));
        if (late)
          text += fmt::format("  every {}\n", s->kept_bytes);
        if (source_of(i) != i)
          text += fmt::format("  view of {}{}\n", type_text(g[source_of(i)].type), layout_text(g[source_of(i)]));
        if (g[i].type.kind == Kind::Label)
          text += fmt::format("  classes {}\n", g[i].integer("classes"));
        reads.push_back(i);
      }
      line += it->second + " ";
    }
    name[v] = fmt::format("t{}", name.size());
    std::string printed = node_text(g, v);
    size_t attributes = printed.find(" {");
    text += fmt::format("{} = {}){}\n", name[v], line, attributes == std::string::npos ? " : " + type_text(n.type) : printed.substr(attributes));
    what += (what.empty() ? "" : "_") + n.op;
  }
  const int64_t image_numbers = last.type.kind == Kind::Example && !plan.single ? numbers_of_images(g, plan, reads) : 0;
  const bool fetches_images = image_numbers && image_numbers * int64_t(sizeof(float)) <= target_.l2_bytes / kShareOfImages;
  if (fetches_images)
    text += fmt::format("reads the chunk's images, {} numbers\n", image_numbers);
  const Storage *out_storage = plan.of(root);
  if (!out_storage)
    throw GraphError{fmt::format("kernel: %{} is not stored", last.name)};
  text += fmt::format("align {}\n", alignment_of(out_storage->place, real_));
  call.result = last.name;
  call.what = fmt::format("%{} =", last.name);
  for (ValueId v : nodes) {
    call.what += " " + g[v].op;
    if (op_of(g[v]).macs)
      call.macs += op_of(g[v]).macs(g, g[v]);
  }
  auto bytes_of = [&](ValueId v) { return g[v].type.size() * (has_lane(g[v].type) ? lanes : 1) * real_.bytes(); };
  call.bytes = bytes_of(root);
  for (ValueId v : reads) {
    call.places.push_back(plan.of(v)->place);
    call.bytes += bytes_of(v);
  }
  call.places.push_back(out_storage->place);
  call.block_bytes.assign(call.places.size(), 0);
  for (size_t i = 0; i < reads.size() && !late; i++)
    call.block_bytes[i] = plan.of(reads[i])->kept_bytes;
  call.block_bytes.back() = out_storage->kept_bytes;
  call.chunks = late ? plan.kept : 1;
  if (const Kernel *known = find(text)) {
    call.kernel = known->name;
    return call;
  }

  // Of what is computed and not of where: the same kernel in another net has the same key.
  const std::string key = fmt::format("{}.{:016x}", what, fnv1a(text));
  KernelContext k(g, real_, lanes, target_, decisions_, key);
  k.vector = target_.vector_bytes / real_.bytes();
  k.kept = late ? plan.kept : 0;
  k.single = plan.single;
  std::vector<Halide::Argument> arguments;
  for (size_t i = 0; i < reads.size(); i++) {
    const Type &t = g[reads[i]].type;
    Halide::Type element = t.kind != Kind::Label ? real_ : g[reads[i]].integer("classes") > 256 ? Halide::UInt(16)
                                                                                                : Halide::UInt(8);
    const Node &source = g[source_of(reads[i])];
    Shape e = shape_of(source, lanes, real_);
    if (late) {
      e.extents.push_back(plan.kept);
      e.strides.push_back(plan.of(reads[i])->kept_bytes / real_.bytes());
    }
    ImageParam p(element, int(e.extents.size()), fmt::format("in{}", i));
    fix_shape(p, e, t.kind == Kind::Label ? element.bytes() : alignment_of(plan.of(reads[i])->place, real_));
    k.values[reads[i]] = p;
    k.stored[reads[i]] = p.parameter();
    if (source_of(reads[i]) != reads[i]) {
      k.stored.erase(reads[i]);
      k.values[reads[i]] = view_of(p, source.type, k.vars(t), t);
      k.seen_through[reads[i]] = source.type.dims;
    }
    arguments.push_back(p);
  }
  Param<float> scale32("scale");
  Param<double> scale64("scale");
  k.scale = real_.bits() == 64 ? Expr(scale64) : Expr(scale32);
  k.valid.set_estimate(late ? plan.kept : lanes_), scale32.set_estimate(1), scale64.set_estimate(1);
  arguments.push_back(k.valid);
  arguments.push_back(real_.bits() == 64 ? Halide::Argument(scale64) : Halide::Argument(scale32));
  if (late)
    arguments.push_back(k.fresh);
  k.fresh.set_estimate(0);
  std::vector<const Node *> list;
  for (ValueId v : nodes) {
    op_of(g[v]).define(k, g[v]);
    list.push_back(&g[v]);
  }
  Func out("out");
  auto v = k.vars(last.type);
  if (k.form == KernelContext::Form::Copy) {
    define_copy(k, out, last, g[source_of(last.inputs[0])], source_of(last.inputs[0]) == last.inputs[0], scheduled_ ? int(k.vector) : 1);
  } else if (k.form == KernelContext::Form::Packed) {
    out(v) = undef(real_);
    out(k.place) = k.added;
  } else if (k.accumulates) {
    out(v) = undef(real_);
    const auto plain = k.stages.find("plain");
    const Expr added = k.added.defined() ? k.added : !scheduled_ && plain != k.stages.end() ? Expr(plain->second(v))
                                                                                            : Expr(k.values.at(root)(v));
    if (late)
      out(v) = select(k.fresh != 0, k.constant(0), out(v)) + added;
    else
      out(v) += added;
  } else {
    out(v) = k.values.at(root)(v);
  }
  const Shape e = shape_of(last, lanes, real_);
  bound_all(out, e.extents);
  fix_shape(out.output_buffer(), e, alignment_of(out_storage->place, real_));
  if (scheduled_ && plan.single)
    schedule_single(k, out, last, list, target_);
  else if (scheduled_)
    schedule(k, out, last.type, list, target_);
  Kernel &made = add(what, text, Pipeline(out), arguments);
  made.key = key;
  made.fetch_rounds = k.fetch_rounds;
  made.fetch_next = k.fetch_next;
  made.fetches_results = k.fetches_results;
  if (fetches_images && k.reduce.defined())
    made.fetches_images = k.reduce.name(), made.image_numbers = image_numbers;
  const Region region = out_storage->place.region;
  made.streams = (region == Region::Workspace || region == Region::Prepared) && !k.accumulates && call.bytes >= kSharedCache &&
                 bytes_of(root) > target_.l2_bytes;
  made.aligned_output = alignment_of(out_storage->place, real_) == 64;
  for (ValueId v : nodes)
    made.wide_steps = made.wide_steps || (plan.single && g[v].has("stride") && g[v].list("stride")[1] > 2);
  call.kernel = made.name;
  return call;
}

std::vector<KernelCall> KernelSet::pack(Halide::Type from, Region region, Place to, const Node &n) {
  const std::vector<int64_t> &image = n.list("dims");
  const int64_t elements = count_of(image);
  const std::vector<int64_t> border = n.has("border") ? n.list("border") : std::vector<int64_t>();
  // Without a border the image is one row.
  const int64_t w = border.empty() ? elements : image[2], h = border.empty() ? 1 : image[1], channels = elements / w / h;
  Shape shape = {{lanes_, w, h, channels}, {1, lanes_, lanes_ * w, lanes_ * w * h}};
  std::vector<KernelCall> calls;
  if (!border.empty()) {
    const int64_t width = n.type.dims[2];
    shape.strides = {1, lanes_, lanes_ * width, lanes_ * width * n.type.dims[1]};
    calls.push_back(zero_border(to, n));
    to.offset += (border[0] * width + border[2]) * lanes_ * real_.bytes();
  }
  calls.push_back({"", {{region, 0}, to}, {0, 0}, from.is_uint() ? "pack u8" : "pack f32", 0, elements * lanes_ * (from.bytes() + real_.bytes())});
  const std::string text = fmt::format("pack {} {} to {}\n", from.bits(), dims_text(shape.extents), dims_text(shape.strides));
  if (const Kernel *known = find(text)) {
    calls.back().kernel = known->name;
    return calls;
  }
  Var lane("lane"), x("x"), xo("xo"), xi("xi"), y("y"), channel("channel");
  ImageParam in(from, 2, "in");
  fix_shape(in, {elements, lanes_}, from.bytes());
  Func out("out");
  Expr e = cast(real_, in((channel * int(h) + y) * int(w) + x, lane));
  out(lane, x, y, channel) = from.is_uint() ? e * Internal::make_const(real_, 1.0 / 255) : e;
  bound_all(out, shape.extents);
  fix_shape(out.output_buffer(), shape, 64);
  if (scheduled_) {
    if (w >= lanes_) // by fours where nothing is to be done with what is loaded: turn.cpp
      turn(out.split(x, xo, xi, from == real_ ? 4 : lanes_, TailStrategy::ShiftInwards), lane, xi);
    else
      out.vectorize(lane);
  }
  calls.back().kernel = add(from.is_uint() ? "pack_u8" : "pack_f32", text, Pipeline(out), {in}).name;
  return calls;
}

// The border of the input's memory, which other values have used.
KernelCall KernelSet::zero_border(Place to, const Node &n) {
  const std::vector<int64_t> &image = n.list("dims"), &border = n.list("border");
  const int h = int(image[1]), w = int(image[2]), top = int(border[0]), left = int(border[2]);
  const int height = int(n.type.dims[1]), width = int(n.type.dims[2]);
  KernelCall call{"", {to}, {0}, "border", 0, (n.type.size() - image[0] * h * w) * lanes_ * real_.bytes()};
  const std::string text = fmt::format("border {} of {}\n", dims_text(border), dims_text(n.type.dims));
  if (const Kernel *known = find(text)) {
    call.kernel = known->name;
    return call;
  }
  const std::vector<int64_t> extents = {lanes_, width, height, image[0]};
  Var lane("lane"), x("x"), y("y"), channel("channel");
  Func out("out");
  out(lane, x, y, channel) = undef(real_);
  bound_all(out, extents);
  fix_shape(out.output_buffer(), extents, 64);
  int updates = 0;
  auto zeros = [&](int column, int columns, int row, int rows) {
    if (columns == 0 || rows == 0)
      return;
    RDom at(column, columns, row, rows, "border");
    out(lane, at.x, at.y, channel) = Internal::make_zero(real_);
    if (scheduled_)
      out.update(updates).vectorize(lane);
    updates++;
  };
  zeros(0, width, 0, top);
  zeros(0, width, top + h, height - top - h);
  zeros(0, left, top, h);
  zeros(left + w, width - left - w, top, h);
  call.kernel = add("border", text, Pipeline(out), {}).name;
  return call;
}

KernelCall KernelSet::convert(Halide::Type from, int64_t elements) {
  KernelCall call{"", {{Region::Images, 0}, {Region::Image, 0}}, {0, 0}, from.is_uint() ? "convert u8" : "convert f32", 0, elements * (from.bytes() + real_.bytes())};
  Var i("i"), in_vector("in_vector");
  ImageParam in(from, 1, "in");
  fix_shape(in, std::vector<int64_t>{elements}, from.bytes());
  Func out("out");
  Expr e = cast(real_, in(i));
  out(i) = from.is_uint() ? e * Internal::make_const(real_, 1.0 / 255) : e;
  bound_all(out, {elements});
  fix_shape(out.output_buffer(), std::vector<int64_t>{elements}, real_.bytes());
  if (scheduled_ && elements >= lanes_) {
    out.split(i, i, in_vector, lanes_, TailStrategy::ShiftInwards).vectorize(in_vector);
    if (elements >= 4 * lanes_)
      out.unroll(i, 4, TailStrategy::ShiftInwards);
  }
  call.kernel = add(from.is_uint() ? "convert_u8" : "convert_f32", fmt::format("convert {} {}\n", from.bits(), elements), Pipeline(out), {in}).name;
  return call;
}

KernelCall KernelSet::unpack(Place from, int64_t elements) {
  KernelCall call{"", {from, {Region::Outputs, 0}}, {0, 0}, "unpack", 0, 2 * elements * lanes_ * real_.bytes()};
  Var lane("lane"), i("i"), io("io"), ii("ii");
  ImageParam in(real_, 2, "in");
  fix_shape(in, {lanes_, elements}, 64);
  Func turned("turned"), out("out");
  turned(i, lane) = in(lane, min(i, int(elements) - 1)); // as many as there are lanes, at least
  out(i, lane) = turned(i, lane);
  bound_all(out, {elements, lanes_});
  fix_shape(out.output_buffer(), {elements, lanes_}, real_.bytes());
  if (scheduled_) {
    on_stack(turned);
    turned.bound_extent(i, lanes_);
    turn(turned, i, lane);
    // Powers of two alone: other vectors are not of their size in the C++ output.
    int width = lanes_;
    while (width > elements)
      width /= 2;
    out.split(i, io, ii, width, TailStrategy::ShiftInwards).reorder(ii, lane, io).vectorize(ii).unroll(lane);
    if (elements >= lanes_)
      turned.compute_at(out, io);
    else
      turned.compute_root();
  }
  call.kernel = add("unpack", fmt::format("unpack {}\n", elements), Pipeline(out), {in}).name;
  return call;
}

namespace {
// The sum of the partial sums at `x`, in their order.
Expr partial_sum(ImageParam &partials, Expr x, int count) {
  Expr sum = partials(x, 0);
  for (int p = 1; p < count; p++)
    sum += partials(x, p);
  return sum;
}

ImageParam partials_of(const Plan &plan, Halide::Type real) {
  ImageParam p(real, 2, "partials");
  p.dim(0).set_bounds(0, int(plan.block_elements)).set_stride(1).set_estimate(0, int(plan.block_elements));
  p.dim(1).set_bounds(0, plan.partial_sums).set_stride(int(plan.partial_bytes / real.bytes())).set_estimate(0, plan.partial_sums);
  p.set_host_alignment(64);
  return p;
}
} // namespace

KernelCall KernelSet::reduce(const Plan &plan) {
  int64_t step = plan.block_elements * real_.bytes();
  KernelCall call{"", {{Region::Partials, 0}, {Region::Gradients, 0}}, {step, step}, "reduce", 0, step * (plan.partial_sums + 1)};
  Var x("x");
  ImageParam partials = partials_of(plan, real_);
  Func out("out");
  out(x) = partial_sum(partials, x, plan.partial_sums);
  bound_all(out, {plan.block_elements});
  fix_shape(out.output_buffer(), {plan.block_elements}, 64);
  if (scheduled_)
    out.vectorize(x, lanes_);
  call.kernel = add("reduce", "reduce\n", Pipeline(out), {partials}).name;
  return call;
}

KernelCall KernelSet::update(const Plan &plan, const std::string &name, const std::map<std::string, Attribute> &attributes) {
  const Optimizer &optimizer = *registry().optimizer(name);
  int64_t step = plan.block_elements * real_.bytes();
  int slots = optimizer.slots(attributes);
  KernelCall call{"", {{Region::Partials, 0}, {Region::Parameters, 0}}, std::vector<int64_t>(size_t(2 + slots), step), name, 0, step * (plan.partial_sums + 2 * (1 + slots))};
  for (int s = 0; s < slots; s++)
    call.places.push_back({Region::State, s * plan.padded() * real_.bytes()});
  Var x("x");
  ImageParam partials = partials_of(plan, real_);
  Param<int32_t> number("step");
  number.set_estimate(1);
  UpdateContext c{real_, attributes, number, partial_sum(partials, x, plan.partial_sums), {}, {}, {}};
  // The outputs are their own inputs: an update that starts from undefined values reads what the memory holds.
  Func out("out");
  out(x) = Tuple(std::vector<Expr>(size_t(1 + slots), undef(real_)));
  FuncRef old = out(x);
  auto element = [&](int i) { return slots ? Expr(old[i]) : Expr(old); };
  c.parameter = element(0);
  for (int s = 0; s < slots; s++)
    c.state.push_back(element(1 + s));
  optimizer.define(c);
  std::vector<Expr> fresh = {c.parameter};
  fresh.insert(fresh.end(), c.state.begin(), c.state.end());
  out(x) = Tuple(fresh);
  bound_all(out, {plan.block_elements});
  auto buffers = out.output_buffers();
  fix_shape(buffers[0], {plan.block_elements}, 64);
  for (size_t i = 1; i < buffers.size(); i++) { // their extents are the first one's
    buffers[i].dim(0).set_stride(1);
    buffers[i].set_host_alignment(64);
  }
  if (scheduled_) {
    for (Func &f : c.roots)
      f.compute_root();
    out.update().vectorize(x, lanes_);
  }
  Kernel &made = add(name, "update\n", Pipeline(out), {partials, number});
  made.in_place = true;
  call.kernel = made.name;
  return call;
}

} // namespace cnnc
