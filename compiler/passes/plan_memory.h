// Where every value lives, fixed at compile time.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "graph/layout.h"

namespace cnnc {

// The same order as the REGION_ constants of runtime/hooks/hooks.h.
enum class Region { Parameters,
                    State,
                    Gradients,
                    Partials,
                    Partial,
                    Workspace,
                    Prepared,
                    Images,
                    Targets,
                    Outputs,
                    Scratch,
                    Image,
                    Ahead };
const char *region_name(Region r);

struct Place {
  Region region = Region::Workspace;
  int64_t offset = 0; // bytes
};

// A value that is stored. Steps are the groups in their order; the caller's packing comes before step 0.
struct Storage {
  ValueId value = kNoValue;
  Place place;
  int64_t bytes = 0;
  int first = 0, last = 0; // the steps that write it first and read it last
  int64_t kept_bytes = 0;  // of one chunk, where those of several are kept side by side; 0: each chunk writes over the last
};

// The layout of a value of `lanes` examples together. Places that are multiples of 4 KB apart would fall into the same few
// lines of a first-level cache, and push each other out when they are written together.
Layout stored_layout(const Node &n, int lanes, int element_bytes);

struct GraphPlan {
  int lanes = 1;                                    // examples at a time
  bool single = false;                              // one, laid out for itself
  std::vector<std::vector<ValueId>> groups;         // nodes of each kernel, updates left out
  std::vector<Storage> storage;                     // values that are stored, in the graph's order
  std::vector<ValueId> memory;                      // by value: the value whose memory it is (itself but for views), or kNoValue
  int kept = 1;                                     // chunks whose values are kept, at most
  std::set<ValueId> late;                           // last nodes of the groups that take all kept chunks at once
  int64_t workspace_bytes = 0, workspace_bound = 0; // the bound: most bytes alive at one step
  const Storage *of(ValueId v) const;
};

struct Plan {
  int lanes = 0, element_bytes = 4, partial_sums = 4 /* no more than chunks */, kept = 4 /* no more than a partial sum has chunks */, alignment = 64;
  std::map<std::string, int64_t> offsets; // of each parameter in the flat vector, elements
  std::vector<std::string> parameters;    // in the order of the flat vector
  int64_t parameter_count = 0, block_elements = 0, blocks = 0;
  int64_t partial_bytes = 0, partial_metrics = 0; // bytes
  std::vector<std::pair<int64_t, int64_t>> sums;  // offsets and bytes of what each chunk adds to in a partial sum
  std::map<std::string, int64_t> prepared;        // by name: offsets of what is made of the parameters, bytes
  int64_t prepared_bytes = 0;
  int64_t copied_bytes = 0; // of these, from the first on, what inference of chunks reads, of which each further thread has a copy; 0: it is too large
  GraphPlan infer, train, single;
  int64_t single_most = 0; // so many images or fewer take less time one by one than as a chunk
  int64_t padded() const { return block_elements * blocks; }
};

// `single`: the graph of one image. `most_copied`: bytes of which a copy a thread is worth while.
Plan plan_memory(const Graph &infer, const Graph &train, const Graph &single, int lanes, int element_bytes, int64_t most_copied);
std::string plan_text(const Plan &plan, const Graph &infer, const Graph &train, const Graph &single);

} // namespace cnnc
