// A model's library: compiled, or taken from what earlier compilations left.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "compile.h"

namespace cnnc {

struct Library {
  std::string name, target; // of the model; as the generated table says it
  std::string header, object;
  bool trains = false;
  int lanes = 0;
  std::vector<CallInfo> calls;
  bool cached = false;
  std::vector<std::pair<std::string, double>> times; // seconds of each stage
};

// What `compile` makes of the graph. With `use_cache` the library is kept in $XDG_CACHE_HOME/cnnc (or ~/.cache/cnnc)
// under all that its bytes depend on: the graph, the options, and the compiler itself. An entry that is damaged is
// compiled again; a folder that cannot be written is no error. The oldest entries make room above cache_bytes().
// Throws as `compile`.
Library compile_library(const Graph &graph, const CompileOptions &options, bool use_cache);

// The most that the folder holds: 256 MB, or the number of megabytes in $CNNC_CACHE_MB.
uint64_t cache_bytes();

} // namespace cnnc
