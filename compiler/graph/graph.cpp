// Values, nodes and types.
#include "graph/graph.h"

#include <fmt/format.h>
#include <limits>

#include "layers/op.h"

namespace cnnc {

int64_t Type::size() const {
  int64_t n = 1;
  for (int64_t d : dims)
    n *= d;
  return n;
}

namespace {
template <class T>
const T &get(const Node &n, const std::string &key) {
  auto it = n.attributes.find(key);
  if (it == n.attributes.end() || !std::holds_alternative<T>(it->second))
    throw GraphError{fmt::format("{} lacks the attribute '{}'", n.op, key)};
  return std::get<T>(it->second);
}
} // namespace

int64_t Node::integer(const std::string &key) const { return get<int64_t>(*this, key); }
double Node::number(const std::string &key) const {
  auto it = attributes.find(key);
  if (it != attributes.end() && std::holds_alternative<int64_t>(it->second))
    return double(std::get<int64_t>(it->second));
  return get<double>(*this, key);
}
bool Node::flag(const std::string &key) const { return get<bool>(*this, key); }
std::string Node::text(const std::string &key) const { return get<std::string>(*this, key); }
const std::vector<int64_t> &Node::list(const std::string &key) const { return get<std::vector<int64_t>>(*this, key); }

std::string Graph::fresh_name() const {
  int next = 0;
  for (const Node &n : nodes)
    if (!n.name.empty() && n.name.find_first_not_of("0123456789") == std::string::npos)
      next = std::max(next, std::stoi(n.name) + 1);
  return std::to_string(next);
}

ValueId Graph::add(const std::string &op, std::vector<ValueId> inputs, std::map<std::string, Attribute> attributes,
                   std::string name, Location location) {
  Node n;
  n.op = op;
  n.inputs = std::move(inputs);
  n.attributes = std::move(attributes);
  n.location = location;
  const Op &def = op_of(n);
  if (int(n.inputs.size()) < def.arity_min || int(n.inputs.size()) > def.arity_max)
    throw GraphError{fmt::format("{} takes {} to {} inputs, not {}", op, def.arity_min, def.arity_max, n.inputs.size())};
  n.type = def.infer(*this, n);
  n.name = name.empty() ? fresh_name() : std::move(name);
  nodes.push_back(std::move(n));
  return ValueId(nodes.size()) - 1;
}

std::vector<std::vector<ValueId>> Graph::users() const {
  std::vector<std::vector<ValueId>> u(nodes.size());
  for (ValueId v = 0; v < ValueId(nodes.size()); v++)
    for (ValueId i : nodes[v].inputs)
      if (u[i].empty() || u[i].back() != v)
        u[i].push_back(v);
  return u;
}

ValueId Graph::find(const std::string &op) const {
  for (ValueId v = 0; v < ValueId(nodes.size()); v++)
    if (nodes[v].op == op)
      return v;
  return kNoValue;
}

void verify(const Graph &g, const std::string &pass) {
  auto fail = [&](const std::string &what) { throw GraphError{fmt::format("after pass '{}': {}", pass, what)}; };
  std::map<std::string, int> names;
  for (ValueId v = 0; v < ValueId(g.nodes.size()); v++) {
    const Node &n = g.nodes[v];
    if (n.name.empty() || ++names[n.name] > 1)
      fail(fmt::format("value %{} is defined twice or has no name", n.name));
    for (ValueId i : n.inputs)
      if (i < 0 || i >= v)
        fail(fmt::format("%{} uses a value that does not stand above it", n.name));
    Type t;
    try {
      t = op_of(n).infer(g, n);
    } catch (const GraphError &e) {
      fail(fmt::format("%{}: {}", n.name, e.message));
    }
    if (!(t == n.type))
      fail(fmt::format("%{} has type {} where its operation gives {}", n.name, type_text(n.type), type_text(t)));
  }
  for (ValueId v : {g.output, g.loss, g.correct})
    if (v != kNoValue && (v < 0 || v >= ValueId(g.nodes.size())))
      fail("the output, loss or correct is no value of the graph");
}

void remove_dead(Graph &g) {
  std::vector<bool> live(g.nodes.size());
  for (ValueId v = ValueId(g.nodes.size()) - 1; v >= 0; v--) {
    const Node &n = g.nodes[v];
    unsigned t = op_of(n).traits;
    // Inputs and parameters are the model's interface and stay, used or not; so do sums and updates.
    if (v == g.output || v == g.loss || v == g.correct || (t & (kSource | kUpdate)))
      live[v] = true;
    if (live[v])
      for (ValueId i : n.inputs)
        live[i] = true;
  }
  std::vector<ValueId> to(g.nodes.size(), kNoValue);
  std::vector<Node> kept;
  for (ValueId v = 0; v < ValueId(g.nodes.size()); v++)
    if (live[v]) {
      to[v] = ValueId(kept.size());
      kept.push_back(std::move(g.nodes[v]));
      for (ValueId &i : kept.back().inputs)
        i = to[i];
    }
  g.nodes = std::move(kept);
  for (ValueId *v : {&g.output, &g.loss, &g.correct})
    if (*v != kNoValue)
      *v = to[*v];
}

} // namespace cnnc
