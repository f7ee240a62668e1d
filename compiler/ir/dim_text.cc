// Text of Dims, and shapes. Grammar, lowest first: sums of + and -; products of * / %; numbers, symbols, (..), min(a,
// b), max(a, b). A symbol that is no identifier stands in double quotes, in which \ escapes. Tested in
// tests/unit/dim_test.cc.
#include <algorithm>
#include <cctype>
#include <charconv>

#include "compiler/ir/dim_impl.h"

namespace onnxc {
namespace {

bool is_start(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '~' || c == '%' || c == '$';
}
bool is_inner(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '$'; }

std::string symbol_text(const std::string& name) {
  bool plain =
      is_start(name[0]) && name != "min" && name != "max" && name != "overflow" && name.size() + (name[0] != '%') > 1;
  for (size_t i = 1; i < name.size(); ++i) plain = plain && is_inner(name[i]);
  if (plain) return name;
  std::string text = "\"";
  for (char c : name) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + '"';
}

// With parentheses where it stands as an operand of * / %.
std::string operand(const Dim& d) {
  const std::string text = d.str();
  const bool simple =
      (d.is_const() && d.value() >= 0) || d.as_symbol() || text.starts_with("min(") || text.starts_with("max(");
  const auto& p = DimImpl::poly(d);
  const bool one_atom =
      p.constant == 0 && p.terms.size() == 1 && p.terms[0].second == 1 && p.terms[0].first.size() == 1;
  return simple && (d.is_const() || one_atom) ? text : '(' + text + ')';
}

std::string atom_text(const DimImpl::Atom& x, bool alone) {
  switch (x.kind) {
    case 's': return symbol_text(x.name);
    case 'm': return "min(" + x.a.str() + ", " + x.b.str() + ')';
    case 'M': return "max(" + x.a.str() + ", " + x.b.str() + ')';
    default: break;
  }
  const std::string text = operand(x.a) + (x.kind == '/' ? "/" : " % ") + operand(x.b);
  return alone ? text : '(' + text + ')';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Dim> parse() {
    ONNXC_ASSIGN(Dim d, sum());
    skip();
    if (at_ < text_.size()) return bad("nothing more");
    return d;
  }

 private:
  Error bad(const char* expected) const {
    return Error(ErrorKind::Usage, "cannot read the dimension \"" + std::string(text_) + "\": at character " +
                                       std::to_string(at_ + 1) + ", expected " + expected);
  }
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  Result<Dim> sum() {
    if (++depth_ > 200) return bad("less nesting");
    ONNXC_ASSIGN(Dim d, product());
    for (;;) {
      const bool plus = take('+');
      if (!plus && !take('-')) break;
      ONNXC_ASSIGN(const Dim e, product());
      d = plus ? d + e : d - e;
    }
    --depth_;
    return d;
  }

  Result<Dim> product() {
    ONNXC_ASSIGN(Dim d, factor());
    for (;;) {
      char op = 0;
      for (char c : {'*', '/', '%'}) {
        if (!op && take(c)) op = c;
      }
      if (!op) return d;
      ONNXC_ASSIGN(const Dim e, factor());
      d = DimImpl::apply(op, d, e);
    }
  }

  Result<Dim> factor() {
    skip();
    if (at_ >= text_.size()) return bad("a number or a name");
    const char c = text_[at_];
    if (std::isdigit(static_cast<unsigned char>(c))) return number(false);
    if (take('-')) {
      skip();
      if (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) return number(true);
      if (++depth_ > 200) return bad("less nesting");
      ONNXC_ASSIGN(const Dim d, factor());
      --depth_;
      return Dim(-1) * d;
    }
    if (take('(')) {
      ONNXC_ASSIGN(Dim d, sum());
      if (!take(')')) return bad("\")\"");
      return d;
    }
    if (c == '"') return quoted();
    if (!is_start(c)) return bad("a number or a name");
    const size_t begin = at_++;
    while (at_ < text_.size() && is_inner(text_[at_])) ++at_;
    const std::string name(text_.substr(begin, at_ - begin));
    if ((name == "min" || name == "max") && take('(')) return extremum(name == "min" ? 'm' : 'M');
    if (name == "overflow") return Dim::overflow();
    if (name == "%") return bad("a name after %");
    return Dim::symbol(name);
  }

  Result<Dim> number(bool negative) {
    const size_t begin = at_;
    while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) ++at_;
    const std::string digits = (negative ? "-" : "") + std::string(text_.substr(begin, at_ - begin));
    int64_t v = 0;
    const auto r = std::from_chars(digits.data(), digits.data() + digits.size(), v);
    return r.ec == std::errc() ? Dim(v) : Dim::overflow();
  }

  Result<Dim> quoted() {
    std::string name;
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      name += text_[at_];
    }
    if (!take('"') || name.empty()) return bad("a name in quotes");
    return Dim::symbol(name);
  }

  Result<Dim> extremum(char kind) {
    ONNXC_ASSIGN(const Dim a, sum());
    if (!take(',')) return bad("\",\"");
    ONNXC_ASSIGN(const Dim b, sum());
    if (!take(')')) return bad("\")\"");
    return DimImpl::apply(kind, a, b);
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<Dim> Dim::parse(std::string_view text) { return Parser(text).parse(); }

std::string Dim::str() const {
  if (poly_->overflow) return "overflow";
  std::string text;
  for (const auto& [monomial, c] : poly_->terms) {
    const bool first = text.empty();
    text += first ? (c < 0 ? "-" : "") : (c < 0 ? " - " : " + ");
    const uint64_t magnitude = c < 0 ? 0 - static_cast<uint64_t>(c) : static_cast<uint64_t>(c);
    if (magnitude != 1) text += std::to_string(magnitude) + '*';
    const bool alone = magnitude == 1 && monomial.size() == 1 && !(first && c < 0);
    for (size_t i = 0; i < monomial.size(); ++i) text += (i ? "*" : "") + atom_text(*monomial[i], alone);
  }
  const int64_t k = poly_->constant;
  if (text.empty()) return std::to_string(k);
  if (k > 0) text += " + " + std::to_string(k);
  if (k < 0) text += " - " + std::to_string(0 - static_cast<uint64_t>(k));
  return text;
}

std::string shape_str(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + shape[i].str();
  return text + ']';
}

bool is_static(const Shape& shape) {
  for (const Dim& d : shape) {
    if (!d.is_const()) return false;
  }
  return true;
}

Dim numel(const Shape& shape) {
  Dim n = 1;
  for (const Dim& d : shape) n = n * d;
  return n;
}

std::vector<int64_t> static_dims(const Shape& shape) {
  std::vector<int64_t> dims;
  for (const Dim& d : shape) dims.push_back(d.value());
  return dims;
}

Shape row_major_strides(const Shape& shape) {
  Shape strides(shape.size());
  Dim n = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = n;
    n = n * shape[i];
  }
  return strides;
}

Result<Shape> broadcast(const Shape& a, const Shape& b) {
  const size_t rank = std::max(a.size(), b.size());
  Shape out(rank);
  for (size_t i = 0; i < rank; ++i) {
    const Dim one = 1;
    const Dim& x = i + a.size() >= rank ? a[i + a.size() - rank] : one;
    const Dim& y = i + b.size() >= rank ? b[i + b.size() - rank] : one;
    if (x == y || y == one) {
      out[i] = x;
    } else if (x == one) {
      out[i] = y;
    } else if (x.is_const() && y.is_const()) {
      return Error(ErrorKind::InvalidModel, "cannot broadcast " + shape_str(a) + " with " + shape_str(b) + ": " +
                                                x.str() + " is not " + y.str());
    } else {
      out[i] = x.is_const() ? x : y.is_const() ? y : Dim::max(x, y);
    }
  }
  return out;
}

}  // namespace onnxc
