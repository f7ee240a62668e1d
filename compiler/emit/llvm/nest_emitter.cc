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

// Columns of a reduction that are reduced side by side.
constexpr int64_t kStrip = 64;

// The body of a loop, seen through inner loops of one turn, whose variables go to `single`.
const Block& body_of(const For& loop, std::vector<std::string>* single) {
  const Block* body = &loop.body;
  for (const For* inner = nullptr; body->size() == 1; body = &inner->body) {
    inner = std::get_if<For>(&body->front().node);
    if (!inner || inner->var.extent != Dim(1)) break;
    single->push_back(inner->var.name);
  }
  return *body;
}

// A loop over neighbours, each the result of a serial reduction whose elements are neighbours too: column sums.
bool is_loop_of_columns(const For& loop) {
  std::vector<std::string> single;
  const Block& body = body_of(loop, &single);
  const auto extent = loop.var.extent.constant();
  const auto* reduce = body.empty() ? nullptr : std::get_if<Reduce>(&body.front().node);
  if (!extent || *extent < 8 || !reduce || reduce->lanes != 1) return false;
  bool good = reduce->op != ReduceOp::ArgMin && reduce->op != ReduceOp::ArgMax;
  for (const LoopVar& v : reduce->vars) good &= !expr::depends_on(expr::index(v.extent), loop.var.name);
  for_each_load(reduce->value, [&](const ExprNode& load) { good &= neighbours(load.args, loop.var.name); });
  for (size_t i = 1; i < body.size(); ++i) {
    const auto* store = std::get_if<Store>(&body[i].node);
    if (store) good &= !store->when && neighbours(store->at, loop.var.name);
    good &= store || std::holds_alternative<Let>(body[i].node);
  }
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
  if (is_loop_of_columns(outermost)) return emit_columns(outermost, share.begin, share.end);
  loop(outermost.var.name, share.begin, share.end, [&] { emit(outermost.body); });
}

void NestEmitter::emit_stmt(const For& node) {
  if (const auto merged = merged_with_inner(context_.program(), node)) {
    scope_.symbols[node.var.name] = {b_.getInt64(0), true};
    return emit_stmt(*merged);
  }
  Value* end = exprs_.emit_dim(node.var.extent).value;
  if (is_loop_of_columns(node)) return emit_columns(node, b_.getInt64(0), end);
  loop(
      node.var.name, b_.getInt64(0), end, [&] { emit(node.body); },
      is_loop_of_lanes(node) ? not_unrolled(context_.llvm()) : nullptr);
}

// Strips of columns: each column's sum keeps its order, and rows are read as they lie.
void NestEmitter::emit_columns(const For& node, Value* begin, Value* end) {
  std::vector<std::string> single;
  const Block& body = body_of(node, &single);
  for (const std::string& name : single) scope_.symbols[name] = {b_.getInt64(0), true};
  const auto& reduce = std::get<Reduce>(body.front().node);
  const Block rest(body.begin() + 1, body.end());
  const std::string strip = node.var.name + ".strip", column = node.var.name + ".column";
  auto emit_strip = [&](Value* first, Value* columns) {
    auto each_column = [&](const std::function<void(Value*)>& run) {
      auto turn = [&] {
        Value* which = scope_.symbols[column].value;
        scope_.symbols[node.var.name] = {b_.CreateNSWAdd(first, which), true};
        run(which);
      };
      loop(column, b_.getInt64(0), columns, turn, not_unrolled(context_.llvm()));
    };
    reduce_columns(reduce, kStrip, each_column, [&] { emit(rest); });
  };
  Value* width = b_.getInt64(kStrip);
  Value* count = b_.CreateNSWSub(end, begin);
  Value* strips = b_.CreateSDiv(count, width);
  loop(strip, b_.getInt64(0), strips,
       [&] { emit_strip(b_.CreateNSWAdd(begin, b_.CreateNSWMul(scope_.symbols[strip].value, width)), width); });
  Value* done = b_.CreateNSWMul(strips, width);
  emit_strip(b_.CreateNSWAdd(begin, done), b_.CreateNSWSub(count, done));
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
