// Fetches what a lowered kernel will read, and the lines that it will store to.
#include <Halide.h>
#include <algorithm>
#include <map>

#include "codegen/fetch.h"

namespace cnnc {
using namespace Halide::Internal;

namespace {
constexpr const char *kAhead = "ahead", *kPixel = "pixel";
constexpr int kNumbers = 16;       // float32 of a line of the cache
constexpr int64_t kMostLines = 12; // as a core waits for at a time: more would hold up the sums

Stmt prefetch(const std::string &buffer, const Halide::Expr &at, const Halide::Type &vector) {
  return Evaluate::make(Call::make(vector.element_of(), Call::prefetch, {Variable::make(Halide::Handle(), buffer), at, 1, vector.lanes()}, Call::Intrinsic));
}

class Loads : public IRVisitor {
public:
  std::vector<const Load *> whole; // vectors that are dense in memory

private:
  using IRVisitor::visit;
  void visit(const Load *op) override {
    const Ramp *places = op->index.as<Ramp>();
    if (places && is_const_one(places->stride))
      whole.push_back(op);
    IRVisitor::visit(op);
  }
};

class Fetcher : public IRMutator {
public:
  explicit Fetcher(const Fetch &fetch) : fetch_(fetch) {}

private:
  using IRMutator::visit;
  const Fetch &fetch_;
  bool inside_ = false;

  Stmt visit(const ProducerConsumer *op) override {
    const bool enters = op->is_producer && op->name == fetch_.stage;
    inside_ = inside_ || enters;
    const Stmt s = IRMutator::visit(op);
    inside_ = inside_ && !enters;
    return s;
  }

  Stmt visit(const Store *op) override {
    if (!inside_)
      return op;
    const Halide::Expr value = substitute_in_all_lets(op->value);
    Loads loads;
    value.accept(&loads);
    Stmt lines;
    Halide::Expr first;
    int64_t furthest = 0; // from the first
    for (const Load *load : loads.whole) {
      const Halide::Expr at = simplify(load->index.as<Ramp>()->base + int(fetch_.ahead));
      first = first.defined() ? first : at;
      const Halide::Expr distance = simplify(at - first);
      const int64_t *places = as_const_int(distance);
      if (!places)
        continue;
      furthest = std::max(furthest, *places);
      const Stmt line = prefetch(load->name, at, load->type);
      lines = lines.defined() ? Block::make(lines, line) : line;
    }
    if (!lines.defined())
      return op;
    return Block::make(IfThenElse::make(simplify(first < int(fetch_.elements - furthest)), lines), op);
  }
};

// Where an input is read in a loop's first inner rounds, by what is known outside of the loop.
class FirstPlaces : public IRVisitor {
public:
  explicit FirstPlaces(const std::string &input) : input_(input) {}
  std::vector<Halide::Expr> places;
  Halide::Type type;

private:
  using IRVisitor::visit;
  const std::string &input_;
  std::map<std::string, Halide::Expr> inside_; // values of names

  void visit(const For *op) override {
    inside_[op->name] = substitute(inside_, op->min);
    op->body.accept(this);
  }
  void visit(const LetStmt *op) override {
    inside_[op->name] = substitute(inside_, op->value);
    op->body.accept(this);
  }
  void visit(const Load *op) override {
    if (op->name != input_ || !op->type.is_scalar())
      return;
    places.push_back(substitute(inside_, op->index));
    type = op->type;
  }
};

class RoundFetcher : public IRMutator {
public:
  explicit RoundFetcher(const FetchRounds &fetch) : fetch_(fetch) {}

private:
  using IRMutator::visit;
  const FetchRounds &fetch_;

  Stmt visit(const For *op) override {
    if (op->name != fetch_.loop)
      return IRMutator::visit(op);
    FirstPlaces reads(fetch_.input);
    op->body.accept(&reads);
    if (reads.places.empty())
      return op;
    Halide::Expr first = reads.places.front();
    for (const Halide::Expr &place : reads.places)
      if (const Halide::Expr distance = simplify(place - first); is_negative_const(distance))
        first = place;
    Stmt all = op->body;
    const int64_t line = kNumbers * 4 / reads.type.bytes();
    for (int64_t i = (fetch_.elements - 1) / line; i >= 0; i--)
      all = Block::make(prefetch(fetch_.input, simplify(first + int(fetch_.ahead + i * line)), reads.type), all);
    return For::make(op->name, op->min, op->extent, op->for_type, op->device_api, all);
  }
};

// Where whole vectors are stored that stand in no loop of their own, by what is known outside.
class Stores : public IRVisitor {
public:
  struct Place {
    const Store *store;
    Halide::Expr at;
  };
  std::vector<Place> whole;

private:
  using IRVisitor::visit;
  std::map<std::string, Halide::Expr> inside_; // values of names
  void visit(const For *) override {}
  void visit(const LetStmt *op) override {
    inside_[op->name] = substitute(inside_, op->value);
    op->body.accept(this);
  }
  void visit(const Store *op) override {
    const Ramp *places = op->index.as<Ramp>();
    if (places && is_const_one(places->stride))
      whole.push_back({op, substitute(inside_, places->base)});
  }
};

class ResultFetcher : public IRMutator {
public:
  explicit ResultFetcher(const std::string &stage) : stage_(stage) {}

private:
  using IRMutator::visit;
  const std::string &stage_;

  Stmt visit(const Block *op) override {
    const auto *producer = op->first.as<ProducerConsumer>();
    if (!producer || !producer->is_producer || producer->name != stage_)
      return IRMutator::visit(op);
    Stores stores;
    op->rest.accept(&stores);
    Stmt all = op;
    for (const Stores::Place &place : stores.whole)
      all = Block::make(prefetch(place.store->name, place.at, place.store->value.type()), all);
    return all;
  }
};

// The loops around what makes a stage.
class LoopsAround : public IRVisitor {
public:
  struct Range {
    int64_t min = INT64_MAX, max = INT64_MIN;
  };
  explicit LoopsAround(const std::string &stage) : stage_(stage) {}
  std::vector<std::string> names;      // from the outermost; the most of them where the stage is made in several places
  std::map<std::string, Range> ranges; // those of a loop's parts together, where they are constant

private:
  using IRVisitor::visit;
  const std::string &stage_;
  std::vector<std::string> here_;

  void visit(const For *op) override {
    if (const int64_t *min = as_const_int(op->min), *extent = as_const_int(op->extent); min && extent) {
      Range &range = ranges[op->name];
      range = {std::min(range.min, *min), std::max(range.max, *min + *extent)};
    }
    here_.push_back(op->name);
    IRVisitor::visit(op);
    here_.pop_back();
  }
  void visit(const ProducerConsumer *op) override {
    IRVisitor::visit(op);
    if (op->is_producer && op->name == stage_ && here_.size() > names.size())
      names = here_;
  }
};

class ImageFetcher : public IRMutator {
public:
  ImageFetcher(const std::string &stage, const std::vector<std::string> &loops, std::vector<Halide::Expr> lines)
      : stage_(stage), loops_(loops), lines_(std::move(lines)) {}

private:
  using IRMutator::visit;
  const std::string &stage_;
  const std::vector<std::string> &loops_;
  const std::vector<Halide::Expr> lines_;
  std::vector<std::string> here_;

  Stmt visit(const For *op) override {
    here_.push_back(op->name);
    const Stmt s = IRMutator::visit(op);
    here_.pop_back();
    return s;
  }
  Stmt visit(const ProducerConsumer *op) override {
    if (!op->is_producer || op->name != stage_ || here_ != loops_)
      return IRMutator::visit(op);
    Stmt all = op;
    for (const Halide::Expr &line : lines_)
      all = Block::make(prefetch(kAhead, line, Halide::UInt(8)), all);
    return all;
  }
};
} // namespace

void fetch_images(LoweredFunc &function, const std::string &stage, int64_t numbers) {
  function.args.emplace_back(kAhead, Halide::Argument::InputScalar, Halide::Handle(), 0, Halide::ArgumentEstimates{});
  function.args.emplace_back(kPixel, Halide::Argument::InputScalar, Halide::Int(32), 0, Halide::ArgumentEstimates{});
  LoopsAround loops(stage);
  function.body.accept(&loops);
  const int64_t lines = (numbers + kNumbers - 1) / kNumbers;
  Halide::Expr step = 0; // the number of the time that the stage is made
  int64_t steps = 1;
  for (const std::string &name : loops.names) {
    const auto range = loops.ranges.find(name);
    if (range == loops.ranges.end())
      return;
    const int64_t min = range->second.min, extent = range->second.max - min;
    step = step * int(extent) + (Variable::make(Halide::Int(32), name) - int(min));
    steps *= extent;
    if (steps * lines > INT32_MAX)
      return;
  }
  if (loops.names.empty())
    return;
  std::vector<Halide::Expr> places;
  for (int64_t i = 0; i < std::min((lines + steps - 1) / steps, kMostLines); i++)
    places.push_back(simplify((step * int(lines) / int(steps) + int(i)) * kNumbers) * Variable::make(Halide::Int(32), kPixel));
  function.body = ImageFetcher(stage, loops.names, places).mutate(function.body);
}

void fetch_results(LoweredFunc &function, const std::string &stage) { function.body = ResultFetcher(stage).mutate(function.body); }

void fetch_rounds(LoweredFunc &function, const FetchRounds &fetch) { function.body = RoundFetcher(fetch).mutate(function.body); }

void fetch_ahead(LoweredFunc &function, const Fetch &fetch) { function.body = Fetcher(fetch).mutate(function.body); }

} // namespace cnnc
