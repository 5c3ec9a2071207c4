// The graph's text form, differentiation, decisions.
#include <doctest/doctest.h>

#include "decisions.h"
#include "graph/graph.h"
#include "passes/differentiate.h"
#include "passes/passes.h"

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

TEST_CASE("differentiation: ordinary nodes, none for the input image") {
  Graph g = read_graph(R"(graph net batch 8
  %x = input {dims=[1, 8, 8]} : f32[1, 8, 8]
  %conv1.weight = parameter {dims=[2, 1, 3, 3]} : param f32[2, 1, 3, 3]
  %conv1.bias = parameter {dims=[2]} : param f32[2]
  %conv2.weight = parameter {dims=[4, 2, 3, 3]} : param f32[4, 2, 3, 3]
  %dense1.weight = parameter {dims=[3, 16]} : param f32[3, 16]
  %label = label {classes=3} : label f32[]
  %0 = conv(%x, %conv1.weight, %conv1.bias) {flip=false, kernel=[3, 3], padding=[0, 0, 0, 0], stride=[1, 1]} : f32[2, 6, 6]
  %1 = sigmoid(%0) : f32[2, 6, 6]
  %2 = conv(%1, %conv2.weight) {flip=false, kernel=[3, 3], padding=[0, 0, 0, 0], stride=[1, 1]} : f32[4, 4, 4]
  %3 = avg_pool(%2) {count_padding=true, kernel=[2, 2], padding=[0, 0, 0, 0], stride=[2, 2]} : f32[4, 2, 2]
  %4 = flatten(%3) : f32[16]
  %5 = dense(%4, %dense1.weight) : f32[3]
  %6 = softmax_cross_entropy(%5, %label) : lanesum f32[]
  %7 = correct(%5, %label) : lanesum f32[]
  output %5
  loss %6
  correct %7
  optimizer sgd {lr=0.1}
end
)");
  differentiate(g);
  verify(g, "differentiate");
  std::string text = print(g);
  auto count = [&](const std::string &what) {
    int n = 0;
    for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at++)
      n++;
    return n;
  };
  CHECK(count("= conv_data_gradient(") == 1); // of the second convolution only
  CHECK(count("= conv_weight_gradient(") == 2);
  CHECK(count("= conv_bias_gradient(") == 1);
  CHECK(count("= avg_pool_gradient(") == 1);
  CHECK(count("= sgd_update(") == 4);
  for (const char *name : {"%conv1.weight.gradient = lane_sum(", "%dense1.weight.gradient = dense_weight_gradient("})
    CHECK(count(name) == 1);
  CHECK(print(read_graph(text)) == text);
}

TEST_CASE("weights of a dense layer are packed once for the tiles of units that it is computed by") {
  Graph g = read_graph(R"(graph net batch 8
  %x = input {dims=[64]} : f32[64]
  %w = parameter {dims=[100, 64]} : param f32[100, 64]
  %b = parameter {dims=[100]} : param f32[100]
  %0 = dense(%x, %w, %b) : f32[100]
  %1 = dense(%x, %w) : f32[100]
  %2 = add(%0, %1) : f32[100]
  output %2
end
)");
  Decisions decisions(std::map<std::string, std::string>{{"layout.dense.64x100", "images, tiles of 25 units"}});
  choose_layout(g, decisions, 16);
  verify(g, "choose_layout");
  const std::string text = print(g);
  for (const char *line : {"%w.tiles = dense_tiles(%w) {tile=25} : param f32[4, 64, 25]\n", "= dense(%x, %w.tiles, %b) : f32[100]\n", "= dense(%x, %w.tiles) : f32[100]\n"})
    CHECK(text.find(line) != std::string::npos);
  CHECK(text.find("dense_tiles(") == text.rfind("dense_tiles("));
  CHECK(print(read_graph(text)) == text);
  const size_t tile = text.find("tile=25");
  CHECK_THROWS_AS(read_graph(std::string(text).replace(tile, 7, "tile=24")), GraphError);
}

TEST_CASE("a decision takes what the tuning file names, or the first of least cost") {
  const std::vector<Candidate> tiles = {{"1x1", 3}, {"2x2", 1}, {"4x1", 1}, {"1x4", 2}};
  Decisions plain;
  CHECK(plain.take("k.tile", tiles) == 1);
  CHECK(plain.text("k.") == "k.tile = 2x2, cost 1; next 4x1, 1\n");
  Decisions tuned({{"k.tile", "1x4"}, {"l.tile", "9x9"}, {"m.tile", "1x1"}});
  CHECK(tuned.take("k.tile", tiles) == 3);
  CHECK(tuned.take("k.tile", tiles) == 3);
  CHECK(tuned.take("l.tile", tiles) == 1); // no such candidate
  REQUIRE(tuned.made().size() == 2);
  CHECK(tuned.made()[0].tuned);
  CHECK(!tuned.made()[1].tuned);
  CHECK_THROWS_AS(plain.take("n.tile", {}), GraphError);
}
