// The part of parse_program that reads operations and the statements of nests.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "compiler/ir/expr_text.h"
#include "compiler/ir/program.h"

namespace onnxc {

class OperationParser {
 public:
  OperationParser(Cursor& cursor, const Program& program, const std::unordered_map<std::string, uint32_t>& buffers);

  // Operations up to what begins none: `yield` or `}`.
  Result<std::vector<Operation>> list();

 private:
  Result<Operation> operation();
  Status tail(Operation& op);
  Status partition(Operation& op);
  Status in_place(Operation& op);
  Status origins(Operation& op);

  Result<KernelCall> call();
  Status operand(KernelCall& call);
  Result<Argument> argument();
  Result<ScalarDef> scalar();
  Status branch(Operation& op);
  Status loop(Operation& op);
  Status carried(Loop& loop);
  Result<Region> region();

  Result<Block> block();  // with its braces
  Result<Stmt> statement();
  Result<For> for_statement();
  Result<Let> let_statement();
  Result<Reduce> reduce_statement();
  Result<Store> store_statement();
  Result<LoopVar> loop_var();

  Result<BufferId> buffer();          // %name
  Result<BufferId> buffer_or_null();  // %name or null
  Result<std::vector<BufferId>> buffer_list();
  Result<std::string> name(std::string_view what);  // bare or quoted
  Result<int64_t> parenthesised_integer();

  Cursor& cursor_;
  const std::unordered_map<std::string, uint32_t>& buffers_;
  ExprScope scope_;
  int depth_ = 0;
};

}  // namespace onnxc
