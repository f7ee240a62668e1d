// Prints loop nests as plain for loops, and kernel calls. Tested in tests/unit/emit_cpp_test.cc.
#pragma once

#include <map>
#include <string>

#include "compiler/emit/cpp/expr_printer.h"
#include "compiler/ir/program.h"

namespace onnxc::cpp {

// `pointers`: the identifier of each buffer's pointer.
class NestPrinter {
 public:
  NestPrinter(const Program& program, Names& names, const std::map<BufferId, std::string>& pointers);

  // Names or literals of the bounds of a partition's axis; and the name of the frame, where threads meet in the call.
  struct Share {
    std::string begin, end, team;
  };

  void block(const Block& block, Lines& lines);
  // The turns of the nest's only outermost loop that are in the share.
  void share_of_nest(const Block& nest, const Share& share, Lines& lines);
  // `frame`: its name, where the call takes memory of the run or calls a linked function.
  void kernel_call(const KernelCall& call, const Share* share, Lines& lines, const std::string& frame = {});
  // Whether a printed statement may leave the function with a code: it returns int32_t then.
  bool may_fail() const { return may_fail_; }

 private:
  void statement(const For& loop, Lines& lines);
  void statement(const Let& let, Lines& lines);
  void statement(const Reduce& reduce, Lines& lines);
  void statement(const Store& store, Lines& lines);
  void statement(const KernelCall& call, Lines& lines) { kernel_call(call, nullptr, lines); }
  void reduce_extreme_index(const Reduce& reduce, Lines& lines);
  void reduce_in_order(const Reduce& reduce, Lines& lines);
  void reduce_in_lanes(const Reduce& reduce, Lines& lines);
  void open_loops(const std::vector<LoopVar>& vars, size_t count, Lines& lines);
  void close_loops(size_t count, Lines& lines);
  void linked_call(const KernelCall& call, std::vector<std::string> operands, const std::string& frame, Lines& lines);
  std::string operand(const Operand& operand, Lines& lines);
  // "acc = combine(acc, value);"
  std::string combine(ReduceOp op, Elem type, const std::string& accumulator, const std::string& value);

  const Program& program_;
  Names& names_;
  const std::map<BufferId, std::string>& pointers_;
  ExprPrinter expressions_;
  bool may_fail_ = false;
};

// The neutral element of a reduction, as a literal.
std::string neutral_element(ReduceOp op, Elem type);

}  // namespace onnxc::cpp
