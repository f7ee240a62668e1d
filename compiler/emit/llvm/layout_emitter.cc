#include "compiler/emit/llvm/layout_emitter.h"

#include <onnxc/onnxc.h>

#include "compiler/emit/llvm/abi_types.h"
#include "compiler/emit/llvm/frame_access.h"
#include "compiler/plan/run_time_layout.h"

namespace onnxc::emit {

using llvm::Value;

namespace {

class LayoutEmitter {
 public:
  LayoutEmitter(EmitContext& context, size_t stage)
      : context_(context),
        stage_(stage),
        types_(context.llvm()),
        b_(context.llvm()),
        exprs_(context, b_, scope_),
        entries_(table_names(context.plan).begin[stage]) {
    exprs_.saturate();
  }

  llvm::Function* emit() {
    auto* type = llvm::FunctionType::get(b_.getInt32Ty(), {b_.getPtrTy()}, false);
    function_ = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage,
                                       context_.function_name("layout_" + std::to_string(stage_)), context_.module);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    context_.set_target_attributes(*function_);
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_.llvm(), "entry", function_));
    FrameAccess frame(context_, b_, function_->getArg(0), exprs_);
    frame_ = &frame;
    table_ = frame.field(AbiTypes::kFrameTable, b_.getPtrTy());
    for (size_t s = 0; s < stage_; ++s) frame.load_table(s, scope_);
    const Program& program = context_.program();
    const PlannedStage& stage = context_.plan.stages[stage_];
    for (size_t i = stage.operations.begin; i < stage.operations.end; ++i) {
      if (const auto* def = std::get_if<ScalarDef>(&program.ops[i].node)) define(def->name, value_of(*def));
      if (const auto* require = std::get_if<Require>(&program.ops[i].node)) emit_require(*require);
    }
    for (const RunTimeBytes& bytes : stage.run_time_bytes) {
      IndexValue most{b_.getInt64(0), true};
      for (const Dim& least : bytes.least)
        most.value = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, most.value, exprs_.emit_dim(least).value);
      define(bytes.name, most);
    }
    put(stage_, exprs_.emit_dim(stage.arena_bytes).value);
    const StageOfSymbol known = stage_of_symbol(program);
    for (size_t i = 0; i < program.outputs.size(); ++i)
      if (!is_static(program.outputs[i].dims) && stage_of_output(program.outputs[i].dims, known) == stage_)
        put_dims(i, program.outputs[i].dims);
    b_.CreateRet(b_.getInt32(ONNXC_OK));
    return function_;
  }

 private:
  IndexValue value_of(const ScalarDef& def) {
    if (const auto* dim = std::get_if<Dim>(&def.value)) return exprs_.emit_dim(*dim);
    if (const auto* dim_of = std::get_if<ScalarDef::DimOf>(&def.value))
      return {frame_->input_dim(static_cast<uint64_t>(context_.buffer(dim_of->buffer).index),
                                static_cast<uint64_t>(dim_of->axis)),
              true};
    const auto& element = std::get<ScalarDef::Element>(def.value);
    const BufferId root = storage_root(context_.program(), element.buffer);
    if (!scope_.pointers.contains(root)) scope_.pointers[root] = frame_->storage(root);
    if (!scope_.pointers[root]) return {b_.getInt64(0), false};  // has failed
    return exprs_.element(element);
  }

  void define(const std::string& name, IndexValue value) {
    scope_.symbols[name] = value;
    put(entries_++, value.value);
  }

  void put(uint64_t entry, Value* value) {
    b_.CreateStore(value, b_.CreateConstInBoundsGEP1_64(b_.getInt64Ty(), table_, entry));
  }

  void put_dims(size_t output, const Shape& dims) {
    Value* value =
        b_.CreateConstInBoundsGEP1_64(types_.value, frame_->field(AbiTypes::kFrameOutputValues, b_.getPtrTy()), output);
    Value* rank = b_.CreateStructGEP(types_.value, value, AbiTypes::kValueRank);
    b_.CreateStore(b_.getInt32(static_cast<uint32_t>(dims.size())), rank);
    for (size_t d = 0; d < dims.size(); ++d)
      b_.CreateStore(exprs_.emit_dim(dims[d]).value,
                     b_.CreateInBoundsGEP(types_.value, value,
                                          {b_.getInt64(0), b_.getInt32(AbiTypes::kValueDims), b_.getInt64(d)}));
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
    b_.CreateRet(b_.CreateCall(refused, {function_->getArg(0), text}));
    b_.SetInsertPoint(next);
  }

  EmitContext& context_;
  size_t stage_;
  AbiTypes types_;
  llvm::IRBuilder<> b_;
  Scope scope_;
  ExprEmitter exprs_;
  uint64_t entries_;  // of the table, the next to be written
  llvm::Function* function_ = nullptr;
  FrameAccess* frame_ = nullptr;
  Value* table_ = nullptr;
};

}  // namespace

llvm::Function* emit_layout(EmitContext& context, size_t stage) { return LayoutEmitter(context, stage).emit(); }

}  // namespace onnxc::emit
