// Fetches what a lowered kernel will read, and the lines that it will store to.
#include <Halide.h>
#include <algorithm>
#include <map>
#include <set>

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

// The loops around what makes a stage, and those of the stage.
class LoopsAround : public IRVisitor {
public:
  struct Range {
    int64_t min = INT64_MAX, max = INT64_MIN;
    int64_t extent() const { return max - min; }
  };
  explicit LoopsAround(const std::string &stage) : stage_(stage) {}
  std::vector<std::string> names;      // from the outermost; the most of them where the stage is made in several places
  std::vector<std::string> inside;     // of the stage, from the outermost to one of the innermost
  std::map<std::string, Range> ranges; // those of a loop's parts together, where they are constant

private:
  using IRVisitor::visit;
  const std::string &stage_;
  std::vector<std::string> here_;
  bool producer_ = false;

  void visit(const For *op) override {
    if (const int64_t *min = as_const_int(op->min), *extent = as_const_int(op->extent); min && extent) {
      Range &range = ranges[op->name];
      range = {std::min(range.min, *min), std::max(range.max, *min + *extent)};
    }
    here_.push_back(op->name);
    if (producer_ && here_.size() > names.size() + inside.size())
      inside.assign(here_.begin() + std::ptrdiff_t(names.size()), here_.end());
    IRVisitor::visit(op);
    here_.pop_back();
  }
  void visit(const ProducerConsumer *op) override {
    const bool enters = op->is_producer && op->name == stage_ && here_.size() > names.size();
    if (enters)
      names = here_, inside.clear(), producer_ = true;
    IRVisitor::visit(op);
    producer_ = producer_ && !enters;
  }
};

// What a stage loads of one buffer as whole vectors for its stores in the same loops: those around the stage, and its own.
struct StageRead {
  struct Loop {
    std::string name;
    Halide::Expr min;
    int64_t extent; // at most
  };
  std::string input;
  Halide::Type type;
  Halide::Expr place;          // in elements, of one of the vectors, ...
  std::set<int64_t> distances; // ... and those of all from there
  std::vector<Loop> loops;
  std::vector<std::string> around; // the stage
};

class StageReads : public IRVisitor {
public:
  explicit StageReads(const std::string &stage) : stage_(stage) {}
  std::vector<StageRead> reads; // where the extents of the stage's loops are bounded

private:
  using IRVisitor::visit;
  const std::string &stage_;
  std::map<std::string, Halide::Expr> values_; // of names
  std::vector<StageRead::Loop> loops_;
  std::vector<std::string> around_;
  Scope<Interval> ranges_; // of all loops here
  bool inside_ = false;

  void visit(const LetStmt *op) override {
    values_[op->name] = substitute(values_, op->value);
    op->body.accept(this);
  }
  void visit(const For *op) override {
    const Halide::Expr min = substitute(values_, op->min);
    const Halide::Expr extent = find_constant_bound(substitute(values_, op->extent), Direction::Upper, ranges_);
    const int64_t *most = extent.defined() ? as_const_int(extent) : nullptr;
    const ScopedBinding<Interval> range(ranges_, op->name, most ? Interval(min, simplify(min + extent - 1)) : Interval::everything());
    if (!inside_) {
      around_.push_back(op->name);
      op->body.accept(this);
      around_.pop_back();
    } else if (most) {
      loops_.push_back({op->name, min, *most});
      op->body.accept(this);
      loops_.pop_back();
    }
  }
  void visit(const ProducerConsumer *op) override {
    const bool enters = op->is_producer && op->name == stage_;
    inside_ = inside_ || enters;
    op->body.accept(this);
    inside_ = inside_ && !enters;
  }
  void visit(const Store *op) override {
    if (!inside_)
      return;
    const Halide::Expr value = substitute_in_all_lets(op->value);
    Loads loads;
    value.accept(&loads);
    if (loads.whole.empty())
      return;
    for (const Load *load : loads.whole) {
      const Halide::Expr place = substitute(values_, load->index.as<Ramp>()->base);
      auto same = [&](const StageRead &r) {
        return r.input == load->name && r.type == load->type && r.around == around_ &&
               std::equal(r.loops.begin(), r.loops.end(), loops_.begin(), loops_.end(),
                          [](const StageRead::Loop &a, const StageRead::Loop &b) { return a.name == b.name && a.extent == b.extent; });
      };
      auto read = std::find_if(reads.begin(), reads.end(), same);
      if (read == reads.end())
        read = reads.insert(reads.end(), {load->name, load->type, place, {}, loops_, around_});
      if (const Halide::Expr distance = simplify(place - read->place); as_const_int(distance))
        read->distances.insert(*as_const_int(distance));
    }
  }
};

Halide::Expr variable(const std::string &name) { return Variable::make(Halide::Int(32), name); }

// Pieces of neighbouring lines, as many as fit a fetch, numbered by digits of which the first counts fastest.
struct Pieces {
  struct Digit {
    int64_t extent, stride; // elements
  };
  std::string input;
  Halide::Type type;  // of an element
  Halide::Expr first; // element of the first piece
  int64_t lines = 0, numbers_in_line = 0, count = 0;
  std::vector<Digit> digits;

  Halide::Expr place(Halide::Expr piece, Halide::Expr from) const {
    for (size_t i = 0; i < digits.size(); i++) {
      const bool last = i + 1 == digits.size();
      from = from + (last ? piece : piece % int(digits[i].extent)) * int(digits[i].stride);
      piece = piece / int(digits[i].extent);
    }
    return from;
  }
};

// Those of parts of the stage's innermost loop, of the vectors that one of its rounds loads, and of the stage's other loops; no lines where
// neighbours in the innermost loop are none in memory, or other distances are not constant.
Pieces pieces_of(const StageRead &read) {
  Pieces p;
  p.input = read.input, p.type = read.type.element_of();
  const std::vector<int64_t> distances(read.distances.begin(), read.distances.end());
  Halide::Expr place = read.place + int(distances.front());
  auto stride = [&](const std::string &loop) {
    const Halide::Expr distance = simplify(substitute(loop, variable(loop) + 1, place) - place);
    const int64_t *known = as_const_int(distance);
    return known ? *known : 0;
  };
  const StageRead::Loop &inner = read.loops.back();
  const int64_t vector = read.type.lanes(), count = int64_t(distances.size());
  if (stride(inner.name) != vector)
    return p;
  p.numbers_in_line = kNumbers * 4 / read.type.bytes();
  const int64_t lines = (inner.extent * vector + p.numbers_in_line - 1) / p.numbers_in_line + (vector % p.numbers_in_line ? 1 : 0);
  const int64_t parts = (lines + kMostLines - 1) / kMostLines, part = (lines + parts - 1) / parts;
  const int64_t pitch = count > 1 ? distances[1] - distances[0] : 0;
  for (int64_t i = 0; i < count; i++)
    if (distances[size_t(i)] - distances[0] != i * pitch)
      return p;
  std::vector<Pieces::Digit> digits = {{parts, part * p.numbers_in_line}, {count, pitch}};
  for (size_t i = read.loops.size() - 1; i-- > 0;)
    digits.push_back({read.loops[i].extent, stride(read.loops[i].name)});
  p.count = 1;
  for (const Pieces::Digit &d : digits) {
    if (d.extent == 1)
      continue;
    if (!d.stride)
      return p;
    p.count *= d.extent;
    if (!p.digits.empty() && d.stride == p.digits.back().extent * p.digits.back().stride)
      p.digits.back().extent *= d.extent;
    else
      p.digits.push_back(d);
  }
  for (const StageRead::Loop &loop : read.loops)
    place = substitute(loop.name, loop.min, place);
  p.first = place;
  p.lines = part;
  return p;
}

// Does something before each round of a loop, which is known by those around it too.
class RoundBegins : public IRMutator {
public:
  RoundBegins(const std::vector<std::string> &loops, Stmt what) : loops_(loops), what_(std::move(what)) {}

private:
  using IRMutator::visit;
  const std::vector<std::string> &loops_;
  const Stmt what_;
  std::vector<std::string> here_;

  Stmt visit(const For *op) override {
    here_.push_back(op->name);
    const Stmt body = here_ == loops_ ? Block::make(what_, op->body) : mutate(op->body);
    here_.pop_back();
    return For::make(op->name, op->min, op->extent, op->for_type, op->device_api, body);
  }
};

// Before rounds of a loop as far inside of loops[from] as there are rounds enough for a piece each.
void fetch_pieces(LoweredFunc &function, const Pieces &pieces, const std::map<std::string, Halide::Expr> &next, std::vector<std::string> loops, size_t from,
                  const std::map<std::string, LoopsAround::Range> &ranges) {
  Halide::Expr outer = 0, round = 0; // numbers of the rounds around, and of that in the innermost of the loops
  int64_t rounds = 1, last = 1;      // how many there are of both
  size_t level = from;
  for (; level < loops.size() && (level == from || rounds * last < pieces.count); level++) {
    const LoopsAround::Range &range = ranges.at(loops[level]);
    outer = outer * int(last) + round;
    rounds *= last;
    round = variable(loops[level]) - int(range.min);
    last = range.extent();
    if (rounds * last * kMostLines > INT32_MAX)
      return;
  }
  loops.resize(level);
  const int64_t all = (pieces.count + rounds - 1) / rounds; // of one round of those around
  const int64_t together = std::min((all + last - 1) / last, std::max<int64_t>(1, kMostLines / pieces.lines));
  int64_t apart = 1; // a power of two
  while (apart * 2 * all <= last)
    apart *= 2;
  const Halide::Expr piece = together > 1 ? (outer * int(last) + round) * int(together) : outer * int(all) + round / int(apart);
  Halide::Expr when = const_true();
  if (together > 1 ? rounds * last * together > pieces.count : rounds * all > pieces.count)
    when = when && piece < int(pieces.count);
  if (together == 1 && all * apart < last)
    when = when && round < int(all * apart);
  if (apart > 1)
    when = when && round % int(apart) == 0;
  Stmt lines;
  for (int64_t i = together * pieces.lines; i-- > 0;) {
    const Halide::Expr place = pieces.place(piece + int(i / pieces.lines), substitute(next, pieces.first)) + int(i % pieces.lines * pieces.numbers_in_line);
    const Stmt line = prefetch(pieces.input, simplify(place), pieces.type);
    lines = lines.defined() ? Block::make(line, lines) : line;
  }
  when = simplify(when);
  function.body = RoundBegins(loops, is_const_one(when) ? lines : IfThenElse::make(when, lines)).mutate(function.body);
}

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

void fetch_next(LoweredFunc &function, const FetchNext &fetch) {
  LoopsAround stage(fetch.stage), sums(fetch.sums);
  StageReads all(fetch.stage);
  function.body.accept(&stage);
  function.body.accept(&sums);
  function.body.accept(&all);
  std::vector<std::string> loops = sums.names;
  loops.insert(loops.end(), sums.inside.begin(), sums.inside.end());
  const size_t outside = stage.names.size() - std::min(stage.names.size(), size_t(fetch.again));
  const bool within = loops.size() > outside && std::equal(stage.names.begin(), stage.names.begin() + std::ptrdiff_t(outside), loops.begin());
  const bool known = std::all_of(loops.begin(), loops.end(), [&](const std::string &name) { return sums.ranges.count(name); });
  if (!outside || !within || !known)
    return;
  // Of each input; where a loop has been split into parts of other forms, in the largest of them.
  std::map<std::string, Pieces> inputs;
  auto is_input = [&](const std::string &name) {
    return !fetch.buffer.empty() ? name == fetch.buffer : std::any_of(function.args.begin(), function.args.end(), [&](const LoweredArgument &a) { return a.name == name; });
  };
  for (const StageRead &read : all.reads)
    if (read.around == stage.names && !read.loops.empty() && is_input(read.input)) {
      const Pieces pieces = pieces_of(read);
      Pieces &most = inputs[read.input];
      if (pieces.count * pieces.lines > most.count * most.lines)
        most = pieces;
    }
  // The loops around the stage, the next time that it is made.
  std::map<std::string, Halide::Expr> next;
  Halide::Expr carry = 1;
  for (size_t i = outside; i-- > 0;) {
    const LoopsAround::Range &range = sums.ranges.at(loops[i]);
    const Halide::Expr v = variable(loops[i]) + carry, wraps = v >= int(range.max);
    next[loops[i]] = i ? Select::make(wraps, int(range.min), v) : v;
    carry = Select::make(wraps, 1, 0);
  }
  for (const auto &[input, pieces] : inputs)
    if (pieces.lines)
      fetch_pieces(function, pieces, next, loops, outside, sums.ranges);
}

void fetch_results(LoweredFunc &function, const std::string &stage) { function.body = ResultFetcher(stage).mutate(function.body); }

void fetch_rounds(LoweredFunc &function, const FetchRounds &fetch) { function.body = RoundFetcher(fetch).mutate(function.body); }

} // namespace cnnc
