// Text to syntax tree.
#pragma once

#include <optional>
#include <string>

#include "syntax/ast.h"
#include "syntax/diagnostics.h"

namespace cnnc::syntax {

// Every statement of the text; those with an error are marked and reported.
File parse(const Source &source, Diagnostics &diagnostics);
// A text that is one call, such as `sgd(lr=0.9)`.
std::optional<Expression> parse_call(const Source &source, Diagnostics &diagnostics);
// "; did you mean 'conv'?", or nothing; with `list`, all candidates where none is near.
std::string suggestion(const std::string &word, const std::vector<std::string> &candidates, bool list = false);

} // namespace cnnc::syntax
