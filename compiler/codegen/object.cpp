// Loads the object into this process, and packs it into a static library.
#include "codegen/object.h"

#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Object/ArchiveWriter.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <memory>
#include <vector>

#include "graph/graph.h"

namespace cnnc {
namespace {

[[noreturn]] void fault(const std::string &what, llvm::Error error) {
  throw GraphError{what + ": " + llvm::toString(std::move(error))};
}

template <class T>
T value_of(const char *what, llvm::Expected<T> expected) {
  if (!expected)
    fault(what, expected.takeError());
  return std::move(*expected);
}

} // namespace

const cnnc_model *load_object(const std::string &object, const std::string &name, const std::map<std::string, void *> &symbols) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  // One linker an object: two objects of one name (float and double) do not meet. Never destroyed: their code may
  // still run in other threads when the process ends.
  static auto *linkers = new std::vector<std::unique_ptr<llvm::orc::LLJIT>>;
  const char *what = "the object cannot be loaded";
  auto linker = value_of(what, llvm::orc::LLJITBuilder().create());
  char prefix = linker->getDataLayout().getGlobalPrefix();
  linker->getMainJITDylib().addGenerator(
      value_of(what, llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(prefix)));
  llvm::orc::SymbolMap map;
  for (const auto &[symbol, address] : symbols)
    map[linker->mangleAndIntern(symbol)] = llvm::JITEvaluatedSymbol::fromPointer(address);
  if (llvm::Error e = linker->getMainJITDylib().define(llvm::orc::absoluteSymbols(std::move(map))))
    fault(what, std::move(e));
  if (llvm::Error e = linker->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(object, name + ".o")))
    fault(what, std::move(e));
  auto symbol = value_of(what, linker->lookup(name + "_model"));
  linkers->push_back(std::move(linker));
  return llvm::jitTargetAddressToFunction<const cnnc_model *(*)()>(symbol.getAddress())();
}

std::string archive(const std::string &member, const std::string &object) {
  std::vector<llvm::NewArchiveMember> members;
  members.emplace_back(llvm::MemoryBufferRef(object, member));
  const bool symbols = true, deterministic = true, thin = false;
  auto bytes = value_of("the library cannot be made",
                        llvm::writeArchiveToBuffer(members, symbols, llvm::object::Archive::K_GNU, deterministic, thin));
  return bytes->getBuffer().str();
}

} // namespace cnnc
