// The syntax tree. Texts are places in the source, so that a long list of weights stays small.
#pragma once

#include <vector>

#include "syntax/source.h"

namespace cnnc::syntax {

struct Expression {
  enum Kind : uint8_t { Number,
                        Name,
                        Tuple,
                        List,
                        Call };
  Kind kind = Number;
  bool whole = false;  // a number of digits alone
  uint32_t callee = 0; // length of a call's name, which stands first
  Location where;      // all of it
  Location keyword;    // of an argument `keyword=value`; empty: positional
  double number = 0;
  std::vector<Expression> items; // of a tuple or a list; a call's arguments
  Location callee_where() const { return {where.offset, callee}; }
};

struct Statement {
  enum Kind { Model,
              Input,
              Target,
              Output,
              Loss,
              Optimizer,
              Init,
              Batch,
              Layer,
              Definition };
  Kind kind = Layer;
  bool broken = false; // an error in it has been reported: what hangs on it stays silent
  Location where;
  Location name;    // of the model, input, target, output or definition; the name that a layer's value is given
  Location element; // of the type of an input or target, whose dimensions are `value`
  Expression value; // the call of a layer, loss, optimizer or init; the batch's number
};

struct File {
  std::vector<Statement> statements;
};

} // namespace cnnc::syntax
