// The zero border that convolutions read around the input is stored with it, where the images are packed: they then read
// it as any other place.
#include <algorithm>

#include "layers/op.h"
#include "passes/passes.h"

namespace cnnc {

namespace {
constexpr int64_t kMostTimes = 2;   // as large as the image itself
constexpr int64_t kLeastWidth = 16; // of rows: shorter ones are packed better without regard to where one ends
} // namespace

void store_border(Graph &g) {
  const ValueId input = g.find("input");
  std::vector<Node *> readers;
  for (Node &n : g.nodes)
    if (std::find(n.inputs.begin(), n.inputs.end(), input) != n.inputs.end())
      readers.push_back(&n);
  const std::vector<int64_t> none = {0, 0, 0, 0};
  if (readers.empty() || g.output == input || !op_of(*readers[0]).zero_padding)
    return;
  const std::vector<int64_t> border = readers[0]->list("padding");
  for (const Node *n : readers)
    if (!op_of(*n).zero_padding || n->list("padding") != border)
      return;
  Node &x = g[input];
  const int64_t size = x.type.size();
  Node bordered = x;
  bordered.attributes["border"] = border;
  bordered.type = op_of(x).infer(g, bordered);
  if (border == none || x.type.dims[2] < kLeastWidth || bordered.type.size() > kMostTimes * size)
    return;
  x = bordered;
  for (Node *n : readers) {
    n->attributes["padding"] = none;
    n->attributes["zero_rows"] = std::vector<int64_t>{border[0], border[1]};
  }
}

} // namespace cnnc
