#include "compiler/emit/llvm/call_emitter.h"

#include <llvm/Support/raw_ostream.h>

#include <algorithm>

namespace onnxc::emit {

using llvm::Value;

namespace {

// Whether a run decides the heights of the kernel's tiles: then all of them are needed, and machine code of the kernel
// serves all calls. Images and heads are but turns of a loop around the tiles.
bool is_of_any_size(const KernelCall& call) {
  return std::ranges::any_of(call.arguments, [](const Argument& a) {
    const Dim* dim = std::get_if<Dim>(&a.value);
    return dim && !dim->is_const() && a.name != "n" && a.name != "batches" && a.name != "heads";
  });
}

// Whether the target has instructions for the kernel that its level has not, for which machine code is made.
bool wants_own_code(const KernelCall& call, const Target& target) {
  return !target.features.empty() && std::ranges::count(Target::kIntegerKernels, call.kernel) > 0;
}

// A constant argument in the type that the kernel declares; null when it does not fit.
llvm::Constant* typed_constant(llvm::Type* type, const std::variant<Dim, double>& value) {
  if (const auto* number = std::get_if<double>(&value)) {
    if (!type->isFloatingPointTy()) return nullptr;
    return llvm::ConstantFP::get(type, *number);
  }
  const int64_t integer = std::get<Dim>(value).value();
  if (type->isFloatingPointTy()) return llvm::ConstantFP::get(type, static_cast<double>(integer));
  if (type->isIntegerTy()) return llvm::ConstantInt::get(type, static_cast<uint64_t>(integer), true);
  return nullptr;
}

}  // namespace

std::vector<CallEmitter::Actual> CallEmitter::actuals(const KernelCall& call, const std::optional<Partition>& partition,
                                                      const Share* share, const llvm::Function& kernel,
                                                      llvm::IRBuilder<>& b, ExprEmitter& exprs) {
  std::vector<Actual> out;
  for (const auto* operands : {&call.outs, &call.inouts, &call.ins})
    for (const Operand& operand : *operands) {
      if (operand.buffer == kNoBuffer)
        out.push_back({nullptr, llvm::ConstantPointerNull::get(b.getPtrTy())});
      else
        out.push_back({exprs.address(operand.buffer, operand.at), nullptr});
    }
  for (BufferId scratch : call.scratch) out.push_back({exprs.address(scratch, {}), nullptr});
  std::vector<std::variant<Dim, double>> numbers;
  for (const Argument& argument : call.arguments) numbers.push_back(argument.value);
  if (partition && !share) {
    numbers.emplace_back(Dim(0));
    numbers.emplace_back(partition->extent);
  }
  const size_t others = (partition && share ? 2 : 0) + (call.meetings ? 2 : 0) + (call.run_memory ? 2 : 0);
  if (out.size() + numbers.size() + others != kernel.arg_size()) {
    context_.fail(ErrorKind::Internal, "kernel " + call.kernel + " takes " + std::to_string(kernel.arg_size()) +
                                           " parameters, the call has " + std::to_string(out.size()) + " buffers and " +
                                           std::to_string(numbers.size()) + " numbers");
    return out;
  }
  for (const auto& number : numbers) {
    llvm::Type* type = kernel.getArg(static_cast<unsigned>(out.size()))->getType();
    const Dim* dim = std::get_if<Dim>(&number);
    if (dim && !dim->is_const()) {
      out.push_back({b.CreateIntCast(exprs.emit_dim(*dim).value, type, true), nullptr});
      continue;
    }
    llvm::Constant* constant = typed_constant(type, number);
    if (!constant)
      context_.fail(ErrorKind::Internal, "kernel " + call.kernel + ": argument " + std::to_string(out.size()) +
                                             " is of another kind than the kernel declares");
    if (!constant) constant = llvm::Constant::getNullValue(type);
    out.push_back({nullptr, constant});
  }
  if (partition && share) {
    out.push_back({share->begin, nullptr});
    out.push_back({share->end, nullptr});
  }
  if (call.meetings) {
    llvm::Constant* null = llvm::ConstantPointerNull::get(b.getPtrTy());
    const bool joint = share && share->team;
    out.push_back({nullptr, joint ? context_.kernels.declare(context_.module, "onnxc_meet") : null});
    out.push_back(joint ? Actual{share->team, nullptr} : Actual{nullptr, null});
  }
  if (call.run_memory) {
    out.push_back({nullptr, context_.kernels.declare(context_.module, "onnxc_run_allocate")});
    out.push_back({frame_, nullptr});
  }
  return out;
}

llvm::Function* CallEmitter::specialise(const std::string& name, llvm::Function& kernel,
                                        const std::vector<Actual>& actuals) {
  std::string key;
  llvm::raw_string_ostream text(key);
  text << name;
  for (const Actual& actual : actuals) {
    text << '|';
    if (actual.constant) actual.constant->print(text);
  }
  llvm::Function*& function = context_.specialised.made[key];
  if (function) return function;

  std::vector<llvm::Type*> types;
  for (const Actual& actual : actuals)
    if (actual.value) types.push_back(actual.value->getType());
  auto* type = llvm::FunctionType::get(kernel.getReturnType(), types, false);
  function = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage,
                                    name + "_" + std::to_string(context_.specialised.count[name]++), context_.module);
  function->addFnAttr(llvm::Attribute::NoInline);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  context_.set_target_attributes(*function);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(context_.llvm(), "", function));
  std::vector<Value*> args;
  unsigned parameter = 0;
  for (const Actual& actual : actuals) {
    if (actual.constant) {
      args.push_back(actual.constant);
      continue;
    }
    if (actual.value->getType()->isPointerTy()) function->addParamAttr(parameter, llvm::Attribute::NonNull);
    args.push_back(function->getArg(parameter++));
  }
  llvm::CallInst* call = b.CreateCall(&kernel, args);
  if (kernel.getReturnType()->isVoidTy())
    b.CreateRetVoid();
  else
    b.CreateRet(call);
  return function;
}

llvm::Function* CallEmitter::declare_linked(const std::string& symbol) {
  llvm::Function* known = context_.module.getFunction(symbol);
  if (known && known->isDeclaration()) return known;
  if (known) known->setName(symbol + ".own");  // one of the model's functions, whose name is nobody's business
  auto* type = llvm::FunctionType::get(llvm::Type::getInt32Ty(context_.llvm()),
                                       {llvm::PointerType::getUnqual(context_.llvm())}, false);
  return llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, symbol, context_.module);
}

// The values in an array on the stack of the body, whose place serves all runs of the call.
Value* CallEmitter::array_of(const std::vector<Value*>& values, llvm::Type* element, llvm::IRBuilder<>& b) {
  llvm::BasicBlock& first = b.GetInsertBlock()->getParent()->getEntryBlock();
  llvm::IRBuilder<> entry(&first, first.begin());
  Value* array = entry.CreateAlloca(llvm::ArrayType::get(element, values.size()));
  for (unsigned i = 0; i < values.size(); ++i)
    b.CreateStore(values[i], b.CreateConstInBoundsGEP1_64(element, array, i));
  return array;
}

Value* CallEmitter::emit_linked(const KernelCall& call, llvm::IRBuilder<>& b, ExprEmitter& exprs) {
  std::vector<Value*> operands, numbers;
  const auto add = [&](BufferId buffer) {
    Value* const null = llvm::ConstantPointerNull::get(b.getPtrTy());
    operands.push_back(buffer == kNoBuffer ? null : exprs.address(buffer, {}));
  };
  for (const auto* list : {&call.outs, &call.inouts, &call.ins})
    for (const Operand& operand : *list) add(operand.buffer);
  for (BufferId scratch : call.scratch) add(scratch);
  for (const Argument& argument : call.arguments)
    numbers.push_back(exprs.emit_dim(std::get<Dim>(argument.value)).value);
  llvm::Function* kernel = context_.kernels.declare(context_.module, "onnxc_" + call.kernel);
  if (!kernel) {
    context_.fail(ErrorKind::Internal, "there is no kernel '" + call.kernel + "' that calls linked functions");
    return nullptr;
  }
  return b.CreateCall(kernel, {frame_, declare_linked(call.function), array_of(operands, b.getPtrTy(), b),
                               array_of(numbers, b.getInt64Ty(), b)});
}

Value* CallEmitter::emit(const KernelCall& call, const std::optional<Partition>& partition, const Share* share,
                         llvm::IRBuilder<>& b, ExprEmitter& exprs) {
  if (!call.function.empty()) return emit_linked(call, b, exprs);
  llvm::Function* kernel = context_.kernels.declare(context_.module, "onnxc_" + call.kernel);
  if (!kernel) {
    context_.fail(ErrorKind::Unsupported, "the kernel library has no kernel '" + call.kernel + "'");
    return nullptr;
  }
  const std::vector<Actual> passed = actuals(call, partition, share, *kernel, b, exprs);
  if (context_.error) return nullptr;
  const bool ready_made = is_of_any_size(call) && !wants_own_code(call, context_.target);
  llvm::Function* function = ready_made ? context_.kernels.declare_any_size(context_.module, call.kernel) : nullptr;
  std::vector<Value*> args;
  for (const Actual& actual : passed)
    if (actual.value || function) args.push_back(actual.value ? actual.value : actual.constant);
  if (!function) function = specialise(call.kernel, *kernel, passed);
  llvm::CallInst* made = b.CreateCall(function, args);
  if (call.may_fail == made->getType()->isVoidTy())
    context_.fail(ErrorKind::Internal, "kernel " + call.kernel +
                                           (call.may_fail ? " returns no status, the call wants one"
                                                          : " can fail, the call says it cannot"));
  return call.may_fail ? made : nullptr;
}

void CallEmitter::emit_in_nest(const KernelCall& call, llvm::IRBuilder<>& b, ExprEmitter& exprs) {
  if (call.may_fail)
    context_.fail(ErrorKind::Internal, "kernel " + call.kernel + " can fail, and is called within a loop nest");
  else
    emit(call, std::nullopt, nullptr, b, exprs);
}

}  // namespace onnxc::emit
