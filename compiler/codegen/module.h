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
  int64_t macs = 0; // an image, forward
  std::vector<Routine> routines;
  std::vector<Kernel> kernels;
};

class LibraryModule {
public:
  LibraryModule();
  ~LibraryModule();
  // The hooks and the constants; fills in info.train_bytes and info.infer_bytes.
  void begin(const LibraryParts &parts, ModelInfo &info);
  // Links the kernels, writes the routines that call them, names the public functions, and optimises.
  void finish(const LibraryParts &parts, const ModelInfo &info, const Halide::Module &kernels);
  std::string text() const; // LLVM's assembly language
  std::string emit(const MachineTarget &target, bool assembly);

private:
  std::unique_ptr<llvm::LLVMContext> context_;
  std::unique_ptr<llvm::Module> module_;
};

} // namespace cnnc
