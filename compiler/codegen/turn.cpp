// Exchanges the elements of vectors that are loaded.
#include <Halide.h>
#include <string>
#include <vector>

#include "codegen/turn.h"

namespace cnnc {
using namespace Halide::Internal;

namespace {
using Exprs = std::vector<Halide::Expr>;

// A dense vector of float32 that is loaded; null: something else.
const Load *loaded(const Halide::Expr &e) {
  const Call *strict = e.as<Call>();
  const Load *load = strict && strict->is_intrinsic(Call::strict_float) ? strict->args[0].as<Load>() : e.as<Load>();
  const Ramp *places = load ? load->index.as<Ramp>() : nullptr;
  return places && is_const_one(places->stride) && load->type.is_float() && load->type.bits() == 32 ? load : nullptr;
}

class Turner : public IRMutator {
  using IRMutator::visit;

  Stmt visit(const Store *op) override {
    const Shuffle *turned = op->value.as<Shuffle>();
    if (!turned || !turned->is_interleave())
      return op;
    const int lanes = int(turned->vectors.size()), width = turned->vectors[0].type().lanes();
    if (lanes < 8 || lanes % 4 || width % 4)
      return op;
    std::vector<const Load *> rows;
    for (const Halide::Expr &row : turned->vectors)
      if (const Load *load = loaded(row))
        rows.push_back(load);
    if (int(rows.size()) != lanes)
      return op;
    Exprs columns;
    for (int column = 0; column < width; column += 4)
      columns.push_back(four_columns(rows, column));
    Stmt s = Store::make(op->name, columns.size() == 1 ? columns[0] : Shuffle::make_concat(columns), op->index, op->param, op->predicate, op->alignment);
    for (size_t i = names_.size(); i-- > 0;)
      s = LetStmt::make(names_[i], values_[i], s);
    names_.clear();
    values_.clear();
    return s;
  }

  std::vector<std::string> names_;
  Exprs values_;

  Halide::Expr named(const Halide::Expr &value) {
    names_.push_back(unique_name("four"));
    values_.push_back(value);
    return Variable::make(value.type(), names_.back());
  }

  // All rows' elements of a column, then those of the next, of four columns. Each shuffle is one of all elements, as Halide's C++
  // has no other, and no vector of its result is made of more than two.
  Halide::Expr four_columns(const std::vector<const Load *> &rows, int column) {
    const int lanes = int(rows.size());
    Exprs of_rows; // rows i, i + 4, i + 8, ...
    for (size_t i = 0; i < 4; i++) {
      Exprs fours;
      for (size_t row = i; row < rows.size(); row += 4) {
        const Load *load = rows[row];
        const Halide::Expr index = Ramp::make(load->index.as<Ramp>()->base + column, 1, 4);
        fours.push_back(Load::make(load->type.with_lanes(4), load->name, index, load->image, load->param, const_true(4), ModulusRemainder()));
      }
      of_rows.push_back(named(Shuffle::make_concat(fours)));
    }
    std::vector<int> two, four; // places of two rows' elements of columns 0 and 1, then 2 and 3; of four rows' of each column
    for (int half = 0; half < 2; half++)
      for (int at = 0; at < lanes; at += 4)
        for (int i = 0; i < 4; i++)
          two.push_back(i % 2 * lanes + at + 2 * half + i / 2);
    for (int c = 0; c < 4; c++)
      for (int at = 0; at < lanes; at += 4)
        for (int row = 0; row < 4; row++)
          four.push_back(row / 2 * 2 * lanes + c / 2 * lanes + at + c % 2 * 2 + row % 2);
    const Halide::Expr first = named(Shuffle::make({of_rows[0], of_rows[1]}, two)), second = named(Shuffle::make({of_rows[2], of_rows[3]}, two));
    return named(Shuffle::make({first, second}, four));
  }
};
} // namespace

void turn_by_fours(LoweredFunc &function) { function.body = Turner().mutate(function.body); }

} // namespace cnnc
