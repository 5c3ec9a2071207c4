// The language: any text gives diagnostics or a graph, and a graph prints to a text that reads back the same.
#include "fuzz.h"
#include "graph/build.h"
#include "graph/graph.h"
#include "syntax/diagnostics.h"
#include "syntax/source.h"

#include <string>

using namespace cnnc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const Source source("fuzz.dsl", std::string(data, data + size));
  Diagnostics diagnostics(source);
  const std::optional<Graph> graph = build_graph(source, Overrides(), diagnostics);
  REQUIRE(graph.has_value() != diagnostics.failed());
  const std::string said = diagnostics.text();
  if (!graph) {
    REQUIRE(said.find("fuzz.dsl:") == 0);
    return 0;
  }
  const std::string text = print(*graph);
  try {
    REQUIRE(print(read_graph(text)) == text);
  } catch (const GraphError &e) {
    std::fprintf(stderr, "%s\n%s\n", e.message.c_str(), text.c_str());
    REQUIRE(!"the printed graph reads back");
  }
  return 0;
}
