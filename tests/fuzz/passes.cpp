// The passes on the text of graphs, as `cnnc opt` runs them: the first letter chooses one, or all in order.
#include "fuzz.h"
#include "graph/graph.h"
#include "passes/passes.h"

#include <string>

using namespace cnnc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size < 1) return 0;
  const std::vector<Pass> &all = passes();
  Decisions decisions;
  try {
    Graph graph = read_graph(std::string(data + 1, data + size));
    for (std::size_t i = 0; i < all.size(); ++i)
      if (data[0] % (all.size() + 1) == i || data[0] % (all.size() + 1) == all.size()) {
        all[i].run(graph, decisions, 16);
        verify(graph, all[i].name);
      }
    print(graph);
  } catch (const GraphError &) {
  }
  return 0;
}
