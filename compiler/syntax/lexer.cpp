// Text to tokens. Comments may hold any bytes; elsewhere what is not ASCII is a token of its own, which the parser
// refuses.
#include "syntax/lexer.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace cnnc::syntax {

namespace {
// By hand, since <cctype> depends on the locale.
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v'; }

// from_chars says only that a number is out of range: whether it is too large depends on where its first digit
// stands. Such numbers are rare.
bool too_large(const std::string &number) {
  size_t e = number.find_first_of("eE"), point = std::min(number.find('.'), std::min(e, number.size()));
  size_t first = number.find_first_of("123456789");
  // An exponent of any length: beyond a milliard no text has digits enough to make up for it.
  long exponent = e == std::string::npos ? 0 : std::strtol(number.c_str() + e + 1, nullptr, 10);
  exponent = std::clamp(exponent, -1000000000L, 1000000000L);
  return exponent + (long(point) - long(first)) > 0;
}
} // namespace

Lexer::Lexer(const Source &source) : text_(source.text()) {
  if (source.has_byte_order_mark())
    at_ = 3;
}

Token Lexer::next() {
  for (; at_ < text_.size(); at_++) {
    if (text_[at_] == '#')
      at_ = std::min(text_.find('\n', at_), text_.size());
    if (at_ == text_.size() || (!is_blank(text_[at_]) && (text_[at_] != '\n' || depth_ == 0)))
      break;
  }
  Token t;
  t.where = {uint32_t(at_), 0};
  if (at_ == text_.size())
    return t;
  char c = text_[at_], following = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
  t.opens_line = at_ == 0 || text_[at_ - 1] == '\n';
  size_t start = at_;
  if (c == '\n') {
    t.kind = Token::Newline;
    at_++;
    return t; // of no length: it stands at the end of its line
  }
  if (is_digit(c) || ((c == '-' || c == '.') && is_digit(following)) || (c == '-' && following == '.')) {
    number(t);
  } else if (is_word(c)) {
    t.kind = Token::Name;
    while (at_ < text_.size() && is_word(text_[at_]))
      at_++;
  } else if (c != '\0' && std::strchr("()[],=:", c)) {
    t.kind = Token::Mark;
    t.mark = c;
    at_++;
    if (c == '(' || c == '[')
      depth_++;
    else if ((c == ')' || c == ']') && depth_ > 0)
      depth_--;
  } else {
    t.kind = Token::BadCharacter;
    at_ += std::max<size_t>(utf8_length(text_, at_), 1);
  }
  t.where.length = uint32_t(at_ - start);
  return t;
}

void Lexer::number(Token &t) {
  size_t start = at_++;
  t.whole = text_[start] != '.';
  while (at_ < text_.size()) {
    char c = text_[at_], before = text_[at_ - 1];
    if (!is_word(c) && c != '.' && !((c == '-' || c == '+') && (before == 'e' || before == 'E')))
      break;
    t.whole &= is_digit(c);
    at_++;
  }
  const char *end = text_.data() + at_;
  auto result = std::from_chars(text_.data() + start, end, t.number);
  t.kind = result.ptr == end ? Token::Number : Token::BadNumber;
  if (t.kind == Token::Number && result.ec == std::errc::result_out_of_range)
    t.number = too_large(text_.substr(start, at_ - start)) ? std::numeric_limits<double>::infinity() : 0;
}

void Lexer::skip_definition(uint32_t offset) {
  depth_ = 0;
  at_ = offset;
  for (;;) {
    at_ = text_.find('\n', at_);
    if (at_ == std::string::npos || at_ + 1 == text_.size()) {
      at_ = text_.size();
      return;
    }
    char c = text_[at_ + 1];
    if (!is_blank(c) && c != '\n' && c != '#')
      return; // the line's end is the next token
    at_++;
  }
}

} // namespace cnnc::syntax
