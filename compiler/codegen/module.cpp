// Links kernels, hooks and the generated driver into one LLVM module, and emits it.
#include <Halide.h>

#include <fmt/format.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Operator.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Linker/Linker.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/Utils/Cloning.h>

#include "codegen/embedded.h"
#include "codegen/module.h"

namespace cnnc {

namespace {
using llvm::Constant;
using llvm::ConstantInt;

[[noreturn]] void fault(const std::string &what) { throw GraphError{"code generation: " + what}; }

std::unique_ptr<llvm::TargetMachine> machine(const MachineTarget &t) {
  static const bool ready = [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    llvm::InitializeAllAsmParsers();
    return true;
  }();
  (void)ready;
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(t.triple, error);
  if (!target)
    fault(error);
  llvm::TargetOptions options; // products and sums fuse where an instruction says `contract`, nothing else is relaxed
  std::unique_ptr<llvm::TargetMachine> m(target->createTargetMachine(t.triple, t.cpu, t.features, options, llvm::Reloc::PIC_,
                                                                     llvm::None, llvm::CodeGenOpt::Default));
  if (!m)
    fault("no machine for " + t.triple);
  return m;
}

// Constants of the C structs of hooks.h and cnnc_model.h, member by member.
class StructWriter {
public:
  StructWriter(llvm::Module &m, llvm::StructType *type) : m_(m), type_(type) {}
  void integer(uint64_t v) { put(ConstantInt::get(next(), v)); }
  void dims(const std::vector<int64_t> &d) { // uint32_t[4], the unused ones 1
    std::vector<uint32_t> four(4, 1);
    for (size_t i = 0; i < d.size() && i < 4; i++)
      four[i] = uint32_t(d[i]);
    put(llvm::ConstantDataArray::get(m_.getContext(), four));
  }
  void real(double v) { put(llvm::ConstantFP::get(next(), v)); }
  void pointer(Constant *c) { put(c ? llvm::ConstantExpr::getPointerCast(c, next()) : Constant::getNullValue(next())); }
  void text(const std::string &s) {
    Constant *bytes = llvm::ConstantDataArray::getString(m_.getContext(), s);
    auto *g = new llvm::GlobalVariable(m_, bytes->getType(), true, llvm::GlobalValue::PrivateLinkage, bytes, "text");
    g->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    pointer(g);
  }
  void function(const std::string &name, bool there) {
    llvm::Function *f = m_.getFunction(name);
    if (!f)
      fault("the hooks lack " + name);
    pointer(there ? f : nullptr);
  }
  Constant *done() {
    if (fields_.size() != type_->getNumElements())
      fault("a constant of the plan has another number of members");
    return llvm::ConstantStruct::get(type_, fields_);
  }

private:
  llvm::Module &m_;
  llvm::StructType *type_;
  std::vector<Constant *> fields_;
  llvm::Type *next() { return type_->getElementType(unsigned(fields_.size())); }
  void put(Constant *c) { fields_.push_back(c); }
};

llvm::GlobalVariable *array_of(llvm::Module &m, const std::vector<Constant *> &items, const char *name) {
  auto *type = llvm::ArrayType::get(items.at(0)->getType(), items.size());
  return new llvm::GlobalVariable(m, type, true, llvm::GlobalValue::InternalLinkage, llvm::ConstantArray::get(type, items), name);
}

llvm::StructType *struct_of(llvm::GlobalVariable *g) {
  auto *t = g ? llvm::dyn_cast<llvm::StructType>(g->getValueType()) : nullptr;
  if (!t)
    fault("the hooks lack a constant");
  return t;
}

// A member's struct type through its pointer; where the hooks never look inside it, the same members by hand.
llvm::StructType *pointee(llvm::StructType *owner, unsigned member, std::vector<llvm::Type *> by_hand) {
  auto *t = llvm::cast<llvm::StructType>(owner->getElementType(member)->getPointerElementType());
  return t->isOpaque() ? llvm::StructType::get(owner->getContext(), by_hand) : t;
}

void define_plan(llvm::Module &m, const LibraryParts &parts, const ModelInfo &info) {
  llvm::GlobalVariable *g = m.getNamedGlobal("cnnc_the_plan");
  llvm::StructType *type = struct_of(g);
  const Plan &p = parts.plan;
  auto &c = m.getContext();
  llvm::Type *i32 = llvm::Type::getInt32Ty(c), *f32 = llvm::Type::getFloatTy(c);
  StructWriter w(m, type);
  w.integer(uint64_t(p.padded()));
  w.integer(uint64_t(p.blocks));
  w.integer(uint64_t(p.block_elements));
  w.integer(uint64_t(parts.state_slots));
  w.integer(info.trains);
  w.integer(uint64_t(p.partial_bytes));
  w.integer(uint64_t(p.partial_metrics));
  w.integer(uint64_t(p.train.workspace_bytes));
  w.integer(uint64_t(p.infer.workspace_bytes));
  w.integer(uint64_t(parts.macs));
  llvm::StructType *start = pointee(type, 10, {i32, f32, f32, f32->getPointerTo()});
  std::vector<Constant *> starts;
  for (const std::string &name : p.parameters) {
    const Node *n = nullptr;
    for (const Node &candidate : parts.infer.nodes)
      if (candidate.name == name)
        n = &candidate;
    std::string init = n->has("init") ? n->text("init") : "constant";
    StructWriter s(m, start);
    Constant *values = nullptr;
    int kind = init == "uniform" ? 1 : init == "normal" ? 2 : init == "given" ? 3 : 0;
    if (kind == 3) {
      std::vector<float> given;
      if (std::holds_alternative<std::vector<double>>(n->attributes.at("values")))
        for (double v : std::get<std::vector<double>>(n->attributes.at("values")))
          given.push_back(float(v));
      else
        for (int64_t v : n->list("values"))
          given.push_back(float(v));
      Constant *data = llvm::ConstantDataArray::get(c, given);
      values = new llvm::GlobalVariable(m, data->getType(), true, llvm::GlobalValue::InternalLinkage, data, "values");
    }
    s.integer(uint64_t(kind));
    s.real(kind != 3 && n->has("a") ? n->number("a") : 0);
    s.real(kind != 3 && n->has("b") ? n->number("b") : 0);
    s.pointer(values);
    starts.push_back(s.done());
  }
  w.pointer(starts.empty() ? nullptr : array_of(m, starts, "starts"));
  g->setInitializer(w.done());
  g->setConstant(true);
}

void define_model(llvm::Module &m, const ModelInfo &info) {
  llvm::GlobalVariable *g = m.getNamedGlobal("cnnc_the_model");
  llvm::StructType *type = struct_of(g);
  auto &c = m.getContext();
  auto *i32 = llvm::Type::getInt32Ty(c);
  auto *i64 = llvm::Type::getInt64Ty(c);
  auto elements = [](const std::vector<int64_t> &d) {
    uint64_t n = 1;
    for (int64_t x : d)
      n *= uint64_t(x);
    return n;
  };
  StructWriter w(m, type);
  w.integer(1); // CNNC_ABI
  w.integer(info.f64 ? 8 : 4);
  w.text(info.name);
  w.text(info.target);
  w.text(info.version);
  w.integer(info.fingerprint);
  w.integer(uint64_t(info.batch));
  w.integer(uint64_t(info.lanes));
  w.integer(uint64_t(info.partial_sums));
  w.integer(uint64_t(info.alignment));
  for (const auto *d : {&info.input, &info.output, &info.target_image}) {
    w.integer(d->size());
    w.dims(*d);
  }
  w.integer(elements(info.input));
  w.integer(elements(info.output));
  w.integer(info.target_kind == 3 ? elements(info.target_image) : 0);
  w.integer(uint64_t(info.target_kind));
  w.integer(uint64_t(info.classes));
  w.integer(info.loss_is_sum);
  w.integer(info.tensors.size());
  w.integer(uint64_t(info.parameter_count));
  w.integer(uint64_t(info.optimizer_count));
  unsigned member = type->getNumElements() - 16;
  llvm::StructType *parameter =
      pointee(type, member, {llvm::Type::getInt8PtrTy(c), i64, i64, i32, llvm::ArrayType::get(i32, 4)});
  std::vector<Constant *> tensors;
  for (const TensorInfo &t : info.tensors) {
    StructWriter p(m, parameter);
    p.text(t.name);
    p.integer(uint64_t(t.offset));
    p.integer(uint64_t(t.size));
    p.integer(t.dims.size());
    p.dims(t.dims);
    tensors.push_back(p.done());
  }
  w.pointer(tensors.empty() ? nullptr : array_of(m, tensors, "tensors"));
  struct {
    const char *name;
    bool trains;
  } functions[] = {{"train_bytes", true}, {"infer_bytes", false}, {"init", true}, {"init_inference", false},
                   {"destroy", false}, {"train_step", true}, {"gradients", true}, {"evaluate", true},
                   {"predict", false}, {"save_size", false}, {"save", false}, {"load", false},
                   {"parameter_values", false}, {"gradient_values", false}, {"step", false}};
  for (const auto &f : functions)
    w.function(std::string("cnnc_hook_") + f.name, info.trains || !f.trains);
  g->setInitializer(w.done());
  g->setConstant(true);
}

void optimise(llvm::Module &m, llvm::TargetMachine *machine) {
  llvm::PipelineTuningOptions tuning;
  // Kernels come vectorised and unrolled; the hooks gain nothing from it.
  tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopUnrolling = tuning.LoopInterleaving = false;
  llvm::PassBuilder builder(machine, tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager calls;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(calls);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, calls, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(m, modules);
}

// A copy of the model's table in which no function is named.
llvm::Constant *without_functions(llvm::Module &m) {
  llvm::GlobalVariable *g = m.getNamedGlobal("cnnc_the_model");
  auto *old = llvm::cast<llvm::ConstantStruct>(g->getInitializer());
  std::vector<Constant *> fields;
  for (unsigned i = 0; i < old->getNumOperands(); i++) {
    Constant *c = old->getOperand(i);
    fields.push_back(llvm::isa<llvm::Function>(c->stripPointerCasts()) ? Constant::getNullValue(c->getType()) : c);
  }
  auto *copy = new llvm::GlobalVariable(m, g->getValueType(), true, llvm::GlobalValue::PrivateLinkage,
                                        llvm::ConstantStruct::get(old->getType(), fields), "table");
  return copy;
}

// What the hooks' own arithmetic says of the memory needed for each number of threads: evaluated by the optimiser,
// written down nowhere else.
void evaluate_bytes(const llvm::Module &hooks, ModelInfo &info) {
  auto m = llvm::CloneModule(hooks);
  auto &c = m->getContext();
  std::vector<std::string> names;
  auto evaluate = [&](const char *function, int threads) {
    llvm::Function *callee = m->getFunction(function);
    auto *type = llvm::FunctionType::get(callee->getReturnType(), false);
    auto *f = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, "evaluate", *m);
    llvm::IRBuilder<> b(llvm::BasicBlock::Create(c, "", f));
    b.CreateRet(b.CreateCall(callee, {b.getInt32(uint32_t(threads))}));
    names.push_back(f->getName().str());
  };
  for (llvm::Function &f : *m)
    if (!f.isDeclaration())
      f.setLinkage(llvm::GlobalValue::InternalLinkage);
  for (llvm::GlobalVariable &g : m->globals())
    if (!g.isDeclaration())
      g.setLinkage(llvm::GlobalValue::PrivateLinkage);
  for (int threads = 1; threads <= info.partial_sums; threads++) {
    evaluate("cnnc_hook_infer_bytes", threads);
    if (info.trains)
      evaluate("cnnc_hook_train_bytes", threads);
  }
  // Nothing but these is wanted: the table of functions would keep all the hooks.
  m->getNamedGlobal("cnnc_the_model")->replaceAllUsesWith(without_functions(*m));
  m->getNamedGlobal("cnnc_the_model")->eraseFromParent();
  for (llvm::Function &f : *m)
    if (!f.isDeclaration() && f.hasInternalLinkage()) {
      f.removeFnAttr(llvm::Attribute::NoInline);
      f.addFnAttr(llvm::Attribute::AlwaysInline);
    }
  optimise(*m, nullptr);
  for (const std::string &name : names) {
    auto *ret = llvm::dyn_cast<llvm::ReturnInst>(m->getFunction(name)->getEntryBlock().getTerminator());
    auto *value = ret ? llvm::dyn_cast<ConstantInt>(ret->getReturnValue()) : nullptr;
    if (!value)
      fault("the memory that a model needs is not a constant");
    bool infer = !info.trains || info.infer_bytes.size() == info.train_bytes.size();
    (infer ? info.infer_bytes : info.train_bytes).push_back(value->getZExtValue());
  }
}

// The body of a routine: each kernel with the addresses of its buffers.
void define_routine(llvm::Module &m, const Routine &r, const std::map<std::string, const Kernel *> &kernels, int lanes) {
  llvm::Function *f = m.getFunction("cnnc_" + r.name);
  if (!f || !f->isDeclaration())
    fault("the hooks do not call cnnc_" + r.name);
  auto &c = m.getContext();
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(c, "", f));
  auto *frame_type = llvm::cast<llvm::StructType>(f->getFunctionType()->getParamType(0)->getPointerElementType());
  llvm::Value *frame = f->getArg(0);
  auto member = [&](unsigned i) {
    return b.CreateLoad(frame_type->getElementType(i), b.CreateStructGEP(frame_type, frame, i));
  };
  // cnnc_frame: region[], valid, block, scale, step
  auto *regions = llvm::cast<llvm::ArrayType>(frame_type->getElementType(0));
  std::map<Region, llvm::Value *> bases;
  llvm::Value *valid = member(1), *block = member(2), *scale = member(3), *step = member(4);
  llvm::StructType *buffer_type = llvm::StructType::getTypeByName(c, "struct.halide_buffer_t");
  if (!buffer_type && !r.calls.empty())
    fault("no halide_buffer_t");
  std::vector<llvm::Value *> buffers;
  for (const KernelCall &call : r.calls)
    while (buffers.size() < call.places.size())
      buffers.push_back(b.CreateAlloca(buffer_type));
  for (llvm::Value *buffer : buffers)
    b.CreateStore(Constant::getNullValue(buffer_type), buffer);
  for (const KernelCall &call : r.calls) {
    llvm::Function *kernel = m.getFunction(call.kernel);
    if (!kernel)
      fault("no kernel " + call.kernel);
    std::vector<llvm::Value *> arguments;
    size_t place = 0;
    auto buffer = [&] {
      const Place &p = call.places.at(place);
      llvm::Value *&base = bases[p.region];
      if (!base) {
        auto *slot = b.CreateConstInBoundsGEP2_32(regions, b.CreateStructGEP(frame_type, frame, 0), 0, unsigned(p.region));
        base = b.CreateLoad(b.getInt8PtrTy(), slot);
      }
      llvm::Value *address = b.CreateConstGEP1_64(b.getInt8Ty(), base, uint64_t(p.offset));
      if (call.block_bytes[place])
        address = b.CreateGEP(b.getInt8Ty(), address, b.CreateMul(b.CreateSExt(block, b.getInt64Ty()), b.getInt64(uint64_t(call.block_bytes[place]))));
      b.CreateStore(address, b.CreateStructGEP(buffer_type, buffers[place], 2)); // host
      arguments.push_back(b.CreatePointerCast(buffers[place], kernel->getFunctionType()->getParamType(unsigned(arguments.size()))));
      place++;
    };
    for (const Halide::Argument &a : kernels.at(call.kernel)->arguments) {
      if (a.is_buffer())
        buffer();
      else
        arguments.push_back(a.name == "valid" ? valid : a.name == "step" ? step : scale);
    }
    while (place < call.places.size())
      buffer();
    b.CreateCall(kernel, arguments);
  }
  b.CreateRetVoid();
  (void)lanes;
}

// lenet_train_step(net, images, ...) is the hook with the kind of pixels put in.
void define_pixel_variants(llvm::Module &m, const std::string &prefix, const char *name, bool public_name) {
  if (!public_name)
    return;
  llvm::Function *hook = m.getFunction(std::string("cnnc_hook_") + name);
  auto *type = hook->getFunctionType();
  std::vector<llvm::Type *> parameters;
  for (unsigned i = 0; i < type->getNumParams(); i++)
    if (i != 2)
      parameters.push_back(type->getParamType(i));
  for (int u8 : {0, 1}) {
    auto *f = llvm::Function::Create(llvm::FunctionType::get(type->getReturnType(), parameters, false), llvm::GlobalValue::ExternalLinkage,
                                     prefix + "_" + name + (u8 ? "_u8" : ""), m);
    llvm::IRBuilder<> b(llvm::BasicBlock::Create(m.getContext(), "", f));
    std::vector<llvm::Value *> arguments;
    for (unsigned i = 0; i < f->arg_size(); i++) {
      if (i == 2)
        arguments.push_back(b.getInt32(uint32_t(u8)));
      arguments.push_back(f->getArg(i));
    }
    b.CreateRet(b.CreateCall(hook, arguments));
  }
}
} // namespace

LibraryModule::LibraryModule() : context_(std::make_unique<llvm::LLVMContext>()) {}
LibraryModule::~LibraryModule() = default;

void LibraryModule::begin(const LibraryParts &parts, ModelInfo &info) {
  std::string_view bytes = embedded_hooks(info.f64);
  auto parsed = llvm::parseBitcodeFile(llvm::MemoryBufferRef(llvm::StringRef(bytes.data(), bytes.size()), "hooks"), *context_);
  if (!parsed)
    fault(llvm::toString(parsed.takeError()));
  module_ = std::move(*parsed);
  auto m = machine(parts.target);
  module_->setTargetTriple(parts.target.triple);
  module_->setDataLayout(m->createDataLayout());
  module_->setModuleIdentifier(info.name);
  module_->setSourceFileName(info.name);
  define_plan(*module_, parts, info);
  define_model(*module_, info);
  evaluate_bytes(*module_, info);
}

void LibraryModule::finish(const LibraryParts &parts, const ModelInfo &info, const Halide::Module &kernels) {
  auto m = machine(parts.target);
  std::unique_ptr<llvm::Module> compiled = Halide::compile_module_to_llvm_module(kernels, *context_);
  compiled->setTargetTriple(module_->getTargetTriple());
  compiled->setDataLayout(module_->getDataLayout());
  for (const char *flags : {"llvm.module.flags", "llvm.ident"})
    if (auto *n = compiled->getNamedMetadata(flags))
      compiled->eraseNamedMetadata(n);
  std::map<std::string, const Kernel *> by_name;
  for (const Kernel &k : parts.kernels)
    by_name[k.name] = &k;
  if (llvm::Linker::linkModules(*module_, std::move(compiled)))
    fault("the kernels and the hooks do not link");
  for (const Routine &r : parts.routines)
    define_routine(*module_, r, by_name, info.lanes);

  // lenet_init and its like; the rest is internal.
  for (const char *name : {"train_step", "gradients", "evaluate"})
    define_pixel_variants(*module_, info.name, name, info.trains);
  define_pixel_variants(*module_, info.name, "predict", true);
  auto *model = module_->getNamedGlobal("cnnc_the_model");
  auto *table = llvm::Function::Create(llvm::FunctionType::get(model->getType(), false), llvm::GlobalValue::ExternalLinkage,
                                       info.name + "_model", *module_);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(*context_, "", table));
  b.CreateRet(model);
  std::map<std::string, bool> public_hooks = {{"init", info.trains}, {"init_inference", true}, {"destroy", true},
                                              {"save_size", true},   {"save", true},           {"load", true}};
  for (const auto &[name, wanted] : public_hooks)
    if (wanted)
      module_->getFunction("cnnc_hook_" + name)->setName(info.name + "_" + name);
  std::string prefix = info.name + "_";
  for (llvm::Function &f : *module_) {
    if (f.isDeclaration())
      continue;
    std::string name = f.getName().str();
    bool is_kernel = by_name.count(name) != 0, wanted = name.compare(0, prefix.size(), prefix) == 0 && !is_kernel;
    for (const auto &[kernel, _] : by_name)
      wanted = wanted && name != kernel + "_argv" && name != kernel + "_metadata";
    f.setLinkage(wanted ? llvm::GlobalValue::ExternalLinkage : llvm::GlobalValue::InternalLinkage);
    // Kernels and what calls them are for the target's vectors; what may run first is for any machine.
    bool vectors = is_kernel;
    for (const Routine &r : parts.routines)
      vectors = vectors || name == "cnnc_" + r.name;
    for (const char *a : {"target-cpu", "target-features", "tune-cpu", "prefer-vector-width", "min-legal-vector-width"})
      f.removeFnAttr(a);
    f.addFnAttr("target-cpu", vectors ? parts.target.cpu : "x86-64");
    if (vectors)
      f.addFnAttr("tune-cpu", parts.target.cpu);
    f.addFnAttr("frame-pointer", "none");
    if (is_kernel) {
      f.addFnAttr(llvm::Attribute::NoUnwind);
      f.addFnAttr(llvm::Attribute::NoInline); // a routine's stack is its largest kernel's and not their sum
    }
    // The only freedom taken with floating point: products and sums may fuse.
    llvm::FastMathFlags contract;
    contract.setAllowContract(true);
    for (llvm::BasicBlock &block : f)
      for (llvm::Instruction &i : block) {
        // Halide takes what is read of an output to be aligned as its own memory is.
        if (is_kernel && !by_name.at(name)->aligned_output) {
          const llvm::Value *p = llvm::getLoadStorePointerOperand(&i);
          if (p && !llvm::isa<llvm::AllocaInst>(llvm::getUnderlyingObject(p))) {
            if (auto *load = llvm::dyn_cast<llvm::LoadInst>(&i))
              load->setAlignment(llvm::Align(4));
            else
              llvm::cast<llvm::StoreInst>(i).setAlignment(llvm::Align(4));
          }
        }
        // Halide takes the address of a masked vector to be aligned, whatever the buffer's alignment is.
        if (auto *call = llvm::dyn_cast<llvm::IntrinsicInst>(&i)) {
          unsigned place = call->getIntrinsicID() == llvm::Intrinsic::masked_load ? 1 : call->getIntrinsicID() == llvm::Intrinsic::masked_store ? 2 : 0;
          if (place)
            call->setArgOperand(place, ConstantInt::get(llvm::Type::getInt32Ty(*context_), 4));
        }
        if (llvm::isa<llvm::FPMathOperator>(i)) {
          i.setFastMathFlags(llvm::FastMathFlags());
          if (is_kernel)
            i.copyFastMathFlags(contract);
          i.setMetadata(llvm::LLVMContext::MD_fpmath, nullptr);
        }
      }
  }
  for (llvm::GlobalVariable &g : module_->globals())
    if (!g.isDeclaration())
      g.setLinkage(g.hasPrivateLinkage() ? llvm::GlobalValue::PrivateLinkage : llvm::GlobalValue::InternalLinkage);
  if (llvm::verifyModule(*module_, &llvm::errs()))
    fault("LLVM refuses the module");
  optimise(*module_, m.get());
}

std::string LibraryModule::text() const {
  std::string s;
  llvm::raw_string_ostream os(s);
  module_->print(os, nullptr);
  return os.str();
}

std::string LibraryModule::emit(const MachineTarget &target, bool assembly) {
  auto m = machine(target);
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream os(bytes);
  llvm::legacy::PassManager passes;
  auto copy = llvm::CloneModule(*module_);
  if (m->addPassesToEmitFile(passes, os, nullptr, assembly ? llvm::CGFT_AssemblyFile : llvm::CGFT_ObjectFile))
    fault("no object code for " + target.triple);
  passes.run(*copy);
  return std::string(bytes.begin(), bytes.end());
}

} // namespace cnnc
