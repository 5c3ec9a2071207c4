// The way through the compiler, top to bottom.
#pragma once

#include <map>
#include <string>

#include "graph/graph.h"
#include "passes/plan_memory.h"

namespace cnnc {

struct CompileOptions {
  std::string target = "host"; // "host", "x86-64-linux", "x86-64-linux-avx2", "x86-64-linux-avx512"
  bool f64 = false;            // elements are doubles: only for the gradient check
  std::string stop_at;         // "", or the stage whose text is wanted
  std::string command;         // for the header's first line
};

struct Compiled {
  Graph graph;    // forward alone
  Graph train;    // forward, loss, backward, update; fused
  Plan plan;
  std::map<std::string, std::string> text; // by stage: graph gradient fused plan schedule stmt llvm asm header obj
};

// From a checked graph to the object (text["obj"]) and the header. Throws GraphError on a fault of the compiler.
Compiled compile(Graph graph, const CompileOptions &options);

// Loads an object into this process through LLVM's ORC linker; it lives as long as the process.
const struct cnnc_model *load_object(const std::string &object, const std::string &model_name);

// Writes `objects` (name, bytes) as a static library; returns its bytes.
std::string archive(const std::string &member, const std::string &object);

} // namespace cnnc
