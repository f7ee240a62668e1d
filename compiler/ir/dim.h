// Dim: one dimension, as an exact integer expression over symbols. Canonical by construction (a polynomial whose atoms
// are symbols, floor divisions, remainders, minima and maxima), so that equality is structural: 2*N + N == 3*N. Symbols
// stand for numbers >= 0, and simplification makes use of it; only a symbol whose name begins with `~` may be negative.
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
  static Dim floor_div(const Dim& numerator, const Dim& denominator);  // denominator > 0 is the caller's promise
  static Dim ceil_div(const Dim& a, const Dim& b);
  static Dim mod(const Dim& a, const Dim& b);  // a - b * floor(a / b)
  static Dim min(const Dim& a, const Dim& b);
  static Dim max(const Dim& a, const Dim& b);

  bool operator==(const Dim& o) const;
  bool operator!=(const Dim& o) const { return !(*this == o); }
  bool operator<(const Dim& o) const;  // an arbitrary total order, stable between runs
  // True only where it holds for every non-negative value of the symbols.
  bool known_positive() const;
  bool known_non_negative() const { return (*this + Dim(1)).known_positive(); }
  // 1 where it holds, else 0.
  static Dim equals(const Dim& a, const Dim& b);
  static Dim less(const Dim& a, const Dim& b);

  Dim substitute(const std::map<std::string, Dim>& values) const;
  // The value under an assignment of all its symbols; nothing when one is missing or the arithmetic overflows.
  std::optional<int64_t> evaluate(const std::map<std::string, int64_t>& values) const;
  void collect_symbols(std::set<std::string>& out) const;
  size_t count_nodes() const;  // constants, symbols and operations, as often as they are written
  std::string str() const;

  // The expression tree, for printers: called bottom-up by `fold`. Op is one of '+', '*', '/', '%', 'm' (min), 'M'
  // (max).
  template <class T>
  struct Folder {
    std::function<T(int64_t)> constant;
    std::function<T(const std::string&)> symbol;
    std::function<T(char op, T, T)> binary;
  };
  template <class T>
  T fold(const Folder<T>& f) const;  // requires !is_overflow()

 private:
  // `fold` without the type: results are numbered.
  struct Walker {
    virtual ~Walker() = default;
    virtual size_t constant(int64_t value) = 0;
    virtual size_t symbol(const std::string& name) = 0;
    virtual size_t binary(char op, size_t a, size_t b) = 0;
  };
  size_t walk(Walker& walker) const;

  struct Atom;
  struct Poly;
  explicit Dim(std::shared_ptr<const Poly> p) : poly_(std::move(p)) {}
  std::shared_ptr<const Poly> poly_;
  friend struct DimImpl;
};

template <class T>
T Dim::fold(const Folder<T>& f) const {
  struct Typed : Walker {
    const Folder<T>& f;
    std::vector<T> results;
    explicit Typed(const Folder<T>& f) : f(f) {}
    size_t keep(T value) { return results.push_back(std::move(value)), results.size() - 1; }
    size_t constant(int64_t value) override { return keep(f.constant(value)); }
    size_t symbol(const std::string& name) override { return keep(f.symbol(name)); }
    size_t binary(char op, size_t a, size_t b) override {
      T x = results[a], y = results[b];
      return keep(f.binary(op, std::move(x), std::move(y)));
    }
  };
  Typed typed(f);
  const size_t result = walk(typed);
  return std::move(typed.results[result]);
}

using Shape = std::vector<Dim>;

std::string shape_str(const Shape& shape);  // "[1, N, 4]"
bool is_static(const Shape& shape);
Dim numel(const Shape& shape);  // product; 1 for rank 0
// All constants; requires is_static(shape).
std::vector<int64_t> static_dims(const Shape& shape);
// Row-major strides in elements.
Shape row_major_strides(const Shape& shape);
// ONNX multidirectional broadcasting (onnx/docs/Broadcasting.md). An unknown against a constant > 1 takes the constant,
// two different unknowns (equal in a run, or one of them 1) give the larger: run-time inputs are checked. Two constants
// must fit.
Result<Shape> broadcast(const Shape& a, const Shape& b);

}  // namespace onnxc
