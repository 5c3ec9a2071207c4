// The text of graphs: what is read prints to a text that reads back the same.
#include "fuzz.h"
#include "graph/graph.h"

#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  std::string text;
  try {
    text = print(cnnc::read_graph(std::string(data, data + size)));
  } catch (const cnnc::GraphError &) {
    return 0;
  }
  try {
    REQUIRE(print(cnnc::read_graph(text)) == text);
  } catch (const cnnc::GraphError &e) {
    std::fprintf(stderr, "%s\n%s\n", e.message.c_str(), text.c_str());
    REQUIRE(!"the printed graph reads back");
  }
  return 0;
}
