// From text to graph: what is built, what is refused and how it is said, and that no text brings the compiler down.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "graph/build.h"
#include "layers/op.h"

using namespace cnnc;
namespace fs = std::filesystem;

namespace {
const fs::path kRoot = CNNC_SOURCE_DIR;

struct Result {
  std::optional<Graph> graph;
  std::string errors;
};
Result build(const std::string &text, const Overrides &overrides = {}) {
  Source source("t.dsl", text);
  Diagnostics diagnostics(source);
  Result r;
  r.graph = build_graph(source, overrides, diagnostics);
  r.errors = diagnostics.text();
  CHECK(r.graph.has_value() == r.errors.empty());
  if (r.graph)
    verify(*r.graph, "build");
  return r;
}
Graph built(const std::string &text, const Overrides &overrides = {}) {
  Result r = build(text, overrides);
  INFO(text << r.errors);
  REQUIRE(r.graph.has_value());
  return *r.graph;
}
std::string errors(const std::string &text, const Overrides &overrides = {}) { return build(text, overrides).errors; }

const std::string kImage = "model m\ninput x: f32[2, 9, 8]\n", kFlat = "model m\ninput x: f32[4]\n";
const std::string kTraining = "loss softmax_cross_entropy\noptimizer sgd(lr=0.1)\n";

std::string read(const fs::path &path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in.good());
  return {std::istreambuf_iterator<char>(in), {}};
}
std::vector<fs::path> files(const fs::path &folder) {
  std::vector<fs::path> found;
  for (const auto &entry : fs::directory_iterator(kRoot / folder))
    if (entry.path().extension() == ".dsl")
      found.push_back(entry.path());
  REQUIRE(!found.empty());
  return found;
}
const Node &named(const Graph &g, const std::string &name) {
  for (const Node &n : g.nodes)
    if (n.name == name)
      return n;
  FAIL("no value " << name);
  return g.nodes[0];
}
bool has(const Graph &g, const std::string &name) {
  for (const Node &n : g.nodes)
    if (n.name == name)
      return true;
  return false;
}
bool holds(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }
int count(const std::string &text, const std::string &part) {
  int n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at++)
    n++;
  return n;
}
} // namespace

TEST_CASE("every model and every case is built, and its text is read back") {
  for (const char *folder : {"models", "tests/cases"})
    for (const fs::path &path : files(folder)) {
      INFO(path.string());
      std::string text = print(built(read(path)));
      CHECK(print(read_graph(text)) == text);
    }
}

TEST_CASE("every sample of the registry is built") {
  auto all = [](const auto &kinds) {
    for (const auto &kind : kinds) {
      CHECK(!kind.samples.empty());
      for (const std::string &sample : kind.samples)
        CHECK(built(sample).loss != kNoValue);
    }
  };
  all(registry().layers);
  all(registry().losses);
  all(registry().optimizers);
}

TEST_CASE("LeNet: shapes, names, parameters") {
  Graph g = built(read(kRoot / "models/lenet.dsl"));
  CHECK(g.name == "lenet");
  CHECK(g.batch == 1024);
  int64_t parameters = 0;
  std::string shapes, names;
  for (const Node &n : g.nodes)
    if (n.op == "parameter")
      parameters += n.type.size(), names += n.name + " ";
    else if (n.op == "conv" || n.op == "avg_pool" || n.op == "flatten" || n.op == "dense")
      shapes += n.name + ":" + dims_text(n.type.dims) + " ";
  CHECK(parameters == 61706);
  CHECK(shapes == "0:6x28x28 2:6x14x14 3:16x10x10 5:16x5x5 6:400 7:120 9:84 11:10 ");
  CHECK(names == "conv1.weight conv1.bias conv2.weight conv2.bias dense1.weight dense1.bias dense2.weight dense2.bias "
                 "dense3.weight dense3.bias ");
  CHECK(g[g.output].name == "11");
  CHECK(g.optimizer == "adam");
  CHECK(g.optimizer_attributes == Attributes{{"lr", 1e-3}, {"beta1", 0.9}, {"beta2", 0.999}, {"epsilon", 1e-8}, {"weight_decay", 0.0}});
}

TEST_CASE("without loss and batch a model is for inference, one example at a time") {
  Graph g = built(kFlat + "dense(3)\n");
  CHECK(g.batch == 1);
  CHECK(g.loss == kNoValue);
  CHECK(g.optimizer.empty());
}

TEST_CASE("values: named, nested, chosen as the output, whatever the order of the header") {
  Graph g = built("model m\ny = conv(x, 3, kernel=1)\nz = relu(add(y, conv(x, 3, kernel=1)))\nadd(z, y)\n"
                  "batch 7\noutput z2\ninput x: f32[2, 9, 8]\nz2 = tanh\n");
  CHECK(g.batch == 7);
  CHECK(g[g.output].name == "z2");
  CHECK(named(g, "y").op == "conv");
  CHECK(has(g, "y.weight"));
  CHECK(has(g, "conv1.weight")); // the nested one
  CHECK(named(g, "z").op == "relu");
  // numbers go to values without a name alone
  CHECK(named(g, "0").op == "conv");
  CHECK(named(g, "1").op == "add");
  CHECK(named(g, "2").op == "add");
  CHECK_FALSE(has(g, "3"));
}

TEST_CASE("names that the text gives are left to it") {
  Graph g = built(kImage + "conv(2, kernel=1)\nconv1 = conv(2, kernel=1)\nconv(2, kernel=1)\n");
  CHECK(has(g, "conv1.weight"));
  CHECK(has(g, "conv2.weight"));
  CHECK(has(g, "conv3.weight"));
  CHECK(named(built("model m\ninput label: f32[4]\ndense(2)\n" + kTraining), "label").op == "input");
}

TEST_CASE("initial values follow the fans") {
  auto weight = [](const std::string &init) { return built(kImage + init + "conv(3, kernel=(5, 3), padding=same)\n"); };
  const double in = 2 * 15, out = 3 * 15;
  struct {
    const char *init, *kind;
    double a, b;
  } cases[] = {{"", "uniform", -std::sqrt(6 / (in + out)), std::sqrt(6 / (in + out))},
               {"init xavier_uniform\n", "uniform", -std::sqrt(6 / (in + out)), std::sqrt(6 / (in + out))},
               {"init xavier_normal\n", "normal", 0, std::sqrt(2 / (in + out))},
               {"init he_uniform\n", "uniform", -std::sqrt(6 / in), std::sqrt(6 / in)},
               {"init he_normal\n", "normal", 0, std::sqrt(2 / in)},
               {"init uniform(-0.5, b=2)\n", "uniform", -0.5, 2}};
  for (const auto &c : cases) {
    Graph g = weight(c.init);
    const Node &w = named(g, "conv1.weight"), &b = named(g, "conv1.bias");
    INFO(std::string(c.init));
    CHECK(w.text("init") == c.kind);
    CHECK(w.number("a") == doctest::Approx(c.a));
    CHECK(w.number("b") == doctest::Approx(c.b));
    CHECK(b.text("init") == "constant");
    CHECK(b.number("a") == 0);
  }
  Graph g = weight("init constant(0.25)\n");
  CHECK(named(g, "conv1.weight").text("init") == "constant");
  CHECK(named(g, "conv1.weight").number("a") == 0.25);
}

TEST_CASE("padding is top, bottom, left, right") {
  auto padding = [](const std::string &arguments) {
    return named(built(kImage + "conv(1, " + arguments + ")\n"), "0").list("padding");
  };
  using List = std::vector<int64_t>;
  CHECK(padding("kernel=3") == List{0, 0, 0, 0});
  CHECK(padding("kernel=3, padding=2") == List{2, 2, 2, 2});
  CHECK(padding("kernel=3, padding=(2, 1)") == List{2, 2, 1, 1});
  CHECK(padding("kernel=3, padding=(1, 2, 3, 4)") == List{1, 2, 3, 4});
  CHECK(padding("kernel=(4, 5), padding=same") == List{1, 2, 2, 2});
}

TEST_CASE("values in the text, leading dimensions of one left out or not") {
  auto values = [](const std::string &list) {
    Graph g = built("model m\ninput x: f32[1, 3, 3]\nconv(1, kernel=2, bias_values=[-7], weight=" + list + ")\n");
    CHECK(std::get<std::vector<double>>(named(g, "conv1.bias").attributes.at("values")) == std::vector<double>{-7});
    const Node &w = named(g, "conv1.weight");
    CHECK(w.text("init") == "given");
    return std::get<std::vector<double>>(w.attributes.at("values"));
  };
  std::vector<double> expected = {0, 1, 2.5, -3e-2};
  CHECK(values("[[0, 1], [2.5, -3e-2]]") == expected);
  CHECK(values("[[[[0, 1], [2.5, -3e-2]]]]") == expected);
  CHECK(values("[\n # a comment\n[0, 1,],\n [2.5, -.03]]") == expected);
}

TEST_CASE("what the command line changes") {
  Overrides o;
  o.batch = 3;
  o.optimizer = "adam(lr=0.5)";
  o.init = "constant(2)";
  Graph g = built(kFlat + "dense(2)\nbatch 9\ninit he_normal\n" + kTraining, o);
  CHECK(g.batch == 3);
  CHECK(g.optimizer == "adam");
  CHECK(std::get<double>(g.optimizer_attributes.at("lr")) == 0.5);
  CHECK(named(g, "dense1.weight").number("a") == 2);
  o.optimizer = "adam";
  CHECK(built(kFlat + "dense(2)\nloss softmax_cross_entropy\n", o).optimizer == "adam");
}

TEST_CASE("mistakes on the command line are shown like those of the text, after them") {
  Overrides o;
  o.batch = 0;
  o.init = "he_uniforn";
  o.optimizer = "sgd(lr=-1";
  CHECK(errors(kFlat + "dense(2)\ntan\n" + kTraining, o) ==
        "t.dsl:4:1: error: unknown layer 'tan'; did you mean 'tanh'?\ntan\n^~~\n"
        "<command line>:1:1: error: batch: expected a whole number from 1 to 1048576, found 0\n0\n^\n"
        "<command line>:1:1: error: unknown initialisation 'he_uniforn'; did you mean 'he_uniform'?\nhe_uniforn\n^~~~~~~~~~\n"
        "<command line>:1:4: error: '(' is never closed\nsgd(lr=-1\n   ^\n");
  o = {};
  o.optimizer = "adam";
  CHECK(holds(errors(kFlat + "dense(2)\n", o), "<command line>:1:1: error: an optimizer needs a loss"));
  o.optimizer = "adam extra";
  CHECK(holds(errors(kFlat + "dense(2)\n" + kTraining, o), "<command line>:1:6: error: expected the end of the text"));
}

TEST_CASE("the messages of the design") {
  std::string text = "# LeNet with mistakes\nmodel lenet\n\ninput image: f32[1, 28, 28]\n\nconv(6, kernel=5, padding=2)\n"
                     "sigmoid\navg_pool(2)\nconv(16, kernel=5)\nsigmoid\navg_pool((3, 3))\nconv(20, kernel=5)\nconf(6)\n";
  CHECK(errors(text) == "t.dsl:12:1: error: conv: kernel 5x5 does not fit an input of 16x3x3 (height 3 < 5) with padding 0\n"
                        "conv(20, kernel=5)\n^~~~~~~~~~~~~~~~~~\n"
                        "t.dsl:11:1: note: input is %5 = avg_pool(%4) : f32[16, 3, 3]\navg_pool((3, 3))\n^~~~~~~~~~~~~~~~\n"
                        "t.dsl:13:1: error: unknown layer 'conf'; did you mean 'conv'?\nconf(6)\n^~~~\n");
}

TEST_CASE("all independent errors, in the order of the text, and none that follows from another") {
  std::string e = errors("model m\ninput x: f32[2, 9, 8]\nconv(3, kernel=20)\ndense(4)\nconv(0, kernel=3)\nadd(x, y\n"
                         "sigmoit\nmax_pool(2, strid=1)\nbatch 0\nloss softmax_cross_entropi\noptimizer sgd\n");
  const char *expected[] = {"3:1: error: conv: kernel 20x20", "5:6: error: conv: channels", "6:4: error: '(' is never",
                            "7:1: error: unknown layer", "8:13: error: max_pool", "9:7: error: batch",
                            "10:6: error: unknown loss", "11:11: error: sgd"};
  size_t at = 0;
  for (const char *part : expected) {
    INFO(std::string(part) << "\n"
                           << e);
    at = e.find(part, at);
    REQUIRE(at != std::string::npos);
  }
  CHECK(count(e, "error:") == 8);
  // what hangs on a broken statement stays silent
  CHECK(count(errors("model m\ninput x f32[3]\ndense(2)\n" + kTraining), "error:") == 1);
  CHECK(count(errors(kImage + "y = conv(3 kernel=2)\nrelu(y)\ndense(4)\n"), "error:") == 1);
  CHECK(count(errors(kFlat + "dense(2)\ntarget t f32[2]\nloss squared_error\noptimizer sgd(lr=1)\n"), "error:") == 1);
  CHECK(count(errors(kFlat + "block b(x)\n  y = what(x)\n\n  return y\ndense(2)\nb\nrelu\n"), "error:") == 1);
  CHECK(count(errors(kFlat + "dense(2)\nloss softmax_cross_entropy\noptimiser adam\n"), "error:") == 1);
}

TEST_CASE("the caret stands under what is wrong: tabs, other alphabets, long lines, several lines") {
  CHECK(holds(errors(kFlat + "\tdense(\t0)\n"), "t.dsl:3:9: error: dense: units: expected 1 to 16777216, found 0\n dense( 0)\n        ^\n"));
  CHECK(holds(errors(kFlat + "dense(1, \xc3\xa4)\n"), "3:10: error: unexpected character '\xc3\xa4'\ndense(1, \xc3\xa4)\n         ^\n"));
  CHECK(holds(errors(kFlat + "dense(1, \xff)\n"), "unexpected character '\\xff'\ndense(1, \\xff)\n         ^~~~\n"));
  CHECK(holds(errors(kFlat + "dense(\n  1,\n  bias=3)\r\n"), "5:8: error: dense: bias: expected true or false, found '3'\n  bias=3)\n       ^\n"));
  std::string e = errors(kFlat + "dense(1," + std::string(500, ' ') + "q" + std::string(500, ' ') + ")\n");
  size_t line = e.find("\n..."), caret = e.find('^');
  REQUIRE(line != std::string::npos);
  CHECK(e.find('q', line) - line - 1 == caret - e.rfind('\n', caret) - 1);
  CHECK(e.size() < 600);
  // marks that would turn a terminal's text around are shown, not obeyed
  CHECK(holds(errors(kFlat + "dense(1, \xe2\x80\xae)\n"), "unexpected character '\\u202e'"));
}

TEST_CASE("near misses") {
  std::vector<std::string> layers = {"conv", "max_pool", "avg_pool", "dense", "sigmoid", "tanh", "relu", "add"};
  CHECK(near_miss("conf", layers) == "conv");
  CHECK(near_miss("ReLU", layers) == "relu");
  CHECK(near_miss("MaxPool2d", layers) == "max_pool");
  CHECK(near_miss("dnese", layers) == "dense");
  CHECK(near_miss("batch_norm", layers).empty());
  CHECK(near_miss("x", layers).empty());
  CHECK(near_miss("", layers).empty());
  CHECK(near_miss("x", {"y"}).empty());
}

TEST_CASE("numbers of an optimizer are checked as floats") {
  for (const char *bad : {"lr=0", "lr=-1", "lr=1e-60", "lr=1, momentum=1", "lr=1, momentum=0.999999999999", "lr=1, weight_decay=-1",
                          "lr=nan", "lr=inf", "lr=1e39", "lr=true"}) {
    INFO(std::string(bad));
    CHECK(count(errors(kFlat + "dense(2)\nloss softmax_cross_entropy\noptimizer sgd(" + bad + ")\n"), "error:") == 1);
  }
}

TEST_CASE("numbers: forms and limits") {
  auto refused = [](const std::string &arguments) { return count(errors(kImage + "conv(" + arguments + ")\n"), "error:"); };
  for (const char *bad : {"3, kernel=0", "3, kernel=-1", "3, kernel=2.0", "3, kernel=1e1", "3, kernel=99999999999999999999999", "3, kernel=(1, 2, 3)",
                          "3, kernel=[1, 2]", "3, kernel=(0, 1)", "3, kernel=1, padding=-1", "3, kernel=1, padding=(1, 2, 3)",
                          "3, kernel=1, stride=0", "3, kernel=1, bias=1", "3, kernel=0x3", "3, kernel=1.2.3", "3, kernel=1e", "3, kernel=--1",
                          "3, kernel=same", "3.5, kernel=1", "1048577, kernel=1", "3, kernel=1, kernel=1", "3, 4, kernel=1", "kernel=1",
                          "x, x, 3, kernel=1", "3, kernel=1e400"}) {
    INFO(std::string(bad));
    CHECK(refused(bad) == 1);
  }
  CHECK(count(errors("model m\ninput x: f32[999999999999999999, 999999999999999999]\nflatten\n"), "error:") == 2);
  CHECK(count(errors("model m\ninput x: f32[60000000, 60000000]\nflatten\n"), "error:") == 1);
  CHECK(count(errors(kFlat + "dense(16777216)\ndense(16777216)\n"), "error:") == 1);
  CHECK(named(built(kFlat + "dense(1, weight=[[1e-300, 2, 3, 4]])\n"), "dense1.weight").has("values"));
}

TEST_CASE("a model's name begins C symbols") {
  for (const char *bad : {"while", "class", "typename", "main", "std", "unix", "_m", "a__b", "cnnc_net", "size_t", "exp", "read"}) {
    INFO(std::string(bad));
    CHECK(count(errors(std::string("model ") + bad + "\ninput x: f32[4]\ndense(2)\n"), "cannot be a model's name") == 1);
  }
  CHECK(built("model " + std::string(64, 'a') + "\ninput x: f32[4]\ndense(2)\n").name.size() == 64);
  CHECK(holds(errors("model " + std::string(65, 'a') + "\ninput x: f32[4]\ndense(2)\n"), "a name has 65 characters"));
}

TEST_CASE("texts that are hardly any") {
  CHECK(holds(errors(""), "t.dsl:1:1: error: expected 'model NAME' as the first statement, found the end of the file"));
  CHECK(holds(errors("# nothing\n\n"), "error: expected 'model NAME'"));
  CHECK(holds(errors(std::string("\0\0\0", 3)), "unexpected character '\\x00'"));
  CHECK(holds(errors("model"), "expected the model's name, found the end of the file"));
  CHECK(holds(errors("model m"), "the model has no input"));
  CHECK(built("\xef\xbb\xbfmodel m\r\ninput x: f32[4]\r\ndense(2)").name == "m");
  CHECK(built("# any \xff bytes \x01\n" + kFlat + "dense(2)").name == "m");
}

TEST_CASE("large texts take seconds and no deep stack") {
  const size_t large = 10 << 20;
  CHECK(holds(errors(kImage + "conv(" + std::string(100000, '[') + "\nsigmoit\n"), "nested more than 64 deep"));
  CHECK(holds(errors(std::string(100000, '(')), "expected a statement"));
  CHECK(errors(kFlat + std::string(large, 'a') + "\n").size() < 2000);
  CHECK(errors(kFlat + "dense(" + std::string(large, '9') + ")\n").size() < 2000);
  CHECK(errors(std::string(large, '\0')).size() < 2000);
  CHECK(errors(std::string(large, '\n')).size() < 2000);
  std::string list;
  while (list.size() < large)
    list += "1, ";
  CHECK(errors(kFlat + "dense(1, weight=[" + list + "])\n").size() < 2000);
  CHECK(errors(std::string((64 << 20) + 1, '\n')) ==
        "t.dsl:1:1: error: the text has 67108865 bytes; at most 67108864 are supported\n");
  // errors without end are cut
  std::string lines = "model m\n";
  for (int i = 0; i < 100000; i++)
    lines += "v" + std::to_string(i) + " = relu(w" + std::to_string(i) + ")\n";
  CHECK(holds(errors(lines), "stopped after 1000 errors"));
  std::string chain = kImage;
  for (int i = 0; i < 10000; i++)
    chain += i % 2 ? "relu\n" : "v" + std::to_string(i) + " = tanh\n";
  CHECK(built(chain).nodes.size() == 10001);
}

TEST_CASE("no prefix of a model, and no accident to one, crashes") {
  std::mt19937 random(1);
  for (const fs::path &path : files("models")) {
    std::string whole = read(path);
    for (size_t n = 0; n < whole.size(); n++)
      build(whole.substr(0, n));
    for (int i = 0; i < 300; i++) {
      std::string text = whole;
      for (int k = 0; k < 3; k++) {
        size_t at = random() % text.size();
        const char *marks = "()[],=:\n #-9x.\t\"\xff";
        switch (random() % 3) {
        case 0: text[at] = char(random() % 8 ? marks[random() % 18] : char(random())); break;
        case 1: text.erase(at, 1 + random() % 8); break;
        case 2: text.insert(at, whole.substr(random() % whole.size(), random() % 20)); break;
        }
        if (text.empty())
          text = " ";
      }
      build(text);
    }
  }
}

TEST_CASE("every kind of diagnostic has a test of its own") {
  for (const char *kind : {
#define DIAGNOSTIC(name, severity, format) #name,
#include "syntax/diagnostics.def"
#undef DIAGNOSTIC
       }) {
    if (std::string(kind) == "source_too_large") // the command's reader comes before it; tested above
      continue;
    fs::path path = kRoot / "tests/lit/diagnostics" / (std::string(kind) + ".dsl");
    INFO(path.string());
    CHECK(fs::exists(path));
  }
}
