// What an operation's `define` sees while one kernel is built. Include <Halide.h> first.
// A value of an example has the arguments (lane, last dimension, ..., first); a parameter the same without lane.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "codegen/fetch.h"
#include "decisions.h"
#include "graph/graph.h"

namespace cnnc {

struct MachineTarget;

class KernelContext {
public:
  const Graph &graph;
  Halide::Type real;
  int lanes;
  const MachineTarget &machine;
  int vector = 1;      // elements of a register
  int kept = 0;        // chunks at a time, of which `valid` count: inputs have the chunk as their last argument. 0: one, without it
  bool single = false; // one image: one lane, and vectors along a dimension that the layout chooses
  // Runtime scalars of every kernel: examples in this chunk, factor of the loss's gradient, number of the update.
  // With several chunks: their number, and whether the output holds nothing yet.
  Halide::Param<int32_t> valid{"valid"}, step{"step"}, fresh{"fresh"};
  Halide::Expr scale;

  // How the kernel is to be scheduled: set by the operation that does the work.
  enum class Form { Elementwise,
                    Contraction,
                    Rows,
                    ChannelSums,
                    PerLane,
                    TurnedWeight,
                    Packed,
                    PackedTiles,
                    Products,
                    Outer,
                    Dots,
                    LaneSum,
                    Copy,
                    Tiles,
                    FastForward,
                    FastData,
                    FastWeight,
                    Winograd,
                    WinogradWeight,
                    WinogradPoints };
  Form form = Form::Elementwise;
  Halide::Func reduce;                        // the reduction of Contraction, Rows, ChannelSums, PerLane, Products, Outer, Dots, LaneSum, FastWeight
  Halide::Func staged;                        // ChannelSums: an input with its lanes behind its channels; Packed, PackedTiles, Products, Outer, Dots, LaneSum: turned; FastForward, FastData: all points, of a row or of all rows; FastWeight: of all channels
  Halide::Func rows;                          // FastForward, FastData: whole rows of the result; FastWeight: of the kernel; Rows: rows of the image with their border; ChannelSums: the other factor, copied, where dy stands in the vector or x by panels; Products: before they are turned; Dots: all sums
  std::vector<int> tile;                      // FastForward, FastData: tiles whose rows' sums stand in registers together, or 0; FastWeight, Dots: the register tile, by which its stages are indexed; Contraction: units of which its weights hold tiles
  int keep = 1;                               // Rows: how many of them are needed at a time; Contraction of one image: columns whose sums stand in registers together, at least
  Halide::Func by_row;                        // Rows, Elementwise: an image of the group whose rows the output takes one after the other
  Halide::Func scaled;                        // Rows: the weights times the factor of their sums
  std::map<ValueId, float> factors;           // of values that stand multiplied, as their only reader wants them
  bool as_stored = false;                     // Rows: they are those of the input
  int phases = 1;                             // Rows: columns that are equal modulo this are computed together
  std::vector<Halide::Func> lane_sums;        // FastWeight, Dots: as sums_over_lanes gives them
  std::map<std::string, Halide::Func> stages; // by name, of the Winograd forms
  Halide::RDom domain, outer_domain;
  bool panels = false;               // ChannelSums: some of the vector's channels at a time pass by all of the others
  Halide::RDom blocks;               // ChannelSums: of columns and of rows; PerLane, of a convolution: of rows
  Halide::Expr added;                // ChannelSums, PerLane: what is added to the output for each block; Packed: an element of it, ...
  std::vector<Halide::Expr> place;   // ... and its place
  bool accumulates = false;          // adds to what the output holds
  FetchRounds fetch_rounds;          // for one of the loops
  std::vector<FetchNext> fetch_next; // for stages that copy what is far
  std::string fetches_results;       // the stage before whose sums the lines that they go to are fetched
  std::vector<Halide::Func> roots;   // small stages computed before the rest
  Halide::Func copied;               // Copy: the whole source, ...
  std::vector<int64_t> copied_extents;
  std::vector<int> copied_to; // ... and where in the result it begins, by dimension
  bool bordered = false;      // Copy: zeros stand around it
  bool copied_parts = false;  // Copy: the domain's first dimension is that of a vector, the others are in the order of the result
  bool copied_lines = false;  // Copy: source and result have the same innermost dimension, ...
  int64_t copied_length = 1;  // ... of which so many elements are copied
  // The dimensions of the stored value of which this input is a view in another shape; none: the input is stored so.
  std::map<ValueId, std::vector<int64_t>> seen_through;

  KernelContext(const Graph &g, Halide::Type t, int l, const MachineTarget &m, Decisions &d, std::string k)
      : graph(g), real(t), lanes(l), machine(m), decisions_(d), key_(std::move(k)) {}
  // The index of the candidate to take for what the schedule calls `what`.
  size_t choose(const std::string &what, std::vector<Candidate> candidates) { return decisions_.take(key_ + "." + what, std::move(candidates)); }
  Halide::Func in(const Node &n, int i) const { return values.at(n.inputs[i]); }
  const Type &type(const Node &n, int i) const { return graph[n.inputs[i]].type; }
  std::vector<Halide::Var> vars(const Type &t) const; // with lane first where the type has one
  void result(const Node &n, Halide::Func f) { values[ValueId(&n - graph.nodes.data())] = f; }
  Halide::Expr constant(double v) const { return Halide::Internal::make_const(real, v); }

  std::map<ValueId, Halide::Func> values;
  std::map<ValueId, Halide::Internal::Parameter> stored; // of the values that the kernel reads as they are stored

private:
  Decisions &decisions_;
  std::string key_; // of the kernel: the same in every net that has it
};

// The values `at(lane, i)` of i < count, with i in the vector: turned(inside, lane, vector, ...) of i = vector * lanes + inside.
// The last vector is whole, its rest of no meaning.
Halide::Func turned(const KernelContext &k, int count, const std::vector<Halide::Var> &others,
                    const std::function<Halide::Expr(Halide::Expr lane, Halide::Expr i)> &at);

// Sums over the lanes, a vector of them at a time: of a pair of vectors both halves are added at once, then of a pair of
// the results, until all lanes have been added. The last of `stages`, s(inside, 0, vector, ...), is the sum over the lanes of
// at(lane, i), i = vector * lanes + inside < count. Each sum stands behind its interleaved pairs.
std::vector<Halide::Func> sums_over_lanes(const KernelContext &k, int count, const std::vector<Halide::Var> &others,
                                          const std::function<Halide::Expr(Halide::Expr lane, Halide::Expr i)> &at);

// One element of the optimizer's step.
struct UpdateContext {
  Halide::Type real;
  const std::map<std::string, Attribute> &attributes;
  Halide::Expr step;                // int32, from 1
  Halide::Expr gradient, parameter; // old values; `define` replaces `parameter` and `state` by the new ones
  std::vector<Halide::Expr> state;
  std::vector<Halide::Func> roots; // scalars that are computed once a block
  double number(const char *key) const { return std::get<double>(attributes.at(key)); }
  Halide::Expr constant(const char *key) const { return Halide::Internal::make_const(real, number(key)); }
};

inline bool has_lane(const Type &t) { return t.kind == Kind::Example || t.kind == Kind::LaneSum || t.kind == Kind::Label; }

// NaN in, NaN out; float32 within 2 units in the last place where the result is normal, double by libm.
Halide::Expr safe_exp(Halide::Expr x);
Halide::Expr safe_tanh(Halide::Expr x);
// The same, but to 1.3e-7 absolute and 4e-6 relative in float32 (of |x| > 87 as of 87). In a sum or mean of two, of
// x < -42.8 as of -42.8, which is 2.6e-19; of four, to 2.2e-7 in the mean, and of x < -20.3 as of -20.3, which is 1.6e-9.
Halide::Expr safe_sigmoid(Halide::Expr x);
// The same of t = kSigmoidFactor * x (codegen/sigmoid.h), in float32.
Halide::Expr sigmoid_of_scaled(Halide::Expr t);
Halide::Expr not_a_number(Halide::Expr x);

} // namespace cnnc
