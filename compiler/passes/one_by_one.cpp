// How many images take less time one after the other than as a chunk: a model of both, in cycles.
#include <algorithm>

#include "graph/layout.h"
#include "layers/op.h"
#include "passes/passes.h"

namespace cnnc {

namespace {
// An element that is no sum of products, in vector multiply-adds; more for an activation, less for a copy.
constexpr double kOther = 8;
// Bytes that a core reads in a cycle, of weights that fit its second-level cache and of those that do not.
constexpr double kCache = 1 << 20, kNear = 32, kFar = 5;
// The chunk's convolutions may take fewer products than the direct method, for which both are counted here.
constexpr double kMargin = 2;

double cycles(const Graph &g, int examples, int lanes, int element_bytes) {
  double weights = 0, total = 0;
  for (const Node &n : g.nodes)
    weights += n.op == "parameter" ? double(n.type.size() * element_bytes) : 0;
  const double rate = weights <= kCache ? kNear : kFar;
  for (const Node &n : g.nodes) {
    const Op &op = op_of(n);
    if (n.type.kind != Kind::Example || (op.traits & (kSource | kView)))
      continue;
    const double places = double(layout_of(n).size) / double(n.type.size()) * examples / lanes; // vectors to an element
    if (!op.macs) {
      total += kOther * double(n.type.size()) * places;
      continue;
    }
    double read = 0;
    for (ValueId i : n.inputs)
      read += g[i].type.kind == Kind::Parameter ? double(layout_of(g[i]).size * element_bytes) : 0;
    total += std::max(double(op.macs(g, n)) * places, read / rate);
  }
  return total;
}
} // namespace

int64_t one_by_one(const Graph &infer, const Graph &single, int lanes, int element_bytes) {
  const double chunk = cycles(infer, lanes, lanes, element_bytes), one = cycles(single, 1, lanes, element_bytes);
  return std::clamp<int64_t>(int64_t(chunk / (kMargin * std::max(one, 1.0))), 1, lanes - 1);
}

} // namespace cnnc
