// Nested lists, read and printed.
#include "tensor_text.h"

#include "array.h"
#include "error.h"

#include <cmath>
#include <cstdlib>
#include <fmt/format.h>

namespace cnnc::runtime {
namespace {

constexpr std::size_t largest_rank = 8;

void append(std::string &out, const float *&at, const std::uint32_t *shape, std::uint32_t rank) {
  if (rank == 0) {
    char number[32];
    std::snprintf(number, sizeof number, "%.9g", static_cast<double>(*at++));
    out += number;
    return;
  }
  out += '[';
  for (std::uint32_t i = 0; i < shape[0]; ++i) {
    if (i) out += ", ";
    append(out, at, shape + 1, rank - 1);
  }
  out += ']';
}

// Reads one value at a depth and learns the shape from the first list of each depth.
class Parser {
public:
  explicit Parser(const std::string &text) : text_(text) {
    value(0);
    space();
    if (at_ != text_.size()) bad("text after the list");
  }
  std::vector<float> values;
  std::vector<std::uint64_t> shape;

private:
  [[noreturn]] void bad(const std::string &why) const { throw InputError(fmt::format("input: character {}: {}", at_ + 1, why)); }
  void space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
  }
  bool take(char c) {
    space();
    return at_ < text_.size() && text_[at_] == c && (++at_, true);
  }
  void value(std::size_t depth) {
    if (!take('[')) return number(depth);
    if (depth == largest_rank) bad(fmt::format("more than {} lists deep", largest_rank));
    if (leaf_known_ && depth >= leaf_) bad("a list where a number was expected");
    if (shape.size() <= depth) shape.push_back(0);
    std::uint64_t count = 0;
    do {
      value(depth + 1);
      ++count;
    } while (take(','));
    if (!take(']')) bad("expected ',' or ']'");
    if (shape[depth] == 0) shape[depth] = count;
    if (shape[depth] != count) bad(fmt::format("a list of {}, the ones before have {}", count, shape[depth]));
  }
  void number(std::size_t depth) {
    if (depth == 0) bad("expected '['");
    if (leaf_known_ && depth != leaf_) bad("a number where a list was expected");
    const char *from = text_.c_str() + at_;
    char *end = nullptr;
    const bool begins = (*from >= '0' && *from <= '9') || *from == '-' || *from == '+' || *from == '.';
    const float v = begins ? std::strtof(from, &end) : 0;
    if (!begins || end == from) bad("expected a number");
    if (!std::isfinite(v)) bad("the number does not fit float32");
    at_ += static_cast<std::size_t>(end - from);
    leaf_known_ = true;
    leaf_ = depth;
    values.push_back(v);
  }

  const std::string &text_;
  std::size_t at_ = 0, leaf_ = 0;
  bool leaf_known_ = false;
};

} // namespace

std::string format_nested(const float *values, const std::uint32_t *shape, std::uint32_t rank) {
  std::string out;
  append(out, values, shape, rank);
  return out;
}

std::vector<float> parse_nested(const std::string &text, const std::uint32_t *shape, std::uint32_t rank) {
  Parser parser(text);
  const std::vector<std::uint64_t> expected(shape, shape + rank);
  std::vector<std::uint64_t> found = parser.shape;
  while (found.size() < expected.size() && expected[expected.size() - found.size() - 1] == 1) found.insert(found.begin(), 1);
  if (found != expected)
    throw InputError(fmt::format("input: a list of {}, the model takes {}", shape_text(parser.shape), shape_text(expected)));
  return std::move(parser.values);
}

} // namespace cnnc::runtime
