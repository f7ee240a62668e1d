// Inside of Dim, shared by dim.cc (arithmetic) and dim_text.cc (printing, parsing).
#pragma once

#include "compiler/ir/dim.h"

namespace onnxc {

// What a monomial is made of: a symbol ('s'), or '/', '%', 'm' (min), 'M' (max) of two Dims.
struct Dim::Atom {
  char kind = 's';
  std::string name;
  Dim a, b;
};

// constant + sum of coefficient * monomial; monomials sorted and distinct, atoms within one sorted, coefficients
// non-zero.
struct Dim::Poly {
  int64_t constant = 0;
  std::vector<std::pair<std::vector<std::shared_ptr<const Atom>>, int64_t>> terms;
  bool overflow = false;
};

struct DimImpl {
  using Atom = Dim::Atom;
  using AtomPtr = std::shared_ptr<const Atom>;
  using Monomial = std::vector<AtomPtr>;
  using Poly = Dim::Poly;
  static const Poly& poly(const Dim& d) { return *d.poly_; }
  static Dim make(Poly p);
  static Dim apply(char op, const Dim& a, const Dim& b);  // one of + - * / % m M
};

}  // namespace onnxc
