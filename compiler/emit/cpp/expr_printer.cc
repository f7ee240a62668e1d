#include "compiler/emit/cpp/expr_printer.h"

#include <unordered_set>

namespace onnxc::cpp {
namespace {

// A longer text is hard to read in one line.
constexpr size_t kLongText = 100;

bool is_narrow_float(Elem e) { return is_float(e) && e != Elem::F32 && e != Elem::F64; }
bool is_leaf(const ExprNode& n) { return n.op == ExprOp::Const || n.op == ExprOp::Let || n.op == ExprOp::Index; }

std::string call(const std::string& function, const std::vector<std::string>& args) {
  return function + "(" + join(args) + ")";
}
std::string kernel_function(ExprOp op, Elem e) {
  return "onnxc_" + std::string(expr::op_name(op)) + "_" + std::string(elem_name(e));
}
std::string in_parentheses(const std::string& s) { return "(" + s + ")"; }

std::string without_parentheses(const std::string& s) {
  if (s.size() < 2 || s.front() != '(' || s.back() != ')') return s;
  int depth = 0;
  for (size_t i = 0; i + 1 < s.size(); ++i) {
    depth += s[i] == '(' ? 1 : s[i] == ')' ? -1 : 0;
    if (depth == 0) return s;  // the first parenthesis closes before the end
  }
  return s.substr(1, s.size() - 2);
}

const char* infix(ExprOp op) {
  switch (op) {
    case ExprOp::Add: return "+";
    case ExprOp::Sub: return "-";
    case ExprOp::Mul: return "*";
    case ExprOp::Div: return "/";
    case ExprOp::And: return "&";
    case ExprOp::Or: return "|";
    case ExprOp::Xor: return "^";
    case ExprOp::Eq: return "==";
    case ExprOp::Ne: return "!=";
    case ExprOp::Lt: return "<";
    case ExprOp::Le: return "<=";
    case ExprOp::Gt: return ">";
    case ExprOp::Ge: return ">=";
    default: return nullptr;
  }
}

bool is_comparison(ExprOp op) { return op >= ExprOp::Eq && op <= ExprOp::Ge; }
bool is_bitwise(ExprOp op) { return op == ExprOp::And || op == ExprOp::Or || op == ExprOp::Xor; }

bool has_load(const Expr& e, const std::unordered_map<const ExprNode*, std::string>& known) {
  std::unordered_set<const ExprNode*> seen;
  std::vector<const ExprNode*> stack = {e.get()};
  while (!stack.empty()) {
    const ExprNode* n = stack.back();
    stack.pop_back();
    if (known.contains(n) || !seen.insert(n).second) continue;
    if (n->op == ExprOp::Load) return true;
    for (const Expr& a : n->args) stack.push_back(a.get());
  }
  return false;
}

}  // namespace

void ExprPrinter::begin_statement(const std::vector<Expr>& roots) {
  uses_.clear();
  locals_.clear();
  std::vector<const ExprNode*> stack;
  for (const Expr& e : roots)
    if (e) stack.push_back(e.get());
  while (!stack.empty()) {
    const ExprNode* n = stack.back();
    stack.pop_back();
    if (++uses_[n] > 1) continue;
    for (const Expr& a : n->args) stack.push_back(a.get());
  }
}

std::string ExprPrinter::print(const Expr& e, Lines& lines) {
  const ExprNode& n = *e;
  const auto known = locals_.find(&n);
  if (known != locals_.end()) return known->second;
  std::string text = node_text(n, lines);
  if (is_leaf(n) || (uses_[&n] < 2 && text.size() <= kLongText)) return text;
  const std::string name = names_.fresh("t");
  lines.add("const " + value_type(n.type) + " " + name + " = " + without_parentheses(text) + ";");
  locals_[&n] = name;
  return name;
}

std::string ExprPrinter::print_whole(const Expr& e, Lines& lines) {
  const auto known = locals_.find(e.get());
  return known != locals_.end() ? known->second : without_parentheses(node_text(*e, lines));
}

std::string ExprPrinter::node_text(const ExprNode& n, Lines& lines) {
  switch (n.op) {
    case ExprOp::Const:
      if (is_narrow_float(n.type)) return convert(Elem::F32, n.type, float_literal(Elem::F32, n.number));
      if (is_float(n.type))
        return n.number < 0 ? in_parentheses(float_literal(n.type, n.number)) : float_literal(n.type, n.number);
      return n.integer < 0 ? in_parentheses(int_literal(n.type, n.integer)) : int_literal(n.type, n.integer);
    case ExprOp::Index: {
      const std::string text = dim_text(n.dim, names_);
      return n.dim.is_const() || n.dim.as_symbol() ? text : in_parentheses(text);
    }
    case ExprOp::Let: return names_.of(n.name);
    case ExprOp::Load: return load(n, lines);
    case ExprOp::Select: return select(n, lines);
    case ExprOp::Cast: return convert(n.args[0]->type, n.type, print(n.args[0], lines));
    case ExprOp::BitCast: return call("bits_as<" + value_type(n.type) + ">", {print(n.args[0], lines)});
    case ExprOp::Fma:
    case ExprOp::MulShiftRound:
      return call(kernel_function(n.op, n.type),
                  {print(n.args[0], lines), print(n.args[1], lines), print(n.args[2], lines)});
    default: return n.args.size() == 1 ? unary(n, lines) : binary(n, lines);
  }
}

std::string ExprPrinter::unary(const ExprNode& n, Lines& lines) {
  const Elem type = n.args[0]->type;
  const std::string a = print(n.args[0], lines);
  switch (n.op) {
    case ExprOp::Neg:
      if (is_float(type)) return in_parentheses("-" + a);
      return call("wrap_neg<" + value_type(type) + ">", {a});
    case ExprOp::Not:
      if (type == Elem::Bool) return "!" + a;
      return "static_cast<" + value_type(type) + ">(~" + a + ")";
    case ExprOp::IsNan: return is_float(type) ? in_parentheses(a + " != " + a) : "false";
    case ExprOp::IsInf:
      if (!is_float(type)) return "false";
      return in_parentheses("onnxc_abs_" + std::string(elem_name(type)) + "(" + a +
                            ") == " + float_literal(type, __builtin_inf()));
    default: return call(kernel_function(n.op, type), {a});
  }
}

std::string ExprPrinter::binary(const ExprNode& n, Lines& lines) {
  const Elem type = n.args[0]->type;
  const std::string a = print(n.args[0], lines), b = print(n.args[1], lines);
  const char* op = infix(n.op);
  std::string plain = op ? in_parentheses(a + " " + op + " " + b) : "";
  if (type == Elem::String) {
    const std::string equal = call("onnxc_eq_string", {a + ".data", a + ".bytes", b + ".data", b + ".bytes"});
    return n.op == ExprOp::Eq ? equal : "!" + equal;
  }
  if (is_comparison(n.op)) return plain;
  if (type == Elem::Bool) {
    if (is_bitwise(n.op)) return "static_cast<bool>(" + a + " " + op + " " + b + ")";
    return in_parentheses(a + (n.op == ExprOp::Max || n.op == ExprOp::Add ? " || " : " && ") + b);
  }
  if (is_float(type) && op) return plain;
  if (is_float(type)) return call(kernel_function(n.op, type), {a, b});
  if (is_bitwise(n.op))
    return elem_size(type) < 4 ? "static_cast<" + value_type(type) + ">(" + a + " " + op + " " + b + ")" : plain;
  const std::string t = "<" + value_type(type) + ">";
  switch (n.op) {
    case ExprOp::Add: return call("wrap_add" + t, {a, b});
    case ExprOp::Sub: return call("wrap_sub" + t, {a, b});
    case ExprOp::Mul: return call("wrap_mul" + t, {a, b});
    case ExprOp::Min: return call("least" + t, {a, b});
    case ExprOp::Max: return call("greatest" + t, {a, b});
    default: return call(kernel_function(n.op, type), {a, b});
  }
}

std::string ExprPrinter::select(const ExprNode& n, Lines& lines) {
  const std::string condition = print(n.args[0], lines);
  std::string branch[2];
  Lines inside[2] = {Lines(lines.indent() + 1), Lines(lines.indent() + 1)};
  for (int i = 0; i < 2; ++i) {
    const Expr& e = n.args[static_cast<size_t>(i) + 1];
    if (!has_load(e, locals_)) {
      branch[i] = print(e, lines);  // total: may be computed always
      continue;
    }
    const auto outside = locals_;
    branch[i] = print(e, inside[i]);
    locals_ = outside;
  }
  if (inside[0].empty() && inside[1].empty()) return in_parentheses(condition + " ? " + branch[0] + " : " + branch[1]);
  const std::string name = names_.fresh("t");
  lines.add(value_type(n.type) + " " + name + ";");
  lines.open("if (" + without_parentheses(condition) + ") {");
  lines.append(inside[0]);
  lines.add(name + " = " + without_parentheses(branch[0]) + ";");
  lines.turn("} else {");
  lines.append(inside[1]);
  lines.add(name + " = " + without_parentheses(branch[1]) + ";");
  lines.close("}");
  locals_[&n] = name;
  return name;
}

std::string ExprPrinter::load(const ExprNode& n, Lines& lines) {
  const Elem stored = program_.buffers[n.buffer].elem;
  std::string text = element_(n.buffer, offset(n.buffer, n.args, lines));
  if (stored == Elem::Bool) text = in_parentheses(text + " != 0");
  return convert(stored, n.type, text);
}

std::string ExprPrinter::offset(BufferId buffer, const std::vector<Expr>& at, Lines& lines) {
  const Shape strides = program_.buffers[buffer].effective_strides();
  Dim affine = 0;
  std::vector<std::string> terms;
  for (size_t i = 0; i < at.size(); ++i) {
    const ExprNode& index = *at[i];
    if (index.op == ExprOp::Index) {
      affine = affine + index.dim * strides[i];
    } else if (index.op == ExprOp::Const) {
      affine = affine + Dim(index.integer) * strides[i];
    } else {
      const std::string text = print(at[i], lines);
      const bool one = strides[i].constant() == 1;
      const std::string stride = dim_text(strides[i], names_);
      terms.push_back(one ? text : text + " * " + (strides[i].is_const() ? stride : in_parentheses(stride)));
    }
  }
  if (terms.empty() || affine != Dim(0)) terms.push_back(dim_text(affine, names_));
  return join(terms, " + ");
}

std::string ExprPrinter::convert(Elem from, Elem to, const std::string& text) {
  if (from == to) return text;
  const std::string f(elem_name(from)), t(elem_name(to));
  if (is_narrow_float(from)) return convert(Elem::F32, to, "onnxc_" + f + "_to_f32(" + text + ")");
  if (is_narrow_float(to)) return expr::narrowing_function(to) + "(" + convert(from, Elem::F32, text) + ")";
  if (to == Elem::Bool) return in_parentheses(text + " != 0");
  if (is_sub_byte(to) && !is_float(from)) return "onnxc_wrap_" + t + "(" + without_parentheses(text) + ")";
  if (is_float(from) && !is_float(to)) return "onnxc_cast_" + f + "_" + t + "(" + text + ")";
  return "static_cast<" + value_type(to) + ">(" + without_parentheses(text) + ")";
}

}  // namespace onnxc::cpp
