// Loops, lets, stores and calls; the reductions are in reduce_emitter.cc.
#include "compiler/emit/llvm/nest_emitter.h"

#include <algorithm>

#include "compiler/emit/llvm/merge_loops.h"

namespace onnxc::emit {

using llvm::Value;

namespace {

// Whether the elements at `at` for the values of `symbol` are one, or neighbours.
bool neighbours(const std::vector<Expr>& at, const std::string& symbol) {
  for (size_t i = 0; i < at.size(); ++i) {
    if (!expr::depends_on(at[i], symbol)) continue;
    const bool last = i + 1 == at.size() && at[i]->op == ExprOp::Index;
    if (!last || expr::depends_on(expr::index(at[i]->dim - Dim::symbol(symbol)), symbol)) return false;
  }
  return true;
}

// A short innermost loop over neighbours. LLVM would unroll it whole, then vectorise the loop around it, which has to
// gather and scatter.
bool is_loop_of_lanes(const For& loop) {
  constexpr int64_t kLeast = 8, kMost = 64;
  const auto extent = loop.var.extent.constant();
  if (!extent || *extent < kLeast || *extent > kMost) return false;
  bool good = true;
  for (const Stmt& stmt : loop.body) {
    const auto* store = std::get_if<Store>(&stmt.node);
    if (store) good &= !store->when && neighbours(store->at, loop.var.name);
    good &= store || std::holds_alternative<Let>(stmt.node);
  }
  for_each_expr(loop.body, [&](const Expr& e) {
    for_each_load(e, [&](const ExprNode& load) { good &= neighbours(load.args, loop.var.name); });
  });
  return good;
}

llvm::MDNode* not_unrolled(llvm::LLVMContext& c) {
  llvm::MDNode* no_unroll = llvm::MDNode::get(c, {llvm::MDString::get(c, "llvm.loop.unroll.disable")});
  llvm::MDNode* id = llvm::MDNode::getDistinct(c, {nullptr, no_unroll});
  id->replaceOperandWith(0, id);
  return id;
}

}  // namespace

void NestEmitter::emit(const Block& block) {
  for (const Stmt& stmt : block) {
    exprs_.forget();
    std::visit([this](const auto& node) { emit_stmt(node); }, stmt.node);
  }
  exprs_.forget();
}

void NestEmitter::emit_share(const Block& nest, const Share& share) {
  const For& outermost = std::get<For>(nest.front().node);
  loop(outermost.var.name, share.begin, share.end, [&] { emit(outermost.body); });
}

void NestEmitter::emit_stmt(const For& node) {
  if (const auto merged = merged_with_inner(context_.program(), node)) {
    scope_.symbols[node.var.name] = {b_.getInt64(0), true};
    return emit_stmt(*merged);
  }
  Value* end = exprs_.emit_dim(node.var.extent).value;
  loop(
      node.var.name, b_.getInt64(0), end, [&] { emit(node.body); },
      is_loop_of_lanes(node) ? not_unrolled(context_.llvm()) : nullptr);
}

void NestEmitter::emit_stmt(const Let& let) { scope_.lets[let.name] = exprs_.emit(let.value); }

void NestEmitter::emit_stmt(const Store& store) {
  if (!store.when) {
    exprs_.store(exprs_.emit(store.value), store.value->type, store.buffer, store.at);
    return;
  }
  llvm::Function* function = b_.GetInsertBlock()->getParent();
  auto* then_block = llvm::BasicBlock::Create(context_.llvm(), "when", function);
  auto* join = llvm::BasicBlock::Create(context_.llvm(), "after", function);
  b_.CreateCondBr(exprs_.emit(store.when), then_block, join);
  b_.SetInsertPoint(then_block);
  exprs_.store(exprs_.emit(store.value), store.value->type, store.buffer, store.at);
  b_.CreateBr(join);
  b_.SetInsertPoint(join);
}

void NestEmitter::emit_stmt(const KernelCall& call) { calls_.emit_in_nest(call, b_, exprs_); }

void NestEmitter::loop(const std::string& name, Value* begin, Value* end, const std::function<void()>& body,
                       llvm::MDNode* metadata) {
  llvm::LLVMContext& c = context_.llvm();
  llvm::Function* function = b_.GetInsertBlock()->getParent();
  auto* header = llvm::BasicBlock::Create(c, "loop." + name, function);
  auto* exit = llvm::BasicBlock::Create(c, "end." + name, function);
  b_.CreateCondBr(b_.CreateICmpSLT(begin, end), header, exit);
  llvm::BasicBlock* before = b_.GetInsertBlock();
  b_.SetInsertPoint(header);
  llvm::PHINode* index = b_.CreatePHI(b_.getInt64Ty(), 2, name);
  index->addIncoming(begin, before);

  const auto outer = scope_.symbols;
  const auto outer_lets = scope_.lets;
  scope_.symbols[name] = {index, true};
  body();
  scope_.symbols = outer;
  scope_.lets = outer_lets;
  exprs_.forget();

  Value* next = b_.CreateAdd(index, b_.getInt64(1), "", true, true);
  index->addIncoming(next, b_.GetInsertBlock());
  llvm::BranchInst* back = b_.CreateCondBr(b_.CreateICmpSLT(next, end), header, exit);
  if (metadata) back->setMetadata(llvm::LLVMContext::MD_loop, metadata);
  b_.SetInsertPoint(exit);
}

void NestEmitter::loops(const std::vector<LoopVar>& vars, size_t first, size_t last,
                        const std::function<void()>& body) {
  if (first == last) return body();
  Value* end = exprs_.emit_dim(vars[first].extent).value;
  loop(vars[first].name, b_.getInt64(0), end, [&] { loops(vars, first + 1, last, body); });
}

}  // namespace onnxc::emit
