// The graph's text form and differentiation.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "graph/graph.h"
#include "passes/differentiate.h"

using namespace cnnc;

namespace {
const char *kForward = R"(graph net batch 8
  %x = input {dims=[2, 9, 8]} : f32[2, 9, 8]
  %w = parameter {a=0.0, b=1.0, dims=[3, 2, 5, 3], init=uniform} : param f32[3, 2, 5, 3]
  %0 = conv(%x, %w) {flip=false, kernel=[5, 3], padding=[2, 2, 1, 1], stride=[2, 1]} : f32[3, 5, 8]
  %1 = tanh(%0) : f32[3, 5, 8]
  %2 = flatten(%1) : f32[120]
  output %2
end
)";
std::string message_of(const std::string &text) {
  try {
    read_graph(text);
  } catch (const GraphError &e) {
    return e.message;
  }
  return "";
}
std::string replaced(std::string s, const std::string &from, const std::string &to) {
  return s.replace(s.find(from), from.size(), to);
}
} // namespace

TEST_CASE("text: read and printed again it is the same") { CHECK(print(read_graph(kForward)) == kForward); }

TEST_CASE("text: every prefix is refused, none crashes") {
  std::string whole = kForward;
  for (size_t n = 0; n + 2 < whole.size(); n++)
    CHECK_FALSE(message_of(whole.substr(0, n)).empty());
}

TEST_CASE("text: what is wrong is said") {
  CHECK(message_of(replaced(kForward, "tanh(%0)", "tanh(%9)")) == "line 5: expected a value that stands above");
  CHECK(message_of(replaced(kForward, "tanh", "tan")) == "line 5: unknown operation 'tan'");
  CHECK(message_of(replaced(kForward, "f32[120]", "f32[121]")) ==
        "after pass 'read': %2 has type f32[121] where its operation gives f32[120]");
  CHECK(message_of(replaced(kForward, "kernel=[5, 3]", "kernel=[5, 2]")) ==
        "after pass 'read': %0: conv: expected a weight of 3x2x5x2, found 3x2x5x3");
}

TEST_CASE("shapes: a kernel that does not fit names both numbers") {
  Graph g;
  ValueId x = g.add("input", {}, {{"dims", std::vector<int64_t>{16, 3, 3}}}, "x");
  std::vector<int64_t> k = {5, 5}, s = {1, 1}, p = {0, 0, 0, 0};
  try {
    g.add("max_pool", {x}, {{"kernel", k}, {"stride", s}, {"padding", p}});
    FAIL("accepted");
  } catch (const GraphError &e) {
    CHECK(e.message == "max_pool: kernel 5x5 does not fit an input of 16x3x3 (height 3 < 5) with padding 0");
  }
}

TEST_CASE("dead nodes go, the model's interface stays") {
  Graph g = read_graph(replaced(kForward, "output %2", "output %0"));
  remove_dead(g);
  CHECK(print(g).find("tanh") == std::string::npos);
  CHECK(g.nodes.size() == 3);
  verify(g, "remove_dead");
}
