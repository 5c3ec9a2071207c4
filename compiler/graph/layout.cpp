// Strides from the order of a value's dimensions.
#include "graph/layout.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

namespace cnnc {

Layout make_layout(const Type &type, std::vector<int64_t> order, int64_t pitch) {
  const size_t rank = type.dims.size();
  std::vector<int64_t> natural(rank), sorted = order;
  std::iota(natural.begin(), natural.end(), 0);
  std::sort(sorted.begin(), sorted.end());
  if (sorted != natural)
    throw GraphError{fmt::format("order [{}] is none of the {} dimensions", dims_text(order, ", "), rank)};
  Layout l;
  l.order = std::move(order);
  l.strides.assign(rank, 1);
  if (rank == 0)
    return l;
  const int64_t length = type.dims[size_t(l.innermost())];
  if (pitch < length || pitch > length + 4096)
    throw GraphError{fmt::format("a pitch of {} does not fit lines of {}", pitch, length)};
  l.pitch = l.size = pitch;
  for (size_t i = rank - 1; i-- > 0;) {
    l.strides[size_t(l.order[i])] = l.size;
    l.size *= type.dims[size_t(l.order[i])];
  }
  l.dense = l.order == natural && pitch == length;
  return l;
}

Layout layout_of(const Node &n) {
  const size_t rank = n.type.dims.size();
  std::vector<int64_t> order(rank);
  std::iota(order.begin(), order.end(), 0);
  if (n.has("order"))
    order = n.list("order");
  const int64_t last = order.empty() ? 0 : order.back();
  return make_layout(n.type, order, n.has("pitch") ? n.integer("pitch") : last >= 0 && last < int64_t(rank) ? n.type.dims[size_t(last)]
                                                                                                            : 1);
}

void set_layout(Node &n, const Layout &layout) {
  n.attributes.erase("order");
  n.attributes.erase("pitch");
  if (layout.dense)
    return;
  n.attributes["order"] = layout.order;
  n.attributes["pitch"] = layout.pitch;
}

} // namespace cnnc
