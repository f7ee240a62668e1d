// How long operations take, to within a factor of two or three: what decides whether threads share them. Tested in
// tests/unit/partition_test.cc.
#include "compiler/plan/partition.h"

namespace onnxc {
namespace {

// Nanoseconds of one thread of a machine with wide vectors.
constexpr double kMultiplyAdd = 1.0 / 64;  // of a GEMM
constexpr double kByte = 1.0 / 20;         // streamed
constexpr double kElement = 0.04;          // an operation on an element in a vectorised loop, or a contiguous access
constexpr double kFunction = 0.4;          // exp, tanh ... of an element
constexpr double kScattered = 0.5;         // an access that is not contiguous, a branch
constexpr double kChained = 1.0;           // a step of a reduction that waits for the one before

class NestEstimate {
 public:
  explicit NestEstimate(const Program& program) : program_(program) {}

  double block(const Block& statements) {
    double sum = 0;
    for (const Stmt& s : statements) sum += std::visit([this](const auto& node) { return statement(node); }, s.node);
    return sum;
  }

 private:
  double turns(const LoopVar& var) const { return static_cast<double>(likely_value(program_, var.extent)); }

  double statement(const For& loop) {
    const std::string outer = innermost_;
    innermost_ = loop.var.name;
    const double body = block(loop.body);
    innermost_ = outer;
    return turns(loop.var) * body;
  }
  double statement(const Let& let) { return expression(let.value); }
  double statement(const Reduce& reduce) {
    const std::string outer = innermost_;
    double count = 1;
    for (const LoopVar& var : reduce.vars) count *= turns(var), innermost_ = var.name;
    const double each = expression(reduce.value) + (reduce.lanes > 1 ? kElement : kChained);
    innermost_ = outer;
    return count * each;
  }
  double statement(const Store& store) {
    return expression(store.value) + access(store.at) + (store.when ? kScattered + expression(store.when) : 0);
  }
  double statement(const KernelCall&) { return 0; }  // stated in Partition::work

  double access(const std::vector<Expr>& at) const {
    const bool contiguous = at.empty() || (at.back()->op == ExprOp::Index && at.back()->dim.as_symbol() == innermost_);
    const bool constant = !at.empty() && at.back()->op == ExprOp::Index && at.back()->dim.is_const();
    return contiguous || constant ? kElement : kScattered;
  }

  double expression(const Expr& e) const {
    double sum = 0;
    for (const Expr& arg : e->args) sum += expression(arg);
    if (e->op == ExprOp::Const || e->op == ExprOp::Index || e->op == ExprOp::Let) return 0;
    if (e->op == ExprOp::Load) return sum + access(e->args);
    const bool cheap = e->op == ExprOp::Div || e->op == ExprOp::Sqrt || expr::is_cheap(e);
    return sum + (e->op == ExprOp::Select ? 2 * kElement : cheap ? kElement : kFunction);
  }

  const Program& program_;
  std::string innermost_;
};

double bytes_touched(const Program& program, const Operation& op) {
  const Effects effects = effects_of(op);
  double bytes = 0;
  for (const auto* list : {&effects.reads, &effects.writes})
    for (BufferId b : *list) {
      const Buffer& buffer = program.buffers[b];
      bytes +=
          static_cast<double>(likely_value(program, numel(buffer.dims))) * static_cast<double>(elem_size(buffer.elem));
    }
  return bytes;
}

}  // namespace

double estimate_nanoseconds(const Program& program, const Operation& op) {
  double work = 0;
  if (op.partition) work = static_cast<double>(likely_value(program, op.partition->work)) * kMultiplyAdd;
  if (const auto* nest = std::get_if<Nest>(&op.node)) return work + NestEstimate(program).block(nest->body);
  return work > 0 ? work : bytes_touched(program, op) * kByte;
}

}  // namespace onnxc
