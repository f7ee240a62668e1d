// Tokens of the textual Program. `//` begins a comment; strings end on their line.
#include "compiler/ir/text_lexer.h"

#include <cctype>
#include <charconv>

namespace onnxc {
namespace {

bool is_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '~' || c == '$'; }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool is_inner(char c) { return is_start(c) || is_digit(c) || c == '.'; }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> run() {
    std::vector<Token> tokens;
    for (;;) {
      skip();
      ONNXC_ASSIGN(Token token, next());
      tokens.push_back(std::move(token));
      if (tokens.back().kind == Token::Kind::End) return tokens;
    }
  }

 private:
  char look(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  void skip() {
    while (at_ < text_.size()) {
      if (look() == '\n')
        ++line_, ++at_;
      else if (std::isspace(static_cast<unsigned char>(look())))
        ++at_;
      else if (look() == '/' && look(1) == '/')
        at_ = std::min(text_.find('\n', at_), text_.size());
      else
        return;
    }
  }

  Result<Token> next() {
    if (at_ >= text_.size()) return Token{Token::Kind::End, "", line_};
    const char c = look(), after = look(1);
    if (is_start(c)) return Token{Token::Kind::Name, identifier(), line_};
    if (is_digit(c)) return Token{Token::Kind::Number, number(), line_};
    if (c == '"') {
      ONNXC_ASSIGN(std::string text, string());
      return Token{Token::Kind::String, std::move(text), line_};
    }
    if ((c == '%' || c == '@') && (is_start(after) || is_digit(after) || after == '"')) {
      ++at_;
      const Token::Kind kind = c == '%' ? Token::Kind::Percent : Token::Kind::At;
      if (after != '"') return Token{kind, identifier(), line_};
      ONNXC_ASSIGN(std::string text, string());
      return Token{kind, std::move(text), line_};
    }
    const size_t length = c == '-' && after == '>' ? 2 : 1;
    at_ += length;
    return Token{Token::Kind::Punct, std::string(text_.substr(at_ - length, length)), line_};
  }

  std::string identifier() {
    const size_t begin = at_;
    while (is_inner(look())) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string number() {
    const size_t begin = at_;
    const bool hex = look() == '0' && look(1) == 'x';
    if (hex) at_ += 2;
    while (hex ? std::isxdigit(static_cast<unsigned char>(look())) != 0 : is_digit(look()) || look() == '.') ++at_;
    const size_t sign = look(1) == '-' || look(1) == '+';
    if (!hex && look() == 'e' && is_digit(look(1 + sign))) {
      at_ += 1 + sign;
      while (is_digit(look())) ++at_;
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  Result<std::string> string() {
    const int line = line_;
    std::string out;
    for (++at_; at_ < text_.size() && look() != '"'; ++at_) {
      if (look() == '\n') break;
      if (look() != '\\')
        out += look();
      else if (const char escape = look(1); escape == 'x') {
        unsigned value = 0;
        const char* digits = text_.data() + std::min(at_ + 2, text_.size());
        const char* end = text_.data() + std::min(at_ + 4, text_.size());
        if (std::from_chars(digits, end, value, 16).ptr != digits + 2) break;
        out += static_cast<char>(value);
        at_ += 3;
      } else {
        out += escape == 'n' ? '\n' : escape;
        ++at_;
      }
    }
    if (look() != '"') return Error(ErrorKind::Usage, "a string does not end", "line " + std::to_string(line));
    ++at_;
    return out;
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

std::string token_str(const Token& token) {
  if (token.kind == Token::Kind::End) return "the end of the text";
  const char* mark = token.kind == Token::Kind::Percent ? "%" : token.kind == Token::Kind::At ? "@" : "";
  return mark + ("'" + token.text + "'");
}

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view text) { return Lexer(text).run(); }

Error Cursor::error(std::string message) const {
  return Error(ErrorKind::Usage, std::move(message), "line " + std::to_string(peek().line));
}

Error Cursor::expected(std::string_view what) const {
  return error("expected " + std::string(what) + ", found " + token_str(peek()));
}

Status Cursor::expect_punct(std::string_view text) {
  return take_punct(text) ? ok() : Status(expected("'" + std::string(text) + "'"));
}

Status Cursor::expect_name(std::string_view text) {
  return take_name(text) ? ok() : Status(expected("'" + std::string(text) + "'"));
}

Result<std::string> Cursor::expect(Token::Kind kind, std::string_view what) {
  if (!at(kind)) return expected(what);
  return next().text;
}

Result<int64_t> Cursor::expect_integer() {
  const bool minus = take_punct("-");
  if (!at(Token::Kind::Number)) return expected("an integer");
  const std::string text = (minus ? "-" : "") + peek().text;
  int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return expected("an integer");
  next();
  return value;
}

bool is_identifier(std::string_view name) {
  if (name.empty() || !is_start(name[0])) return false;
  for (char c : name)
    if (!is_inner(c)) return false;
  return true;
}

std::string quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (c == '\n')
      out += "\\n";
    else if (byte < 0x20 || byte == 0x7f)
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    else
      out += c;
  }
  return out + "\"";
}

std::string name_or_quoted(std::string_view name) { return is_identifier(name) ? std::string(name) : quoted(name); }

}  // namespace onnxc
