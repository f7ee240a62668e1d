// The structs of onnxc.h, frame.h and debug_plan.h as LLVM types. tests/unit/emit_llvm_test.cc compares their layout
// with the headers'.
#pragma once

#include <llvm/IR/DerivedTypes.h>

namespace onnxc::emit {

struct AbiTypes {
  explicit AbiTypes(llvm::LLVMContext& context);

  enum FrameField : unsigned {
    kFrameInputs,
    kFrameOutputs,
    kFrameInputValues,
    kFrameOutputValues,
    kFrameArena,
    kFrameWeights,
    kFrameHost,
    kFrameStatus,
    kFrameArrivals,
    kFrameMessage,
    kFrameThread,
    kFrameThreads,
    kFrameBarriers,
    kFrameTable,
    kFrameArenas,
    kFrameRun,
    kFrameBeginStage,
    kFrameMemory
  };
  static constexpr unsigned kValueRank = 3, kValueDims = 4;

  llvm::StructType* frame;
  llvm::StructType* code;
  llvm::StructType* special;
  llvm::StructType* value;
  llvm::StructType* value_info;
  llvm::StructType* metadata;
  llvm::StructType* model_info;
  llvm::StructType* model;
  llvm::StructType* debug_buffer;
  llvm::StructType* debug_plan;
};

}  // namespace onnxc::emit
