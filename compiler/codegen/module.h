// One LLVM module from kernels, routines and the hand-written hooks. Include <Halide.h> first.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "codegen/kernels.h"
#include "codegen/model_info.h"

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace cnnc {

// What the generated constants hold beside the model's information.
struct LibraryParts {
  const MachineTarget &target;
  const Plan &plan;
  const Graph &infer;
  int state_slots = 0;
  int64_t macs = 0;          // an image, forward
  int64_t scratch_bytes = 0; // the most that a kernel needs
  std::vector<Routine> routines;
  std::vector<Kernel> kernels;
  std::string tick; // the function that every routine calls after each kernel; empty: none
};

// A library: one variant for each target, and the public functions that choose among them.
class LibraryModule {
public:
  LibraryModule();
  ~LibraryModule();
  // The hooks and the constants of one more variant; fills in info.train_bytes and info.infer_bytes.
  void begin_variant(const LibraryParts &parts, ModelInfo &info);
  // Links the variant's kernels, as bitcode, and writes the routines that call them.
  void finish_variant(const LibraryParts &parts, const std::vector<std::string> &kernels);
  // Links the variants and the public functions, and optimises.
  void finish(const MachineTarget &target, const ModelInfo &info);
  std::string text() const; // LLVM's assembly language
  std::string emit(const MachineTarget &target, bool assembly);

private:
  struct Variant;
  std::unique_ptr<llvm::LLVMContext> context_;
  std::vector<Variant> variants_;
  std::unique_ptr<llvm::Module> module_;
};

} // namespace cnnc
