// Errors in the user's text: where, what was found, what was expected.
#pragma once

#include <string>
#include <vector>

#include "syntax/source.h"

namespace cnnc {

// One kind of diagnostic for each line of diagnostics.def.
enum class Diag {
#define DIAGNOSTIC(name, severity, format) name,
#include "syntax/diagnostics.def"
#undef DIAGNOSTIC
};

class Diagnostics {
public:
  explicit Diagnostics(const Source &source) : source_(source) {}
  // Formats the kind's text with `arguments` (fmt, each already a string).
  void report(Diag kind, Location where, const std::vector<std::string> &arguments = {});
  // Attaches to the diagnostic reported last.
  void note(Location where, const std::string &text);
  // Takes over what was found in another source, such as the command line; its text comes after the own one.
  void append(const Diagnostics &other);
  bool failed() const { return errors_ != 0; }
  int errors() const { return errors_; }
  bool full() const { return errors_ >= kMostErrors; } // later errors are dropped
  // All of them in the order of the source: file:line:column: error: ..., the line, a caret range.
  std::string text() const;

private:
  struct Entry {
    Location where;
    std::string severity, message;
    std::vector<Entry> notes;
  };
  static constexpr int kMostErrors = 1000;
  std::string entry_text(const Entry &) const;
  const Source &source_;
  std::vector<Entry> entries_;
  std::string appended_;
  int errors_ = 0;
  bool dropped_ = false; // the last one reported
};

// Control characters, directional marks and bytes that are no UTF-8 written as \x00 or \u202e; cut after `most` bytes.
std::string escaped(const std::string &text, size_t most = std::string::npos);

// The one of `candidates` that is nearest to `word` by edit distance, if near enough; else "".
std::string near_miss(const std::string &word, const std::vector<std::string> &candidates);

} // namespace cnnc
