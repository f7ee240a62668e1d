// If and Loop: branches, turns, and copies of what crosses a region's border.
#include <set>

#include "compiler/emit/llvm/region_emitter.h"

namespace onnxc::emit {

using llvm::Value;

// Copies the logical elements of row-major buffers; nothing when both lie in one place.
void RegionEmitter::copy_buffer(BufferId to, BufferId from, Value* to_offset) {
  const Buffer &target = context_.buffer(to), &source = context_.buffer(from);
  const Dim bytes = numel(source.dims) * Dim(static_cast<int64_t>(elem_size(source.elem)));
  const bool dense = source.effective_strides() == row_major_strides(source.dims) &&
                     target.effective_strides() == row_major_strides(target.dims);
  if (!dense)
    return context_.fail(ErrorKind::Internal, "'" + source.name + "' leaves a region with gaps between elements");
  Value *destination = element_address(to), *origin = element_address(from);
  if (to_offset) destination = b_.CreateInBoundsPtrAdd(destination, to_offset);
  if (bytes == Dim(0)) return;
  b_.CreateMemMove(destination, llvm::MaybeAlign(1), origin, llvm::MaybeAlign(1), exprs_.emit_dim(bytes).value);
}

// Whether copying one after the other is right: no copy may overwrite what a later one reads.
bool RegionEmitter::copies_are_ordered(const std::vector<BufferId>& to, const std::vector<BufferId>& from,
                                       const char* what) {
  std::set<BufferId> overwritten;
  for (size_t i = 0; i < to.size() && i < from.size(); ++i) {
    const BufferId source = storage_root(context_.program(), from[i]);
    if (overwritten.contains(source)) {
      context_.fail(ErrorKind::Unsupported, std::string(what) + " exchanges '" + context_.buffer(from[i]).name +
                                                "' with another carried value, which is not supported yet");
      return false;
    }
    const BufferId target = storage_root(context_.program(), to[i]);
    if (target != source) overwritten.insert(target);
  }
  return true;
}

void RegionEmitter::begin_end(int64_t number) {
  Value* position = b_.getInt32(static_cast<uint32_t>(number));
  if (debug_plan_) call_entry("onnxc_debug_before", {body_->getArg(0), debug_plan_, position});
}

void RegionEmitter::finish_end(int64_t number, const char* label) {
  if (!debug_plan_) return;
  Value* position = b_.getInt32(static_cast<uint32_t>(number));
  leave_if(call_entry("onnxc_debug_after", {body_->getArg(0), debug_plan_, position, text(label)}));
}

void RegionEmitter::emit_node(const If& node, const Operation&, size_t) {
  llvm::LLVMContext& c = context_.llvm();
  auto* then_block = llvm::BasicBlock::Create(c, "then", body_);
  auto* else_block = llvm::BasicBlock::Create(c, "else", body_);
  auto* join = llvm::BasicBlock::Create(c, "join", body_);
  Value* condition = b_.CreateLoad(b_.getInt8Ty(), element_address(node.condition));
  b_.CreateCondBr(b_.CreateICmpNE(condition, b_.getInt8(0)), then_block, else_block);
  const auto symbols = scope_.symbols;
  int64_t first_end = -1;  // where the results are born, in the other branch too
  auto branch = [&](llvm::BasicBlock* block, const Region& region) {
    b_.SetInsertPoint(block);
    emit_ops(region.ops, false);
    const int64_t end = walk_++;
    if (first_end < 0) first_end = end;
    begin_end(first_end);
    if (copies_are_ordered(node.results, region.yields, "an If"))
      for (size_t i = 0; i < node.results.size() && i < region.yields.size(); ++i)
        copy_buffer(node.results[i], region.yields[i]);
    finish_end(end, "if");
    scope_.symbols = symbols;
    b_.CreateBr(join);
  };
  branch(then_block, node.then_region);
  branch(else_block, node.else_region);
  b_.SetInsertPoint(join);
}

void RegionEmitter::emit_node(const Loop& node, const Operation&, size_t) {
  llvm::LLVMContext& c = context_.llvm();
  const Region& region = node.body;
  const size_t carried = node.inits.size(), first = node.condition == kNoBuffer ? 0 : 1;
  if (copies_are_ordered(region.args, node.inits, "a Loop"))
    for (size_t i = 0; i < carried; ++i) copy_buffer(region.args[i], node.inits[i]);
  Value* limit = node.trip_count ? exprs_.emit_dim(*node.trip_count).value : b_.getInt64(INT64_MAX);
  Value* go = b_.getTrue();
  if (first) go = b_.CreateICmpNE(b_.CreateLoad(b_.getInt8Ty(), element_address(node.condition)), b_.getInt8(0));
  auto* turn = llvm::BasicBlock::Create(c, "turn", body_);
  auto* done = llvm::BasicBlock::Create(c, "done", body_);
  llvm::BasicBlock* before = b_.GetInsertBlock();
  b_.CreateCondBr(b_.CreateAnd(go, b_.CreateICmpSGT(limit, b_.getInt64(0))), turn, done);

  b_.SetInsertPoint(turn);
  llvm::PHINode* number = b_.CreatePHI(b_.getInt64Ty(), 2, "turn_number");
  number->addIncoming(b_.getInt64(0), before);
  const auto symbols = scope_.symbols;
  if (!region.scalar_args.empty()) scope_.symbols[region.scalar_args[0]] = {number, true};
  emit_ops(region.ops, false);
  const int64_t end = walk_++;
  for (size_t i = carried; i + first < region.yields.size() && i < node.results.size(); ++i) {  // scans
    const BufferId yield = region.yields[i + first];
    const Dim bytes =
        numel(context_.buffer(yield).dims) * Dim(static_cast<int64_t>(elem_size(context_.buffer(yield).elem)));
    copy_buffer(node.results[i], yield, b_.CreateNSWMul(number, exprs_.emit_dim(bytes).value));
  }
  if (first)
    go = b_.CreateICmpNE(b_.CreateLoad(b_.getInt8Ty(), element_address(region.yields[0])), b_.getInt8(0));
  else
    go = b_.getTrue();
  const std::vector<BufferId> next(region.yields.begin() + static_cast<int64_t>(first), region.yields.end());
  if (copies_are_ordered(region.args, next, "a Loop"))
    for (size_t i = 0; i < carried && i < next.size(); ++i) copy_buffer(region.args[i], next[i]);
  scope_.symbols = symbols;
  Value* following = b_.CreateAdd(number, b_.getInt64(1));
  number->addIncoming(following, b_.GetInsertBlock());
  b_.CreateCondBr(b_.CreateAnd(go, b_.CreateICmpSLT(following, limit)), turn, done);

  b_.SetInsertPoint(done);
  begin_end(end);
  for (size_t i = 0; i < carried && i < node.results.size(); ++i) copy_buffer(node.results[i], region.args[i]);
  finish_end(end, "loop");
}

}  // namespace onnxc::emit
