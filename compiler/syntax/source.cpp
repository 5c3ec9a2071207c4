// Lines, columns and characters of the user's text.
#include "syntax/source.h"

#include <algorithm>

namespace cnnc {

namespace {
bool continues(char c) { return (c & 0xc0) == 0x80; }
} // namespace

size_t utf8_length(const std::string &text, size_t at) {
  auto byte = [&](size_t i) -> unsigned char { return i < text.size() ? (unsigned char)text[i] : 0; };
  unsigned char a = byte(at), b = byte(at + 1);
  if (a < 0x80)
    return at < text.size() ? 1 : 0;
  // The second byte's range keeps out overlong forms, surrogates and what is above U+10FFFF.
  unsigned char least = a == 0xe0 ? 0xa0 : a == 0xf0 ? 0x90
                                                     : 0x80,
                most = a == 0xed ? 0x9f : a == 0xf4 ? 0x8f
                                                    : 0xbf;
  size_t n = a >= 0xc2 && a <= 0xdf ? 2 : a >= 0xe0 && a <= 0xef ? 3
                                      : a >= 0xf0 && a <= 0xf4   ? 4
                                                                 : 0;
  if (n == 0 || b < least || b > most)
    return 0;
  for (size_t i = 2; i < n; i++)
    if (!continues(char(byte(at + i))))
      return 0;
  return n;
}

Source::Source(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) {
  starts_.push_back(0);
  for (size_t at = 0; (at = text_.find('\n', at)) != std::string::npos;)
    starts_.push_back(uint32_t(++at));
}

bool Source::has_byte_order_mark() const { return text_.compare(0, 3, "\xef\xbb\xbf") == 0; }

Source::Position Source::position(uint32_t offset) const {
  offset = uint32_t(std::min<size_t>(offset, text_.size()));
  auto after = std::upper_bound(starts_.begin(), starts_.end(), offset);
  uint32_t start = *(after - 1);
  if (start == 0 && offset >= 3 && has_byte_order_mark())
    start = 3;
  auto characters =
      std::count_if(text_.begin() + start, text_.begin() + offset, [](char c) { return !continues(c); });
  return {uint32_t(after - starts_.begin()), uint32_t(characters) + 1};
}

Location Source::line_at(uint32_t offset) const {
  offset = uint32_t(std::min<size_t>(offset, text_.size()));
  uint32_t start = *(std::upper_bound(starts_.begin(), starts_.end(), offset) - 1);
  size_t end = std::min(text_.find('\n', start), text_.size());
  if (start == 0 && has_byte_order_mark())
    start = 3;
  if (end > start && text_[end - 1] == '\r')
    end--;
  return {start, uint32_t(end - start)};
}

std::string Source::line(uint32_t number) const {
  if (number < 1 || number > starts_.size())
    return "";
  return text(line_at(starts_[number - 1]));
}

} // namespace cnnc
