// Groups of the graph become kernels, each compiled once however often it is called; routines are lists of calls.
// Include <Halide.h> first.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "codegen/kernel.h"
#include "codegen/scratch.h"
#include "codegen/target.h"
#include "passes/plan_memory.h"

namespace cnnc {

struct KernelCall {
  std::string kernel;
  std::vector<Place> places;        // inputs, then outputs
  std::vector<int64_t> block_bytes; // a place: how far it moves from one block to the next; 0: not at all
  std::string what;                 // for reports
  int64_t macs = 0, bytes = 0;      // an example's multiply-adds by the direct method; read and written by a call
  int chunks = 1;                   // that it takes at a time
  std::string result = "";          // the name of the value that it makes in its graph; empty: none
};

struct Routine {
  std::string name; // "train": the hooks call it cnnc_train
  std::vector<KernelCall> calls;
};

struct Kernel {
  std::string name;
  std::string text; // the nodes that it computes, with canonical names: equal texts are one kernel
  std::string key;  // of its decisions; empty where there is nothing to decide
  Halide::Pipeline pipeline;
  std::vector<Halide::Argument> arguments;
  bool in_place = false;                  // several outputs that are inputs as well
  Scratch scratch = {};                   // known after lowering
  bool wide_steps = false;                // vectors of every third element or further apart: Halide takes parts of them to be aligned
  bool streams = false;                   // what it writes is not read again before it has left the caches
  FetchRounds fetch_rounds = {};          // for one of its loops
  std::vector<FetchNext> fetch_next = {}; // for stages that copy what is far
  std::string fetches_results = {};       // the stage before whose sums the lines that they go to are fetched
  std::string fetches_images = {};        // the stage before whose sums a part of the next chunk's images is fetched; empty: none is
  int64_t image_numbers = 0;              // of these images together
  bool aligned_output = true;             // to 64 bytes; what is read of it again is not more aligned than that
};

class KernelSet {
public:
  // scheduled: false leaves the pipelines as they are defined.
  KernelSet(const MachineTarget &target, Halide::Type real, std::string prefix, Decisions &decisions, bool scheduled = true)
      : target_(target), real_(real), lanes_(target.vector_bytes / real.bytes()), prefix_(std::move(prefix)), decisions_(decisions),
        scheduled_(scheduled) {}
  const std::vector<Kernel> &kernels() const { return kernels_; }
  std::vector<Kernel> &kernels() { return kernels_; }
  int lanes() const { return lanes_; }
  const std::string &key(const std::string &kernel) const; // of its decisions
  const MachineTarget &target() const { return target_; }
  const std::string &prefix() const { return prefix_; }

  KernelCall group(const Graph &g, const GraphPlan &plan, const std::vector<ValueId> &nodes);
  // [lanes][elements] of the user's numbers to [elements][lanes], as the input `n` is stored
  std::vector<KernelCall> pack(Halide::Type from, Region region, Place to, const Node &n);
  // One image of the user's numbers as it is, in reals.
  KernelCall convert(Halide::Type from, int64_t elements);
  KernelCall unpack(Place from, int64_t elements);
  // A block of the flat vector: the partial sums in order to the gradients, or through the optimizer.
  KernelCall reduce(const Plan &plan);
  KernelCall update(const Plan &plan, const std::string &optimizer, const std::map<std::string, Attribute> &attributes);

private:
  const MachineTarget &target_;
  Halide::Type real_;
  int lanes_;
  std::string prefix_;
  Decisions &decisions_;
  bool scheduled_;
  std::vector<Kernel> kernels_;
  std::map<std::string, size_t> by_text_;
  // The kernel of this text; null if it has to be made.
  const Kernel *find(const std::string &text) const;
  KernelCall zero_border(Place to, const Node &n);
  Kernel &add(const std::string &what, const std::string &text, Halide::Pipeline pipeline, std::vector<Halide::Argument> arguments);
};

// schedule.cpp: `out` is the kernel's output, whose definition ends in what the context describes.
void schedule(KernelContext &context, Halide::Func out, const Type &type, const std::vector<const Node *> &nodes,
              const MachineTarget &target);

} // namespace cnnc
