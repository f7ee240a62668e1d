// Loops, lets, stores and calls; the reductions are in reduce_emitter.cc.
#include "compiler/emit/llvm/nest_emitter.h"

#include <algorithm>
#include <map>

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

// Whether the turns of a loop over neighbours, which begin with a serial reduction (column sums, a softmax down the
// columns), may go on side by side, statement by statement.
struct Columns {
  const std::string& column;
  std::map<BufferId, Dim> stored;  // the last index of the stores
  bool good = true;

  void require(bool condition) { good &= condition; }
  void check_value(const Expr& value) {
    for_each_load(value, [&](const ExprNode& load) {
      require(neighbours(load.args, column));
      const auto written = stored.find(load.buffer);  // then by the same column
      if (written == stored.end()) return;
      require(!load.args.empty() && load.args.back()->op == ExprOp::Index && load.args.back()->dim == written->second);
    });
  }
  void check(const Block& block, bool outermost) {
    for (const Stmt& stmt : block) {
      if (const auto* let = std::get_if<Let>(&stmt.node)) {
        check_value(let->value);
      } else if (const auto* store = std::get_if<Store>(&stmt.node)) {
        require(!store->when && neighbours(store->at, column));
        require(!store->at.empty() && store->at.back()->op == ExprOp::Index);
        if (good) stored[store->buffer] = store->at.back()->dim;
        check_value(store->value);
      } else if (const auto* reduce = std::get_if<Reduce>(&stmt.node); reduce && outermost) {
        require(reduce->lanes == 1 && reduce->op != ReduceOp::ArgMin && reduce->op != ReduceOp::ArgMax);
        for (const LoopVar& v : reduce->vars) require(!expr::depends_on(expr::index(v.extent), column));
        check_value(reduce->value);
      } else if (const auto* loop = std::get_if<For>(&stmt.node); loop && outermost) {
        require(!expr::depends_on(expr::index(loop->var.extent), column));
        check(loop->body, false);
      } else {
        good = false;
      }
    }
  }
};
bool is_loop_of_columns(const Program& program, const For& loop) {
  constexpr int64_t kLeast = 8;  // below it, a column at a time is no slower
  std::vector<std::string> single;
  const Block& body = body_of(loop, &single);
  if (body.empty() || !std::holds_alternative<Reduce>(body.front().node)) return false;
  if (likely_value(program, loop.var.extent) < kLeast) return false;
  Columns columns{loop.var.name, {}};
  columns.check(body, true);  // a load before the store that it meets is looked at again
  columns.check(body, true);
  return columns.good;
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
  if (is_loop_of_columns(context_.program(), outermost)) return emit_columns(outermost, share.begin, share.end);
  loop(outermost.var.name, share.begin, share.end, [&] { emit(outermost.body); });
}

void NestEmitter::emit_stmt(const For& node) {
  if (const auto merged = merged_with_inner(context_.program(), node)) {
    scope_.symbols[node.var.name] = {b_.getInt64(0), true};
    return emit_stmt(*merged);
  }
  Value* end = exprs_.emit_dim(node.var.extent).value;
  if (is_loop_of_columns(context_.program(), node)) return emit_columns(node, b_.getInt64(0), end);
  loop(
      node.var.name, b_.getInt64(0), end, [&] { emit(node.body); },
      is_loop_of_lanes(node) ? not_unrolled(context_.llvm()) : nullptr);
}

// Strips of columns: each column's sum keeps its order, and rows are read as they lie.
void NestEmitter::emit_columns(const For& node, Value* begin, Value* end) {
  std::vector<std::string> single;
  const Block& body = body_of(node, &single);
  for (const std::string& name : single) scope_.symbols[name] = {b_.getInt64(0), true};
  const std::string strip = node.var.name + ".strip";
  Value* width = b_.getInt64(kStrip);
  Value* count = b_.CreateNSWSub(end, begin);
  Value* strips = b_.CreateSDiv(count, width);
  loop(strip, b_.getInt64(0), strips, [&] {
    emit_strip(node.var.name, body, b_.CreateNSWAdd(begin, b_.CreateNSWMul(scope_.symbols[strip].value, width)), width);
  });
  Value* done = b_.CreateNSWMul(strips, width);
  emit_strip(node.var.name, body, b_.CreateNSWAdd(begin, done), b_.CreateNSWSub(count, done));
}

// One statement after the other, each for all columns; what Lets and Reduces give waits in memory.
void NestEmitter::emit_strip(const std::string& column, const Block& body, Value* first, Value* columns) {
  std::vector<std::pair<std::string, ColumnValues>> known;
  auto each_column = [&](const std::function<void(Value*)>& run) {
    const std::string turn = column + ".column";
    auto one = [&] {
      Value* which = scope_.symbols[turn].value;
      scope_.symbols[column] = {b_.CreateNSWAdd(first, which), true};
      for (const auto& [name, values] : known) scope_.lets[name] = values.load(b_, which);
      run(which);
    };
    loop(turn, b_.getInt64(0), columns, one, not_unrolled(context_.llvm()));
  };
  for (const Stmt& stmt : body) {
    exprs_.forget();
    if (const auto* reduce = std::get_if<Reduce>(&stmt.node)) {
      known.emplace_back(reduce->name, reduce_columns(*reduce, kStrip, each_column));
    } else if (const auto* let = std::get_if<Let>(&stmt.node)) {
      const ColumnValues values = column_values(context_.register_type(let->value->type), kStrip);
      each_column([&](Value* which) { values.store(b_, which, exprs_.emit(let->value)); });
      known.emplace_back(let->name, values);
    } else if (const auto* inner = std::get_if<For>(&stmt.node)) {
      loop(inner->var.name, b_.getInt64(0), exprs_.emit_dim(inner->var.extent).value,
           [&] { each_column([&](Value*) { emit(inner->body); }); });
    } else {
      each_column([&](Value*) { emit({stmt}); });
    }
  }
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
