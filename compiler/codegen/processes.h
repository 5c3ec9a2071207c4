// Work that is shared out to child processes.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace cnnc {

// What `work` returns for each of `parts`, at most `jobs` at a time. Each part runs in a copy of this process as it is
// now, so that nothing that one part does (Halide numbers its names through the whole process) is seen by another:
// the results are the same however many jobs there are. One part alone runs in this process.
// Throws GraphError with what a part threw, or how it died; std::bad_alloc where no process can be had.
std::vector<std::string> in_processes(size_t parts, int jobs, const std::function<std::string(size_t part)> &work);

} // namespace cnnc
