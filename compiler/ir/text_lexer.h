// Tokens of the textual Program, and a cursor over them. `//` begins a comment. Used by program_parse.cc and
// expr_parse.cc; tested through them in tests/unit/program_text_test.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/support/result.h"

namespace onnxc {

struct Token {
  enum class Kind : uint8_t {
    Name,     // name, i0, _x.1
    Percent,  // %name, %"any text": `text` is the name
    At,       // @name, @"any text"
    Number,   // 12, 0x1f, 1.5, 1e-3 (signs stand apart)
    String,   // "text": `text` is unescaped
    Punct,    // one character, or ->
    End,
  };
  Kind kind = Kind::End;
  std::string text;
  int line = 1;
};

Result<std::vector<Token>> tokenize(std::string_view text);

class Cursor {
 public:
  explicit Cursor(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token next() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool at(Token::Kind kind) const { return peek().kind == kind; }
  bool at_punct(std::string_view text, size_t ahead = 0) const {
    return peek(ahead).kind == Token::Kind::Punct && peek(ahead).text == text;
  }
  bool at_name(std::string_view text, size_t ahead = 0) const {
    return peek(ahead).kind == Token::Kind::Name && peek(ahead).text == text;
  }
  size_t position() const { return at_; }
  void rewind(size_t position) { at_ = position; }
  // Takes the token when it is the one named.
  bool take_punct(std::string_view text) { return at_punct(text) && (next(), true); }
  bool take_name(std::string_view text) { return at_name(text) && (next(), true); }
  Status expect_punct(std::string_view text);
  Status expect_name(std::string_view text);
  Result<std::string> expect(Token::Kind kind, std::string_view what);  // gives the token's text
  Result<int64_t> expect_integer();                                     // with an optional minus sign
  // "line 3: expected WHAT, found ..."
  Error expected(std::string_view what) const;
  Error error(std::string message) const;

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

// A name as it is written after % or @, or alone: bare when it is an identifier, else quoted.
bool is_identifier(std::string_view name);
std::string quoted(std::string_view text);
std::string name_or_quoted(std::string_view name);

}  // namespace onnxc
