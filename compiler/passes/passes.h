// The passes, each a function from graph to graph. `verify` runs after every one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "decisions.h"
#include "graph/graph.h"

namespace cnnc {

// The input holds the border that convolutions read around it.
void store_border(Graph &g);
// Rules of layout: the batch stands in the lanes, and a convolution reads an image whose border is stored.
void choose_layout(Graph &g, Decisions &decisions, int lanes);
// Convolutions that gain enough by it take an algorithm with fewer products; the second form: all that can.
void choose_algorithm(Graph &g, Decisions &decisions);
void use_fast_convolution(Graph &g, Decisions &decisions);
// The graph of one image: the forward nodes alone, a layout for each value (`lanes` elements to a vector), packed weights.
void lay_out_single(Graph &g, Decisions &decisions, int lanes);
// So many images or fewer are predicted by the second graph, one by one, and more of them by chunks of the first.
int64_t one_by_one(const Graph &infer, const Graph &single, int lanes, int element_bytes);
// Gives every node that computes something the number of the kernel it belongs to.
void fuse(Graph &g, Decisions &decisions);

struct Pass {
  std::string name;
  std::function<void(Graph &, Decisions &, int lanes)> run; // elements to a vector
};
// All passes in the order in which a training graph takes them.
const std::vector<Pass> &passes();

} // namespace cnnc
