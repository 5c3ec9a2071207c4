// The text of diagnostics: place, message, the line, and a caret range under what is wrong.
#include "syntax/diagnostics.h"

#include <algorithm>
#include <fmt/args.h>
#include <fmt/format.h>

namespace cnnc {

namespace {
constexpr size_t kWidest = 120;  // bytes of a source line that are shown
constexpr size_t kBefore = 50;   // of these, before the caret, where the line is cut
constexpr size_t kLongest = 300; // bytes of an argument of a message

struct Kind {
  const char *severity, *format;
};
const Kind kKinds[] = {
#define DIAGNOSTIC(name, severity, format) {#severity, format},
#include "syntax/diagnostics.def"
#undef DIAGNOSTIC
};

std::string lower(std::string s) {
  for (char &c : s)
    if (c >= 'A' && c <= 'Z')
      c = char(c + 'a' - 'A');
  return s;
}

// The character at `at` as it is shown; `at` moves behind it.
std::string shown(const std::string &text, size_t &at) {
  size_t n = utf8_length(text, at);
  unsigned char c = (unsigned char)text[at];
  if (n <= 1) {
    at++;
    if (c == '\t')
      return " ";
    return n == 1 && c >= 0x20 && c != 0x7f ? std::string(1, char(c)) : fmt::format("\\x{:02x}", c);
  }
  unsigned code = c & (0x7f >> n);
  for (size_t i = 1; i < n; i++)
    code = code << 6 | (text[at + i] & 0x3f);
  std::string s = text.substr(at, n);
  at += n;
  // C1 controls, and marks that would turn or hide the rest of the line on a terminal
  bool hidden = (code >= 0x80 && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
                (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x2069) || code == 0xfeff;
  return hidden ? fmt::format("\\u{:04x}", code) : s;
}

size_t columns(const std::string &shown) {
  return size_t(std::count_if(shown.begin(), shown.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// The line and the caret range. A long line is cut around the caret.
std::string excerpt(const Source &source, Location where) {
  const std::string &text = source.text();
  Location line = source.line_at(where.offset);
  size_t from = line.offset, to = from + line.length;
  if (from == to)
    return "";
  size_t caret = std::clamp<size_t>(where.offset, from, to), end = std::min(caret + where.length, to);
  auto boundary = [&](size_t at) {
    while (at < to && (text[at] & 0xc0) == 0x80)
      at++;
    return at;
  };
  std::string above, below;
  if (to - from > kWidest) {
    if (caret - from > kBefore) {
      // never beyond the caret, which may stand on a stray byte
      from = std::min(boundary(caret - kBefore), caret);
      above = "...", below = "   ";
    }
    if (to - from > kWidest)
      to = boundary(from + kWidest);
  }
  for (size_t at = from; at < to;) {
    bool first = at == caret, in = at >= caret && at < end, before = at < caret;
    std::string cell = shown(text, at);
    above += cell;
    if (first || in)
      below += (first ? "^" : "~") + std::string(columns(cell) - 1, in ? '~' : ' ');
    else if (before)
      below += std::string(columns(cell), ' ');
  }
  if (to < line.offset + line.length)
    above += "...";
  if (caret >= to)
    below += "^";
  while (!below.empty() && below.back() == ' ')
    below.pop_back();
  return above + "\n" + below + "\n";
}
} // namespace

std::string escaped(const std::string &text, size_t most) {
  std::string s;
  for (size_t at = 0; at < text.size();) {
    if (s.size() >= most)
      return s + "...";
    s += shown(text, at);
  }
  return s;
}

void Diagnostics::report(Diag kind, Location where, const std::vector<std::string> &arguments) {
  const Kind &k = kKinds[int(kind)];
  if ((dropped_ = full()))
    return;
  fmt::dynamic_format_arg_store<fmt::format_context> store;
  for (const std::string &a : arguments)
    store.push_back(escaped(a, kLongest));
  entries_.push_back({where, lower(k.severity), fmt::vformat(k.format, store), {}});
  errors_ += entries_.back().severity == "error";
}

void Diagnostics::note(Location where, const std::string &text) {
  if (!dropped_ && !entries_.empty())
    entries_.back().notes.push_back({where, "note", escaped(text, kLongest), {}});
}

void Diagnostics::append(const Diagnostics &other) {
  appended_ += other.text();
  errors_ += other.errors_;
}

std::string Diagnostics::entry_text(const Entry &e) const {
  Source::Position p = source_.position(e.where.offset);
  std::string s = fmt::format("{}:{}:{}: {}: {}\n", escaped(source_.name()), p.line, p.column, e.severity, e.message);
  s += excerpt(source_, e.where);
  for (const Entry &n : e.notes)
    s += entry_text(n);
  return s;
}

std::string Diagnostics::text() const {
  std::vector<const Entry *> order;
  for (const Entry &e : entries_)
    order.push_back(&e);
  std::stable_sort(order.begin(), order.end(),
                   [](const Entry *a, const Entry *b) { return a->where.offset < b->where.offset; });
  std::string s;
  for (const Entry *e : order)
    s += entry_text(*e);
  if (full())
    s += fmt::format("{}: stopped after {} errors\n", escaped(source_.name()), errors_);
  return s + appended_;
}

// Edit distance with exchanged neighbours, whatever the case of the letters. A third of the word may differ.
std::string near_miss(const std::string &word, const std::vector<std::string> &candidates) {
  std::string best, w = lower(word);
  if (w.empty())
    return best;
  size_t limit = std::min((w.size() + 2) / 3, w.size() - 1);
  for (const std::string &candidate : candidates) {
    std::string c = lower(candidate);
    if (c.size() > w.size() + limit || w.size() > c.size() + limit)
      continue;
    std::vector<size_t> before, above(c.size() + 1), row(c.size() + 1);
    for (size_t j = 0; j <= c.size(); j++)
      above[j] = j;
    bool near = true;
    for (size_t i = 1; i <= w.size() && near; i++) {
      row[0] = i;
      for (size_t j = 1; j <= c.size(); j++) {
        row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (w[i - 1] != c[j - 1])});
        if (i > 1 && j > 1 && w[i - 1] == c[j - 2] && w[i - 2] == c[j - 1])
          row[j] = std::min(row[j], before[j - 2] + 1);
      }
      // An exchange may still come from the row above.
      near = *std::min_element(row.begin(), row.end()) <= limit + 1;
      before = above;
      above = row;
    }
    if (!near || above.back() > limit)
      continue;
    best = candidate;
    if (above.back() == 0)
      break;
    limit = above.back() - 1; // a later candidate must be nearer
  }
  return best;
}

} // namespace cnnc
