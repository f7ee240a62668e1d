#include "compiler/emit/cpp/cpp_text.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace onnxc::cpp {

std::string storage_type(Elem e) {
  switch (e) {
    case Elem::F32: return "float";
    case Elem::F64: return "double";
    case Elem::I8:
    case Elem::I4:
    case Elem::I2: return "int8_t";
    case Elem::I16: return "int16_t";
    case Elem::I32: return "int32_t";
    case Elem::I64: return "int64_t";
    case Elem::U16:
    case Elem::F16:
    case Elem::BF16: return "uint16_t";
    case Elem::U32: return "uint32_t";
    case Elem::U64: return "uint64_t";
    case Elem::String: return "onnxc_string";
    default: return "uint8_t";
  }
}

std::string value_type(Elem e) { return e == Elem::Bool ? "bool" : storage_type(e); }

std::string float_literal(Elem e, double value) {
  const bool single = e == Elem::F32;
  const std::string suffix = single ? "f" : "";
  if (std::isnan(value)) return "__builtin_nan" + suffix + "(\"\")";
  if (std::isinf(value)) return (value < 0 ? "-__builtin_inf" : "__builtin_inf") + suffix + "()";
  char text[64];
  std::snprintf(text, sizeof text, single ? "%.9g" : "%.17g", single ? static_cast<float>(value) : value);
  // The shortest form that reads back as the same number.
  for (int digits = 1; digits < (single ? 9 : 17); ++digits) {
    char shorter[64];
    std::snprintf(shorter, sizeof shorter, "%.*g", digits, value);
    const bool same =
        single ? std::strtof(shorter, nullptr) == static_cast<float>(value) : std::strtod(shorter, nullptr) == value;
    if (!same) continue;
    std::snprintf(text, sizeof text, "%s", shorter);
    break;
  }
  std::string s = text;
  if (s.find_first_of(".en") == std::string::npos) s += ".0";
  return s + suffix;
}

std::string int_literal(Elem e, int64_t value) {
  if (e == Elem::Bool) return value ? "true" : "false";
  if (e == Elem::String) return "onnxc_string{}";
  if (e == Elem::U64) return std::to_string(static_cast<uint64_t>(value)) + "ull";
  if (e == Elem::U32) return std::to_string(static_cast<uint32_t>(value)) + "u";
  if (value == INT64_MIN) return "INT64_MIN";
  if (e == Elem::I32 && value == INT32_MIN) return "INT32_MIN";
  return std::to_string(value);
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\' || c == '?') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 32 || c == 127) {
      char octal[8];
      std::snprintf(octal, sizeof octal, "\\%03o", c);
      out += octal;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out + "\"";
}

std::string comment_text(std::string_view text) {
  std::string out;
  for (unsigned char c : text) {
    if (c < 32 || c == 127 || c == '\\') c = '?';
    if (c == '/' && !out.empty() && out.back() == '*') c = '?';  // ends no block comment
    if (c == '*' && !out.empty() && out.back() == '/') c = '?';
    out += static_cast<char>(c);
  }
  return out;
}

std::string join(const std::vector<std::string>& items, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i) out += separator;
    out += items[i];
  }
  return out;
}

std::string identifier(std::string_view text) {
  std::string out;
  for (unsigned char c : text) {
    const char mapped = std::isalnum(c) && c < 128 ? static_cast<char>(c) : '_';
    if (mapped == '_' && !out.empty() && out.back() == '_') continue;  // two in a row are reserved
    out += mapped;
  }
  while (!out.empty() && out.back() == '_') out.pop_back();
  while (!out.empty() && out.front() == '_') out.erase(0, 1);
  if (out.empty() || std::isdigit(static_cast<unsigned char>(out[0]))) out = "v" + out;
  return out;
}

Names::Names(bool neutral) : neutral_(neutral) {
  for (const char* word : {"alignas",     "alignof",
                           "and",         "asm",
                           "auto",        "bitand",
                           "bitor",       "bool",
                           "break",       "case",
                           "catch",       "char",
                           "class",       "compl",
                           "concept",     "const",
                           "constexpr",   "continue",
                           "decltype",    "default",
                           "delete",      "do",
                           "double",      "else",
                           "enum",        "explicit",
                           "export",      "extern",
                           "false",       "float",
                           "for",         "friend",
                           "goto",        "if",
                           "inline",      "int",
                           "long",        "mutable",
                           "namespace",   "new",
                           "noexcept",    "not",
                           "nullptr",     "operator",
                           "or",          "private",
                           "protected",   "public",
                           "register",    "requires",
                           "return",      "short",
                           "signed",      "sizeof",
                           "static",      "struct",
                           "switch",      "template",
                           "this",        "throw",
                           "true",        "try",
                           "typedef",     "typeid",
                           "typename",    "union",
                           "unsigned",    "using",
                           "virtual",     "void",
                           "volatile",    "while",
                           "xor",         "linux",
                           "unix",        "at",
                           "least",       "greatest",
                           "floor_div",   "floor_mod",
                           "arena",       "weights",
                           "frame",       "status",
                           "message",     "arguments",
                           "run",         "main",
                           "memory_",     "session_",
                           "args",        "v",
                           "code",        "index",
                           "type",        "elem",
                           "rank",        "dims",
                           "size",        "bytes",
                           "value",       "inputs",
                           "outputs",     "Session",
                           "arena_bytes", "session_bytes",
                           "create",      "table",
                           "sum",         "product"})
    taken_.insert(word);
}

std::string Names::fresh(const std::string& stem) {
  const std::string base = neutral_ ? "v" + std::to_string(taken_.size()) : identifier(stem);
  std::string name = base;
  for (int i = 2; !taken_.insert(name).second; ++i) name = base + "_" + std::to_string(i);
  return name;
}

const std::string& Names::of(const std::string& name) {
  if (declared_.insert(name).second) undeclared_.push_back(name);
  const auto found = given_.find(name);
  if (found != given_.end()) return found->second;
  return given_.emplace(name, fresh(name)).first->second;
}

const std::string& Names::declare(const std::string& name) {
  declared_.insert(name);
  return of(name);
}

namespace {

struct Piece {
  std::string text;
  Dim dim;
  int precedence;  // 0: sum, 1: product, 2: primary
};

std::string wrapped(const Piece& p, int least_precedence) {
  return p.precedence < least_precedence ? "(" + p.text + ")" : p.text;
}

Piece combine(char op, const Piece& a, const Piece& b) {
  switch (op) {
    case '+': {
      const bool negative = !b.text.empty() && b.text[0] == '-';
      if (negative) return {a.text + " - " + b.text.substr(1), a.dim + b.dim, 0};
      return {a.text + " + " + b.text, a.dim + b.dim, 0};
    }
    case '*':
      if (b.dim.is_const() && b.dim.value() < 0 && b.dim.value() != INT64_MIN) {
        const std::string factor = b.dim.value() == -1 ? "" : " * " + std::to_string(-b.dim.value());
        return {"-" + wrapped(a, 2) + factor, a.dim * b.dim, 1};
      }
      return {wrapped(a, 1) + " * " + wrapped(b, 2), a.dim * b.dim, 1};
    case '/':
      if (a.dim.known_non_negative()) return {wrapped(a, 1) + " / " + wrapped(b, 2), Dim::floor_div(a.dim, b.dim), 1};
      return {"floor_div(" + a.text + ", " + b.text + ")", Dim::floor_div(a.dim, b.dim), 2};
    case '%':
      if (a.dim.known_non_negative()) return {wrapped(a, 1) + " % " + wrapped(b, 2), Dim::mod(a.dim, b.dim), 1};
      return {"floor_mod(" + a.text + ", " + b.text + ")", Dim::mod(a.dim, b.dim), 2};
    case 'm': return {"least<int64_t>(" + a.text + ", " + b.text + ")", Dim::min(a.dim, b.dim), 2};
    default: return {"greatest<int64_t>(" + a.text + ", " + b.text + ")", Dim::max(a.dim, b.dim), 2};
  }
}

}  // namespace

std::string dim_text(const Dim& dim, const std::function<std::string(const std::string&)>& of) {
  Dim::Folder<Piece> folder;
  folder.constant = [](int64_t v) { return Piece{int_literal(Elem::I64, v), Dim(v), v < 0 ? 1 : 2}; };
  folder.symbol = [&](const std::string& name) { return Piece{of(name), Dim::symbol(name), 2}; };
  folder.binary = combine;
  return dim.fold(folder).text;
}

// Sums of sums are one call, since compilers limit how deep brackets may be nested.
std::string saturating_text(const Dim& dim, const std::function<std::string(const std::string&)>& of) {
  struct Call {
    std::string text;
    bool is_sum;
  };
  Dim::Folder<Call> folder;
  folder.constant = [](int64_t v) { return Call{int_literal(Elem::I64, v), false}; };
  folder.symbol = [&](const std::string& name) { return Call{of(name), false}; };
  folder.binary = [](char op, const Call& a, const Call& b) {
    if (op == '+' && a.is_sum) return Call{a.text.substr(0, a.text.size() - 1) + ", " + b.text + ")", true};
    const char* function = op == '+'   ? "sum"
                           : op == '*' ? "product"
                           : op == '/' ? "floor_div"
                           : op == '%' ? "floor_mod"
                           : op == 'm' ? "least<int64_t>"
                                       : "greatest<int64_t>";
    return Call{std::string(function) + "(" + a.text + ", " + b.text + ")", op == '+'};
  };
  return dim.fold(folder).text;
}

std::string dim_text(const Dim& dim, Names& names) {
  const auto of = [&](const std::string& name) { return names.of(name); };
  std::set<std::string> symbols;
  dim.collect_symbols(symbols);
  // Elements may have any value.
  const bool any = std::any_of(symbols.begin(), symbols.end(), [](const std::string& s) { return s.front() == '~'; });
  return any ? saturating_text(dim, of) : dim_text(dim, of);
}

}  // namespace onnxc::cpp
