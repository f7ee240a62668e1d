// verify_program, third part: expressions, kernel calls, loop nests and their partitions.
#include <algorithm>
#include <optional>
#include <unordered_set>

#include "compiler/ir/expr_text.h"
#include "compiler/ir/verify_program_parts.h"

namespace onnxc {
namespace {

bool is_comparison(ExprOp op) { return op >= ExprOp::Eq && op <= ExprOp::Ge; }

bool wants_float(ExprOp op) {
  return (op >= ExprOp::Sqrt && op <= ExprOp::IsInf && op != ExprOp::Sign) || op == ExprOp::Atan2;
}

bool wants_integer(ExprOp op) { return op == ExprOp::Popcount || op == ExprOp::Shl || op == ExprOp::Shr; }

bool wants_bits(ExprOp op) { return op == ExprOp::Not || op == ExprOp::And || op == ExprOp::Or || op == ExprOp::Xor; }

// What is wrong with the operand types of an operation, or nothing.
const char* operand_problem(const ExprNode& e) {
  const Elem first = e.args[0]->type;
  const bool numbers = first != Elem::Bool && first != Elem::String && first != Elem::Undefined;
  switch (e.op) {
    case ExprOp::Cast: return nullptr;
    case ExprOp::BitCast: return elem_size(first) == elem_size(e.type) ? nullptr : "elements of one width";
    case ExprOp::Select:
      return first == Elem::Bool && e.args[1]->type == e.args[2]->type ? nullptr : "a bool and two of one type";
    case ExprOp::MulShiftRound:
      for (const Expr& arg : e.args)
        if (arg->type != Elem::I32) return "three i32";
      return nullptr;
    default: break;
  }
  for (const Expr& arg : e.args)
    if (arg->type != first) return "operands of one type";
  if (wants_float(e.op)) return is_float(first) ? nullptr : "floats";
  if (wants_integer(e.op)) return is_int(first) ? nullptr : "integers";
  if (wants_bits(e.op)) return is_int(first) || first == Elem::Bool ? nullptr : "integers or bools";
  if (e.op == ExprOp::Eq || e.op == ExprOp::Ne) return nullptr;
  if (is_comparison(e.op) || e.op == ExprOp::Min || e.op == ExprOp::Max)
    return first != Elem::String ? nullptr : "no strings";
  return numbers ? nullptr : "numbers";
}

}  // namespace

std::string VerifyScope::name(BufferId b) const {
  if (b == kNoBuffer) return "null";
  if (b >= program.buffers.size()) return "buffer #" + std::to_string(b);
  return "%" + program.buffers[b].name + " (#" + std::to_string(b) + ")";
}

Status VerifyScope::check_buffer(BufferId b) const {
  return b < program.buffers.size() ? ok() : Status(bug(name(b) + " does not exist"));
}

Status VerifyScope::check_dim(const Dim& dim, const std::string& what) const {
  if (dim.is_overflow()) return bug(what + " overflows");
  std::set<std::string> used;
  dim.collect_symbols(used);
  for (const std::string& symbol : used)
    if (!symbols.contains(symbol))
      return bug(what + ", " + dim.str() + ", uses \"" + symbol + "\", which is not defined here");
  return ok();
}

Status VerifyScope::check_index_list(BufferId b, const std::vector<Expr>& at, bool guarded) const {
  ONNXC_TRY(check_buffer(b));
  const Buffer& buffer = program.buffers[b];
  if (at.size() != buffer.dims.size())
    return bug(name(b) + " has rank " + std::to_string(buffer.dims.size()) + " and is indexed by " +
               std::to_string(at.size()) + " expressions");
  for (size_t i = 0; i < at.size(); ++i) {
    if (!at[i]) return bug("an index of " + name(b) + " is missing");
    ONNXC_TRY(check_expr(at[i], guarded));
    if (at[i]->type != Elem::I64)
      return bug("an index of " + name(b) + " is " + std::string(elem_name(at[i]->type)) + ", not i64");
    if (!guarded) ONNXC_TRY(check_index_range(b, i, at[i]));
  }
  return ok();
}

namespace {

struct Range {
  int64_t low, high;  // inclusive
};

// The values that an affine Dim takes; nothing when it is not affine in variables of known extent, or when a loop
// around it has no turn. Exact, so that what lies outside a buffer is a bug and no pessimism.
std::optional<Range> affine_range(const Dim& dim, const std::map<std::string, int64_t>& extents) {
  using MaybeRange = std::optional<Range>;
  Dim::Folder<MaybeRange> folder;
  folder.constant = [](int64_t value) { return MaybeRange({value, value}); };
  folder.symbol = [&](const std::string& name) -> MaybeRange {
    const auto found = extents.find(name);
    if (found == extents.end() || found->second <= 0) return std::nullopt;
    return Range{0, found->second - 1};
  };
  folder.binary = [](char op, MaybeRange a, MaybeRange b) -> MaybeRange {
    if (!a || !b) return std::nullopt;
    if (op == '*' && a->low != a->high) std::swap(a, b);
    if (op != '+' && (op != '*' || a->low != a->high)) return std::nullopt;
    Range r{};
    const bool fails =
        op == '+' ? __builtin_add_overflow(a->low, b->low, &r.low) || __builtin_add_overflow(a->high, b->high, &r.high)
                  : __builtin_mul_overflow(a->low, b->low, &r.low) || __builtin_mul_overflow(a->low, b->high, &r.high);
    if (fails) return std::nullopt;
    if (r.low > r.high) std::swap(r.low, r.high);
    return r;
  };
  return dim.fold(folder);
}

}  // namespace

Status VerifyScope::check_index_range(BufferId b, size_t axis, const Expr& index) const {
  const Buffer& buffer = program.buffers[b];
  std::optional<Range> range;
  if (index->op == ExprOp::Const) range = Range{index->integer, index->integer};
  if (index->op == ExprOp::Index) range = affine_range(index->dim, extents);
  if (!range || !buffer.dims[axis].is_const()) return ok();
  for (const auto& [variable, extent] : extents)
    if (extent <= 0) return ok();  // never run
  const auto [before, after] = buffer.halo.empty() ? std::pair<int64_t, int64_t>(0, 0) : buffer.halo[axis];
  if (range->low >= -before && range->high < buffer.dims[axis].value() + after) return ok();
  const std::string text = index->op == ExprOp::Const ? std::to_string(index->integer) : index->dim.str();
  return bug("index " + text + " of " + name(b) + ", from " + std::to_string(range->low) + " to " +
             std::to_string(range->high) + ", lies outside dim " + std::to_string(axis) + ", " +
             buffer.dims[axis].str());
}

Status VerifyScope::check_expr(const Expr& e, bool guarded) const {
  if (!e) return bug("an expression is missing");
  switch (e->op) {
    case ExprOp::Const: return e->type == Elem::Undefined ? Status(bug("a constant has no type")) : ok();
    case ExprOp::Index:
      if (e->type != Elem::I64) return bug("an index expression is not i64");
      return check_dim(e->dim, "an index");
    case ExprOp::Let: {
      const auto found = lets.find(e->name);
      if (found == lets.end())
        return bug("\"" + e->name + "\" is used where no let or reduce of that name is in scope");
      return found->second == e->type ? ok() : Status(bug("\"" + e->name + "\" is used as another type than it has"));
    }
    case ExprOp::Load: {
      ONNXC_TRY(check_index_list(e->buffer, e->args, guarded));
      const Elem type = expr::arithmetic_type(program.buffers[e->buffer].elem);
      return e->type == type
                 ? ok()
                 : Status(bug("a load of " + name(e->buffer) + " is not typed " + std::string(elem_name(type))));
    }
    default: break;
  }
  const std::string op(expr::op_name(e->op));
  if (static_cast<int>(e->args.size()) != expr::num_args(e->op)) return bug(op + " has the wrong number of operands");
  for (size_t i = 0; i < e->args.size(); ++i)
    ONNXC_TRY(check_expr(e->args[i], guarded || (e->op == ExprOp::Select && i > 0)));
  if (const char* problem = operand_problem(*e)) {
    std::string types;
    for (const Expr& arg : e->args) types += (types.empty() ? "" : ", ") + std::string(elem_name(arg->type));
    return bug(op + " wants " + problem + ", and has " + types);
  }
  const bool converts = e->op == ExprOp::Cast || e->op == ExprOp::BitCast;
  if (!converts && e->type != result_type(e->op, e->args)) return bug(op + " gives another type than its node says");
  return ok();
}

namespace {
bool is_empty(const Buffer& buffer) {
  return std::any_of(buffer.dims.begin(), buffer.dims.end(), [](const Dim& d) { return d == Dim(0); });
}
}  // namespace

Status VerifyScope::check_call(const KernelCall& call, bool in_nest) const {
  if (call.kernel.empty()) return bug("a call names no kernel");
  std::unordered_set<BufferId> whole_reads, operands;
  for (const auto* list : {&call.ins, &call.inouts, &call.outs})
    for (const Operand& o : *list) {
      if (o.buffer == kNoBuffer) continue;
      ONNXC_TRY(check_buffer(o.buffer));
      operands.insert(storage_root(program, o.buffer));
      if (!o.at.empty() && !in_nest) return bug("operand " + name(o.buffer) + " has indices outside a nest");
      // A kernel is told where an operand begins; of an empty one it reads nothing.
      if (!o.at.empty()) ONNXC_TRY(check_index_list(o.buffer, o.at, is_empty(program.buffers[o.buffer])));
      if (list != &call.ins && o.at.empty() && whole_reads.contains(o.buffer))
        return bug(name(o.buffer) + " is read and written, and not an inout");
      if (list != &call.outs && o.at.empty()) whole_reads.insert(o.buffer);
    }
  for (BufferId b : call.scratch) {
    ONNXC_TRY(check_buffer(b));
    const Buffer::Storage storage = program.buffers[b].storage;
    if (storage != Buffer::Storage::Arena && storage != Buffer::Storage::Dynamic)
      return bug("scratch " + name(b) + " is not arena memory");
    if (!operands.insert(b).second) return bug("scratch " + name(b) + " is an operand too");
  }
  for (const Argument& a : call.arguments)
    if (const Dim* dim = std::get_if<Dim>(&a.value)) ONNXC_TRY(check_dim(*dim, "argument " + a.name));
  if (call.run_memory && (in_nest || !call.may_fail || call.meetings))
    return bug("a call that takes memory of the run cannot fail, is met in, or stands in a nest");
  if (!call.function.empty() && (in_nest || !call.may_fail || call.meetings || call.run_memory))
    return bug("a call of a linked function cannot fail, is met in, takes memory of the run, or stands in a nest");
  if (!call.meetings) return ok();
  if (in_nest || call.may_fail) return bug("threads meet in a call that may fail or stands in a nest");
  return check_dim(*call.meetings, "the number of meetings");
}

namespace {

class BlockVerifier {
 public:
  explicit BlockVerifier(VerifyScope& scope) : scope_(scope) {}

  Status block(const Block& statements) {
    for (const Stmt& s : statements)
      ONNXC_TRY(std::visit([this](const auto& node) { return statement(node); }, s.node));
    return ok();
  }

 private:
  Status enter(const LoopVar& var) {
    ONNXC_TRY(scope_.check_dim(var.extent, "the extent of loop " + var.name));
    if (var.extent.is_const()) scope_.extents[var.name] = var.extent.value();
    if (scope_.symbols.insert(var.name).second) return ok();
    return scope_.bug("loop variable " + var.name + " has the name of something visible");
  }

  void leave(const LoopVar& var) {
    scope_.symbols.erase(var.name);
    scope_.extents.erase(var.name);
  }

  Status define(const std::string& name, Elem type) {
    if (scope_.lets.emplace(name, type).second) return ok();
    return scope_.bug("\"" + name + "\" is defined twice");
  }

  Status statement(const For& loop) {
    const auto outer = scope_.lets;
    ONNXC_TRY(enter(loop.var));
    ONNXC_TRY(block(loop.body));
    leave(loop.var);
    scope_.lets = outer;
    return ok();
  }

  Status statement(const Let& let) {
    ONNXC_TRY(scope_.check_expr(let.value));
    return define(let.name, let.value->type);
  }

  Status statement(const Reduce& reduce) {
    if (reduce.lanes < 1 || (reduce.lanes & (reduce.lanes - 1)))
      return scope_.bug("reduce " + reduce.name + ": lanes must be a power of two");
    for (const LoopVar& var : reduce.vars) ONNXC_TRY(enter(var));
    ONNXC_TRY(scope_.check_expr(reduce.value));
    for (const LoopVar& var : reduce.vars) leave(var);
    const bool bits = reduce.op == ReduceOp::And || reduce.op == ReduceOp::Or;
    if (bits && is_float(reduce.value->type)) return scope_.bug("reduce " + reduce.name + " combines bits of floats");
    return define(reduce.name, reduced_type(reduce));
  }

  Status statement(const Store& store) {
    const bool guarded = store.when != nullptr;
    ONNXC_TRY(scope_.check_index_list(store.buffer, store.at, guarded));
    ONNXC_TRY(scope_.check_expr(store.value, guarded));
    const Elem type = expr::arithmetic_type(scope_.program.buffers[store.buffer].elem);
    if (store.value->type != type)
      return scope_.bug("a " + std::string(elem_name(store.value->type)) + " is stored into " +
                        scope_.name(store.buffer) + ", which wants " + std::string(elem_name(type)));
    if (!store.when) return ok();
    ONNXC_TRY(scope_.check_expr(store.when));
    return store.when->type == Elem::Bool ? ok() : Status(scope_.bug("the condition of a store is not bool"));
  }

  Status statement(const KernelCall& call) { return scope_.check_call(call, true); }

  VerifyScope& scope_;
};

// A Let may come from anything.
bool has_let(const Expr& e) { return e->op == ExprOp::Let || std::any_of(e->args.begin(), e->args.end(), has_let); }

bool any_mentions(const std::vector<Expr>& at, const std::string& symbol) {
  return std::any_of(at.begin(), at.end(), [&](const Expr& e) { return has_let(e) || expr::depends_on(e, symbol); });
}

// The first buffer that the block writes at a place which does not depend on the axis, or kNoBuffer.
BufferId independent_write(const Block& block, const std::string& axis) {
  for (const Stmt& s : block) {
    if (const auto* loop = std::get_if<For>(&s.node)) {
      const BufferId b = independent_write(loop->body, axis);
      if (b != kNoBuffer) return b;
    }
    if (const auto* store = std::get_if<Store>(&s.node))
      if (!any_mentions(store->at, axis)) return store->buffer;
    if (const auto* call = std::get_if<KernelCall>(&s.node))
      for (const auto* list : {&call->outs, &call->inouts})
        for (const Operand& o : *list)
          if (o.buffer != kNoBuffer && !any_mentions(o.at, axis)) return o.buffer;
  }
  return kNoBuffer;
}

}  // namespace

Status verify_block(const Block& block, VerifyScope scope) { return BlockVerifier(scope).block(block); }

Status verify_nest_partition(const Nest& nest, const Partition& partition, const VerifyScope& scope) {
  const For* outermost = nest.body.size() == 1 ? std::get_if<For>(&nest.body[0].node) : nullptr;
  if (!outermost) return scope.bug("a partitioned nest must be one loop");
  if (outermost->var.name != partition.axis)
    return scope.bug("the partition axis " + partition.axis + " is not the outermost loop, " + outermost->var.name);
  if (outermost->var.extent != partition.extent)
    return scope.bug("the partition's extent " + partition.extent.str() + " is not the loop's, " +
                     outermost->var.extent.str());
  const BufferId shared = independent_write(outermost->body, partition.axis);
  if (shared != kNoBuffer)
    return scope.bug(scope.name(shared) + " is written at places that do not depend on the partition axis " +
                     partition.axis);
  return ok();
}

}  // namespace onnxc
