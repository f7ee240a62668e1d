// The body and its plain operations; If and Loop are in control_emitter.cc, threads in thread_emitter.cc.
#include "compiler/emit/llvm/region_emitter.h"

#include <onnxc/onnxc.h>

#include "compiler/emit/llvm/abi_types.h"
#include "compiler/emit/llvm/nest_function.h"
#include "compiler/plan/run_time_layout.h"

namespace onnxc::emit {

using llvm::Value;

std::string operation_label(const Operation& op) {
  std::string label = "operation";
  if (const auto* call = std::get_if<KernelCall>(&op.node)) label = callee(*call);
  if (std::holds_alternative<Nest>(op.node)) label = "nest";
  if (std::holds_alternative<ScalarDef>(op.node)) label = "scalar";
  if (std::holds_alternative<Alloc>(op.node)) label = "alloc";
  if (std::holds_alternative<If>(op.node)) label = "if";
  if (std::holds_alternative<Loop>(op.node)) label = "loop";
  if (std::holds_alternative<Barrier>(op.node)) label = "barrier";
  if (std::holds_alternative<Require>(op.node)) label = "require";
  for (size_t i = 0; i < op.origins.size(); ++i) label += (i ? ", " : " (") + op.origins[i];
  return op.origins.empty() ? label : label + ")";
}

RegionEmitter::RegionEmitter(EmitContext& context)
    : context_(context), b_(context.llvm()), exprs_(context, b_, scope_), calls_(context) {}

llvm::Function* RegionEmitter::emit_body() {
  auto* type = llvm::FunctionType::get(b_.getInt32Ty(), {b_.getPtrTy()}, false);
  body_ =
      llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, context_.function_name("body"), context_.module);
  body_->addFnAttr(llvm::Attribute::NoUnwind);
  context_.set_target_attributes(*body_);
  body_->getArg(0)->setName("frame");
  calls_.set_frame(body_->getArg(0));
  b_.SetInsertPoint(llvm::BasicBlock::Create(context_.llvm(), "entry", body_));
  enter_stage(0);
  if (context_.plan.debug) {
    make_debug_plan();
    call_entry("onnxc_debug_start", {body_->getArg(0), debug_plan_});
  }
  if (context_.plan.threads) start_threads();
  emit_ops(context_.program().ops, true);
  if (context_.plan.threads)
    end_threads();
  else
    leave(b_.getInt32(ONNXC_OK));
  return body_;
}

Value* RegionEmitter::frame_field(unsigned index, llvm::Type* type) {
  return FrameAccess(context_, b_, body_->getArg(0), exprs_).field(index, type);
}

void RegionEmitter::enter_stage(size_t stage) {
  FrameAccess frame(context_, b_, body_->getArg(0), exprs_);
  const Program& program = context_.program();
  const StageOfSymbol known = stage_of_symbol(program);
  frame.load_table(stage, scope_);
  for (BufferId id = 0; id < program.buffers.size(); ++id) {
    const Buffer& buffer = program.buffers[id];
    const bool is_output = buffer.storage == Buffer::Storage::Output;
    if ((is_output ? stage_of_output(buffer.dims, known) : context_.plan.places[id].stage) != stage) continue;
    if (Value* pointer = frame.storage(id)) scope_.pointers[id] = pointer;
  }
  for (const RunTimeBytes& bytes : context_.plan.stages[stage].run_time_bytes)
    scope_.symbols.erase(bytes.name);  // of places only
}

llvm::CallInst* RegionEmitter::call_entry(const char* name, const std::vector<Value*>& args) {
  llvm::Function* function = context_.kernels.declare(context_.module, name);
  if (!function || function->arg_size() != args.size()) {
    context_.fail(ErrorKind::Internal, std::string("the entry library has no fitting function ") + name);
    return nullptr;
  }
  return b_.CreateCall(function, args);
}

void RegionEmitter::leave(Value* status) {
  if (context_.plan.threads) {
    b_.CreateStore(status, status_);
    b_.CreateBr(stretch_end_);
    return;
  }
  if (debug_plan_) call_entry("onnxc_debug_end", {body_->getArg(0), debug_plan_});
  b_.CreateRet(status);
}

void RegionEmitter::leave_if(Value* status) {
  if (!status) return;
  auto* failed = llvm::BasicBlock::Create(context_.llvm(), "failed", body_);
  auto* next = llvm::BasicBlock::Create(context_.llvm(), "next", body_);
  b_.CreateCondBr(b_.CreateICmpNE(status, b_.getInt32(ONNXC_OK)), failed, next);
  b_.SetInsertPoint(failed);
  leave(status);
  b_.SetInsertPoint(next);
}

Value* RegionEmitter::step_number(size_t index) {
  return b_.getInt32(static_cast<uint32_t>(context_.first_operation + index));
}

Value* RegionEmitter::text(const std::string& s) { return b_.CreateGlobalString(s, "text", 0, &context_.module); }

void RegionEmitter::emit_ops(const std::vector<Operation>& ops, bool outermost) {
  llvm::Argument* frame = body_->getArg(0);
  const std::vector<PlannedStage>& stages = context_.plan.stages;
  size_t stage = 0;  // the next one
  for (size_t i = 0; i < ops.size(); ++i) {
    Value* index = step_number(i);
    Value* number = b_.getInt32(static_cast<uint32_t>(walk_));
    ++walk_;
    if (outermost && stage < stages.size() && i >= stages[stage].operations.begin) {
      const bool first = i == stages[stage].operations.begin, last = i + 1 == stages[stage].operations.end;
      const bool empty = stages[stage].operations.end == stages[stage].operations.begin;
      if (first && stage > 0) emit_stage(stage);
      if (context_.error) return;
      if (last || empty) ++stage;
      if (!empty) continue;
    }
    if (outermost && context_.plan.threads) {
      emit_for_threads(ops[i], i);
      if (context_.error) return;
      continue;
    }
    if (outermost) leave_if(call_entry("onnxc_step_begin", {frame, index}));
    if (debug_plan_) call_entry("onnxc_debug_before", {frame, debug_plan_, number});
    exprs_.forget();
    emit_op(ops[i], i);
    exprs_.forget();
    if (debug_plan_)
      leave_if(call_entry("onnxc_debug_after", {frame, debug_plan_, number, text(operation_label(ops[i]))}));
    if (outermost) call_entry("onnxc_step_end", {frame, index});
    if (context_.error) return;
  }
}

void RegionEmitter::emit_stage(size_t stage) {
  llvm::Argument* frame = body_->getArg(0);
  Value* index = step_number(context_.plan.stages[stage].operations.begin);
  const auto begin_stage = [&] {
    auto* type = llvm::FunctionType::get(b_.getInt32Ty(), {b_.getPtrTy(), b_.getInt32Ty()}, false);
    Value* function = frame_field(AbiTypes::kFrameBeginStage, b_.getPtrTy());
    leave_if(b_.CreateCall(type, function, {frame, b_.getInt32(static_cast<uint32_t>(stage))}));
  };
  exprs_.forget();
  leave_if(call_entry("onnxc_step_begin", {frame, index}));
  if (context_.plan.threads) {
    meet();
    on_first_thread(begin_stage);
    meet();
  } else {
    begin_stage();
  }
  enter_stage(stage);
  call_entry("onnxc_step_end", {frame, index});
}

void RegionEmitter::emit_op(const Operation& op, size_t index) {
  std::visit([&](const auto& node) { emit_node(node, op, index); }, op.node);
}

void RegionEmitter::emit_node(const KernelCall& call, const Operation& op, size_t) {
  Value* code = calls_.emit(call, op.partition, share_ ? &*share_ : nullptr, b_, exprs_);
  if (!code) return;
  auto* failed = llvm::BasicBlock::Create(context_.llvm(), "kernel_failed", body_);
  auto* next = llvm::BasicBlock::Create(context_.llvm(), "next", body_);
  b_.CreateCondBr(b_.CreateICmpNE(code, b_.getInt32(0)), failed, next);
  b_.SetInsertPoint(failed);
  Value* status = call_entry("onnxc_step_failed", {body_->getArg(0), text(operation_label(op)), code});
  leave(status ? status : b_.getInt32(ONNXC_FAILED));
  b_.SetInsertPoint(next);
}

void RegionEmitter::emit_node(const Nest& nest, const Operation& op, size_t index) {
  emit_nest_call(context_, calls_, nest, op, "op_" + std::to_string(index) + "_nest", share_ ? &*share_ : nullptr, b_,
                 scope_);
}

void RegionEmitter::emit_node(const ScalarDef& def, const Operation&, size_t) {
  IndexValue value;
  if (const auto* dim = std::get_if<Dim>(&def.value)) {
    value = exprs_.emit_dim(*dim);
  } else if (const auto* dim_of = std::get_if<ScalarDef::DimOf>(&def.value)) {
    const Buffer& buffer = context_.buffer(dim_of->buffer);
    if (buffer.storage != Buffer::Storage::Input)
      return context_.fail(ErrorKind::Unsupported, "scalar '" + def.name + "' is a dimension of '" + buffer.name +
                                                       "', which is known only at run time");
    FrameAccess frame(context_, b_, body_->getArg(0), exprs_);
    value = {frame.input_dim(static_cast<uint64_t>(buffer.index), static_cast<uint64_t>(dim_of->axis)), true};
  } else {
    value = exprs_.element(std::get<ScalarDef::Element>(def.value));
  }
  value.value->setName(def.name);
  scope_.symbols[def.name] = value;
}

void RegionEmitter::emit_node(const Require& require, const Operation&, size_t) {
  auto* refused = llvm::BasicBlock::Create(context_.llvm(), "refused", body_);
  auto* next = llvm::BasicBlock::Create(context_.llvm(), "next", body_);
  b_.CreateCondBr(b_.CreateICmpSLT(exprs_.emit_dim(require.value).value, b_.getInt64(0)), refused, next);
  b_.SetInsertPoint(refused);
  Value* status = call_entry("onnxc_step_refused", {body_->getArg(0), text(require.message)});
  leave(status ? status : b_.getInt32(ONNXC_INVALID_ARGUMENT));
  b_.SetInsertPoint(next);
}

void RegionEmitter::emit_node(const Alloc& alloc, const Operation& op, size_t) {
  const Buffer& buffer = context_.buffer(alloc.buffer);
  llvm::Argument* frame = body_->getArg(0);
  llvm::IRBuilder<> entry(&body_->getEntryBlock(), body_->getEntryBlock().begin());
  auto* type = llvm::StructType::get(context_.llvm(), {b_.getPtrTy(), b_.getInt64Ty()});  // onnxc_grown
  llvm::AllocaInst* place = entry.CreateAlloca(type);
  entry.CreateStore(llvm::Constant::getNullValue(type), place);
  Value* bytes = b_.getInt64(elem_size(buffer.elem));
  for (const Dim& dim : buffer.dims) {
    bytes = call_entry("onnxc_times", {bytes, exprs_.emit_dim(dim).value});
    if (!bytes) return;
  }
  Value* memory = call_entry("onnxc_run_grow", {frame, place, bytes});
  if (!memory) return;
  auto* failed = llvm::BasicBlock::Create(context_.llvm(), "no_memory", body_);
  auto* next = llvm::BasicBlock::Create(context_.llvm(), "next", body_);
  b_.CreateCondBr(b_.CreateIsNull(memory), failed, next);
  b_.SetInsertPoint(failed);
  constexpr uint32_t kNoMemory = 2;  // step.h
  Value* status = call_entry("onnxc_step_failed", {frame, text(operation_label(op)), b_.getInt32(kNoMemory)});
  leave(status ? status : b_.getInt32(ONNXC_OUT_OF_MEMORY));
  b_.SetInsertPoint(next);
  scope_.pointers[alloc.buffer] = memory;
}

Value* RegionEmitter::element_address(BufferId buffer) { return exprs_.address(buffer, {}); }

void RegionEmitter::make_debug_plan() {
  const AbiTypes types(context_.llvm());
  std::vector<llvm::Constant*> rows;
  for (BufferId id = 0; id < context_.program().buffers.size(); ++id) {
    const Place& place = context_.plan.places[id];
    if (place.kind != Place::Kind::Arena || context_.buffer(id).storage == Buffer::Storage::View) continue;
    auto number = [&](const Dim& dim) { return b_.getInt64(static_cast<uint64_t>(dim.constant().value_or(0))); };
    auto* name = llvm::cast<llvm::Constant>(text(context_.buffer(id).name));
    rows.push_back(llvm::ConstantStruct::get(
        types.debug_buffer,
        {name, number(place.offset - place.lead), number(place.bytes), b_.getInt32(static_cast<uint32_t>(place.first)),
         b_.getInt32(static_cast<uint32_t>(place.last))}));
  }
  auto* table_type = llvm::ArrayType::get(types.debug_buffer, rows.size());
  auto* table = new llvm::GlobalVariable(context_.module, table_type, true, llvm::GlobalValue::PrivateLinkage,
                                         llvm::ConstantArray::get(table_type, rows), "debug_buffers");
  auto* value = llvm::ConstantStruct::get(
      types.debug_plan,
      {table, b_.getInt64(rows.size()), b_.getInt64(static_cast<uint64_t>(context_.plan.guard_bytes))});
  debug_plan_ = new llvm::GlobalVariable(context_.module, types.debug_plan, true, llvm::GlobalValue::PrivateLinkage,
                                         value, "debug_plan");
}

}  // namespace onnxc::emit
