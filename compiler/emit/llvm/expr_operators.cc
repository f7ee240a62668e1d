// The operators of expressions: one or two instructions where that is total and exact, calls of kernel functions
// elsewhere.
#include <llvm/IR/Intrinsics.h>

#include <unordered_set>

#include "compiler/emit/llvm/expr_emitter.h"

namespace onnxc::emit {

using llvm::Value;

namespace {

bool is_nan_constant(Value* v) {
  auto* c = llvm::dyn_cast<llvm::ConstantFP>(v);
  return c && c->isNaN();
}

llvm::Constant* one(llvm::Type* type) {
  return type->getScalarType()->isFloatingPointTy() ? llvm::ConstantFP::get(type, 1.0)
                                                    : llvm::ConstantInt::get(type, 1);
}

// The smaller or larger of two floats, NaN if either is. A constant that is no NaN makes it a single min or max
// instruction.
Value* float_extreme(llvm::IRBuilder<>& b, bool max, Value* x, Value* y) {
  if (llvm::isa<llvm::ConstantFP>(x)) std::swap(x, y);
  if (llvm::isa<llvm::ConstantFP>(y) && !is_nan_constant(y)) {
    Value* other = max ? b.CreateFCmpOGT(y, x) : b.CreateFCmpOLT(y, x);
    return b.CreateSelect(other, y, x);
  }
  Value* first = max ? b.CreateFCmpOGT(x, y) : b.CreateFCmpOLT(x, y);
  return b.CreateSelect(b.CreateFCmpUNO(x, x), x, b.CreateSelect(first, x, y));
}

}  // namespace

Value* ExprEmitter::unary(ExprOp op, Elem type, Elem argument, Value* a) {
  const bool floats = a->getType()->getScalarType()->isFloatingPointTy();
  auto intrinsic = [&](llvm::Intrinsic::ID id) { return b_.CreateUnaryIntrinsic(id, a); };
  if (floats) {
    switch (op) {
      case ExprOp::Neg: return b_.CreateFNeg(a);
      case ExprOp::Abs: return intrinsic(llvm::Intrinsic::fabs);
      case ExprOp::Floor: return intrinsic(llvm::Intrinsic::floor);
      case ExprOp::Ceil: return intrinsic(llvm::Intrinsic::ceil);
      case ExprOp::Round: return intrinsic(llvm::Intrinsic::roundeven);
      case ExprOp::Trunc: return intrinsic(llvm::Intrinsic::trunc);
      case ExprOp::Sqrt: return intrinsic(llvm::Intrinsic::sqrt);
      case ExprOp::Rsqrt: return b_.CreateFDiv(one(a->getType()), intrinsic(llvm::Intrinsic::sqrt));
      case ExprOp::Reciprocal: return b_.CreateFDiv(one(a->getType()), a);
      case ExprOp::IsNan: return b_.CreateFCmpUNO(a, a);
      case ExprOp::IsInf:
        return b_.CreateFCmpOEQ(intrinsic(llvm::Intrinsic::fabs), llvm::ConstantFP::getInfinity(a->getType()));
      case ExprOp::Sign: {  // keeps zeros and NaN
        llvm::Constant* zero = llvm::ConstantFP::get(a->getType(), 0.0);
        Value* positive = b_.CreateSelect(b_.CreateFCmpOGT(a, zero), one(a->getType()), a);
        return b_.CreateSelect(b_.CreateFCmpOLT(a, zero), llvm::ConstantFP::get(a->getType(), -1.0), positive);
      }
      default: break;
    }
    const Elem arithmetic = expr::arithmetic_type(argument);
    return call("onnxc_" + std::string(expr::op_name(op)) + "_" + std::string(elem_name(arithmetic)), {a},
                a->getType());
  }
  llvm::Constant* zero = llvm::Constant::getNullValue(a->getType());
  switch (op) {
    case ExprOp::Neg: return b_.CreateNeg(a);
    case ExprOp::Not: return b_.CreateNot(a);
    case ExprOp::Abs: return is_signed(type) ? b_.CreateBinaryIntrinsic(llvm::Intrinsic::abs, a, b_.getFalse()) : a;
    case ExprOp::Floor:
    case ExprOp::Ceil:
    case ExprOp::Round:
    case ExprOp::Trunc: return a;
    case ExprOp::IsNan:
    case ExprOp::IsInf: return llvm::Constant::getNullValue(b_.getInt1Ty());
    case ExprOp::Popcount: return intrinsic(llvm::Intrinsic::ctpop);
    case ExprOp::Sign: {
      Value* positive = b_.CreateZExt(b_.CreateICmpNE(a, zero), a->getType());
      if (!is_signed(type)) return positive;
      return b_.CreateSelect(b_.CreateICmpSLT(a, zero), llvm::Constant::getAllOnesValue(a->getType()), positive);
    }
    default: break;
  }
  return call("onnxc_" + std::string(expr::op_name(op)) + "_" + std::string(elem_name(argument)), {a}, a->getType());
}

Value* ExprEmitter::binary(ExprOp op, Elem type, Value* a, Value* b) {
  if (op >= ExprOp::Eq && op <= ExprOp::Ge) return compare(op, type, a, b);
  if (a->getType()->getScalarType()->isFloatingPointTy()) return float_binary(op, type, a, b);
  return int_binary(op, type, a, b);
}

Value* ExprEmitter::float_binary(ExprOp op, Elem type, Value* a, Value* b) {
  switch (op) {
    case ExprOp::Add: return b_.CreateFAdd(a, b);
    case ExprOp::Sub: return b_.CreateFSub(a, b);
    case ExprOp::Mul: return b_.CreateFMul(a, b);
    case ExprOp::Div: return b_.CreateFDiv(a, b);
    case ExprOp::Min: return float_extreme(b_, false, a, b);
    case ExprOp::Max: return float_extreme(b_, true, a, b);
    default: break;
  }
  const std::string elem(elem_name(expr::arithmetic_type(type)));
  return call("onnxc_" + std::string(expr::op_name(op)) + "_" + elem, {a, b}, a->getType());
}

Value* ExprEmitter::int_binary(ExprOp op, Elem type, Value* a, Value* b) {
  const bool with_sign = is_signed(type);
  switch (op) {
    case ExprOp::Add: return b_.CreateAdd(a, b);
    case ExprOp::Sub: return b_.CreateSub(a, b);
    case ExprOp::Mul: return b_.CreateMul(a, b);
    case ExprOp::Div:
    case ExprOp::Rem:
    case ExprOp::Mod: return int_divide(op, type, a, b);
    case ExprOp::Min: return b_.CreateBinaryIntrinsic(with_sign ? llvm::Intrinsic::smin : llvm::Intrinsic::umin, a, b);
    case ExprOp::Max: return b_.CreateBinaryIntrinsic(with_sign ? llvm::Intrinsic::smax : llvm::Intrinsic::umax, a, b);
    case ExprOp::And: return b_.CreateAnd(a, b);
    case ExprOp::Or: return b_.CreateOr(a, b);
    case ExprOp::Xor: return b_.CreateXor(a, b);
    case ExprOp::Shl:
    case ExprOp::Shr: return shift(op, type, a, b);
    default: break;
  }
  const std::string name = "onnxc_" + std::string(expr::op_name(op)) + "_" + std::string(elem_name(type));
  return call(name, {a, b}, a->getType());
}

// x / 0 == 0, x rem 0 == 0, MIN / -1 == MIN: the divisor is replaced where the machine would trap.
Value* ExprEmitter::int_divide(ExprOp op, Elem type, Value* a, Value* b) {
  const bool with_sign = is_signed(type);
  llvm::Type* t = a->getType();
  Value* zero = llvm::ConstantInt::get(t, 0);
  Value* by_zero = b_.CreateICmpEQ(b, zero);
  Value* trap = by_zero;
  Value* minus_one = nullptr;
  if (with_sign) {
    minus_one = b_.CreateICmpEQ(b, llvm::Constant::getAllOnesValue(t));
    trap = b_.CreateOr(by_zero, minus_one);
  }
  Value* divisor = b_.CreateSelect(trap, llvm::ConstantInt::get(t, 1), b);
  if (op == ExprOp::Div) {
    Value* quotient = with_sign ? b_.CreateSDiv(a, divisor) : b_.CreateUDiv(a, divisor);
    if (with_sign) quotient = b_.CreateSelect(minus_one, b_.CreateNeg(a), quotient);
    return b_.CreateSelect(by_zero, zero, quotient);
  }
  Value* remainder = with_sign ? b_.CreateSRem(a, divisor) : b_.CreateURem(a, divisor);  // by 1 where it would trap: 0
  if (op == ExprOp::Rem || !with_sign) return remainder;
  Value* other_sign = b_.CreateICmpSLT(b_.CreateXor(remainder, b), zero);
  Value* adjust = b_.CreateAnd(other_sign, b_.CreateICmpNE(remainder, zero));
  return b_.CreateSelect(adjust, b_.CreateAdd(remainder, b), remainder);
}

Value* ExprEmitter::shift(ExprOp op, Elem type, Value* a, Value* b) {
  llvm::Type* t = a->getType();
  const unsigned width = t->getScalarSizeInBits();
  Value* within = b_.CreateICmpULT(b, llvm::ConstantInt::get(t, width));
  if (op == ExprOp::Shr && is_signed(type))
    return b_.CreateAShr(a, b_.CreateSelect(within, b, llvm::ConstantInt::get(t, width - 1)));
  Value* amount = b_.CreateSelect(within, b, llvm::ConstantInt::get(t, 0));
  Value* shifted = op == ExprOp::Shl ? b_.CreateShl(a, amount) : b_.CreateLShr(a, amount);
  return b_.CreateSelect(within, shifted, llvm::ConstantInt::get(t, 0));
}

// A string in a register: the address below, the bytes above.
Value* ExprEmitter::equal_strings(Value* a, Value* b) {
  std::vector<Value*> args;
  for (Value* text : {a, b}) {
    args.push_back(b_.CreateIntToPtr(b_.CreateTrunc(text, b_.getInt64Ty()), b_.getPtrTy()));
    args.push_back(b_.CreateTrunc(b_.CreateLShr(text, 64), b_.getInt64Ty()));
  }
  return call("onnxc_eq_string", std::move(args), b_.getInt1Ty());
}

Value* ExprEmitter::compare(ExprOp op, Elem type, Value* a, Value* b) {
  if (type == Elem::String) {
    Value* equal = equal_strings(a, b);
    return op == ExprOp::Eq ? equal : b_.CreateNot(equal);
  }
  using P = llvm::CmpInst::Predicate;
  const bool floats = a->getType()->getScalarType()->isFloatingPointTy();
  const bool with_sign = is_signed(type);
  P predicate = P::ICMP_EQ;
  switch (op) {
    case ExprOp::Eq: predicate = floats ? P::FCMP_OEQ : P::ICMP_EQ; break;
    case ExprOp::Ne: predicate = floats ? P::FCMP_UNE : P::ICMP_NE; break;
    case ExprOp::Lt: predicate = floats ? P::FCMP_OLT : with_sign ? P::ICMP_SLT : P::ICMP_ULT; break;
    case ExprOp::Le: predicate = floats ? P::FCMP_OLE : with_sign ? P::ICMP_SLE : P::ICMP_ULE; break;
    case ExprOp::Gt: predicate = floats ? P::FCMP_OGT : with_sign ? P::ICMP_SGT : P::ICMP_UGT; break;
    default: predicate = floats ? P::FCMP_OGE : with_sign ? P::ICMP_SGE : P::ICMP_UGE; break;
  }
  return b_.CreateCmp(predicate, a, b);
}

// Whether emitting `e` here would load from memory what has not been loaded before.
bool ExprEmitter::loads_anew(const Expr& e) const {
  std::unordered_set<const ExprNode*> seen;
  std::vector<const ExprNode*> stack = {e.get()};
  while (!stack.empty()) {
    const ExprNode* node = stack.back();
    stack.pop_back();
    if (memo_.contains(node) || !seen.insert(node).second) continue;
    if (node->op == ExprOp::Load) return true;
    for (const Expr& arg : node->args) stack.push_back(arg.get());
  }
  return false;
}

// Both arms are computed unless one of them loads: an index may be out of range where its arm is not taken (padding).
Value* ExprEmitter::select(const ExprNode& e) {
  Value* condition = emit(e.args[0]);
  if (!loads_anew(e.args[1]) && !loads_anew(e.args[2]))
    return b_.CreateSelect(condition, emit(e.args[1]), emit(e.args[2]));
  llvm::Function* function = b_.GetInsertBlock()->getParent();
  auto* then_block = llvm::BasicBlock::Create(context_.llvm(), "then", function);
  auto* else_block = llvm::BasicBlock::Create(context_.llvm(), "else", function);
  auto* join = llvm::BasicBlock::Create(context_.llvm(), "join", function);
  b_.CreateCondBr(condition, then_block, else_block);
  auto arm = [&](llvm::BasicBlock* block, const Expr& value) {
    const auto before = memo_;  // what an arm computes is not known outside of it
    b_.SetInsertPoint(block);
    Value* result = emit(value);
    memo_ = before;
    llvm::BasicBlock* end = b_.GetInsertBlock();
    b_.CreateBr(join);
    return std::pair(result, end);
  };
  const auto [then_value, then_end] = arm(then_block, e.args[1]);
  const auto [else_value, else_end] = arm(else_block, e.args[2]);
  b_.SetInsertPoint(join);
  llvm::PHINode* phi = b_.CreatePHI(then_value->getType(), 2);
  phi->addIncoming(then_value, then_end);
  phi->addIncoming(else_value, else_end);
  return phi;
}

}  // namespace onnxc::emit
