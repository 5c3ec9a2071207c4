// What there is to know of an operation and of a layer of the language. Each file of layers/, losses/ and
// optimizers/ declares its own; passes ask for traits, never for names.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace cnnc {

class KernelContext;  // codegen/kernel.h: what `define` fills
class Backward;       // passes/differentiate.h
class LayerBuilder;   // layers/builder.h
struct MachineTarget; // codegen/target.h
struct UpdateContext; // codegen/kernel.h: what an optimizer's `define` fills
using Attributes = std::map<std::string, Attribute>;

enum Trait : unsigned {
  kSource = 1,       // input, parameter, label: has no kernel
  kElementwise = 2,  // output element i needs element i of the inputs only
  kWindow = 4,       // a small fixed window of its first input: may follow a contraction in one kernel
  kView = 8,         // the same memory under another shape
  kContraction = 16, // a reduction with a register tile of its own
  kUpdate = 32,      // the optimizer's step on one parameter
  kAlone = 64,       // a kernel by itself
  kFinish = 128,     // once a partial sum, after its last chunk
  kMetric = 256,     // adds to the loss or to the count of correct examples
  kPrepare = 1024,   // made of parameters alone: once after each change of them
  kGather = 512,     // reads its input at computed places: may be inlined into an elementwise consumer
  kShapeless = 2048, // each element of the result is made of those at its place: their shape does not matter
  kSpread = 4096,    // an example's value of which all indices of the first dimension are written together
  kRowByRow = 16384, // takes the rows of an image one after the other: may follow a window in one kernel
  kKeeps = 8192      // a sum over examples that can take several chunks at once, and reads and writes its result once for all
};

struct Op {
  std::string name;
  unsigned traits = 0;
  int arity_min = 1, arity_max = 1;
  // The result's type. `node.inputs` and `node.attributes` are set. Throws GraphError.
  std::function<Type(const Graph &, const Node &)> infer;
  // The forward definition as a Halide function.
  std::function<void(KernelContext &, const Node &)> define;
  // Adds the gradients of the inputs to the graph.
  std::function<void(Backward &, const Node &)> differentiate;
  int padded_input = -1;                                      // which input `padding` surrounds: choose_layout stores its border; -1: none
  bool zero_padding = false;                                  // `padding` surrounds its first input by zeros
  float input_factor = 1;                                     // a function of one float32 times this: who makes the value may multiply it already
  std::function<bool(const MachineTarget &)> many_operations; // an elementwise function of so many that it is better not unrolled
  bool row_by_row = false;                                    // a contraction that can make them so
  bool no_window = false;                                     // a contraction whose tile cannot end in a window
  std::function<bool(const Node &)> pointwise;                // a contraction that is one at each place of an image for itself
  std::string channel_sums;                                   // of a sum a lane: the operation that makes the same with channels in the vector
  bool turns_weight = false;                                  // reads its second input along the first dimension; with "turned" that stands innermost
  // A contraction whose result and these inputs have the same first dimension, of channels or units: for one image they
  // may stand innermost. The other inputs are read an element at a time then.
  std::vector<int> unit_inputs;
  // Multiply-adds an example, by the direct method.
  std::function<int64_t(const Graph &, const Node &)> macs;
};

// How an argument of a layer is written.
struct Argument {
  enum Form { Integer,
              Number,
              Boolean,
              Pair,
              Padding,
              Values,
              Name };
  std::string name;
  Form form = Integer;
  bool required = false;
  bool positional = false;
};

// A statement of the language.
struct Layer {
  std::string name;
  std::vector<Argument> arguments;
  int inputs = 1; // named inputs it takes; the value above stands for a missing single one
  std::function<ValueId(LayerBuilder &)> build;
  // Models, each whole, that the gradient check runs: shapes, strides and paddings, odd ones included.
  std::vector<std::string> samples;
};

struct Loss {
  std::string name;
  std::vector<Argument> arguments;
  bool labels = true; // class labels, or else a target image
  std::function<void(LayerBuilder &)> build;
  std::vector<std::string> samples;
};

struct Optimizer {
  std::string name;
  std::vector<Argument> arguments;
  std::string update_op;
  std::function<int(const Attributes &)> slots; // values of state a parameter
  // The step on one element, as expressions of the old values.
  std::function<void(UpdateContext &)> define;
  std::map<std::string, double> defaults;
  std::vector<std::string> samples;
};

struct Registry {
  std::vector<Op> ops;
  std::vector<Layer> layers;
  std::vector<Loss> losses;
  std::vector<Optimizer> optimizers;
  const Op *op(const std::string &name) const;
  const Layer *layer(const std::string &name) const;
  const Loss *loss(const std::string &name) const;
  const Optimizer *optimizer(const std::string &name) const;
};

const Registry &registry();
const Op &op_of(const Node &node); // throws GraphError for an unknown one
inline bool has_trait(const Node &node, unsigned trait) { return (op_of(node).traits & trait) != 0; }

} // namespace cnnc
