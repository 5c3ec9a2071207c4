// The graph's text form, both ways. `read_graph(print(g))` is `g`, but for source locations.
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <limits>
#include <stdexcept>

#include "graph/graph.h"
#include "layers/op.h"

namespace cnnc {

std::string dims_text(const std::vector<int64_t> &dims, const char *separator) {
  std::string s;
  for (size_t i = 0; i < dims.size(); i++)
    s += (i ? separator : "") + std::to_string(dims[i]);
  return s;
}

namespace {
const char *kind_word(Kind k) {
  switch (k) {
  case Kind::Example: return "";
  case Kind::Parameter: return "param ";
  case Kind::Sum: return "sum ";
  case Kind::LaneSum: return "lanesum ";
  case Kind::Label: return "label ";
  }
  return "";
}

struct AttributeText {
  std::string operator()(int64_t v) const { return std::to_string(v); }
  std::string operator()(double v) const {
    std::string s = fmt::format("{}", v);
    return s.find_first_of(".en") == std::string::npos ? s + ".0" : s;
  }
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(const std::string &v) const { return v; }
  std::string operator()(const std::vector<int64_t> &v) const { return "[" + dims_text(v, ", ") + "]"; }
  std::string operator()(const std::vector<double> &v) const {
    std::string s = "[";
    for (size_t i = 0; i < v.size(); i++)
      s += (i ? ", " : "") + (*this)(v[i]);
    return s + "]";
  }
};

std::string attributes_text(const std::map<std::string, Attribute> &a) {
  if (a.empty())
    return "";
  std::string s = " {";
  for (auto it = a.begin(); it != a.end(); ++it)
    s += (it == a.begin() ? "" : ", ") + it->first + "=" + std::visit(AttributeText{}, it->second);
  return s + "}";
}
} // namespace

std::string type_text(const Type &t) { return fmt::format("{}f32[{}]", kind_word(t.kind), dims_text(t.dims, ", ")); }

std::string node_text(const Graph &g, ValueId v) {
  const Node &n = g[v];
  std::string s = fmt::format("%{} = {}", n.name, n.op);
  if (!n.inputs.empty()) {
    s += "(";
    for (size_t i = 0; i < n.inputs.size(); i++)
      s += (i ? ", %" : "%") + g[n.inputs[i]].name;
    s += ")";
  }
  return s + attributes_text(n.attributes) + " : " + type_text(n.type);
}

std::string print(const Graph &g) {
  std::string s = fmt::format("graph {} batch {}\n", g.name, g.batch);
  int open = -1;
  for (ValueId v = 0; v < ValueId(g.nodes.size()); v++) {
    int group = g[v].group;
    if (group != open && open >= 0)
      s += "  }\n";
    if (group != open && group >= 0)
      s += fmt::format("  group {} {{\n", group);
    open = group;
    s += (group >= 0 ? "    " : "  ") + node_text(g, v) + "\n";
  }
  if (open >= 0)
    s += "  }\n";
  if (g.output != kNoValue)
    s += fmt::format("  output %{}\n", g[g.output].name);
  if (g.loss != kNoValue)
    s += fmt::format("  loss %{}\n", g[g.loss].name);
  if (g.correct != kNoValue)
    s += fmt::format("  correct %{}\n", g[g.correct].name);
  if (!g.optimizer.empty())
    s += fmt::format("  optimizer {}{}\n", g.optimizer, attributes_text(g.optimizer_attributes));
  return s + "end\n";
}

namespace {
constexpr int64_t kMostDimension = std::numeric_limits<int32_t>::max(), kMostElements = int64_t(1) << 40;

// A hand-written reader: the text is line by line, and each line is short.
class Reader {
public:
  explicit Reader(const std::string &text) : text_(text) {}

  Graph read() {
    Graph g;
    word("graph");
    g.name = name();
    word("batch");
    g.batch = integer(1, kMostDimension);
    int group = -1;
    for (;;) {
      skip();
      if (at_ == text_.size())
        fail("'end'");
      if (take("}")) {
        if (group < 0)
          fail("a statement, not '}'");
        group = -1;
      } else if (peek() == '%') {
        node(g, group);
      } else {
        std::string w = name();
        if (w == "end" && group < 0)
          break;
        if (w == "end")
          fail("'}' before 'end'");
        if (w == "group") {
          if (group >= 0)
            fail("'}': a group does not stand in a group");
          group = int(integer(0, std::numeric_limits<int>::max()));
          expect("{");
        } else if (w == "output")
          g.output = value(g);
        else if (w == "loss")
          g.loss = metric(g);
        else if (w == "correct")
          g.correct = metric(g);
        else if (w == "optimizer") {
          g.optimizer = name();
          if (!registry().optimizer(g.optimizer))
            throw GraphError{fmt::format("line {}: unknown optimizer '{}'", line_, g.optimizer)};
          g.optimizer_attributes = attributes();
        } else
          fail("'%', 'group', 'output', 'loss', 'correct', 'optimizer' or 'end'");
      }
    }
    skip();
    if (at_ != text_.size())
      fail("nothing after 'end'");
    if (g.loss != kNoValue && g.optimizer.empty())
      throw GraphError{"the graph has a loss and no optimizer"};
    return g;
  }

private:
  const std::string &text_;
  size_t at_ = 0;
  int line_ = 1;
  std::map<std::string, ValueId> values_;

  [[noreturn]] void fail(const std::string &expected) {
    throw GraphError{fmt::format("line {}: expected {}", line_, expected)};
  }
  void skip() {
    for (; at_ < text_.size(); at_++) {
      if (text_[at_] == '\n')
        line_++;
      else if (text_[at_] == ';' || text_[at_] == '#') {
        while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n')
          at_++;
      } else if (!std::isspace((unsigned char)text_[at_]))
        return;
    }
  }
  char peek() {
    skip();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(const char *s) {
    skip();
    size_t n = std::string(s).size();
    if (text_.compare(at_, n, s) != 0)
      return false;
    at_ += n;
    return true;
  }
  void expect(const char *s) {
    if (!take(s))
      fail(fmt::format("'{}'", s));
  }
  std::string name() {
    skip();
    size_t from = at_;
    while (at_ < text_.size() && (std::isalnum((unsigned char)text_[at_]) || text_[at_] == '_' || text_[at_] == '.'))
      at_++;
    if (from == at_)
      fail("a name");
    return text_.substr(from, at_ - from);
  }
  void word(const char *w) {
    if (name() != w)
      fail(fmt::format("'{}'", w));
  }
  Attribute number() {
    skip();
    size_t from = at_;
    while (at_ < text_.size() && (std::isalnum((unsigned char)text_[at_]) || text_[at_] == '-' || text_[at_] == '+' ||
                                  text_[at_] == '.'))
      at_++;
    std::string s = text_.substr(from, at_ - from);
    char *end = nullptr;
    if (s.find_first_not_of("-0123456789") == std::string::npos) {
      errno = 0;
      long long v = std::strtoll(s.c_str(), &end, 10);
      if (!s.empty() && !*end && errno == 0)
        return int64_t(v);
    } else {
      double d = std::strtod(s.c_str(), &end);
      if (!*end && std::isfinite(d))
        return d;
    }
    fail("a number");
  }
  int64_t integer(int64_t least, int64_t most) {
    const Attribute a = number();
    const int64_t *i = std::get_if<int64_t>(&a);
    if (!i || *i < least || *i > most)
      fail(fmt::format("a whole number from {} to {}", least, most));
    return *i;
  }
  ValueId value(const Graph &) {
    expect("%");
    auto it = values_.find(name());
    if (it == values_.end())
      fail("a value that stands above");
    return it->second;
  }
  ValueId metric(const Graph &g) {
    const ValueId v = value(g);
    if (!(op_of(g[v]).traits & kMetric))
      fail(fmt::format("a loss or a count of correct examples, not %{} = {}", g[v].name, g[v].op));
    return v;
  }
  Attribute attribute() {
    if (take("[")) {
      std::vector<int64_t> ints;
      std::vector<double> numbers;
      bool real = false;
      while (!take("]")) {
        Attribute a = number();
        if (const int64_t *i = std::get_if<int64_t>(&a)) {
          ints.push_back(*i);
          numbers.push_back(double(*i));
        } else {
          real = true;
          numbers.push_back(std::get<double>(a));
        }
        if (!take(",") && peek() != ']')
          fail("',' or ']'");
      }
      if (real)
        return numbers;
      return ints;
    }
    char c = peek();
    if (std::isdigit((unsigned char)c) || c == '-')
      return number();
    std::string w = name();
    if (w == "true" || w == "false")
      return w == "true";
    return w;
  }
  std::map<std::string, Attribute> attributes() {
    std::map<std::string, Attribute> a;
    if (!take("{"))
      return a;
    while (!take("}")) {
      std::string key = name();
      expect("=");
      a[key] = attribute();
      if (!take(",") && peek() != '}')
        fail("',' or '}'");
    }
    return a;
  }
  Type type() {
    Type t;
    std::string w = name();
    for (Kind k : {Kind::Parameter, Kind::Sum, Kind::LaneSum, Kind::Label})
      if (w + " " == kind_word(k)) {
        t.kind = k;
        w = name();
        break;
      }
    if (w != "f32")
      fail("'f32'");
    expect("[");
    while (!take("]")) {
      t.dims.push_back(integer(1, kMostDimension));
      if (!take(",") && peek() != ']')
        fail("',' or ']'");
    }
    check_size(t.dims);
    return t;
  }
  // So that no operation's rule or pass overflows.
  void check_size(const std::vector<int64_t> &dims) {
    int64_t size = 1;
    for (int64_t d : dims)
      if (__builtin_mul_overflow(size, d, &size) || size > kMostElements)
        fail(fmt::format("at most {} elements", kMostElements));
  }
  // The lists that the operations' rules count on.
  void check_lists(const Node &n) {
    struct Rule {
      const char *name;
      size_t count; // 0: any
      int64_t least;
    };
    for (const Rule &rule : {Rule{"kernel", 2, 1}, Rule{"stride", 2, 1}, Rule{"image", 2, 1}, Rule{"padding", 4, 0}, Rule{"dims", 0, 1}}) {
      const auto it = n.attributes.find(rule.name);
      if (it == n.attributes.end())
        continue;
      const auto *list = std::get_if<std::vector<int64_t>>(&it->second);
      bool good = list && (!rule.count || list->size() == rule.count);
      for (size_t i = 0; good && i < list->size(); i++)
        good = (*list)[i] >= rule.least && (*list)[i] <= kMostDimension;
      if (!good)
        fail(fmt::format("'{}' of {}whole numbers from {} to {}", rule.name, rule.count ? std::to_string(rule.count) + " " : "",
                         rule.least, kMostDimension));
      if (rule.least)
        check_size(*list);
    }
  }
  // Errors of the rule itself are reported by `verify`, as after every pass.
  void check_ranks(const Graph &g, const Op &op, const Node &n) {
    try {
      op.infer(g, n);
    } catch (const GraphError &) {
    } catch (const std::out_of_range &) {
      fail(fmt::format("inputs of more dimensions for '{}'", n.op));
    }
  }
  void node(Graph &g, int group) {
    Node n;
    expect("%");
    n.name = name();
    expect("=");
    n.op = name();
    if (take("("))
      while (!take(")")) {
        n.inputs.push_back(value(g));
        if (!take(",") && peek() != ')')
          fail("',' or ')'");
      }
    n.attributes = attributes();
    expect(":");
    n.type = type();
    n.group = group;
    const Op *op = registry().op(n.op);
    if (!op)
      throw GraphError{fmt::format("line {}: unknown operation '{}'", line_, n.op)};
    if (int(n.inputs.size()) < op->arity_min || int(n.inputs.size()) > op->arity_max)
      fail(fmt::format("{} to {} inputs of '{}'", op->arity_min, op->arity_max, n.op));
    check_lists(n);
    check_ranks(g, *op, n);
    if (!values_.emplace(n.name, ValueId(g.nodes.size())).second)
      fail(fmt::format("a name other than %{}, which stands above", n.name));
    g.nodes.push_back(std::move(n));
  }
};
} // namespace

Graph read_graph(const std::string &text) {
  Graph g = Reader(text).read();
  verify(g, "read");
  return g;
}

} // namespace cnnc
