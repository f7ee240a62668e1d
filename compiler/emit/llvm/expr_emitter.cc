// Indices, addresses, loads, stores and casts; the operators are in expr_operators.cc.
#include "compiler/emit/llvm/expr_emitter.h"

#include <algorithm>
#include <bit>

namespace onnxc::emit {

using llvm::Value;

Value* ExprEmitter::emit(const Expr& e) {
  if (auto it = memo_.find(e.get()); it != memo_.end()) return it->second;
  Value* value = emit_node(*e);
  memo_[e.get()] = value;
  return value;
}

Value* ExprEmitter::emit_node(const ExprNode& e) {
  switch (e.op) {
    case ExprOp::Const: return constant(e);
    case ExprOp::Index: return emit_dim(e.dim).value;
    case ExprOp::Let:
      if (auto it = scope_.lets.find(e.name); it != scope_.lets.end()) return it->second;
      context_.fail(ErrorKind::Internal, "expression uses '" + e.name + "', which no enclosing statement defines");
      return llvm::PoisonValue::get(context_.register_type(e.type));
    case ExprOp::Load: return load(e);
    case ExprOp::Select: return select(e);
    case ExprOp::Cast: return cast(emit(e.args[0]), e.args[0]->type, e.type);
    case ExprOp::BitCast: return bit_cast(emit(e.args[0]), e.args[0]->type, e.type);
    case ExprOp::Fma: {
      Value *a = emit(e.args[0]), *b = emit(e.args[1]), *c = emit(e.args[2]);
      if (!a->getType()->isFloatingPointTy()) return b_.CreateAdd(b_.CreateMul(a, b), c);
      if (!context_.target.has_fma) return b_.CreateFAdd(b_.CreateFMul(a, b), c);
      return b_.CreateIntrinsic(llvm::Intrinsic::fma, {a->getType()}, {a, b, c});
    }
    case ExprOp::MulShiftRound:
      return call("onnxc_mul_shift_round_i32", {emit(e.args[0]), emit(e.args[1]), emit(e.args[2])},
                  context_.register_type(Elem::I32));
    default: break;
  }
  if (expr::num_args(e.op) == 1) return unary(e.op, e.type, e.args[0]->type, emit(e.args[0]));
  Value *a = emit(e.args[0]), *b = emit(e.args[1]);
  return binary(e.op, e.args[0]->type, a, b);
}

Value* ExprEmitter::constant(const ExprNode& e) {
  llvm::Type* type = context_.register_type(e.type);
  if (type->isFloatTy()) return llvm::ConstantFP::get(context_.llvm(), llvm::APFloat(static_cast<float>(e.number)));
  if (type->isDoubleTy()) return llvm::ConstantFP::get(context_.llvm(), llvm::APFloat(e.number));
  return llvm::ConstantInt::get(type, static_cast<uint64_t>(e.integer), is_signed(e.type));
}

namespace {

// a / b rounded down, for b > 0.
Value* floor_divide(llvm::IRBuilder<>& b, IndexValue x, IndexValue y) {
  if (x.non_negative) return b.CreateUDiv(x.value, y.value);
  if (auto* c = llvm::dyn_cast<llvm::ConstantInt>(y.value); c && c->getValue().isPowerOf2())
    return b.CreateAShr(x.value, c->getValue().logBase2());
  Value* quotient = b.CreateSDiv(x.value, y.value);
  Value* below = b.CreateICmpSLT(b.CreateSRem(x.value, y.value), b.getInt64(0));
  return b.CreateAdd(quotient, b.CreateSExt(below, b.getInt64Ty()));
}

Value* floor_remainder(llvm::IRBuilder<>& b, IndexValue x, IndexValue y) {
  if (x.non_negative) return b.CreateURem(x.value, y.value);
  if (auto* c = llvm::dyn_cast<llvm::ConstantInt>(y.value); c && c->getValue().isPowerOf2())
    return b.CreateAnd(x.value, b.getInt64(c->getZExtValue() - 1));
  Value* remainder = b.CreateSRem(x.value, y.value);
  Value* below = b.CreateICmpSLT(remainder, b.getInt64(0));
  return b.CreateSelect(below, b.CreateAdd(remainder, y.value), remainder);
}

// Of an element in memory: the caller's strings are aligned to pointers.
llvm::Align alignment(Elem elem) { return llvm::Align(std::min<size_t>(elem_size(elem), 8)); }

}  // namespace

IndexValue ExprEmitter::divisor(IndexValue y) {
  if (llvm::isa<llvm::ConstantInt>(y.value)) return y;
  return {b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, y.value, b_.getInt64(1)), true};
}

IndexValue ExprEmitter::emit_dim(const Dim& dim) {
  if (dim.is_const()) return {b_.getInt64(static_cast<uint64_t>(dim.value())), dim.value() >= 0};
  Dim::Folder<IndexValue> folder;
  folder.constant = [this](int64_t v) { return IndexValue{b_.getInt64(static_cast<uint64_t>(v)), v >= 0}; };
  folder.symbol = [this](const std::string& name) {
    if (auto it = scope_.symbols.find(name); it != scope_.symbols.end()) return it->second;
    context_.fail(ErrorKind::Unsupported, "the dimension '" + name + "' is known only at run time",
                  "fix it with --dim " + name + "=N");
    return IndexValue{b_.getInt64(1), true};
  };
  folder.binary = [this](char op, IndexValue x, IndexValue y) -> IndexValue {
    const bool both = x.non_negative && y.non_negative;
    switch (op) {
      case '+':
        if (saturate_) return {saturating(llvm::Intrinsic::sadd_with_overflow, x.value, y.value), both};
        return {b_.CreateNSWAdd(x.value, y.value), both};
      case '*':
        if (saturate_) return {saturating(llvm::Intrinsic::smul_with_overflow, x.value, y.value), both};
        return {b_.CreateNSWMul(x.value, y.value), both};
      case '/': return {floor_divide(b_, x, divisor(y)), x.non_negative};
      case '%': return {floor_remainder(b_, x, divisor(y)), true};
      case 'm': return {b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, x.value, y.value), both};
      default:
        return {b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, x.value, y.value), x.non_negative || y.non_negative};
    }
  };
  return dim.fold(folder);
}

Value* ExprEmitter::saturating(llvm::Intrinsic::ID operation, Value* a, Value* b) {
  Value* both = b_.CreateBinaryIntrinsic(operation, a, b);
  return b_.CreateSelect(b_.CreateExtractValue(both, 1), b_.getInt64(INT64_MAX), b_.CreateExtractValue(both, 0));
}

IndexValue ExprEmitter::element(const ScalarDef::Element& element) {
  const Elem elem = context_.buffer(element.buffer).elem;
  llvm::Type* type = context_.storage_type(elem);
  Value* place = b_.CreateInBoundsGEP(type, address(element.buffer, {}), emit_dim(element.index).value);
  return {b_.CreateIntCast(b_.CreateLoad(type, place), b_.getInt64Ty(), is_signed(elem)), false};
}

Value* ExprEmitter::address(BufferId id, const std::vector<Expr>& at) {
  const Buffer& buffer = context_.buffer(id);
  const auto pointer = scope_.pointers.find(storage_root(context_.program(), id));
  if (pointer == scope_.pointers.end()) {
    context_.fail(ErrorKind::Internal, "buffer '" + buffer.name + "' has no address here");
    return llvm::PoisonValue::get(b_.getPtrTy());
  }
  const Shape strides = buffer.effective_strides();
  if (!at.empty() && at.size() != strides.size())
    context_.fail(ErrorKind::Internal, "buffer '" + buffer.name + "' is indexed with the wrong number of indices");
  Value* base = pointer->second;
  const Dim view = view_offset_bytes(context_.program(), id);
  if (view != Dim(0)) base = b_.CreateInBoundsPtrAdd(base, emit_dim(view).value);
  Dim known = 0;  // the part of the element's position that is a Dim
  Value* computed = nullptr;
  for (size_t d = 0; d < at.size() && d < strides.size(); ++d) {
    const ExprNode& index = *at[d];
    if (index.op == ExprOp::Index || index.op == ExprOp::Const) {
      known = known + (index.op == ExprOp::Index ? index.dim : Dim(index.integer)) * strides[d];
      continue;
    }
    Value* part = b_.CreateNSWMul(emit(at[d]), emit_dim(strides[d]).value);
    computed = computed ? b_.CreateNSWAdd(computed, part) : part;
  }
  if (computed || known != Dim(0)) {
    Value* position = known != Dim(0) || !computed ? emit_dim(known).value : computed;
    if (computed && position != computed) position = b_.CreateNSWAdd(position, computed);
    base = b_.CreateInBoundsGEP(context_.storage_type(buffer.elem), base, position);
  }
  return base;
}

Value* ExprEmitter::load(const ExprNode& e) {
  const Buffer& buffer = context_.buffer(e.buffer);
  Value* pointer = address(e.buffer, e.args);
  llvm::Type* type = context_.storage_type(buffer.elem);
  return widen(b_.CreateAlignedLoad(type, pointer, alignment(buffer.elem)), buffer.elem);
}

Value* ExprEmitter::widen(Value* stored, Elem elem) {
  if (elem == Elem::Bool) return b_.CreateICmpNE(stored, llvm::ConstantInt::get(stored->getType(), 0));
  if (elem == Elem::F32 || elem == Elem::F64) return stored;
  if (elem == Elem::F16 && context_.target.level != Level::X86V2)
    return b_.CreateFPExt(b_.CreateBitCast(stored, b_.getHalfTy()), b_.getFloatTy());
  if (elem == Elem::BF16)
    return b_.CreateBitCast(b_.CreateShl(b_.CreateZExt(stored, b_.getInt32Ty()), 16), b_.getFloatTy());
  if (is_float(elem)) return call("onnxc_" + std::string(elem_name(elem)) + "_to_f32", {stored}, b_.getFloatTy());
  return b_.CreateIntCast(stored, context_.register_type(elem), is_signed(elem));
}

Value* ExprEmitter::narrow(Value* value, Elem elem) {
  if (elem == Elem::F32 || elem == Elem::F64) return value;
  if (elem == Elem::F16 && context_.target.level != Level::X86V2)
    return b_.CreateBitCast(b_.CreateFPTrunc(value, b_.getHalfTy()), b_.getInt16Ty());
  if (is_float(elem)) return call(expr::narrowing_function(elem), {value}, context_.storage_type(elem));
  return b_.CreateIntCast(value, context_.storage_type(elem), false);
}

void ExprEmitter::store(Value* value, Elem from, BufferId id, const std::vector<Expr>& at) {
  const Elem elem = context_.buffer(id).elem;
  if (context_.register_type(from) != context_.register_type(elem)) {
    context_.fail(ErrorKind::Internal, "a value of type " + std::string(elem_name(from)) + " is stored to buffer '" +
                                           context_.buffer(id).name + "' of " + std::string(elem_name(elem)));
    return;
  }
  Value* stored = narrow(value, elem);
  b_.CreateAlignedStore(stored, address(id, at), alignment(elem));
}

Value* ExprEmitter::cast(Value* value, Elem from, Elem to) {
  llvm::Type* type = context_.register_type(to);
  const bool from_float = value->getType()->isFloatingPointTy();
  if (to == Elem::Bool) {
    if (from == Elem::Bool) return value;
    llvm::Constant* zero = llvm::Constant::getNullValue(value->getType());
    return from_float ? b_.CreateFCmpUNE(value, zero) : b_.CreateICmpNE(value, zero);
  }
  if (is_float(to)) {
    Value* wide = value;
    if (from_float)
      wide = b_.CreateFPCast(value, type);
    else
      wide = is_signed(from) ? b_.CreateSIToFP(value, type) : b_.CreateUIToFP(value, type);
    const bool exact = to == Elem::F32 || to == Elem::F64 || from == to;
    return exact ? wide : widen(narrow(wide, to), to);
  }
  if (from_float && elem_bits(to) <= 16) return cast_to_few_bits(value, to);
  if (from_float) {
    const auto id = is_signed(to) ? llvm::Intrinsic::fptosi_sat : llvm::Intrinsic::fptoui_sat;
    return b_.CreateIntrinsic(id, {type, value->getType()}, {value});
  }
  value = b_.CreateIntCast(value, type, from != Elem::Bool && is_signed(from));
  if (!is_sub_byte(to)) return value;
  Value* few = b_.CreateTrunc(value, b_.getIntNTy(static_cast<unsigned>(elem_bits(to))));
  return is_signed(to) ? b_.CreateSExt(few, type) : b_.CreateZExt(few, type);
}

// Limited as a float: LLVM makes scalar code of saturating casts to fewer bits than a vector can be cast to.
Value* ExprEmitter::cast_to_few_bits(Value* value, Elem to) {
  const int bits = elem_bits(to) - is_signed(to);
  const int64_t high = (int64_t{1} << bits) - 1, low = is_signed(to) ? -high - 1 : 0;
  const auto number = [&](int64_t v) { return llvm::ConstantFP::get(value->getType(), static_cast<double>(v)); };
  if (low != 0) value = b_.CreateSelect(b_.CreateFCmpORD(value, value), value, number(0));
  value = b_.CreateSelect(b_.CreateFCmpOGT(value, number(low)), value, number(low));  // of NaN: low
  value = b_.CreateSelect(b_.CreateFCmpOLT(value, number(high)), value, number(high));
  return b_.CreateTrunc(b_.CreateFPToSI(value, b_.getInt32Ty()), context_.register_type(to));
}

Value* ExprEmitter::bit_cast(Value* value, Elem from, Elem to) {
  if (elem_size(from) != elem_size(to)) {
    context_.fail(ErrorKind::Internal, "bit_cast between types of different width");
    return llvm::PoisonValue::get(context_.register_type(to));
  }
  return widen(b_.CreateBitCast(narrow(value, from), context_.storage_type(to)), to);
}

Value* ExprEmitter::call(const std::string& name, std::vector<Value*> args, llvm::Type* result) {
  llvm::Function* function = context_.kernels.declare(context_.module, name);
  const bool fits = function && function->arg_size() == args.size();
  if (!fits) {
    context_.fail(ErrorKind::Unsupported, "the kernel library has no function " + name,
                  "this combination of operation and element type is not supported yet");
    return llvm::PoisonValue::get(result);
  }
  for (size_t i = 0; i < args.size(); ++i) {
    llvm::Type* wanted = function->getArg(static_cast<unsigned>(i))->getType();
    if (args[i]->getType() != wanted && wanted->isIntegerTy() && args[i]->getType()->isIntegerTy())
      args[i] = b_.CreateZExtOrTrunc(args[i], wanted);
  }
  llvm::CallInst* made = b_.CreateCall(function, args);
  made->setAttributes(function->getAttributes());
  Value* value = made;
  if (value->getType() != result && result->isIntegerTy()) value = b_.CreateZExtOrTrunc(value, result);
  return value;
}

}  // namespace onnxc::emit
