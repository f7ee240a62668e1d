// Prints scalar expressions as C++. Shared subexpressions become `const` locals in front of the statement; what stands
// in a branch of a select is computed in that branch only, because its loads may be valid only there. Tested in
// tests/unit/emit_cpp_test.cc.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "compiler/emit/cpp/cpp_text.h"
#include "compiler/ir/program.h"

namespace onnxc::cpp {

// Lines of code with their indentation.
class Lines {
 public:
  explicit Lines(int indent = 1) : indent_(indent) {}
  void add(const std::string& line) { text_ += std::string(static_cast<size_t>(indent_) * 2, ' ') + line + "\n"; }
  void open(const std::string& line) {
    add(line);
    ++indent_;
  }
  void close(const std::string& line = "}") {
    --indent_;
    add(line);
  }
  void turn(const std::string& line) {  // "} else {"
    --indent_;
    add(line);
    ++indent_;
  }
  void append(const Lines& other) { text_ += other.text_; }
  int indent() const { return indent_; }
  bool empty() const { return text_.empty(); }
  const std::string& text() const { return text_; }

 private:
  int indent_;
  std::string text_;
};

// Text of the element of a buffer at the given indices: "x[4 * i + j]", of the buffer's storage type.
using ElementText = std::function<std::string(BufferId, const std::string& offset)>;

class ExprPrinter {
 public:
  ExprPrinter(const Program& program, Names& names, ElementText element)
      : program_(program), names_(names), element_(std::move(element)) {}

  // Announces the roots of a statement, so that what they share is found. Then `print` each, with the same `lines`.
  void begin_statement(const std::vector<Expr>& roots);
  // An expression text that may stand as an operand; locals that it needs are added to `lines`.
  std::string print(const Expr& e, Lines& lines);
  // As a whole right-hand side: without outer parentheses.
  std::string print_whole(const Expr& e, Lines& lines);
  // Offset in elements of the place that `at` names in a buffer.
  std::string offset(BufferId buffer, const std::vector<Expr>& at, Lines& lines);
  // The text of a value of type `from` as one of type `to`.
  std::string convert(Elem from, Elem to, const std::string& text);

 private:
  std::string node_text(const ExprNode& n, Lines& lines);
  std::string unary(const ExprNode& n, Lines& lines);
  std::string binary(const ExprNode& n, Lines& lines);
  std::string select(const ExprNode& n, Lines& lines);
  std::string load(const ExprNode& n, Lines& lines);

  const Program& program_;
  Names& names_;
  ElementText element_;
  std::unordered_map<const ExprNode*, int> uses_;
  std::unordered_map<const ExprNode*, std::string> locals_;  // in scope now
};

}  // namespace onnxc::cpp
