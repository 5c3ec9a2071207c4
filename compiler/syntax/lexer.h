// Text to tokens, one at a time. A line's end is a token, but not inside brackets.
#pragma once

#include "syntax/source.h"

namespace cnnc::syntax {

struct Token {
  enum Kind { End,
              Newline,
              Name,
              Number,
              BadNumber,
              BadCharacter,
              Mark };
  Kind kind = End;
  char mark = 0;           // of a Mark: one of ( ) [ ] , = :
  bool opens_line = false; // stands in the first column
  bool whole = false;      // a number of digits alone
  double number = 0;       // infinite where it is too large
  Location where;
};

class Lexer {
public:
  explicit Lexer(const Source &source);
  Token next();
  // After an error: the line's end counts again, whatever was left open.
  void leave_brackets() { depth_ = 0; }
  // Goes on at the end of the line that holds `offset` and of the indented lines below it.
  void skip_definition(uint32_t offset);

private:
  const std::string &text_;
  size_t at_ = 0;
  int64_t depth_ = 0;
  void number(Token &);
};

} // namespace cnnc::syntax
