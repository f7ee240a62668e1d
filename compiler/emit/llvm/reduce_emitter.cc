// Reductions in the order that Reduce (ir/program.h) states: lane l takes the elements at positions p with p mod lanes
// == l, in order; then lanes l and l + lanes/2 are combined, and so on. The loop over the lanes of one step is marked
// for vectorisation with exactly `lanes` lanes: each lane is its own sum, so that no float sum is regrouped. Where the
// order does not matter every row begins at lane 0.
#include <bit>
#include <limits>

#include "compiler/emit/llvm/merge_loops.h"
#include "compiler/emit/llvm/nest_emitter.h"

namespace onnxc::emit {

using llvm::Value;

namespace {

bool is_order_free(ReduceOp op) { return op != ReduceOp::Add && op != ReduceOp::Mul; }

bool is_position(ReduceOp op) { return op == ReduceOp::ArgMin || op == ReduceOp::ArgMax; }

// A distinct loop id that asks for one vector of `lanes` and for nothing else.
llvm::MDNode* lanes_metadata(llvm::LLVMContext& c, int lanes) {
  auto text = [&](const char* name) -> llvm::Metadata* { return llvm::MDString::get(c, name); };
  auto number = [&](llvm::Type* type, uint64_t v) -> llvm::Metadata* {
    return llvm::ConstantAsMetadata::get(llvm::ConstantInt::get(type, v));
  };
  llvm::Type* i1 = llvm::Type::getInt1Ty(c);
  llvm::Type* i32 = llvm::Type::getInt32Ty(c);
  auto node = [&](const std::vector<llvm::Metadata*>& parts) { return llvm::MDNode::get(c, parts); };
  llvm::MDNode* id = llvm::MDNode::getDistinct(
      c, {nullptr, node({text("llvm.loop.unroll.disable")}), node({text("llvm.loop.vectorize.enable"), number(i1, 1)}),
          node({text("llvm.loop.vectorize.width"), number(i32, static_cast<uint64_t>(lanes))}),
          node({text("llvm.loop.interleave.count"), number(i32, 1)})});
  id->replaceOperandWith(0, id);
  return id;
}

}  // namespace

void NestEmitter::emit_stmt(const Reduce& as_written) {
  const Reduce reduce = with_merged_rows(context_.program(), as_written);
  for (const LoopVar& v : as_written.vars)
    scope_.symbols[v.name] = {b_.getInt64(0), true};  // as those merged away stay
  Value* result = nullptr;
  if (is_position(reduce.op))
    result = reduce_position(reduce);
  else if (reduce.lanes <= 1)
    result = reduce_serially(reduce);
  else
    result = reduce_in_lanes(reduce);
  scope_.lets[reduce.name] = result;
}

// Accumulators of Bool are bytes.
static llvm::Type* memory_type(llvm::Type* type) {
  return type->isIntegerTy(1) ? llvm::Type::getInt8Ty(type->getContext()) : type;
}

Value* NestEmitter::slot(llvm::Type* type, uint64_t count) {
  llvm::BasicBlock& entry = b_.GetInsertBlock()->getParent()->getEntryBlock();
  llvm::IRBuilder<> at_entry(&entry, entry.begin());
  llvm::AllocaInst* memory = at_entry.CreateAlloca(llvm::ArrayType::get(type, count));
  memory->setAlignment(llvm::Align(64));
  return memory;
}

Value* NestEmitter::combine(const Reduce& reduce, Value* a, Value* b) {
  const Elem type = reduce.value->type;
  switch (reduce.op) {
    case ReduceOp::Add: return exprs_.binary(ExprOp::Add, type, a, b);
    case ReduceOp::Mul: return exprs_.binary(ExprOp::Mul, type, a, b);
    // The new value first: it is tested for NaN while the one before is not known yet.
    case ReduceOp::Min: return exprs_.binary(ExprOp::Min, type, b, a);
    case ReduceOp::Max: return exprs_.binary(ExprOp::Max, type, b, a);
    case ReduceOp::And: return b_.CreateAnd(a, b);
    default: return b_.CreateOr(a, b);
  }
}

llvm::Constant* NestEmitter::neutral(const Reduce& reduce) {
  const Elem elem = reduce.value->type;
  llvm::Type* type = context_.register_type(elem);
  const bool floats = type->isFloatingPointTy();
  const unsigned bits = floats ? 0 : type->getIntegerBitWidth();
  auto number = [&](const llvm::APInt& value) { return llvm::ConstantInt::get(context_.llvm(), value); };
  switch (reduce.op) {
    case ReduceOp::Mul: return floats ? llvm::ConstantFP::get(type, 1.0) : llvm::ConstantInt::get(type, 1);
    case ReduceOp::Min:
      if (floats) return llvm::ConstantFP::getInfinity(type);
      return number(is_signed(elem) ? llvm::APInt::getSignedMaxValue(bits) : llvm::APInt::getMaxValue(bits));
    case ReduceOp::Max:
      if (floats) return llvm::ConstantFP::getInfinity(type, true);
      return number(is_signed(elem) ? llvm::APInt::getSignedMinValue(bits) : llvm::APInt::getMinValue(bits));
    case ReduceOp::And: return llvm::Constant::getAllOnesValue(type);
    default: return llvm::Constant::getNullValue(type);
  }
}

void NestEmitter::accumulate(const Reduce& reduce, Value* accumulators, Value* lane) {
  exprs_.forget();
  Value* value = exprs_.emit(reduce.value);
  llvm::Type* type = memory_type(value->getType());
  Value* place = lane ? b_.CreateInBoundsGEP(type, accumulators, lane) : accumulators;
  Value* old = b_.CreateLoad(type, place);
  if (type != value->getType()) old = b_.CreateTrunc(old, value->getType());
  Value* updated = combine(reduce, old, value);
  b_.CreateStore(type != value->getType() ? b_.CreateZExt(updated, type) : updated, place);
  exprs_.forget();
}

Value* NestEmitter::reduce_serially(const Reduce& reduce) {
  llvm::Constant* start = neutral(reduce);
  llvm::Type* type = memory_type(start->getType());
  Value* accumulator = slot(type, 1);
  b_.CreateStore(type != start->getType() ? b_.CreateZExt(start, type) : start, accumulator);
  loops(reduce.vars, 0, reduce.vars.size(), [&] { accumulate(reduce, accumulator, nullptr); });
  Value* result = b_.CreateLoad(type, accumulator);
  return type != start->getType() ? b_.CreateTrunc(result, start->getType()) : result;
}

void NestEmitter::ColumnValues::store(llvm::IRBuilder<>& b, Value* column, Value* value) const {
  b.CreateStore(stored != type ? b.CreateZExt(value, stored) : value, b.CreateInBoundsGEP(stored, memory, column));
}

Value* NestEmitter::ColumnValues::load(llvm::IRBuilder<>& b, Value* column) const {
  Value* value = b.CreateLoad(stored, b.CreateInBoundsGEP(stored, memory, column));
  return stored != type ? b.CreateTrunc(value, type) : value;
}

NestEmitter::ColumnValues NestEmitter::column_values(llvm::Type* type, int64_t most) {
  return {slot(memory_type(type), static_cast<uint64_t>(most)), type, memory_type(type)};
}

NestEmitter::ColumnValues NestEmitter::reduce_columns(
    const Reduce& reduce, int64_t most, const std::function<void(const std::function<void(Value*)>&)>& each_column) {
  llvm::Constant* start = neutral(reduce);
  const ColumnValues values = column_values(start->getType(), most);
  each_column([&](Value* column) { values.store(b_, column, start); });
  loops(reduce.vars, 0, reduce.vars.size(),
        [&] { each_column([&](Value* column) { accumulate(reduce, values.memory, column); }); });
  return values;
}

Value* NestEmitter::reduce_in_lanes(const Reduce& reduce) {
  const auto lanes = static_cast<uint64_t>(reduce.lanes);
  if (!std::has_single_bit(lanes)) {
    context_.fail(ErrorKind::Internal, "reduction '" + reduce.name + "' has lanes that are no power of two");
    return llvm::PoisonValue::get(context_.register_type(reduce.value->type));
  }
  llvm::Constant* start = neutral(reduce);
  llvm::Type* type = memory_type(start->getType());
  if (type != start->getType()) start = llvm::ConstantInt::get(type, start->isOneValue() ? 1 : 0);
  Value* accumulators = slot(type, lanes);
  auto* vector = llvm::FixedVectorType::get(type, static_cast<unsigned>(lanes));
  b_.CreateAlignedStore(llvm::ConstantVector::getSplat(vector->getElementCount(), start), accumulators,
                        llvm::Align(64));
  const Dim& inner = reduce.vars.back().extent;
  if (reduce.vars.size() == 1 || is_order_free(reduce.op) || (inner.is_const() && inner.value() % reduce.lanes == 0))
    reduce_rows(reduce, accumulators);
  else
    reduce_by_position(reduce, accumulators);
  Value* result = combine_lanes(reduce, accumulators);
  llvm::Type* wanted = context_.register_type(reduce.value->type);
  return result->getType() != wanted ? b_.CreateTrunc(result, wanted) : result;
}

// Every row begins at lane 0: full steps of `lanes`, then what is left over.
void NestEmitter::reduce_rows(const Reduce& reduce, Value* accumulators) {
  const LoopVar& inner = reduce.vars.back();
  const Dim lanes = reduce.lanes;
  const std::string step = reduce.name + ".step", lane = reduce.name + ".lane";
  auto element = [&](Value* position, Value* which, Value* into) {
    const auto outer = scope_.symbols;
    scope_.symbols[inner.name] = {position, true};
    accumulate(reduce, into, which);
    scope_.symbols = outer;
  };
  const Dim full = Dim::floor_div(inner.extent, lanes), rest = Dim::mod(inner.extent, lanes);
  const auto lane_loop = [&](Value* base, Value* count, llvm::MDNode* metadata) {
    const auto body = [&] {
      Value* which = scope_.symbols[lane].value;
      element(b_.CreateNSWAdd(base, which), which, accumulators);
    };
    loop(lane, b_.getInt64(0), count, body, metadata);
  };
  loops(reduce.vars, 0, reduce.vars.size() - 1, [&] {
    Value* all = b_.getInt64(static_cast<uint64_t>(reduce.lanes));
    loop(step, b_.getInt64(0), exprs_.emit_dim(full).value, [&] {
      lane_loop(b_.CreateNSWMul(scope_.symbols[step].value, all), all, lanes_metadata(context_.llvm(), reduce.lanes));
    });
    if (rest != Dim(0)) lane_loop(exprs_.emit_dim(full * lanes).value, exprs_.emit_dim(rest).value, nullptr);
  });
}

void NestEmitter::reduce_by_position(const Reduce& reduce, Value* accumulators) {
  Value* counter = slot(b_.getInt64Ty(), 1);
  b_.CreateStore(b_.getInt64(0), counter);
  loops(reduce.vars, 0, reduce.vars.size(), [&] {
    Value* position = b_.CreateLoad(b_.getInt64Ty(), counter);
    accumulate(reduce, accumulators, b_.CreateAnd(position, static_cast<uint64_t>(reduce.lanes - 1)));
    b_.CreateStore(b_.CreateAdd(position, b_.getInt64(1)), counter);
  });
}

Value* NestEmitter::combine_lanes(const Reduce& reduce, Value* accumulators) {
  llvm::Type* type = memory_type(context_.register_type(reduce.value->type));
  auto* vector = llvm::FixedVectorType::get(type, static_cast<unsigned>(reduce.lanes));
  Value* lanes = b_.CreateAlignedLoad(vector, accumulators, llvm::Align(64));
  for (int half = reduce.lanes / 2; half >= 1; half /= 2) {
    std::vector<int> low, high;
    for (int l = 0; l < half; ++l) low.push_back(l), high.push_back(l + half);
    Value *a = b_.CreateShuffleVector(lanes, low), *b = b_.CreateShuffleVector(lanes, high);
    lanes = combine(reduce, a, b);
  }
  return b_.CreateExtractElement(lanes, uint64_t{0});
}

Value* NestEmitter::reduce_position(const Reduce& reduce) {
  llvm::Type* type = context_.register_type(reduce.value->type);
  llvm::Type* i64 = b_.getInt64Ty();
  Value *best = slot(memory_type(type), 1), *where = slot(i64, 1), *counter = slot(i64, 1);
  b_.CreateStore(b_.getInt64(static_cast<uint64_t>(-1)), where);
  b_.CreateStore(b_.getInt64(0), counter);
  b_.CreateStore(llvm::Constant::getNullValue(memory_type(type)), best);
  const ExprOp better_op = reduce.op == ReduceOp::ArgMax ? (reduce.last_of_equals ? ExprOp::Ge : ExprOp::Gt)
                                                         : (reduce.last_of_equals ? ExprOp::Le : ExprOp::Lt);
  loops(reduce.vars, 0, reduce.vars.size(), [&] {
    exprs_.forget();
    Value* value = exprs_.emit(reduce.value);
    Value* position = b_.CreateLoad(i64, counter);
    Value* old = b_.CreateLoad(memory_type(type), best);
    if (memory_type(type) != type) old = b_.CreateTrunc(old, type);
    Value* old_where = b_.CreateLoad(i64, where);
    Value* better = exprs_.binary(better_op, reduce.value->type, value, old);
    if (type->isFloatingPointTy()) {  // NaN wins over numbers; of several NaN the first, or the last
      Value* is_nan = b_.CreateFCmpUNO(value, value);
      Value* old_nan = b_.CreateFCmpUNO(old, old);
      Value* takes = reduce.last_of_equals ? is_nan : b_.CreateAnd(is_nan, b_.CreateNot(old_nan));
      better = b_.CreateOr(b_.CreateAnd(better, b_.CreateNot(old_nan)), takes);
    }
    better = b_.CreateOr(better, b_.CreateICmpSLT(old_where, b_.getInt64(0)));
    Value* chosen = b_.CreateSelect(better, value, old);
    b_.CreateStore(memory_type(type) != type ? b_.CreateZExt(chosen, memory_type(type)) : chosen, best);
    b_.CreateStore(b_.CreateSelect(better, position, old_where), where);
    b_.CreateStore(b_.CreateAdd(position, b_.getInt64(1)), counter);
  });
  return b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, b_.CreateLoad(i64, where), b_.getInt64(0));
}

}  // namespace onnxc::emit
