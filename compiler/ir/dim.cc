// Dim: arithmetic and canonical form. A polynomial is a constant plus terms coefficient * monomial, sorted; a monomial
// is a sorted list of atoms (x twice for a square). All functions that build an atom first take out what can be
// computed exactly. Text: dim_text.cc. Tested in tests/unit/dim_test.cc.
#include <algorithm>
#include <numeric>

#include "compiler/ir/dim_impl.h"

namespace onnxc {

using Atom = DimImpl::Atom;
using AtomPtr = DimImpl::AtomPtr;
using Monomial = DimImpl::Monomial;
using Poly = DimImpl::Poly;

namespace {

// Range of a polynomial's values; nothing where unbounded or too big to say.
struct Bounds {
  std::optional<int64_t> low, high;
};

int compare(const Dim& x, const Dim& y);

int compare(const AtomPtr& a, const AtomPtr& b) {
  if (a == b) return 0;
  if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
  if (const int c = a->name.compare(b->name)) return c;
  if (a->kind == 's') return 0;
  if (const int c = compare(a->a, b->a)) return c;
  return compare(a->b, b->b);
}

// By degree, then atom by atom: an order that multiplication keeps.
int compare(const Monomial& a, const Monomial& b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  for (size_t i = 0; i < a.size(); ++i) {
    if (const int c = compare(a[i], b[i])) return c;
  }
  return 0;
}

int compare(const Dim& x, const Dim& y) {
  const Poly& a = DimImpl::poly(x);
  const Poly& b = DimImpl::poly(y);
  if (&a == &b) return 0;
  if (a.overflow != b.overflow) return a.overflow ? 1 : -1;
  if (a.terms.size() != b.terms.size()) return a.terms.size() < b.terms.size() ? -1 : 1;
  for (size_t i = 0; i < a.terms.size(); ++i) {
    if (const int c = compare(a.terms[i].first, b.terms[i].first)) return c;
    if (a.terms[i].second != b.terms[i].second) return a.terms[i].second < b.terms[i].second ? -1 : 1;
  }
  return a.constant == b.constant ? 0 : a.constant < b.constant ? -1 : 1;
}

bool less(const Monomial& a, const Monomial& b) { return compare(a, b) < 0; }

Monomial times(const Monomial& a, const Monomial& b) {
  Monomial m;
  m.reserve(a.size() + b.size());
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(m),
             [](const AtomPtr& x, const AtomPtr& y) { return compare(x, y) < 0; });
  return m;
}

// a / b, or nothing when b does not divide a.
std::optional<Monomial> divided(const Monomial& a, const Monomial& b) {
  Monomial rest;
  size_t j = 0;
  for (const AtomPtr& x : a) {
    if (j < b.size() && compare(x, b[j]) == 0) {
      ++j;
    } else {
      rest.push_back(x);
    }
  }
  if (j < b.size()) return std::nullopt;
  return rest;
}

Monomial common(const Monomial& a, const Monomial& b) {
  Monomial m;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const int c = compare(a[i], b[j]);
    if (c == 0) m.push_back(a[i]);
    if (c <= 0) ++i;
    if (c >= 0) ++j;
  }
  return m;
}

int64_t floor_of(int64_t a, int64_t b) { return a / b - ((a % b != 0) && ((a < 0) != (b < 0))); }

// Adds up terms, which may stand in any order and more than once.
Dim collect(int64_t constant, std::vector<std::pair<Monomial, int64_t>> terms) {
  std::sort(terms.begin(), terms.end(), [](const auto& a, const auto& b) { return less(a.first, b.first); });
  Poly p;
  p.constant = constant;
  for (auto& t : terms) {
    if (t.first.empty()) {
      if (__builtin_add_overflow(p.constant, t.second, &p.constant)) return Dim::overflow();
    } else if (!p.terms.empty() && compare(p.terms.back().first, t.first) == 0) {
      if (__builtin_add_overflow(p.terms.back().second, t.second, &p.terms.back().second)) return Dim::overflow();
    } else {
      if (!p.terms.empty() && p.terms.back().second == 0) p.terms.pop_back();
      p.terms.push_back(std::move(t));
    }
  }
  std::erase_if(p.terms, [](const auto& t) { return t.second == 0; });
  return DimImpl::make(std::move(p));
}

Dim term(const Monomial& m, int64_t coefficient) { return collect(0, {{m, coefficient}}); }

Dim atom(char kind, const Dim& a, const Dim& b) {
  return term({std::make_shared<const Atom>(Atom{kind, {}, a, b})}, 1);
}

Bounds bounds(const Dim& d);

Bounds atom_bounds(const Atom& x) {
  Bounds r;
  if (x.kind == 's') {
    if (x.name[0] != '~') r.low = 0;
    return r;
  }
  const Bounds a = bounds(x.a), b = bounds(x.b);
  const auto divisor = x.b.constant();
  switch (x.kind) {
    case '%':
      r.low = 0;
      if (b.high) r.high = *b.high - 1;
      break;
    case '/':
      if (a.low && *a.low >= 0) r.low = divisor ? *a.low / *divisor : 0;
      if (a.low && *a.low < 0 && divisor) r.low = floor_of(*a.low, *divisor);
      if (a.high && divisor) r.high = floor_of(*a.high, *divisor);
      if (a.high && *a.high >= 0 && !divisor) r.high = a.high;
      break;
    case 'm':
      if (a.low && b.low) r.low = std::min(*a.low, *b.low);
      r.high = a.high && b.high ? std::min(*a.high, *b.high) : a.high ? a.high : b.high;
      break;
    case 'M':
      r.low = a.low && b.low ? std::max(*a.low, *b.low) : a.low ? a.low : b.low;
      if (a.high && b.high) r.high = std::max(*a.high, *b.high);
      break;
    default: break;
  }
  return r;
}

// Of a product: known only where all factors are >= 0, or there is just one.
Bounds monomial_bounds(const Monomial& monomial) {
  if (monomial.size() == 1) return atom_bounds(*monomial[0]);
  int64_t low = 1, high = 1;
  bool has_high = true;
  for (const AtomPtr& x : monomial) {
    const Bounds b = atom_bounds(*x);
    if (!b.low || *b.low < 0) return {};
    if (__builtin_mul_overflow(low, *b.low, &low)) low = 0;
    has_high = has_high && b.high && !__builtin_mul_overflow(high, *b.high, &high);
  }
  Bounds r;
  r.low = low;
  if (has_high) r.high = high;
  return r;
}

Bounds bounds(const Dim& d) {
  const Poly& p = DimImpl::poly(d);
  if (p.overflow) return {};
  int64_t low = p.constant, high = p.constant;
  bool has_low = true, has_high = true;
  const auto add = [](int64_t& to, bool& has, const std::optional<int64_t>& x, int64_t coefficient) {
    int64_t v;
    has = has && x.has_value() && !__builtin_mul_overflow(x.value_or(0), coefficient, &v) &&
          !__builtin_add_overflow(to, v, &to);
  };
  for (const auto& [monomial, coefficient] : p.terms) {
    const Bounds m = monomial_bounds(monomial);
    add(low, has_low, coefficient < 0 ? m.high : m.low, coefficient);
    add(high, has_high, coefficient < 0 ? m.low : m.high, coefficient);
  }
  Bounds r;
  if (has_low) r.low = low;
  if (has_high) r.high = high;
  return r;
}

// a / b when it divides without remainder as polynomials with integer coefficients.
std::optional<Dim> exact_quotient(Dim a, const Dim& b) {
  const Poly& pb = DimImpl::poly(b);
  if (pb.terms.empty()) {
    if (pb.constant == 0) return std::nullopt;
    Poly q;
    const Poly& pa = DimImpl::poly(a);
    if (pa.constant % pb.constant || (pb.constant == -1)) return std::nullopt;
    q.constant = pa.constant / pb.constant;
    for (const auto& [m, c] : pa.terms) {
      if (c % pb.constant) return std::nullopt;
      q.terms.push_back({m, c / pb.constant});
    }
    return DimImpl::make(std::move(q));
  }
  const auto& [lead, lead_coefficient] = pb.terms.back();
  Dim quotient = 0;
  for (int step = 0; step < 64; ++step) {
    const Poly& pa = DimImpl::poly(a);
    if (pa.overflow) return std::nullopt;
    if (pa.terms.empty()) return pa.constant == 0 ? std::optional<Dim>(quotient) : std::nullopt;
    const auto& [m, c] = pa.terms.back();
    const auto rest = divided(m, lead);
    if (!rest || lead_coefficient == -1 || c % lead_coefficient) return std::nullopt;
    const Dim q = term(*rest, c / lead_coefficient);
    quotient = quotient + q;
    a = a - q * b;
  }
  return std::nullopt;
}

// Divides a and b by the monomial that all of their terms share.
void cancel_common_monomial(Dim& a, Dim& b) {
  const Poly& pa = DimImpl::poly(a);
  const Poly& pb = DimImpl::poly(b);
  if (pa.constant || pb.constant || pa.terms.empty() || pb.terms.empty()) return;
  Monomial m = pb.terms.front().first;
  for (const auto& t : pb.terms) m = common(m, t.first);
  for (const auto& t : pa.terms) m = common(m, t.first);
  if (m.empty()) return;
  const Dim d = term(m, 1);
  const auto qa = exact_quotient(a, d), qb = exact_quotient(b, d);
  if (qa && qb) a = *qa, b = *qb;
}

// a = b * quotient + rest, where rest keeps only what does not divide term by term.
void split_multiples(const Dim& a, const Dim& b, Dim* quotient, Dim* rest) {
  const Poly& pa = DimImpl::poly(a);
  const Poly& pb = DimImpl::poly(b);
  Poly q, r;
  const bool constant_divisor = pb.terms.empty();
  const bool single = constant_divisor || (pb.terms.size() == 1 && pb.constant == 0);
  if (!single) {
    *quotient = 0, *rest = a;
    return;
  }
  const Monomial unit;
  const Monomial& bm = constant_divisor ? unit : pb.terms[0].first;
  const int64_t bc = constant_divisor ? pb.constant : pb.terms[0].second;
  if (bc <= 0) {
    *quotient = 0, *rest = a;
    return;
  }
  std::vector<std::pair<Monomial, int64_t>> q_terms, r_terms;
  for (const auto& [m, c] : pa.terms) {
    const auto rest_of = divided(m, bm);
    const int64_t k = rest_of ? floor_of(c, bc) : 0;
    if (k) q_terms.push_back({*rest_of, k});
    if (const int64_t left = c - k * bc) r_terms.push_back({m, left});
  }
  int64_t constant_quotient = 0, constant_rest = pa.constant;
  if (constant_divisor) {
    constant_quotient = floor_of(pa.constant, bc);
    constant_rest = pa.constant - constant_quotient * bc;
  }
  *quotient = collect(constant_quotient, std::move(q_terms));
  *rest = collect(constant_rest, std::move(r_terms));
}

// The greatest common divisor of the coefficients of a (without its constant) and b.
int64_t common_factor(const Dim& a, int64_t b) {
  int64_t g = b;
  for (const auto& t : DimImpl::poly(a).terms) g = std::gcd(g, t.second);
  return g;
}

// floor((a + shift) / g) for a whose coefficients g divides.
Dim divide_coefficients(const Dim& a, int64_t g) {
  Poly p = DimImpl::poly(a);
  p.constant = floor_of(p.constant, g);
  for (auto& t : p.terms) t.second /= g;
  return DimImpl::make(std::move(p));
}

bool within(const Dim& a, int64_t low, int64_t end) {
  const Bounds b = bounds(a);
  return b.low && b.high && *b.low >= low && *b.high < end;
}

// floor(rest / b) for a rest of split_multiples and constant b.
Dim floor_by_constant(Dim rest, int64_t b) {
  const int64_t g = common_factor(rest, b);
  if (g > 1) {
    rest = divide_coefficients(rest, g);
    b /= g;
  }
  if (b == 1) return rest;
  if (within(rest, 0, b)) return 0;
  // floor((floor(x / c) + k) / b) = floor((x + k * c) / (b * c))
  const Poly& p = DimImpl::poly(rest);
  if (p.terms.size() == 1 && p.terms[0].second == 1 && p.terms[0].first.size() == 1 &&
      p.terms[0].first[0]->kind == '/') {
    const Atom& inner = *p.terms[0].first[0];
    int64_t product;
    const auto c = inner.b.constant();
    if (c && !__builtin_mul_overflow(*c, b, &product)) {
      return Dim::floor_div(inner.a + Dim(p.constant) * Dim(*c), product);
    }
  }
  return atom('/', rest, b);
}

// min ('m') or max ('M') of a flat list: constants merged, equal and known-to-be-beaten arguments dropped.
Dim extremum(char kind, const Dim& a, const Dim& b) {
  if (a.is_overflow() || b.is_overflow()) return Dim::overflow();
  std::vector<Dim> args;
  const auto flatten = [&](auto&& self, const Dim& d) -> void {
    const Poly& p = DimImpl::poly(d);
    if (p.constant == 0 && p.terms.size() == 1 && p.terms[0].second == 1 && p.terms[0].first.size() == 1 &&
        p.terms[0].first[0]->kind == kind) {
      self(self, p.terms[0].first[0]->a);
      self(self, p.terms[0].first[0]->b);
    } else {
      args.push_back(d);
    }
  };
  flatten(flatten, a);
  flatten(flatten, b);
  std::sort(args.begin(), args.end());
  std::vector<Dim> kept;
  for (const Dim& d : args) {
    bool beaten = false;
    for (size_t i = 0; i < kept.size() && !beaten;) {
      const Bounds difference = bounds(d - kept[i]);
      const bool d_above = difference.low && *difference.low >= 0;
      const bool d_below = difference.high && *difference.high <= 0;
      if (kind == 'm' ? d_above : d_below) {
        beaten = true;
      } else if (kind == 'm' ? d_below : d_above) {
        kept.erase(kept.begin() + i);
      } else {
        ++i;
      }
    }
    if (!beaten) kept.push_back(d);
  }
  Dim result = kept[0];
  for (size_t i = 1; i < kept.size(); ++i) result = atom(kind, result, kept[i]);
  return result;
}

}  // namespace

Dim DimImpl::make(Poly p) { return Dim(std::make_shared<const Poly>(std::move(p))); }

Dim::Dim(int64_t constant) {
  auto p = std::make_shared<Poly>();
  p->constant = constant;
  poly_ = std::move(p);
}

Dim Dim::symbol(std::string name) {
  if (name.empty()) name = "_";
  return term({std::make_shared<const Atom>(Atom{'s', std::move(name), 0, 0})}, 1);
}

Dim Dim::overflow() {
  Poly p;
  p.overflow = true;
  return DimImpl::make(std::move(p));
}

bool Dim::is_const() const { return !poly_->overflow && poly_->terms.empty(); }
bool Dim::is_overflow() const { return poly_->overflow; }
int64_t Dim::value() const { return poly_->constant; }

std::optional<int64_t> Dim::constant() const {
  if (!is_const()) return std::nullopt;
  return poly_->constant;
}

std::optional<std::string> Dim::as_symbol() const {
  const Poly& p = *poly_;
  if (p.overflow || p.constant || p.terms.size() != 1 || p.terms[0].second != 1 || p.terms[0].first.size() != 1 ||
      p.terms[0].first[0]->kind != 's') {
    return std::nullopt;
  }
  return p.terms[0].first[0]->name;
}

Dim Dim::operator+(const Dim& o) const {
  if (is_overflow() || o.is_overflow()) return overflow();
  int64_t c;
  if (__builtin_add_overflow(poly_->constant, o.poly_->constant, &c)) return overflow();
  if (poly_->terms.empty() && o.poly_->terms.empty()) return c;
  auto terms = poly_->terms;
  terms.insert(terms.end(), o.poly_->terms.begin(), o.poly_->terms.end());
  return collect(c, std::move(terms));
}

Dim Dim::operator-(const Dim& o) const {
  if (o.is_const() && is_const()) {
    int64_t c;
    return __builtin_sub_overflow(poly_->constant, o.poly_->constant, &c) ? overflow() : Dim(c);
  }
  return *this + o * Dim(-1);
}

Dim Dim::operator*(const Dim& o) const {
  if (is_overflow() || o.is_overflow()) return overflow();
  std::vector<std::pair<Monomial, int64_t>> terms;
  const auto add = [&](const Monomial& m, int64_t a, int64_t b) {
    int64_t c;
    if (__builtin_mul_overflow(a, b, &c)) return false;
    if (c) terms.push_back({m, c});
    return true;
  };
  const Poly &a = *poly_, &b = *o.poly_;
  int64_t constant;
  if (__builtin_mul_overflow(a.constant, b.constant, &constant)) return overflow();
  for (const auto& [m, c] : a.terms) {
    if (!add(m, c, b.constant)) return overflow();
  }
  for (const auto& [m, c] : b.terms) {
    if (!add(m, c, a.constant)) return overflow();
  }
  for (const auto& [m, c] : a.terms) {
    for (const auto& [n, d] : b.terms) {
      if (!add(times(m, n), c, d)) return overflow();
    }
  }
  return collect(constant, std::move(terms));
}

Dim Dim::floor_div(const Dim& numerator, const Dim& denominator) {
  if (numerator.is_overflow() || denominator.is_overflow()) return overflow();
  Dim a = numerator, b = denominator;
  if (a.is_const() && b.is_const()) {
    if (b.value() == 0 || (b.value() == -1 && a.value() == INT64_MIN)) return overflow();
    return floor_of(a.value(), b.value());
  }
  if (a == b) return 1;
  if (const auto q = exact_quotient(a, b)) return *q;
  cancel_common_monomial(a, b);
  Dim quotient, rest;
  split_multiples(a, b, &quotient, &rest);
  if (rest == Dim(0)) return quotient;
  const auto divisor = b.constant();
  if (divisor && *divisor > 0) return quotient + floor_by_constant(rest, *divisor);
  const Bounds r = bounds(rest), room = bounds(b - rest - Dim(1));
  if (r.low && *r.low >= 0 && room.low && *room.low >= 0) return quotient;
  return quotient + atom('/', rest, b);
}

Dim Dim::ceil_div(const Dim& a, const Dim& b) { return floor_div(a + b - Dim(1), b); }

Dim Dim::mod(const Dim& a, const Dim& b) {
  if (a.is_overflow() || b.is_overflow()) return overflow();
  if (a.is_const() && b.is_const()) {
    if (b.value() == 0) return overflow();
    if (b.value() == -1) return 0;
    const int64_t r = a.value() % b.value();
    return r != 0 && ((r < 0) != (b.value() < 0)) ? r + b.value() : r;
  }
  if (exact_quotient(a, b)) return 0;
  Dim quotient, rest;
  split_multiples(a, b, &quotient, &rest);
  if (rest == Dim(0)) return 0;
  const auto divisor = b.constant();
  if (!divisor || *divisor <= 0) {
    const Bounds r = bounds(rest), room = bounds(b - rest - Dim(1));
    if (r.low && *r.low >= 0 && room.low && *room.low >= 0) return rest;
    return atom('%', rest, b);
  }
  if (within(rest, 0, *divisor)) return rest;
  // (g x + k) mod (g c) = g ((x + k / g) mod c) + k mod g
  const int64_t g = common_factor(rest, *divisor);
  if (g == 1) return atom('%', rest, *divisor);
  const int64_t k = DimImpl::poly(rest).constant;
  const Dim low = k - floor_of(k, g) * g;
  return mod(divide_coefficients(rest, g), *divisor / g) * Dim(g) + low;
}

Dim Dim::min(const Dim& a, const Dim& b) { return extremum('m', a, b); }
Dim Dim::max(const Dim& a, const Dim& b) { return extremum('M', a, b); }

bool Dim::operator==(const Dim& o) const { return compare(*this, o) == 0; }
bool Dim::operator<(const Dim& o) const { return compare(*this, o) < 0; }

bool Dim::known_positive() const {
  const Bounds b = bounds(*this);
  return b.low && *b.low > 0;
}

Dim Dim::less(const Dim& a, const Dim& b) { return min(max(b - a, 0), 1); }
Dim Dim::equals(const Dim& a, const Dim& b) { return max(Dim(1) - max(a - b, b - a), 0); }

Dim Dim::substitute(const std::map<std::string, Dim>& values) const {
  if (is_overflow() || poly_->terms.empty()) return *this;
  return fold<Dim>({[](int64_t v) { return Dim(v); },
                    [&](const std::string& name) {
                      const auto it = values.find(name);
                      return it == values.end() ? symbol(name) : it->second;
                    },
                    [](char op, const Dim& a, const Dim& b) { return DimImpl::apply(op, a, b); }});
}

std::optional<int64_t> Dim::evaluate(const std::map<std::string, int64_t>& values) const {
  std::map<std::string, Dim> dims;
  for (const auto& [name, value] : values) dims.emplace(name, value);
  return substitute(dims).constant();
}

void Dim::collect_symbols(std::set<std::string>& out) const {
  for (const auto& t : poly_->terms) {
    for (const AtomPtr& x : t.first) {
      if (x->kind == 's') {
        out.insert(x->name);
      } else {
        x->a.collect_symbols(out);
        x->b.collect_symbols(out);
      }
    }
  }
}

size_t Dim::count_nodes() const {
  size_t count = 1;
  for (const auto& t : poly_->terms) {
    ++count;
    for (const AtomPtr& x : t.first) count += x->kind == 's' ? 1 : 1 + x->a.count_nodes() + x->b.count_nodes();
  }
  return count;
}

Dim DimImpl::apply(char op, const Dim& a, const Dim& b) {
  switch (op) {
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    case '/': return Dim::floor_div(a, b);
    case '%': return Dim::mod(a, b);
    case 'm': return Dim::min(a, b);
    case 'M': return Dim::max(a, b);
    default: return Dim::overflow();
  }
}

size_t Dim::walk(Walker& walker) const {
  std::optional<size_t> sum;
  const auto combine = [&](char op, std::optional<size_t> a, size_t b) { return a ? walker.binary(op, *a, b) : b; };
  for (const auto& [monomial, coefficient] : poly_->terms) {
    std::optional<size_t> product;
    for (const AtomPtr& x : monomial) {
      size_t factor;
      if (x->kind == 's') {
        factor = walker.symbol(x->name);
      } else {
        const size_t a = x->a.walk(walker), b = x->b.walk(walker);
        factor = walker.binary(x->kind, a, b);
      }
      product = combine('*', product, factor);
    }
    if (coefficient != 1) product = combine('*', product, walker.constant(coefficient));
    sum = combine('+', sum, *product);
  }
  if (poly_->constant || !sum) sum = combine('+', sum, walker.constant(poly_->constant));
  return *sum;
}

}  // namespace onnxc
