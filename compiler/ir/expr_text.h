// Text of scalar expressions and of the Dims in them, both directions. Part of the textual Program (program_text.h).
// Tested in tests/unit/program_text_test.cc.
//
//   %x[i0, 4*i1 + 1]       load; indices are Dims; any other expression stands in braces: %x[{%i[k]}, 0]
//   add(t, 1.0)            operation by its op_name(); t: a Let or Reduce in scope
//   cast(t, i32)           likewise bitcast
//   index(i0 + 3)          a Dim as a value
//   1.0  2.5:f64  3  3:i32  true    constants: f32 with a point, i64 without, unless told
#pragma once

#include <functional>
#include <map>
#include <string>

#include "compiler/ir/expr.h"
#include "compiler/ir/text_lexer.h"

namespace onnxc {

using BufferNamer = std::function<std::string(BufferId)>;  // "%x"

std::string expr_text(const Expr& e, const BufferNamer& name_of);
std::string index_list_text(const std::vector<Expr>& at, const BufferNamer& name_of);  // "[i0, 1]"

// The type of an operation on operands of these types; for Cast and BitCast the caller knows.
Elem result_type(ExprOp op, const std::vector<Expr>& args);

Result<Elem> parse_elem(Cursor& cursor);
Result<Dim> parse_dim(Cursor& cursor);
Result<Shape> parse_shape(Cursor& cursor);  // "[1, N]"

struct ExprScope {
  std::function<Result<BufferId>(Cursor&)> buffer;  // takes a %name
  std::function<Elem(BufferId)> elem_of;
  std::map<std::string, Elem> lets;
};

// Builds exactly what is written, without folding.
Result<Expr> parse_expr(Cursor& cursor, const ExprScope& scope);
Result<std::vector<Expr>> parse_index_list(Cursor& cursor, const ExprScope& scope);

}  // namespace onnxc
