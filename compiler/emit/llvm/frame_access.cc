#include "compiler/emit/llvm/frame_access.h"

#include "compiler/emit/llvm/abi_types.h"

namespace onnxc::emit {

using llvm::Value;

Value* FrameAccess::field(unsigned index, llvm::Type* type) {
  llvm::StructType* frame = AbiTypes(context_.llvm()).frame;
  return b_.CreateLoad(type, b_.CreateStructGEP(frame, frame_, index));
}

Value* FrameAccess::pointer(unsigned index) {
  Value*& loaded = pointers_[index];
  if (!loaded) loaded = field(index, b_.getPtrTy());
  return loaded;
}

Value* FrameAccess::arena(size_t stage) {
  Value*& loaded = arenas_[stage];
  if (loaded) return loaded;
  if (stage == 0) return loaded = pointer(AbiTypes::kFrameArena);
  Value* place = b_.CreateConstInBoundsGEP1_64(b_.getPtrTy(), pointer(AbiTypes::kFrameArenas), stage);
  return loaded = b_.CreateLoad(b_.getPtrTy(), place, "arena");
}

Value* FrameAccess::input_dim(uint64_t index, uint64_t axis) {
  Value* place = b_.CreateInBoundsGEP(AbiTypes(context_.llvm()).value, pointer(AbiTypes::kFrameInputValues),
                                      {b_.getInt64(index), b_.getInt32(AbiTypes::kValueDims), b_.getInt64(axis)});
  return b_.CreateLoad(b_.getInt64Ty(), place);
}

void FrameAccess::load_table(size_t stage, Scope& scope) {
  const TableNames table = table_names(context_.plan);
  const size_t end = stage + 1 < table.begin.size() ? table.begin[stage + 1] : table.names.size();
  for (size_t i = table.begin[stage]; i < end; ++i) {
    const std::string& name = table.names[i];
    Value* place = b_.CreateConstInBoundsGEP1_64(b_.getInt64Ty(), pointer(AbiTypes::kFrameTable), i);
    scope.symbols[name] = {b_.CreateLoad(b_.getInt64Ty(), place, name), name.front() != '~'};
  }
}

Value* FrameAccess::storage(BufferId id) {
  const Buffer& buffer = context_.buffer(id);
  const Place& place = context_.plan.places[id];
  switch (buffer.storage) {
    case Buffer::Storage::Input:
    case Buffer::Storage::Output: {
      Value* table =
          pointer(buffer.storage == Buffer::Storage::Input ? AbiTypes::kFrameInputs : AbiTypes::kFrameOutputs);
      Value* entry = b_.CreateConstInBoundsGEP1_64(b_.getPtrTy(), table, static_cast<uint64_t>(buffer.index));
      return b_.CreateLoad(b_.getPtrTy(), entry);
    }
    case Buffer::Storage::Arena:
      if (place.kind != Place::Kind::Arena) return nullptr;
      return b_.CreateInBoundsPtrAdd(arena(place.stage), exprs_.emit_dim(place.offset).value);
    case Buffer::Storage::Constant:
      if (place.kind != Place::Kind::Weights) return nullptr;
      return b_.CreateInBoundsPtrAdd(pointer(AbiTypes::kFrameWeights), exprs_.emit_dim(place.offset).value);
    case Buffer::Storage::View: return nullptr;     // reached through its base
    case Buffer::Storage::Dynamic: return nullptr;  // where its Alloc stands
    case Buffer::Storage::Handle:
      context_.fail(ErrorKind::Unsupported,
                    "buffer '" + buffer.name + "' holds strings or a sequence: compiled models cannot do this yet");
  }
  return nullptr;
}

}  // namespace onnxc::emit
