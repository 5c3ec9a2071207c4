// Lowers kernels with Halide and turns them into LLVM bitcode, a fixed share of them in each process.
#include <Halide.h>

#include <algorithm>
#include <chrono>
#include <llvm/Bitcode/BitcodeWriter.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/raw_ostream.h>
#include <sstream>

#include "codegen/kernel_code.h"
#include "codegen/processes.h"
#include "codegen/turn.h"

namespace cnnc {

namespace {
// A part costs 50 ms beside its kernels: a process, and the modules that Halide adds to each of its own. LeNet makes two.
constexpr size_t kKernelsInPart = 31, kMostParts = 16;

void lower(Kernel &k, const Halide::Target &target, Halide::Module &into) {
  // Strict floating point: without it a NaN may come out of an activation as a number. Halide's form of it moves
  // loads past the stores of an update in place, so the optimizer's kernel goes without.
  const Halide::Target strict = target.with_feature(Halide::Target::StrictFloat);
  for (Halide::Internal::LoweredFunc f : Halide::Pipeline(k.pipeline).compile_to_module(k.arguments, k.name, k.in_place ? target : strict).functions()) {
    for (const FetchNext &next : k.fetch_next)
      fetch_next(f, next);
    turn_by_fours(f);
    if (!k.fetch_rounds.loop.empty())
      fetch_rounds(f, k.fetch_rounds);
    if (!k.fetches_results.empty() && !k.streams)
      fetch_results(f, k.fetches_results);
    if (!k.fetches_images.empty())
      fetch_images(f, k.fetches_images, k.image_numbers);
    k.scratch = move_to_scratch(f);
    into.append(f);
  }
}

Halide::Module empty_module(const KernelSet &kernels) {
  return Halide::Module(kernels.prefix(), kernels.target().halide.with_feature(Halide::Target::StrictFloat));
}

std::string bitcode_of(const Halide::Module &module) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> compiled = Halide::compile_module_to_llvm_module(module, context);
  for (const char *flags : {"llvm.module.flags", "llvm.ident"})
    if (auto *n = compiled->getNamedMetadata(flags))
      compiled->eraseNamedMetadata(n);
  std::string bytes;
  llvm::raw_string_ostream os(bytes);
  llvm::WriteBitcodeToFile(*compiled, os);
  return os.str();
}
} // namespace

Halide::Module lower_kernels(KernelSet &kernels) {
  Halide::Module module = empty_module(kernels);
  for (Kernel &k : kernels.kernels())
    lower(k, kernels.target().halide, module);
  return module;
}

KernelCode compile_kernels(KernelSet &kernels, int jobs, bool code) {
  std::vector<Kernel> &all = kernels.kernels();
  const size_t parts = std::clamp<size_t>((all.size() + kKernelsInPart - 1) / kKernelsInPart, 1, kMostParts);
  using Clock = std::chrono::steady_clock;
  auto since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  // A part says: seconds, then a line for the scratch memory of each of its kernels, then the bitcode.
  auto results = in_processes(parts, jobs, [&](size_t part) {
    auto start = Clock::now();
    Halide::Module module = empty_module(kernels);
    std::ostringstream said;
    for (size_t i = part; i < all.size(); i += parts) {
      lower(all[i], kernels.target().halide, module);
      said << all[i].scratch.bytes << ' ' << all[i].scratch.offsets.size();
      for (int64_t offset : all[i].scratch.offsets)
        said << ' ' << offset;
      said << '\n';
    }
    const double lowering = since(start);
    start = Clock::now();
    const std::string bitcode = code ? bitcode_of(module) : "";
    return std::to_string(lowering) + " " + std::to_string(since(start)) + "\n" + said.str() + bitcode;
  });
  KernelCode result;
  for (size_t part = 0; part < parts; part++) {
    std::istringstream said(results[part]);
    double lowering = 0, llvm = 0;
    said >> lowering >> llvm;
    result.lowering += lowering;
    result.llvm += llvm;
    for (size_t i = part; i < all.size(); i += parts) {
      size_t count = 0;
      Scratch &scratch = all[i].scratch;
      said >> scratch.bytes >> count;
      scratch.offsets.assign(count, 0);
      for (int64_t &offset : scratch.offsets)
        said >> offset;
    }
    said.get(); // the end of the line
    if (!said)
      throw GraphError{"a compiling process gave no result"};
    if (code)
      result.bitcode.push_back(results[part].substr(size_t(said.tellg())));
  }
  return result;
}

} // namespace cnnc
