// Prints the body: every operation as a function, the steps that call them in order, If and Loop as they are in C++.
// Tested in tests/unit/emit_cpp_test.cc.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/emit/cpp/expr_printer.h"
#include "compiler/ir/plan.h"
#include "compiler/support/result.h"

namespace onnxc::cpp {

// "conv_blocked_f32 (Conv_0, Relu_1)": what messages and profiles call an operation.
std::string operation_label(const Operation& op);

class BodyPrinter {
 public:
  explicit BodyPrinter(const Plan& plan) : plan_(plan) {}

  Status print();
  const std::vector<std::string>& functions() const { return functions_; }
  struct Step {
    std::string comment, text;
  };
  const std::vector<Step>& steps() const { return steps_; }
  size_t allocs() const { return grown_; }  // entries of `grown` that the steps use

 private:
  // One outermost operation, for one thread or for several.
  Status step(const Operation& op, Lines& lines);
  Status step_for_threads(const Operation& op, Lines& lines);
  void add_step(const std::string& comment, Lines& lines);
  Status stage_step(size_t stage, Lines& lines);
  // What a stage has put into the table, as Scalars.
  void declare_scalars(size_t stage, Lines& lines);
  Status joint_step(const Operation& op, Lines& lines);
  Status operations(const std::vector<Operation>& ops, bool outermost, Lines& lines);
  // Around what is done at the end of a region (plan/liveness.h).
  void begin_end(size_t number, Lines& lines);
  void finish_end(size_t number, const char* label, Lines& lines);
  Status node(const KernelCall& call, const Operation& op, Lines& lines) { return function(call.kernel, op, lines); }
  Status node(const Nest&, const Operation& op, Lines& lines) { return function("nest", op, lines); }
  Status node(const ScalarDef& def, const Operation& op, Lines& lines);
  Status node(const Require& require, const Operation& op, Lines& lines);
  Status node(const Alloc& alloc, const Operation& op, Lines& lines);
  Status node(const If& branch, const Operation& op, Lines& lines);
  Status node(const Loop& loop, const Operation& op, Lines& lines);
  Status node(const Barrier&, const Operation& op, Lines& lines);
  Status function(const std::string& kind, const Operation& op, Lines& lines);
  // Copies the elements; `offset`: bytes into the target, as text.
  Status copy(BufferId to, BufferId from, const std::string& offset, Lines& lines);
  Status copies(const std::vector<BufferId>& to, const std::vector<BufferId>& from, size_t skip, size_t count,
                const char* what, Lines& lines);
  std::string pointer(BufferId b) const;

  const Plan& plan_;
  Names names_;
  std::map<std::string, std::string> shared_;  // key of a printed operation -> its function
  std::vector<std::string> functions_;
  std::vector<Step> steps_;
  size_t index_ = 0;  // of the outermost operation
  bool in_region_ = false;
  size_t walk_ = 0;  // of all operations, as Place counts them
  size_t made_ = 0, grown_ = 0;
};

}  // namespace onnxc::cpp
