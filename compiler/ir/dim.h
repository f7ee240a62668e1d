// Dim: one dimension, as an exact integer expression over symbols. Canonical by construction (a polynomial whose atoms are
// symbols, floor divisions, remainders, minima and maxima), so that equality is structural: 2*N + N == 3*N.
// Immutable and cheap to copy. Arithmetic that overflows int64 gives the poison `Dim::overflow()`, which the
// verifiers refuse. Tested in tests/unit/dim_test.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/support/result.h"

namespace onnxc {

class Dim {
 public:
  Dim() : Dim(0) {}
  Dim(int64_t constant);
  static Dim symbol(std::string name);
  static Dim overflow();
  // Text of str(): "3", "N", "2*N + 1", "N/2" (floor), "N % 4", "min(N, 4)".
  static Result<Dim> parse(std::string_view text);

  bool is_const() const;
  bool is_overflow() const;
  int64_t value() const;  // requires is_const()
  std::optional<int64_t> constant() const;
  std::optional<std::string> as_symbol() const;  // the name, when this is a bare symbol

  Dim operator+(const Dim& o) const;
  Dim operator-(const Dim& o) const;
  Dim operator*(const Dim& o) const;
  static Dim floor_div(const Dim& a, const Dim& b);  // b > 0 is the caller's promise
  static Dim ceil_div(const Dim& a, const Dim& b);
  static Dim mod(const Dim& a, const Dim& b);  // a - b * floor(a / b)
  static Dim min(const Dim& a, const Dim& b);
  static Dim max(const Dim& a, const Dim& b);

  bool operator==(const Dim& o) const;
  bool operator!=(const Dim& o) const { return !(*this == o); }
  bool operator<(const Dim& o) const;  // an arbitrary total order, stable between runs
  // True only where it holds for every non-negative value of the symbols.
  bool known_positive() const;

  Dim substitute(const std::map<std::string, Dim>& values) const;
  // The value under an assignment of all its symbols; nothing when one is missing or the arithmetic overflows.
  std::optional<int64_t> evaluate(const std::map<std::string, int64_t>& values) const;
  void collect_symbols(std::set<std::string>& out) const;
  std::string str() const;

  // The expression tree, for printers: called bottom-up by `fold`. Op is one of '+', '*', '/', '%', 'm' (min), 'M' (max).
  template <class T>
  struct Folder {
    std::function<T(int64_t)> constant;
    std::function<T(const std::string&)> symbol;
    std::function<T(char op, T, T)> binary;
  };
  template <class T>
  T fold(const Folder<T>& f) const;

 private:
  struct Atom;
  struct Poly;
  explicit Dim(std::shared_ptr<const Poly> p) : poly_(std::move(p)) {}
  std::shared_ptr<const Poly> poly_;
  friend struct DimImpl;
};

using Shape = std::vector<Dim>;

std::string shape_str(const Shape& shape);  // "[1, N, 4]"
bool is_static(const Shape& shape);
Dim numel(const Shape& shape);  // product; 1 for rank 0
// All constants; requires is_static(shape).
std::vector<int64_t> static_dims(const Shape& shape);
// Row-major strides in elements.
Shape row_major_strides(const Shape& shape);
// ONNX multidirectional broadcasting (onnx/docs/Broadcasting.md). An unknown against a constant > 1 takes the constant
// (run-time inputs are checked); two different unknowns are an error that names both.
Result<Shape> broadcast(const Shape& a, const Shape& b);

}  // namespace onnxc
