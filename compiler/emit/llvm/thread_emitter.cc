// The body of a model for several threads: who runs which part of an operation, and barriers.
#include <onnxc/onnxc.h>

#include "compiler/emit/llvm/abi_types.h"
#include "compiler/emit/llvm/region_emitter.h"

namespace onnxc::emit {

using llvm::Value;

void RegionEmitter::start_threads() {
  thread_ = frame_field(AbiTypes::kFrameThread, b_.getInt32Ty());
  threads_ = frame_field(AbiTypes::kFrameThreads, b_.getInt32Ty());
  status_ = b_.CreateAlloca(b_.getInt32Ty());
  b_.CreateStore(b_.getInt32(ONNXC_OK), status_);
  start_stretch();
}

void RegionEmitter::start_stretch() { stretch_end_ = llvm::BasicBlock::Create(context_.llvm(), "stretch_end", body_); }

void RegionEmitter::end_threads() {
  b_.CreateBr(stretch_end_);
  b_.SetInsertPoint(stretch_end_);
  b_.CreateRet(b_.CreateLoad(b_.getInt32Ty(), status_));
}

void RegionEmitter::emit_node(const Barrier&, const Operation&, size_t) {
  if (context_.plan.threads) meet();  // one thread waits for nobody
}

void RegionEmitter::meet() {
  b_.CreateBr(stretch_end_);
  b_.SetInsertPoint(stretch_end_);
  Value* status = call_entry("onnxc_barrier", {body_->getArg(0), b_.CreateLoad(b_.getInt32Ty(), status_)});
  if (!status) return;
  auto* failed = llvm::BasicBlock::Create(context_.llvm(), "failed", body_);
  auto* next = llvm::BasicBlock::Create(context_.llvm(), "stretch", body_);
  b_.CreateCondBr(b_.CreateICmpNE(status, b_.getInt32(ONNXC_OK)), failed, next);
  b_.SetInsertPoint(failed);
  b_.CreateRet(status);
  b_.SetInsertPoint(next);
  start_stretch();
}

void RegionEmitter::on_first_thread(const std::function<void()>& emit) {
  auto* mine = llvm::BasicBlock::Create(context_.llvm(), "mine", body_);
  auto* join = llvm::BasicBlock::Create(context_.llvm(), "done", body_);
  b_.CreateCondBr(b_.CreateICmpEQ(thread_, b_.getInt32(0)), mine, join);
  b_.SetInsertPoint(mine);
  emit();
  b_.CreateBr(join);
  b_.SetInsertPoint(join);
}

// Grains are dealt out as evenly as can be, in order, the larger parts to the first threads; beyond `parts` threads
// none.
Share RegionEmitter::share_of(const Partition& partition) {
  Value* extent = exprs_.emit_dim(partition.extent).value;
  Value* grains = exprs_.emit_dim(Dim::ceil_div(partition.extent, partition.grain)).value;
  Value* threads = threads_;
  if (partition.parts != 0)
    threads =
        b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, threads, b_.getInt32(static_cast<uint32_t>(partition.parts)));
  threads = b_.CreateZExt(threads, b_.getInt64Ty());
  auto bound = [&](Value* thread) {
    thread = b_.CreateZExt(thread, b_.getInt64Ty());
    Value* sum = b_.CreateAdd(b_.CreateMul(thread, grains), b_.CreateSub(threads, b_.getInt64(1)));
    Value* at = b_.CreateMul(b_.CreateUDiv(sum, threads), b_.getInt64(static_cast<uint64_t>(partition.grain)));
    return b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, at, extent);
  };
  return {bound(thread_), bound(b_.CreateAdd(thread_, b_.getInt32(1))), nullptr};
}

// Every thread runs the call, so all must know of a failure before it.
void RegionEmitter::emit_joint(const Operation& op, size_t index) {
  Value* number = step_number(index);
  leave_if(call_entry("onnxc_step_begin", {body_->getArg(0), number}));
  meet();
  exprs_.forget();
  share_ = share_of(*op.partition);
  share_->team = body_->getArg(0);
  emit_op(op, index);
  exprs_.forget();
  call_entry("onnxc_step_end", {body_->getArg(0), number});
  share_.reset();
}

void RegionEmitter::emit_for_threads(const Operation& op, size_t index) {
  exprs_.forget();
  if (is_joint(op)) return emit_joint(op, index);
  if (std::holds_alternative<Barrier>(op.node)) return emit_op(op, index);
  Value* runs = nullptr;
  if (is_shared(op)) {
    share_ = share_of(*op.partition);
    runs = b_.CreateICmpULT(share_->begin, share_->end);
  } else {
    runs = b_.CreateICmpEQ(thread_, b_.getInt32(0));
    // The whole axis as run-time values: one specialised kernel for all calls with these constants.
    if (op.partition && std::holds_alternative<KernelCall>(op.node))
      share_ = Share{b_.getInt64(0), exprs_.emit_dim(op.partition->extent).value, nullptr};
  }
  auto* mine = llvm::BasicBlock::Create(context_.llvm(), "mine", body_);
  auto* join = llvm::BasicBlock::Create(context_.llvm(), "done", body_);
  b_.CreateCondBr(runs, mine, join);
  b_.SetInsertPoint(mine);
  Value* number = step_number(index);
  leave_if(call_entry("onnxc_step_begin", {body_->getArg(0), number}));
  emit_op(op, index);
  exprs_.forget();
  call_entry("onnxc_step_end", {body_->getArg(0), number});
  share_.reset();
  b_.CreateBr(join);
  b_.SetInsertPoint(join);
}

}  // namespace onnxc::emit
