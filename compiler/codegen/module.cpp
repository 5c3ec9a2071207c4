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
#include <llvm/IR/PatternMatch.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Linker/Linker.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Passes/StandardInstrumentations.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/Utils/Cloning.h>

#include "codegen/embedded.h"
#include "codegen/module.h"
#include "codegen/sigmoid.h"

namespace cnnc {

namespace {
using llvm::Constant;
using llvm::ConstantInt;

[[noreturn]] void fault(const std::string &what) { throw GraphError{"code generation: " + what}; }

const char *baseline(Arch arch) { return arch == Arch::X86 ? "x86-64" : arch == Arch::Arm ? "generic"
                                                                                          : "generic-rv64"; }

// For the least machine of the architecture: each function says what it is compiled for.
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
  if (t.arch == Arch::Riscv)
    options.MCOptions.ABIName = "lp64d";
  std::unique_ptr<llvm::TargetMachine> m(target->createTargetMachine(t.triple, baseline(t.arch), t.features, options, llvm::Reloc::PIC_,
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
  w.integer(uint64_t(std::max(p.infer.workspace_bytes, p.single.workspace_bytes)));
  w.integer(uint64_t(p.prepared_bytes));
  w.integer(uint64_t(p.copied_bytes));
  w.integer(uint64_t(parts.scratch_bytes));
  w.integer(uint64_t(parts.macs));
  llvm::StructType *start = pointee(type, 13, {i32, f32, f32, f32->getPointerTo()});
  std::vector<Constant *> starts;
  for (const std::string &name : p.parameters) {
    const Node *n = nullptr;
    for (const Node &candidate : parts.infer.nodes)
      if (candidate.name == name)
        n = &candidate;
    if (!n)
      throw GraphError{"the plan names a parameter that the graph lacks"};
    std::string init = n->has("init") ? n->text("init") : "constant";
    StructWriter s(m, start);
    Constant *values = nullptr;
    int kind = init == "uniform" ? 1 : init == "normal" ? 2
                                   : init == "given"    ? 3
                                                        : 0;
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
  w.integer(parts.target.cpu_needs);
  w.integer(uint64_t(p.single_most));
  w.integer(uint64_t(p.kept));
  llvm::StructType *range = pointee(type, 18, {llvm::Type::getInt64Ty(c), llvm::Type::getInt64Ty(c)});
  std::vector<Constant *> sums;
  for (const auto &[offset, bytes] : p.sums) {
    StructWriter s(m, range);
    s.integer(uint64_t(offset));
    s.integer(uint64_t(bytes));
    sums.push_back(s.done());
  }
  w.integer(uint64_t(sums.size()));
  w.pointer(sums.empty() ? nullptr : array_of(m, sums, "sums"));
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
  w.integer(2); // CNNC_ABI
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
  unsigned member = type->getNumElements() - 17;
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
  } functions[] = {{"train_bytes", true}, {"infer_bytes", false}, {"init", true}, {"init_inference", false}, {"destroy", false}, {"train_step", true}, {"gradients", true}, {"evaluate", true}, {"predict", false}, {"save_size", false}, {"save", false}, {"load", false}, {"set_parameters", false}, {"parameter_values", false}, {"gradient_values", false}, {"step", false}};
  for (const auto &f : functions)
    w.function(std::string("cnnc_hook_") + f.name, info.trains || !f.trains);
  g->setInitializer(w.done());
  g->setConstant(true);
}

void optimise(llvm::Module &m, llvm::TargetMachine *machine) {
  llvm::PipelineTuningOptions tuning;
  // Kernels come vectorised and unrolled; the hooks gain nothing from it.
  tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopUnrolling = tuning.LoopInterleaving = false;
  llvm::PassInstrumentationCallbacks callbacks;
  llvm::OptNoneInstrumentation skip(false); // what is marked so stays as it is
  skip.registerCallbacks(callbacks);
  llvm::PassBuilder builder(machine, tuning, llvm::None, &callbacks);
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
// With a function to report to, a call of it begins the routine and follows each kernel, numbered from `first`.
void define_routine(llvm::Module &m, const Routine &r, const std::map<std::string, const Kernel *> &kernels, const std::string &tick, int first) {
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
  // cnnc_frame: region[], valid, block, scale, step, fresh, pixel
  auto *regions = llvm::cast<llvm::ArrayType>(frame_type->getElementType(0));
  std::map<Region, llvm::Value *> bases;
  llvm::Value *valid = member(1), *block = member(2), *scale = member(3), *step = member(4), *fresh = member(5), *pixel = member(6);
  llvm::StructType *buffer_type = llvm::StructType::getTypeByName(c, "struct.halide_buffer_t");
  if (!buffer_type && !r.calls.empty())
    fault("no halide_buffer_t");
  auto report = [&](int number) {
    if (!tick.empty())
      b.CreateCall(m.getOrInsertFunction(tick, b.getVoidTy(), b.getInt32Ty(), b.getInt8PtrTy()), {b.getInt32(uint32_t(number)), b.CreateBitCast(frame, b.getInt8PtrTy())});
  };
  report(-1);
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
    auto address_of = [&](const Place &p) {
      llvm::Value *&base = bases[p.region];
      if (!base) {
        auto *slot = b.CreateConstInBoundsGEP2_32(regions, b.CreateStructGEP(frame_type, frame, 0), 0, unsigned(p.region));
        base = b.CreateLoad(b.getInt8PtrTy(), slot);
      }
      return b.CreateConstGEP1_64(b.getInt8Ty(), base, uint64_t(p.offset));
    };
    auto buffer = [&] {
      llvm::Value *address = address_of(call.places.at(place));
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
        arguments.push_back(a.name == "valid" ? valid : a.name == "step" ? step
                                                    : a.name == "fresh"  ? fresh
                                                                         : scale);
    }
    while (place < call.places.size())
      buffer();
    if (!kernels.at(call.kernel)->fetches_images.empty())
      arguments.insert(arguments.end(), {address_of({Region::Ahead, 0}), pixel});
    for (int64_t offset : kernels.at(call.kernel)->scratch.offsets)
      arguments.push_back(address_of({Region::Scratch, offset}));
    b.CreateCall(kernel, arguments);
    report(first++);
  }
  b.CreateRetVoid();
}

} // namespace

struct LibraryModule::Variant {
  std::unique_ptr<llvm::Module> module;
  uint32_t cpu_needs;
};

LibraryModule::LibraryModule() : context_(std::make_unique<llvm::LLVMContext>()) {}
LibraryModule::~LibraryModule() = default;

namespace {
std::unique_ptr<llvm::Module> read_bitcode(std::string_view bytes, llvm::LLVMContext &context) {
  auto parsed = llvm::parseBitcodeFile(llvm::MemoryBufferRef(llvm::StringRef(bytes.data(), bytes.size()), "embedded"), context);
  if (!parsed)
    fault(llvm::toString(parsed.takeError()));
  return std::move(*parsed);
}

// A sigmoid's division of float32: 1 / (1 + p * 2^n), which is neither infinite nor below 2^-126 (codegen/math.cpp).
bool is_sigmoid(const llvm::Instruction &i) {
  using namespace llvm::PatternMatch;
  return i.getType()->isVectorTy() && i.getType()->getScalarType()->isFloatTy() &&
         match(&i, m_FDiv(m_FPOne(), m_c_FAdd(m_FMul(m_Value(), m_Value()), m_FPOne())));
}

// The freedoms taken with floating point: products and sums of kernels may fuse, and where there is an estimate of
// 1 / x to 14 bits, it and one step of Newton's method (28 bits) take the place of a sigmoid's division, which keeps one
// of the multipliers busy for four times as long.
void settle_floats(llvm::Instruction &i, bool is_kernel, const MachineTarget &target) {
  if (!llvm::isa<llvm::FPMathOperator>(i))
    return;
  llvm::FastMathFlags flags;
  flags.setAllowContract(is_kernel);
  if (is_kernel && target.estimates_reciprocal && is_sigmoid(i)) {
    flags.setAllowReciprocal();
    flags.setNoInfs();
  }
  i.copyFastMathFlags(flags); // instead of what stands there; setFastMathFlags would add to it
  i.setMetadata(llvm::LLVMContext::MD_fpmath, nullptr);
}

// Halide takes the address of a masked vector, and what is read of an output again, to be aligned as its own memory is.
void settle_alignment(llvm::Instruction &i, const Kernel &kernel) {
  if (auto *call = llvm::dyn_cast<llvm::IntrinsicInst>(&i)) {
    unsigned place = call->getIntrinsicID() == llvm::Intrinsic::masked_load ? 1 : call->getIntrinsicID() == llvm::Intrinsic::masked_store ? 2
                                                                                                                                          : 0;
    if (place)
      call->setArgOperand(place, ConstantInt::get(llvm::Type::getInt32Ty(i.getContext()), 4));
    return;
  }
  if (auto *load = llvm::dyn_cast<llvm::LoadInst>(&i); load && kernel.wide_steps && load->getType()->isVectorTy())
    load->setAlignment(llvm::Align(4));
  const llvm::Value *p = llvm::getLoadStorePointerOperand(&i);
  if (kernel.aligned_output || !p || llvm::isa<llvm::AllocaInst>(llvm::getUnderlyingObject(p)))
    return;
  if (auto *load = llvm::dyn_cast<llvm::LoadInst>(&i))
    load->setAlignment(llvm::Align(4));
  else
    llvm::cast<llvm::StoreInst>(i).setAlignment(llvm::Align(4));
}

// Halide fetches ahead as what is read once and then no more. Such lines are dropped first where many belong to one set of the
// cache, as neighbouring channels' do. What is fetched while sums are made is wanted after them: in the second-level cache.
void settle_prefetch(llvm::Instruction &i, const Kernel &kernel) {
  auto *call = llvm::dyn_cast<llvm::IntrinsicInst>(&i);
  if (call && call->getIntrinsicID() == llvm::Intrinsic::prefetch)
    call->setArgOperand(2, ConstantInt::get(llvm::Type::getInt32Ty(i.getContext()), kernel.fetch_next.empty() ? 3 : 2));
}

// The argument whose memory `address` is in, where it was loaded from a buffer of Halide's; else null.
const llvm::Argument *buffer_of(const llvm::Value *address) {
  const auto *host = llvm::dyn_cast<llvm::LoadInst>(llvm::getUnderlyingObject(address, 0));
  return host ? llvm::dyn_cast<llvm::Argument>(llvm::getUnderlyingObject(host->getPointerOperand(), 0)) : nullptr;
}

// Whole lines that are written past the caches are not read first.
void stream_output(llvm::Function &f, const Kernel &kernel) {
  const llvm::Argument *output = f.getArg(unsigned(kernel.arguments.size()));
  std::vector<llvm::StoreInst *> stores;
  for (llvm::BasicBlock &block : f)
    for (llvm::Instruction &i : block) {
      const llvm::Value *address = llvm::getLoadStorePointerOperand(&i);
      if (!address || buffer_of(address) != output)
        continue;
      auto *store = llvm::dyn_cast<llvm::StoreInst>(&i);
      if (!store || store->getAlign() < llvm::Align(64))
        return; // read again, or not by whole lines
      stores.push_back(store);
    }
  llvm::LLVMContext &c = f.getContext();
  for (llvm::StoreInst *store : stores)
    store->setMetadata(llvm::LLVMContext::MD_nontemporal, llvm::MDNode::get(c, llvm::ConstantAsMetadata::get(llvm::ConstantInt::get(llvm::Type::getInt32Ty(c), 1))));
}

void settle_functions(llvm::Module &m, const LibraryParts &parts, const std::map<std::string, const Kernel *> &kernels) {
  for (llvm::Function &f : m) {
    if (f.isDeclaration())
      continue;
    f.setLinkage(llvm::GlobalValue::InternalLinkage);
    std::string name = f.getName().str();
    auto kernel = kernels.find(name);
    // Kernels and what calls them are for the target's vectors; what may run first is for any machine.
    bool vectors = kernel != kernels.end() || name == "floats_finite"; // which runs over all images and parameters
    for (const Routine &r : parts.routines)
      vectors = vectors || name == "cnnc_" + r.name;
    for (const char *a : {"target-cpu", "target-features", "tune-cpu", "prefer-vector-width", "min-legal-vector-width"})
      f.removeFnAttr(a);
    f.addFnAttr("target-cpu", vectors ? parts.target.cpu : baseline(parts.target.arch));
    if (!parts.target.features.empty())
      f.addFnAttr("target-features", parts.target.features);
    f.addFnAttr("frame-pointer", "none");
    if (parts.target.estimates_reciprocal)
      f.addFnAttr("reciprocal-estimates", "vec-divf:1");
    if (kernel != kernels.end()) {
      f.addFnAttr(llvm::Attribute::NoUnwind);
      f.addFnAttr("stackrealign");                // to whole vectors, that one which finds no register does not cross lines of the cache
      f.addFnAttr(llvm::Attribute::NoInline);     // a routine's stack is its largest kernel's and not their sum
      f.addFnAttr(llvm::Attribute::OptimizeNone); // until `finish`: Halide has optimised it
    }
    for (llvm::BasicBlock &block : f)
      for (llvm::Instruction &i : block) {
        settle_floats(i, kernel != kernels.end(), parts.target);
        if (kernel != kernels.end()) {
          settle_alignment(i, *kernel->second);
          settle_prefetch(i, *kernel->second);
        }
      }
    if (kernel != kernels.end() && parts.target.estimates_reciprocal)
      select_sigmoids(f);
    if (kernel != kernels.end() && kernel->second->streams && parts.target.vector_bytes == 64)
      stream_output(f, *kernel->second);
  }
}
} // namespace

void LibraryModule::begin_variant(const LibraryParts &parts, ModelInfo &info) {
  auto m = read_bitcode(embedded_hooks(parts.target.arch, info.f64), *context_);
  m->setTargetTriple(parts.target.triple);
  m->setDataLayout(machine(parts.target)->createDataLayout());
  m->setModuleIdentifier(info.name);
  m->setSourceFileName(info.name);
  define_plan(*m, parts, info);
  define_model(*m, info);
  evaluate_bytes(*m, info);
  variants_.push_back({std::move(m), parts.target.cpu_needs});
}

void LibraryModule::finish_variant(const LibraryParts &parts, const std::vector<std::string> &kernels) {
  llvm::Module &module = *variants_.back().module;
  std::map<std::string, const Kernel *> by_name;
  for (const Kernel &k : parts.kernels)
    by_name[k.name] = &k;
  for (const std::string &bitcode : kernels) {
    std::unique_ptr<llvm::Module> compiled = read_bitcode(bitcode, *context_);
    compiled->setTargetTriple(module.getTargetTriple());
    compiled->setDataLayout(module.getDataLayout());
    if (llvm::Linker::linkModules(module, std::move(compiled)))
      fault("the kernels and the hooks do not link");
  }
  int first = 0;
  for (const Routine &r : parts.routines) {
    define_routine(module, r, by_name, parts.tick, first);
    first += int(r.calls.size());
  }
  settle_functions(module, parts, by_name);
  for (llvm::GlobalVariable &g : module.globals())
    if (!g.isDeclaration() && !g.hasPrivateLinkage())
      g.setLinkage(llvm::GlobalValue::InternalLinkage);
  auto *table = module.getNamedGlobal("cnnc_the_model");
  table->setLinkage(llvm::GlobalValue::ExternalLinkage);
  table->setName(fmt::format("cnnc_variant_{}", variants_.size() - 1));
}

void LibraryModule::finish(const MachineTarget &target, const ModelInfo &info) {
  module_ = read_bitcode(embedded_dispatch(target.arch), *context_);
  module_->setTargetTriple(target.triple);
  module_->setDataLayout(variants_[0].module->getDataLayout());
  module_->setModuleIdentifier(info.name);
  module_->setSourceFileName(info.name);
  auto *i32 = llvm::Type::getInt32Ty(*context_);
  std::vector<Constant *> tables, needs;
  for (Variant &v : variants_) {
    std::string name = fmt::format("cnnc_variant_{}", tables.size());
    needs.push_back(ConstantInt::get(i32, v.cpu_needs));
    if (llvm::Linker::linkModules(*module_, std::move(v.module)))
      fault("the variants do not link");
    tables.push_back(module_->getNamedGlobal(name));
  }
  auto define = [&](const char *name, const std::vector<Constant *> &items) {
    llvm::GlobalVariable *declared = module_->getNamedGlobal(name);
    if (!declared)
      fault(std::string("the dispatcher lacks ") + name);
    auto *element = llvm::cast<llvm::ArrayType>(declared->getValueType())->getElementType();
    std::vector<Constant *> cast;
    for (Constant *c : items)
      cast.push_back(c->getType()->isPointerTy() ? llvm::ConstantExpr::getPointerCast(c, element) : c);
    declared->replaceAllUsesWith(llvm::ConstantExpr::getPointerCast(array_of(*module_, cast, "variants"), declared->getType()));
    declared->eraseFromParent();
  };
  define("cnnc_variants", tables);
  define("cnnc_variant_needs", needs);
  auto *count = module_->getNamedGlobal("cnnc_variant_count");
  count->setInitializer(ConstantInt::get(i32, tables.size()));
  count->setConstant(true);

  // lenet_init and its like; the rest is internal.
  for (llvm::GlobalVariable &g : module_->globals())
    if (!g.isDeclaration() && !g.hasPrivateLinkage())
      g.setLinkage(llvm::GlobalValue::InternalLinkage);
  const std::string prefix = "cnnc_public_";
  for (llvm::Function &f : *module_) {
    if (f.isDeclaration())
      continue;
    std::string name = f.getName().str();
    bool is_public = name.compare(0, prefix.size(), prefix) == 0;
    std::string call = is_public ? name.substr(prefix.size()) : "";
    bool training = call == "init" || call.compare(0, 10, "train_step") == 0 || call.compare(0, 9, "gradients") == 0 || call.compare(0, 8, "evaluate") == 0;
    f.setLinkage(is_public && (info.trains || !training) ? llvm::GlobalValue::ExternalLinkage : llvm::GlobalValue::InternalLinkage);
    if (is_public)
      f.setName(info.name + "_" + call);
    if (!target.features.empty())
      f.addFnAttr("target-features", target.features);
  }
  for (const llvm::Function &f : *module_)
    if (f.isDeclaration() && f.getName().startswith("halide_") && !f.use_empty())
      fault("a kernel needs " + f.getName().str());
  if (llvm::verifyModule(*module_, &llvm::errs()))
    fault("LLVM refuses the module");
  optimise(*module_, machine(target).get());
  for (llvm::Function &f : *module_)
    f.removeFnAttr(llvm::Attribute::OptimizeNone);
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
