// The user's file and places in it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace cnnc {

struct Location {
  uint32_t offset = 0, length = 0; // bytes from the start of the text
};

class Source {
public:
  Source(std::string name, std::string text);
  const std::string &name() const { return name_; }
  const std::string &text() const { return text_; }
  struct Position {
    uint32_t line, column; // from 1; the column counts characters
  };
  Position position(uint32_t offset) const;
  std::string line(uint32_t number) const; // without its end
  Location line_at(uint32_t offset) const; // the same of the line that holds `offset`
  std::string text(Location where) const { return text_.substr(where.offset, where.length); }
  bool has_byte_order_mark() const;

private:
  std::string name_, text_;
  std::vector<uint32_t> starts_; // offset of each line
};

// Bytes of the UTF-8 character that begins at `at`; 0 where none does.
size_t utf8_length(const std::string &text, size_t at);

} // namespace cnnc
