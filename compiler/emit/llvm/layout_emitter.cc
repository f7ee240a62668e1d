#include "compiler/emit/llvm/layout_emitter.h"

#include <onnxc/onnxc.h>

#include "compiler/emit/llvm/abi_types.h"
#include "compiler/emit/llvm/expr_emitter.h"

namespace onnxc::emit {

using llvm::Value;

namespace {

class LayoutEmitter {
 public:
  explicit LayoutEmitter(EmitContext& context)
      : context_(context), types_(context.llvm()), b_(context.llvm()), exprs_(context, b_, scope_) {
    exprs_.saturate();
  }

  llvm::Function* emit() {
    llvm::Type* p = b_.getPtrTy();
    auto* type = llvm::FunctionType::get(b_.getInt32Ty(), {p, p, p, p}, false);
    function_ = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, context_.identity.name + "_layout",
                                       context_.module);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    context_.set_target_attributes(*function_);
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_.llvm(), "entry", function_));
    const Program& program = context_.program();
    for (size_t i = 0; i < prologue_size(program); ++i) {
      if (const auto* def = std::get_if<ScalarDef>(&program.ops[i].node)) define(def->name, value_of(*def));
      if (const auto* require = std::get_if<Require>(&program.ops[i].node)) emit_require(*require);
    }
    for (const RunTimeBytes& bytes : context_.plan.run_time_bytes) {
      IndexValue most{b_.getInt64(0), true};
      for (const Dim& least : bytes.least)
        most.value = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, most.value, exprs_.emit_dim(least).value);
      define(bytes.name, most);
    }
    put(0, exprs_.emit_dim(context_.plan.arena_bytes).value);
    for (size_t i = 0; i < program.outputs.size(); ++i)
      if (!is_static(program.outputs[i].dims)) put_dims(i, program.outputs[i].dims);
    b_.CreateRet(b_.getInt32(ONNXC_OK));
    return function_;
  }

 private:
  IndexValue value_of(const ScalarDef& def) {
    if (const auto* dim = std::get_if<Dim>(&def.value)) return exprs_.emit_dim(*dim);
    const auto& dim_of = std::get<ScalarDef::DimOf>(def.value);
    Value* place = field(function_->getArg(0), static_cast<uint64_t>(context_.buffer(dim_of.buffer).index),
                         static_cast<uint64_t>(dim_of.axis));
    return {b_.CreateLoad(b_.getInt64Ty(), place), true};
  }

  // Dim `axis` of the value `index` of an array of onnxc_value.
  Value* field(Value* values, uint64_t index, uint64_t axis) {
    return b_.CreateInBoundsGEP(types_.value, values,
                                {b_.getInt64(index), b_.getInt32(AbiTypes::kValueDims), b_.getInt64(axis)});
  }

  void define(const std::string& name, IndexValue value) {
    scope_.symbols[name] = value;
    put(++entries_, value.value);
  }

  void put(uint64_t entry, Value* value) {
    b_.CreateStore(value, b_.CreateConstInBoundsGEP1_64(b_.getInt64Ty(), function_->getArg(2), entry));
  }

  void put_dims(size_t output, const Shape& dims) {
    Value* values = function_->getArg(1);
    Value* rank = b_.CreateInBoundsGEP(types_.value, values, {b_.getInt64(output), b_.getInt32(AbiTypes::kValueRank)});
    b_.CreateStore(b_.getInt32(static_cast<uint32_t>(dims.size())), rank);
    for (size_t d = 0; d < dims.size(); ++d) b_.CreateStore(exprs_.emit_dim(dims[d]).value, field(values, output, d));
  }

  void emit_require(const Require& require) {
    auto* failed = llvm::BasicBlock::Create(context_.llvm(), "refused", function_);
    auto* next = llvm::BasicBlock::Create(context_.llvm(), "next", function_);
    b_.CreateCondBr(b_.CreateICmpSLT(exprs_.emit_dim(require.value).value, b_.getInt64(0)), failed, next);
    b_.SetInsertPoint(failed);
    llvm::Function* refused = context_.kernels.declare(context_.module, "onnxc_layout_refused");
    if (!refused || refused->arg_size() != 2)
      return context_.fail(ErrorKind::Internal, "the entry library has no function onnxc_layout_refused");
    Value* text = b_.CreateGlobalString(require.message, "text", 0, &context_.module);
    b_.CreateRet(b_.CreateCall(refused, {function_->getArg(3), text}));
    b_.SetInsertPoint(next);
  }

  EmitContext& context_;
  AbiTypes types_;
  llvm::IRBuilder<> b_;
  Scope scope_;
  ExprEmitter exprs_;
  llvm::Function* function_ = nullptr;
  uint64_t entries_ = 0;
};

}  // namespace

llvm::Function* emit_layout(EmitContext& context) { return LayoutEmitter(context).emit(); }

}  // namespace onnxc::emit
