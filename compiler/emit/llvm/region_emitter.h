// Operations of a Program, in order, into the model's body function: each loop nest becomes an internal function of its
// own, each kernel call a call of its specialised function; If and Loop become branches around their regions'
// operations. Around each operation stand the calls of runtime_lib/abi/step.h and, with --debug-plan, of debug_plan.h.
// Tested in tests/unit/emit_llvm_test.cc.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "compiler/emit/llvm/call_emitter.h"
#include "compiler/emit/llvm/frame_access.h"
#include "compiler/emit/llvm/nest_emitter.h"

namespace onnxc::emit {

// "conv_blocked_f32 (node_a, node_b)": for profiles and messages.
std::string operation_label(const Operation& op);

class RegionEmitter {
 public:
  explicit RegionEmitter(EmitContext& context);

  // int32_t <name>_body(onnxc_frame*), internal.
  llvm::Function* emit_body();

 private:
  void emit_ops(const std::vector<Operation>& ops, bool outermost);
  void emit_op(const Operation& op, size_t index);
  // Around what is done at the end of a region (plan/liveness.h).
  void begin_end(int64_t number);
  void finish_end(int64_t number, const char* label);
  void emit_node(const KernelCall& call, const Operation& op, size_t index);
  void emit_node(const Nest& nest, const Operation& op, size_t index);
  void emit_node(const ScalarDef& def, const Operation& op, size_t index);
  void emit_node(const Alloc& alloc, const Operation& op, size_t index);
  void emit_node(const If& node, const Operation& op, size_t index);
  void emit_node(const Loop& node, const Operation& op, size_t index);
  void emit_node(const Barrier&, const Operation& op, size_t index);
  void emit_node(const Require&, const Operation& op, size_t index);

  // Several threads (thread_emitter.cc): an operation of the Program runs on those that it is for; a failure goes on to
  // the next barrier, where all threads leave.
  void start_threads();
  void emit_for_threads(const Operation& op, size_t index);
  void emit_joint(const Operation& op, size_t index);
  void meet();
  void on_first_thread(const std::function<void()>& emit);
  Share share_of(const Partition& partition);
  void start_stretch();
  void end_threads();

  // Runs the layout of stage `stage` >= 1.
  void emit_stage(size_t stage);
  // Its symbols, and pointers to the storage of every buffer that has memory from its end on.
  void enter_stage(size_t stage);
  llvm::Value* frame_field(unsigned index, llvm::Type* type);
  // Calls a function of runtime_lib/abi; null when the library has none of that name.
  llvm::CallInst* call_entry(const char* name, const std::vector<llvm::Value*>& args);
  // Leaves the body with `status` when it is not ONNXC_OK.
  void leave_if(llvm::Value* status);
  void leave(llvm::Value* status);
  // The number by which profiles know operation `index` of the Program.
  llvm::Value* step_number(size_t index);
  llvm::Value* text(const std::string& s);
  void make_debug_plan();
  void copy_buffer(BufferId to, BufferId from, llvm::Value* to_offset = nullptr);
  llvm::Value* element_address(BufferId buffer);
  bool copies_are_ordered(const std::vector<BufferId>& to, const std::vector<BufferId>& from, const char* what);

  EmitContext& context_;
  llvm::IRBuilder<> b_;
  Scope scope_;
  ExprEmitter exprs_;
  CallEmitter calls_;
  llvm::Function* body_ = nullptr;
  llvm::GlobalVariable* debug_plan_ = nullptr;
  // With threads: this thread, their number; the status that the thread brings to the end of the stretch between two
  // barriers.
  llvm::Value *thread_ = nullptr, *threads_ = nullptr, *status_ = nullptr;
  llvm::BasicBlock* stretch_end_ = nullptr;
  std::optional<Share> share_;  // of the operation that is being emitted
  int64_t walk_ = 0;            // the number of the next operation, regions included (plan.h)
};

}  // namespace onnxc::emit
