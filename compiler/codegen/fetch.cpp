// Fetches what a lowered kernel will read, and the lines that it will store to.
#include <Halide.h>
#include <algorithm>
#include <map>

#include "codegen/fetch.h"

namespace cnnc {
using namespace Halide::Internal;

namespace {
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
} // namespace

void fetch_results(LoweredFunc &function, const std::string &stage) { function.body = ResultFetcher(stage).mutate(function.body); }

void fetch_ahead(LoweredFunc &function, const Fetch &fetch) { function.body = Fetcher(fetch).mutate(function.body); }

} // namespace cnnc
