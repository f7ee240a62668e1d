// Expressions and Dims, to text and back. The form is described in expr_text.h.
#include "compiler/ir/expr_text.h"

#include <charconv>

#include "compiler/ir/number_text.h"

namespace onnxc {
namespace {

constexpr int kMaxDepth = 500;

bool is_keyword(const std::string& name) { return name == "true" || name == "false" || name == "inf" || name == "nan"; }

std::string constant_text(const ExprNode& e) {
  if (e.type == Elem::Bool) return e.integer ? "true" : "false";
  if (e.type == Elem::I64) return std::to_string(e.integer);
  if (e.type == Elem::U64) return std::to_string(static_cast<uint64_t>(e.integer)) + ":u64";
  const std::string suffix = ":" + std::string(elem_name(e.type));
  if (!is_float(e.type)) return std::to_string(e.integer) + suffix;
  if (e.type == Elem::F32) return float_text(static_cast<float>(e.number));
  return float_text(e.number) + suffix;
}

}  // namespace

std::string index_list_text(const std::vector<Expr>& at, const BufferNamer& name_of) {
  std::string out = "[";
  for (size_t i = 0; i < at.size(); ++i) {
    if (i) out += ", ";
    if (at[i]->op == ExprOp::Index)
      out += at[i]->dim.str();
    else if (at[i]->op == ExprOp::Const && at[i]->type == Elem::I64)
      out += std::to_string(at[i]->integer);
    else
      out += "{" + expr_text(at[i], name_of) + "}";
  }
  return out + "]";
}

std::string expr_text(const Expr& e, const BufferNamer& name_of) {
  switch (e->op) {
    case ExprOp::Const: return constant_text(*e);
    case ExprOp::Index: return "index(" + e->dim.str() + ")";
    case ExprOp::Let: return is_keyword(e->name) ? quoted(e->name) : name_or_quoted(e->name);
    case ExprOp::Load: return name_of(e->buffer) + index_list_text(e->args, name_of);
    default: break;
  }
  std::string out = std::string(expr::op_name(e->op)) + "(";
  for (size_t i = 0; i < e->args.size(); ++i) out += (i ? ", " : "") + expr_text(e->args[i], name_of);
  if (e->op == ExprOp::Cast || e->op == ExprOp::BitCast) out += ", " + std::string(elem_name(e->type));
  return out + ")";
}

Elem result_type(ExprOp op, const std::vector<Expr>& args) {
  if (op >= ExprOp::Eq && op <= ExprOp::Ge) return Elem::Bool;
  if (op == ExprOp::IsNan || op == ExprOp::IsInf) return Elem::Bool;
  if (op == ExprOp::MulShiftRound) return Elem::I32;
  if (op == ExprOp::Select) return args[1]->type;
  return args[0]->type;
}

namespace {

// Dims, by precedence; the same grammar as Dim::parse.
class DimParser {
 public:
  explicit DimParser(Cursor& cursor) : cursor_(cursor) {}

  Result<Dim> sum() {
    if (++depth_ > kMaxDepth) return cursor_.error("too deeply nested");
    ONNXC_ASSIGN(Dim left, product());
    while (cursor_.at_punct("+") || cursor_.at_punct("-")) {
      const bool minus = cursor_.next().text == "-";
      ONNXC_ASSIGN(const Dim right, product());
      left = minus ? left - right : left + right;
    }
    --depth_;
    return left;
  }

 private:
  Result<Dim> product() {
    ONNXC_ASSIGN(Dim left, factor());
    while (cursor_.at_punct("*") || cursor_.at_punct("/") || cursor_.at_punct("%")) {
      const char op = cursor_.next().text[0];
      ONNXC_ASSIGN(const Dim right, factor());
      if (op != '*' && right.constant() && *right.constant() <= 0) return cursor_.error("a divisor must be positive");
      left = op == '*' ? left * right : op == '/' ? Dim::floor_div(left, right) : Dim::mod(left, right);
    }
    return left;
  }

  Result<Dim> factor() {
    if (cursor_.take_punct("-")) {
      if (++depth_ > kMaxDepth) return cursor_.error("too deeply nested");
      ONNXC_ASSIGN(const Dim positive, factor());
      --depth_;
      return Dim(0) - positive;
    }
    if (cursor_.take_punct("(")) {
      ONNXC_ASSIGN(Dim inner, sum());
      ONNXC_TRY(cursor_.expect_punct(")"));
      return inner;
    }
    if (cursor_.at(Token::Kind::Number)) {
      ONNXC_ASSIGN(const int64_t value, cursor_.expect_integer());
      return Dim(value);
    }
    const bool two = cursor_.at_punct("(", 1);
    if (two && (cursor_.at_name("min") || cursor_.at_name("max"))) return extremum();
    if (cursor_.take_name("overflow")) return Dim::overflow();
    if (cursor_.at(Token::Kind::Percent)) return Dim::symbol("%" + cursor_.next().text);
    if (cursor_.at(Token::Kind::Name) || cursor_.at(Token::Kind::String)) return Dim::symbol(cursor_.next().text);
    return cursor_.expected("a dim");
  }

  Result<Dim> extremum() {
    const bool least = cursor_.next().text == "min";
    cursor_.next();
    ONNXC_ASSIGN(const Dim a, sum());
    ONNXC_TRY(cursor_.expect_punct(","));
    ONNXC_ASSIGN(const Dim b, sum());
    ONNXC_TRY(cursor_.expect_punct(")"));
    return least ? Dim::min(a, b) : Dim::max(a, b);
  }

  Cursor& cursor_;
  int depth_ = 0;
};

class ExprParser {
 public:
  ExprParser(Cursor& cursor, const ExprScope& scope) : cursor_(cursor), scope_(scope) {}

  Result<Expr> parse() {
    if (++depth_ > kMaxDepth) return cursor_.error("too deeply nested");
    ONNXC_ASSIGN(Expr e, one());
    --depth_;
    return e;
  }

  Result<std::vector<Expr>> index_list() {
    std::vector<Expr> out;
    ONNXC_TRY(cursor_.expect_punct("["));
    while (!cursor_.at_punct("]")) {
      if (!out.empty()) ONNXC_TRY(cursor_.expect_punct(","));
      if (cursor_.take_punct("{")) {
        ONNXC_ASSIGN(Expr e, parse());
        out.push_back(std::move(e));
        ONNXC_TRY(cursor_.expect_punct("}"));
      } else {
        ONNXC_ASSIGN(Dim dim, DimParser(cursor_).sum());
        out.push_back(expr::index(std::move(dim)));
      }
    }
    cursor_.next();
    return out;
  }

 private:
  Result<Expr> one() {
    const Token& token = cursor_.peek();
    if (token.kind == Token::Kind::Percent) return load();
    if (token.kind == Token::Kind::Number || cursor_.at_punct("-")) return literal();
    if (token.kind == Token::Kind::String) return let(cursor_.next().text);
    if (token.kind != Token::Kind::Name) return cursor_.expected("an expression");
    if (token.text == "true" || token.text == "false")
      return expr::int_constant(Elem::Bool, cursor_.next().text == "true");
    if (token.text == "inf" || token.text == "nan") return literal();
    if (!cursor_.at_punct("(", 1)) return let(cursor_.next().text);
    if (token.text == "index") return index();
    return operation();
  }

  Result<Expr> load() {
    ONNXC_ASSIGN(const BufferId buffer, scope_.buffer(cursor_));
    ONNXC_ASSIGN(std::vector<Expr> at, index_list());
    return expr::load(buffer, scope_.elem_of(buffer), std::move(at));
  }

  Result<Expr> let(const std::string& name) {
    const auto found = scope_.lets.find(name);
    if (found == scope_.lets.end()) return cursor_.error("no let or reduce called '" + name + "' is in scope");
    return expr::let(name, found->second);
  }

  Result<Expr> index() {
    cursor_.next();
    ONNXC_TRY(cursor_.expect_punct("("));
    ONNXC_ASSIGN(Dim dim, DimParser(cursor_).sum());
    ONNXC_TRY(cursor_.expect_punct(")"));
    return expr::index(std::move(dim));
  }

  // A number, then its type where that is not the usual one.
  Result<Expr> literal() {
    const size_t sign = cursor_.at_punct("-");
    const std::string text = cursor_.peek(sign).text;
    const bool floating =
        text.find_first_of(".e") != std::string::npos ? !text.starts_with("0x") : text == "inf" || text == "nan";
    const size_t begin = cursor_.position();
    ONNXC_ASSIGN(double number, parse_float(cursor_, false));
    Elem type = floating ? Elem::F32 : Elem::I64;
    if (cursor_.take_punct(":")) {
      ONNXC_ASSIGN(type, parse_elem(cursor_));
    }
    const size_t end = cursor_.position();
    if (type == Elem::F64) return expr::constant(type, number);
    // Rounded once: read again as what it is.
    cursor_.rewind(begin);
    Expr e;
    if (is_float(type)) {
      ONNXC_ASSIGN(number, parse_float(cursor_, true));
      e = expr::constant(type, number);
    } else {
      ONNXC_ASSIGN(const int64_t value, integer());
      e = expr::int_constant(type, value);
    }
    cursor_.rewind(end);
    return e;
  }

  Result<int64_t> integer() {
    const bool minus = cursor_.take_punct("-");
    const std::string text = cursor_.peek().text;
    uint64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || end != text.data() + text.size()) return cursor_.expected("an integer");
    return static_cast<int64_t>(minus ? 0 - value : value);
  }

  Result<Expr> operation() {
    auto node = std::make_shared<ExprNode>();
    const std::string name = cursor_.peek().text;
    if (!expr::op_from_name(name, &node->op) || node->op <= ExprOp::Load) return cursor_.expected("an operation");
    cursor_.next();
    ONNXC_TRY(cursor_.expect_punct("("));
    for (int i = 0; i < expr::num_args(node->op); ++i) {
      if (i) ONNXC_TRY(cursor_.expect_punct(","));
      ONNXC_ASSIGN(Expr arg, parse());
      node->args.push_back(std::move(arg));
    }
    node->type = result_type(node->op, node->args);
    if (node->op == ExprOp::Cast || node->op == ExprOp::BitCast) {
      ONNXC_TRY(cursor_.expect_punct(","));
      ONNXC_ASSIGN(node->type, parse_elem(cursor_));
    }
    ONNXC_TRY(cursor_.expect_punct(")"));
    return Expr(std::move(node));
  }

  Cursor& cursor_;
  const ExprScope& scope_;
  int depth_ = 0;
};

}  // namespace

Result<Elem> parse_elem(Cursor& cursor) {
  const auto elem = cursor.at(Token::Kind::Name) ? elem_from_name(cursor.peek().text) : std::nullopt;
  if (!elem) return cursor.expected("an element type");
  cursor.next();
  return *elem;
}

Result<Dim> parse_dim(Cursor& cursor) { return DimParser(cursor).sum(); }

Result<Shape> parse_shape(Cursor& cursor) {
  Shape shape;
  ONNXC_TRY(cursor.expect_punct("["));
  while (!cursor.at_punct("]")) {
    if (!shape.empty()) ONNXC_TRY(cursor.expect_punct(","));
    ONNXC_ASSIGN(Dim dim, parse_dim(cursor));
    shape.push_back(std::move(dim));
  }
  cursor.next();
  return shape;
}

Result<Expr> parse_expr(Cursor& cursor, const ExprScope& scope) { return ExprParser(cursor, scope).parse(); }

Result<std::vector<Expr>> parse_index_list(Cursor& cursor, const ExprScope& scope) {
  return ExprParser(cursor, scope).index_list();
}

}  // namespace onnxc
