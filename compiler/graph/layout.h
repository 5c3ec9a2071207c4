// How a value stands in memory: its attributes `order` and `pitch`, or row by row without them.
#pragma once

#include "graph/graph.h"

namespace cnnc {

struct Layout {
  std::vector<int64_t> order;   // dimensions from the outermost to the innermost
  int64_t pitch = 1;            // elements of a line along the innermost dimension, those behind its end included
  std::vector<int64_t> strides; // by dimension, elements
  int64_t size = 1;             // elements from first to last line, gaps included
  bool dense = true;            // row by row, no gaps
  int64_t innermost() const { return order.empty() ? 0 : order.back(); }
  bool operator==(const Layout &o) const { return order == o.order && pitch == o.pitch; }
};

// Throws GraphError where the attributes do not fit the type.
Layout layout_of(const Node &n);
Layout make_layout(const Type &type, std::vector<int64_t> order, int64_t pitch);
// Row by row needs no attributes and gets none.
void set_layout(Node &n, const Layout &layout);

} // namespace cnnc
