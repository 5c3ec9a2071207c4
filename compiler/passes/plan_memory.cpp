// One arena a thread for the values of a chunk, with offsets from lifetimes; sums over chunks stand in the partial
// sum; parameters in one flat vector.
#include "passes/plan_memory.h"

#include <algorithm>
#include <fmt/format.h>

#include "graph/layout.h"
#include "layers/op.h"
#include "passes/passes.h"

namespace cnnc {

namespace {
constexpr int64_t kAlignment = 64;
int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Each at the lowest place that is free over its whole life; returns the bytes of all.
int64_t place_in_order(const std::vector<Storage *> &order) {
  int64_t bytes = 0;
  std::vector<Storage *> placed; // by offset
  for (Storage *s : order) {
    int64_t at = 0;
    for (Storage *o : placed) {
      if (o->first > s->last || s->first > o->last)
        continue;
      if (at + s->bytes <= o->place.offset)
        break;
      at = std::max(at, o->place.offset + o->bytes);
    }
    s->place.offset = at;
    placed.insert(std::upper_bound(placed.begin(), placed.end(), s, [](const Storage *a, const Storage *b) { return a->place.offset < b->place.offset; }), s);
    bytes = std::max(bytes, at + s->bytes);
  }
  return bytes;
}

// Largest first, or those that live longest; then, as long as it helps, what stands highest is placed earlier.
void place_in_arena(GraphPlan &plan) {
  std::vector<Storage *> order;
  for (Storage &s : plan.storage)
    if (s.place.region == Region::Workspace)
      order.push_back(&s);
  std::vector<int64_t> alive(plan.groups.size() + 2);
  for (const Storage *s : order)
    for (int i = s->first; i <= s->last; i++)
      alive[size_t(i + 1)] += s->bytes;
  plan.workspace_bound = *std::max_element(alive.begin(), alive.end());

  // The caller's image and target are written before either graph runs: the same place in both.
  const auto inner = std::stable_partition(order.begin(), order.end(), [](const Storage *s) { return s->first < 0; });
  const auto fixed = inner - order.begin();
  std::vector<Storage *> best;
  int64_t least = 0;
  auto attempt = [&] {
    const int64_t bytes = place_in_order(order);
    if (best.empty() || bytes < least)
      best = order, least = bytes;
    return bytes;
  };
  const int64_t count = int64_t(order.size());
  const int64_t rounds = std::min<int64_t>(400, 40'000'000 / (count * count + 1)); // keeps it to some milliseconds
  using Before = bool (*)(const Storage *, const Storage *);
  for (Before before : {Before([](const Storage *a, const Storage *b) { return a->bytes > b->bytes; }),
                        Before([](const Storage *a, const Storage *b) { return a->last - a->first > b->last - b->first; }),
                        Before([](const Storage *a, const Storage *b) { return a->bytes * (a->last - a->first + 1) > b->bytes * (b->last - b->first + 1); })}) {
    std::stable_sort(order.begin() + fixed, order.end(), before);
    int64_t bytes = attempt();
    for (int64_t round = 0; round < rounds && least > plan.workspace_bound; round++) {
      auto highest = std::find_if(order.begin() + fixed, order.end(), [&](const Storage *s) { return s->place.offset + s->bytes == bytes; });
      if (highest == order.end() || highest == order.begin() + fixed)
        break;
      const auto place = highest - order.begin();
      std::rotate(order.begin() + fixed + (place - fixed) / 2, highest, highest + 1);
      bytes = attempt();
    }
  }
  plan.workspace_bytes = best.empty() ? 0 : place_in_order(best);
}
} // namespace

const char *region_name(Region r) {
  static const char *const names[] = {"parameters", "state", "gradients", "partials", "partial", "workspace", "prepared", "images", "targets", "outputs", "scratch", "image", "ahead"};
  return names[int(r)];
}

const Storage *GraphPlan::of(ValueId v) const {
  ValueId m = memory.at(size_t(v));
  auto it = std::lower_bound(storage.begin(), storage.end(), m, [](const Storage &s, ValueId w) { return s.value < w; });
  return it != storage.end() && it->value == m ? &*it : nullptr;
}

Layout stored_layout(const Node &n, int lanes, int element_bytes) {
  Layout l = layout_of(n);
  if (has_trait(n, kSpread) && l.strides[0] * lanes * element_bytes % 4096 == 0) {
    const int64_t line = std::max(1, 64 / (lanes * element_bytes));
    l.strides[0] += line;
    l.size += n.type.dims[0] * line;
  }
  return l;
}

namespace {
// Elements that a group of one image may read behind the last of an input: vectors end where lines of the result do.
int64_t read_beyond(const Graph &g, const std::vector<ValueId> &group, int lanes) {
  const Layout result = layout_of(g[group.back()]);
  if (result.order.size() != 3 || result.innermost() != 2)
    return 2 * lanes;
  int64_t columns = result.pitch;
  for (size_t i = group.size(); i-- > 0;) {
    const Node &n = g[group[i]];
    if (has_trait(n, kContraction))
      columns = (columns + lanes - 1) / lanes * lanes;
    if (n.has("kernel") && n.has("stride"))
      columns = (columns - 1) * n.list("stride")[1] + n.list("kernel")[1];
  }
  return columns + 2 * lanes; // more than is behind the line's begin
}

// Groups of training that wait until several chunks are done, and the values that have to be kept for them until then.
// The caller's images are not: packing does not know of them.
std::vector<bool> choose_late(const Graph &g, GraphPlan &p, int kept) {
  std::vector<bool> wanted(g.nodes.size());
  p.kept = kept;
  for (const auto &group : p.groups) {
    const Node &n = g[group.back()];
    auto own = [&](ValueId i) { return g[p.memory[size_t(i)]].group >= 0 && !has_trait(g[p.memory[size_t(i)]], kPrepare); };
    if (!has_trait(n, kKeeps) || !std::all_of(n.inputs.begin(), n.inputs.end(), own))
      continue;
    p.late.insert(group.back());
    for (ValueId i : n.inputs)
      wanted[size_t(p.memory[size_t(i)])] = true;
  }
  return wanted;
}

// The input whose memory the result of `group` may take: one that is not read afterwards, and in the group only where
// the element that is written in its place is computed. kNoValue where there is none.
ValueId overwritten(const Graph &g, const GraphPlan &p, const std::vector<ValueId> &group, const std::vector<int> &last, int step) {
  const Node &result = g[group.back()];
  for (ValueId v : group)
    if (has_trait(g[v], kContraction | kWindow | kAlone))
      return kNoValue; // tiles may be computed twice where they overlap
  if (result.type.kind != Kind::Example || !has_trait(result, kElementwise) || !layout_of(result).dense)
    return kNoValue;
  for (ValueId i : result.inputs) {
    const ValueId m = p.memory[size_t(i)];
    if (m == kNoValue || g[m].group < 0 || g[m].group == result.group || last[size_t(m)] != step || !(g[m].type == result.type) ||
        !(g[i].type == result.type) || stored_layout(g[m], 1, 4).size != result.type.size())
      continue;
    const bool elsewhere = std::any_of(group.begin(), group.end(), [&](ValueId v) {
      return !has_trait(g[v], kElementwise) &&
             std::any_of(g[v].inputs.begin(), g[v].inputs.end(), [&](ValueId read) { return p.memory[size_t(read)] == m; });
    });
    if (!elsewhere)
      return m;
  }
  return kNoValue;
}

GraphPlan plan_graph(const Graph &g, const Plan &plan, bool training, bool single = false) {
  GraphPlan p;
  p.single = single;
  p.lanes = single ? 1 : plan.lanes;
  int count = int(g.nodes.size());
  p.memory.assign(size_t(count), kNoValue);
  std::vector<int> step(size_t(count), -1);
  for (ValueId v = 0; v < count; v++) {
    const Node &n = g[v];
    if (has_trait(n, kView))
      p.memory[size_t(v)] = p.memory[size_t(n.inputs[0])];
    else if (!has_trait(n, kUpdate))
      p.memory[size_t(v)] = v;
    if (n.group < 0 || has_trait(n, kUpdate))
      continue;
    if (v == 0 || g[v - 1].group != n.group)
      p.groups.emplace_back();
    p.groups.back().push_back(v);
    step[size_t(v)] = int(p.groups.size()) - 1;
  }
  // Lives: from the writer to the last reader; the results live to the end.
  std::vector<int> last(size_t(count), -2);
  auto keep = [&](ValueId v, int until) {
    if (v != kNoValue && p.memory[size_t(v)] != kNoValue)
      last[size_t(p.memory[size_t(v)])] = std::max(last[size_t(p.memory[size_t(v)])], until);
  };
  int end = int(p.groups.size());
  for (ValueId v = 0; v < count; v++)
    for (ValueId i : g[v].inputs)
      if (!has_trait(g[v], kView))
        keep(i, has_trait(g[v], kUpdate) ? end : step[size_t(v)]);
  const std::vector<bool> kept = training ? choose_late(g, p, plan.kept) : std::vector<bool>(size_t(count));
  for (ValueId v = 0; v < count; v++)
    if (kept[size_t(v)])
      keep(v, end);
  keep(g.output, training ? step[size_t(p.memory[size_t(g.output)])] : end); // unpacked after the last step

  if (!single)
    for (const auto &group : p.groups) {
      const ValueId v = group.back(), m = overwritten(g, p, group, last, step[size_t(v)]);
      if (m == kNoValue || kept[size_t(v)])
        continue;
      keep(m, last[size_t(v)]);
      for (ValueId &w : p.memory)
        w = w == v ? m : w;
    }

  std::vector<int64_t> beyond(size_t(count), 0);
  if (single)
    for (const auto &group : p.groups)
      for (ValueId v : group)
        for (ValueId i : g[v].inputs)
          if (ValueId m = p.memory[size_t(i)]; m != kNoValue)
            beyond[size_t(m)] = std::max(beyond[size_t(m)], read_beyond(g, group, plan.lanes));

  int64_t lane_sums = aligned(plan.padded() * plan.element_bytes), kept_bytes = 0;
  for (ValueId v = 0; v < count; v++) {
    const Node &n = g[v];
    if (p.memory[size_t(v)] != v)
      continue;
    bool inside = n.group >= 0 && v + 1 < count && g[v + 1].group == n.group; // stays in registers
    if (inside)
      continue;
    Storage s;
    s.value = v;
    int64_t size = stored_layout(n, p.lanes, plan.element_bytes).size;
    s.first = step[size_t(v)];
    s.last = std::max(last[size_t(v)], s.first);
    if (n.op == "parameter") {
      s.place = {Region::Parameters, plan.offsets.at(n.name) * plan.element_bytes};
      s.bytes = size * plan.element_bytes;
      s.first = -1, s.last = end;
    } else if (single && n.op == "input") {
      s.place = {Region::Image, 0}; // the caller's own where it is of reals
      s.bytes = size * plan.element_bytes;
      s.first = -1;
    } else if (single && v == g.output) {
      s.place = {Region::Outputs, 0};
      s.bytes = size * plan.element_bytes;
    } else if (has_trait(n, kPrepare)) {
      s.place = {Region::Prepared, plan.prepared.at(n.name)};
      s.bytes = aligned(size * plan.element_bytes);
      s.first = -1, s.last = end;
    } else if (n.type.kind == Kind::Label) {
      s.place = {Region::Targets, 0};
      s.bytes = int64_t(plan.lanes) * (n.integer("classes") > 256 ? 2 : 1);
      s.last = end;
    } else if (v == g.loss || v == g.correct) {
      s.bytes = int64_t(plan.lanes) * plan.element_bytes;
      s.place = {Region::Partial, plan.partial_metrics + (v == g.correct ? s.bytes : 0)};
      s.last = end;
    } else if (n.type.kind == Kind::LaneSum) {
      s.bytes = aligned(size * plan.lanes * plan.element_bytes);
      s.place = {Region::Partial, lane_sums};
      lane_sums += s.bytes;
      s.last = end;
    } else if (n.type.kind == Kind::Sum) {
      // a parameter's gradient: the update that reads it says whose
      s.bytes = size * plan.element_bytes;
      s.place.region = Region::Partial;
      s.place.offset = -1;
      for (const Node &u : g.nodes)
        if (has_trait(u, kUpdate) && u.inputs[1] == v)
          s.place.offset = plan.offsets.at(g[u.inputs[0]].name) * plan.element_bytes;
      if (s.place.offset < 0)
        throw GraphError{"plan: the sum %" + n.name + " is no parameter's gradient"};
    } else {
      s.bytes = aligned((size + beyond[size_t(v)]) * p.lanes * plan.element_bytes);
      if (kept[size_t(v)]) {
        s.kept_bytes = s.bytes;
        s.bytes *= p.kept;
        if (p.kept > 1) { // any thread may go on with the next chunk
          s.place = {Region::Partial, plan.partial_bytes + kept_bytes};
          kept_bytes += s.bytes;
          s.last = end;
        }
      }
      if (has_trait(n, kSource))
        s.first = -1;
    }
    p.storage.push_back(s);
  }
  place_in_arena(p);
  return p;
}
} // namespace

namespace {
std::vector<std::pair<int64_t, int64_t>> sums_of(const Graph &g, const GraphPlan &p) {
  std::vector<std::pair<int64_t, int64_t>> sums;
  for (const Storage &s : p.storage)
    if (s.place.region == Region::Partial && !has_trait(g[s.value], kFinish) && !p.late.count(s.value) && !s.kept_bytes)
      sums.emplace_back(s.place.offset, s.bytes);
  std::sort(sums.begin(), sums.end());
  std::vector<std::pair<int64_t, int64_t>> joined;
  for (const auto &[offset, bytes] : sums)
    if (!joined.empty() && joined.back().first + joined.back().second == offset)
      joined.back().second += bytes;
    else
      joined.emplace_back(offset, bytes);
  return joined;
}
} // namespace

Plan plan_memory(const Graph &infer, const Graph &train, const Graph &single, int lanes, int element_bytes, int64_t most_copied) {
  Plan plan;
  plan.lanes = lanes;
  plan.element_bytes = element_bytes;
  const int64_t chunks = (infer.batch + lanes - 1) / lanes;
  // Memory is the same for all batches that have enough chunks for both.
  plan.partial_sums = int(std::clamp<int64_t>(chunks, 1, plan.partial_sums));
  plan.kept = int(std::clamp<int64_t>((chunks + plan.partial_sums - 1) / plan.partial_sums, 1, plan.kept));
  for (const Node &n : infer.nodes)
    if (n.op == "parameter")
      plan.parameters.push_back(n.name);
  // First those of whole lines of memory, the flat vector's begin being one: vectors then cross no line's end. By
  // elements of four bytes, so that a place does not depend on the element.
  for (bool lines : {true, false})
    for (const Node &n : infer.nodes)
      if (n.op == "parameter" && (n.type.size() % 16 == 0) == lines) {
        plan.offsets[n.name] = plan.parameter_count;
        plan.parameter_count += n.type.size();
      }
  for (const Graph *g : {&infer, &train, &single}) {
    for (const Node &n : g->nodes)
      if (has_trait(n, kPrepare) && plan.prepared.emplace(n.name, plan.prepared_bytes).second)
        plan.prepared_bytes += aligned(layout_of(n).size * element_bytes);
    if (g == &infer && plan.prepared_bytes <= most_copied)
      plan.copied_bytes = plan.prepared_bytes;
  }
  // A block is what one thread updates at a time: small enough to share out, large enough for full vectors.
  plan.block_elements = plan.parameter_count >= 16384 ? 4096 : plan.parameter_count >= 1024 ? 512
                                                                                            : 64;
  plan.blocks = std::max<int64_t>(1, (plan.parameter_count + plan.block_elements - 1) / plan.block_elements);
  // A partial sum: the flat gradient, the sums that are still a lane each, losses and counts of correct.
  int64_t bytes = aligned(plan.padded() * element_bytes);
  for (ValueId v = 0; v < ValueId(train.nodes.size()); v++)
    if (train[v].type.kind == Kind::LaneSum && v != train.loss && v != train.correct)
      bytes += aligned(train[v].type.size() * lanes * element_bytes);
  if (train.nodes.empty())
    bytes = 0;
  plan.partial_metrics = bytes;
  plan.partial_bytes = aligned(bytes + 2 * int64_t(lanes) * element_bytes);
  plan.infer = plan_graph(infer, plan, false);
  if (!train.nodes.empty()) {
    plan.train = plan_graph(train, plan, true);
    plan.sums = sums_of(train, plan.train);
    for (const Storage &kept : plan.train.storage)
      if (kept.place.region == Region::Partial)
        plan.partial_bytes += kept.kept_bytes * plan.train.kept;
  }
  plan.single = plan_graph(single, plan, false, true);
  plan.single_most = one_by_one(infer, single, lanes, element_bytes);
  return plan;
}

namespace {
std::string graph_plan_text(const char *title, const GraphPlan &p, const Graph &g) {
  std::string s = fmt::format("{}: workspace {} bytes, bound by lifetimes {}\n", title, p.workspace_bytes, p.workspace_bound);
  for (const Storage &b : p.storage)
    s += fmt::format("  %{} : {} {:>9} +{:<8} live {}..{}  {}{}\n", g[b.value].name, region_name(b.place.region), b.place.offset,
                     b.bytes, b.first, b.last, type_text(g[b.value].type), b.kept_bytes ? " kept" : "");
  for (ValueId v = 0; v < ValueId(g.nodes.size()); v++)
    if (p.memory[size_t(v)] != v && p.memory[size_t(v)] != kNoValue && !has_trait(g[v], kView))
      s += fmt::format("  %{} : in the place of %{}\n", g[v].name, g[p.memory[size_t(v)]].name);
  return s;
}
} // namespace

std::string plan_text(const Plan &plan, const Graph &infer, const Graph &train, const Graph &single) {
  std::string s = fmt::format("plan {} lanes {} element {} bytes\n", infer.name, plan.lanes, plan.element_bytes);
  s += fmt::format("parameters: {} elements in {} blocks of {}\n", plan.parameter_count, plan.blocks, plan.block_elements);
  if (plan.prepared_bytes)
    s += fmt::format("prepared from the parameters: {} bytes{}\n", plan.prepared_bytes, plan.copied_bytes ? fmt::format(", of which each further thread copies {}", plan.copied_bytes) : "");
  if (!train.nodes.empty())
    s += fmt::format("partial sums: {} of {} bytes each, metrics at {}; values are kept of {} chunk{}\n", plan.partial_sums, plan.partial_bytes, plan.partial_metrics, plan.kept, plan.kept == 1 ? "" : "s");
  s += graph_plan_text("infer", plan.infer, infer);
  if (!train.nodes.empty())
    s += graph_plan_text("train", plan.train, train);
  s += fmt::format("one by one: up to {} image{}\n", plan.single_most, plan.single_most == 1 ? "" : "s");
  return s + graph_plan_text("single", plan.single, single);
}

} // namespace cnnc
