// Heap allocations of a lowered kernel become arguments, so that no kernel needs an allocator.
#include <Halide.h>
#include <algorithm>
#include <fmt/format.h>

#include "codegen/schedule.h"
#include "codegen/scratch.h"
#include "graph/graph.h"

namespace cnnc {
using namespace Halide::Internal;

namespace {
constexpr int64_t kAlignment = 64;

class Mover : public IRMutator {
public:
  std::vector<std::string> names;
  std::vector<int64_t> bytes;

private:
  using IRMutator::visit;

  Stmt visit(const Allocate *op) override {
    const int32_t constant = op->constant_allocation_size();
    const bool small = constant > 0 && int64_t(constant) * op->type.bytes() <= kLargestOnStack;
    if (op->memory_type != Halide::MemoryType::Heap && small)
      return IRMutator::visit(op);
    int64_t size = op->type.bytes();
    for (const Halide::Expr &e : op->extents) {
      const int64_t *extent = as_const_int(find_constant_bound(e, Direction::Upper));
      if (!extent)
        throw GraphError{fmt::format("kernel: the size of the intermediate {} is not a constant", op->name)};
      size *= *extent;
    }
    size = (size + kAlignment - 1) / kAlignment * kAlignment;
    // Loops that were cut apart allocate the same name several times, one after the other.
    auto known = std::find(names.begin(), names.end(), op->name);
    if (known == names.end()) {
      names.push_back(op->name);
      bytes.push_back(size);
    } else {
      int64_t &largest = bytes[size_t(known - names.begin())];
      largest = std::max(largest, size);
    }
    return mutate(op->body);
  }

  Stmt visit(const Free *op) override {
    if (std::find(names.begin(), names.end(), op->name) == names.end())
      return op;
    return Evaluate::make(0);
  }
};
} // namespace

Scratch move_to_scratch(LoweredFunc &function) {
  Mover mover;
  function.body = mover.mutate(function.body);
  Scratch scratch;
  for (size_t i = 0; i < mover.names.size(); i++) {
    function.args.emplace_back(mover.names[i], Halide::Argument::InputScalar, Halide::Handle(), 0, Halide::ArgumentEstimates{});
    scratch.offsets.push_back(scratch.bytes);
    scratch.bytes += mover.bytes[i];
  }
  return scratch;
}

} // namespace cnnc
