// What a layer of the language sees of its statement while the graph is built from the syntax tree.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "layers/op.h"

namespace cnnc {

// What a layer, loss or optimizer sees of its statement. A getter reports a wrong argument itself and returns
// the default, so that one run reports every error.
class LayerBuilder {
public:
  virtual ~LayerBuilder() = default;
  virtual Graph &graph() = 0;
  virtual ValueId input(int i) = 0; // the i-th named input, or the value above
  virtual const std::vector<int64_t> &input_dims(int i) = 0;
  virtual bool has(const std::string &argument) = 0;
  virtual int64_t integer(const std::string &argument, int64_t fallback, int64_t min, int64_t max) = 0;
  virtual double number(const std::string &argument, double fallback) = 0;
  virtual bool boolean(const std::string &argument, bool fallback) = 0;
  virtual std::string name(const std::string &argument, const std::string &fallback) = 0;
  // (height, width); a single number stands for both
  virtual std::vector<int64_t> pair(const std::string &argument, std::vector<int64_t> fallback, int64_t min) = 0;
  // (top, bottom, left, right) from one number, a pair, four numbers, or `same` for this kernel
  virtual std::vector<int64_t> padding(const std::string &argument, const std::vector<int64_t> &kernel) = 0;
  // A parameter of the layer being built, named after it: initialised by `init`, with values where the
  // argument of the same name gives them (leading dimensions of one may be left out). bias: starts at zero.
  virtual ValueId parameter(const std::string &suffix, const std::vector<int64_t> &dims, int64_t fan_in,
                            int64_t fan_out, bool bias) = 0;
  // Adds a node; the last node that a layer adds carries the user's name, if there is one.
  virtual ValueId add(const std::string &op, std::vector<ValueId> inputs,
                      std::map<std::string, Attribute> attributes = {}) = 0;
  // Reports an error at the layer, with a note that shows input 0. The layer then returns kNoValue.
  virtual ValueId error(const std::string &message) = 0;
};

} // namespace cnnc
