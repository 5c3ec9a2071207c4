// The graph: nodes in topological order, one value each. Every pass reads and writes it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "syntax/source.h"

namespace cnnc {

// How often a value exists: once an example, once a model, or summed over the examples of a chunk.
enum class Kind { Example,
                  Parameter,
                  Sum,
                  LaneSum,
                  Label };

struct Type {
  Kind kind = Kind::Example;
  std::vector<int64_t> dims; // channel first; a LaneSum keeps one sum a lane beside these
  int64_t size() const;
  bool operator==(const Type &o) const { return kind == o.kind && dims == o.dims; }
};

using Attribute = std::variant<int64_t, double, bool, std::string, std::vector<int64_t>, std::vector<double>>;
using ValueId = int;
constexpr ValueId kNoValue = -1;

struct Node {
  std::string op;
  std::vector<ValueId> inputs;
  std::map<std::string, Attribute> attributes;
  Type type;
  std::string name; // printed after '%'; unique
  Location location;
  int group = -1; // after fusion: the kernel it belongs to; views and sources keep -1

  int64_t integer(const std::string &key) const;
  double number(const std::string &key) const;
  bool flag(const std::string &key) const;
  std::string text(const std::string &key) const;
  const std::vector<int64_t> &list(const std::string &key) const;
  bool has(const std::string &key) const { return attributes.count(key) != 0; }
};

struct Graph {
  std::string name;
  int64_t batch = 1;
  std::vector<Node> nodes;
  ValueId output = kNoValue; // what predict returns and the loss is given
  ValueId loss = kNoValue;
  ValueId correct = kNoValue;
  std::string optimizer; // name; empty: none
  std::map<std::string, Attribute> optimizer_attributes;

  const Node &operator[](ValueId v) const { return nodes[v]; }
  Node &operator[](ValueId v) { return nodes[v]; }
  // Appends a node, infers its type, and names it (a number where `name` is empty).
  ValueId add(const std::string &op, std::vector<ValueId> inputs, std::map<std::string, Attribute> attributes = {},
              std::string name = "", Location location = {});
  std::vector<std::vector<ValueId>> users() const;
  std::string fresh_name() const;
  ValueId find(const std::string &op) const; // the first node of that op, or kNoValue
};

// "16x3x3"
std::string dims_text(const std::vector<int64_t> &dims, const char *separator = "x");
std::string type_text(const Type &type);          // f32[16, 3, 3]
std::string node_text(const Graph &g, ValueId v); // %5 = avg_pool(%4) {...} : f32[16, 3, 3]
std::string print(const Graph &g);
// Reads what `print` wrote; throws GraphError with the line and what was expected.
Graph read_graph(const std::string &text);

struct GraphError {
  std::string message;
};

// Structural check after every pass. Throws GraphError that names `pass`.
void verify(const Graph &g, const std::string &pass);
// Removes nodes that no output, sum or update needs, and renumbers.
void remove_dead(Graph &g);

} // namespace cnnc
