// The greatest error of each math function, in units of the last place, over bit patterns of all exponents, dense
// stretches and special values; the limits are those of runtime_lib/kernels/README.md.
#include <cmath>

#include "reference.h"
#include "runtime_lib/kernels/math_f32.h"
#include "runtime_lib/kernels/math_f64.h"

namespace kernel_test {
namespace {

using Real = long double;

template <class T>
struct Limits;
template <>
struct Limits<float> {
  static constexpr int mantissa = 24, least = -149;
  static constexpr Real largest = 3.4028234663852886e38L;
};
template <>
struct Limits<double> {
  static constexpr int mantissa = 53, least = -1074;
  static constexpr Real largest = 1.797693134862315708e308L;
};
constexpr double kWrong = 1e30;

template <class T>
double error_in_ulps(T got, Real want) {
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) == std::isnan(got) ? 0 : kWrong;
  const T rounded = T(want);
  if (std::isinf(rounded) || std::isinf(got)) {
    if (rounded == got) return 0;
    return std::fabs(want) >= Limits<T>::largest && std::fabs(Real(got)) >= Limits<T>::largest ? 1 : kWrong;
  }
  if (want == 0) return got == 0 && std::signbit(got) == std::signbit(rounded) ? 0 : kWrong;
  int exponent;
  std::frexp(want, &exponent);
  const Real ulp = std::ldexp(Real(1), std::max(exponent - Limits<T>::mantissa, Limits<T>::least));
  return double(std::fabs(Real(got) - want) / ulp);
}

template <class T>
std::vector<T> samples() {
  std::mt19937_64 engine(1);
  std::vector<T> v = {T(0), T(-0.0),     T(1),         T(-1),  T(0.5),   T(-0.5),
                      T(2), T(INFINITY), T(-INFINITY), T(NAN), T(1e-40), T(-1e-40)};
  for (int i = 0; i < 40000; ++i) {
    const uint64_t bits = engine();
    v.push_back(onnxc_kernels::bits_as<T>(typename onnxc_kernels::Format<T>::Uint(bits)));
    v.push_back(T(double(engine() >> 11) * 0x1p-53 * 200 - 100));
    v.push_back(T(double(engine() >> 11) * 0x1p-53 * 4 - 2));
  }
  return v;
}

template <class T, class F, class G>
void expect_ulps(const char* name, double limit, F f, G reference) {
  double worst = 0;
  T at = 0;
  for (const T x : samples<T>()) {
    const double e = error_in_ulps<T>(f(x), reference(Real(x)));
    if (e > worst) worst = e, at = x;
  }
  EXPECT_LE(worst, limit) << name << "(" << at << ") = " << f(at) << ", not " << reference(Real(at));
}

#define CHECK_1(limit, name, reference) \
  expect_ulps<T>(#name, limit, [](T x) { return onnxc_kernels::name<T>(x); }, [](Real x) -> Real { return reference; })

template <class T>
void check_all() {
  CHECK_1(0, floor, std::floor(x));
  CHECK_1(0, ceil, std::ceil(x));
  CHECK_1(0, round_even, std::nearbyint(x));
  CHECK_1(0, trunc, std::trunc(x));
  CHECK_1(0.5, sqrt, std::sqrt(x));
  CHECK_1(0.5, sqrt_by_digits, std::sqrt(x));
  CHECK_1(1.3, exp, std::exp(x));
  CHECK_1(1.3, exp2, std::exp2(x));
  CHECK_1(2.2, expm1, std::expm1(x));
  CHECK_1(0.9, log, std::log(x));
  CHECK_1(0.9, log1p, std::log1p(x));
  CHECK_1(2.5, sin, std::sin(x));
  CHECK_1(2.5, cos, std::cos(x));
  CHECK_1(3.1, tan, std::tan(x));
  CHECK_1(2.5, asin, std::asin(x));
  CHECK_1(1.3, acos, std::acos(x));
  CHECK_1(1.5, atan, std::atan(x));
  CHECK_1(1.8, sinh, std::sinh(x));
  CHECK_1(1.6, cosh, std::cosh(x));
  CHECK_1(2.5, tanh, std::tanh(x));
  CHECK_1(2.0, asinh, std::asinh(x));
  CHECK_1(2.4, acosh, std::acosh(x));
  CHECK_1(2.0, atanh, std::atanh(x));
  CHECK_1(2.6, erf, std::erf(x));
  CHECK_1(2.5, sigmoid, x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)));
}

// Exact to a few units where e^-x is finite, -0 where it is not: below -(2^k - 1/2) ln 2.
template <class T>
void check_silu() {
  const double overflow = -(double(Limits<T>::mantissa == 24 ? 128 : 1024) - 0.5) * 0.6931471805599453;
  for (const T x : samples<T>()) {
    if (std::abs(double(x) - overflow) < 1e-3) continue;
    const T got = onnxc_kernels::silu<T>(x);
    const Real want = double(x) < overflow ? Real(x) * 0 : Real(x) / (1 + std::exp(-Real(x)));
    EXPECT_LE(error_in_ulps<T>(got, want), 3) << x << " gives " << got;
  }
}
TEST(MathTest, Silu) {
  check_silu<float>();
  check_silu<double>();
}

TEST(MathTest, Single) { check_all<float>(); }
TEST(MathTest, Double) { check_all<double>(); }

template <class T>
void check_pow() {
  std::mt19937_64 engine(2);
  const auto unit = [&] { return double(engine() >> 11) * 0x1p-53; };
  const auto check = [](T x, T y, double limit) {
    EXPECT_LE(error_in_ulps<T>(onnxc_kernels::pow<T>(x, y), std::pow(Real(x), Real(y))), limit) << x << " ^ " << y;
  };
  for (int i = 0; i < 20000; ++i) {
    check(T(std::exp(unit() * 100 - 50)), T(unit() * 6 - 3), 1.4);
    check(T(unit() * 3), T(unit() * 300 - 150), 3.6);
    check(onnxc_kernels::bits_as<T>(typename onnxc_kernels::Format<T>::Uint(engine())),
          onnxc_kernels::bits_as<T>(typename onnxc_kernels::Format<T>::Uint(engine())), 3.6);
  }
  const double special[] = {0,        -0.0,      1,   -1,   2,     -2,  3,    -3,       0.5,  -0.5,
                            INFINITY, -INFINITY, NAN, 1e30, -1e30, 2.5, -2.5, 16777217, 1e-40};
  for (double x : special)
    for (double y : special) check(T(x), T(y), 1);
}
TEST(MathTest, Pow) {
  check_pow<float>();
  check_pow<double>();
}

template <class T>
void check_pairs() {
  const auto values = samples<T>();
  for (size_t i = 0; i + 1 < values.size(); i += 3) {
    const T x = values[i], y = values[i + 1];
    EXPECT_LE(error_in_ulps<T>(onnxc_kernels::atan2<T>(x, y), std::atan2(Real(x), Real(y))), 1.7) << x << ", " << y;
    EXPECT_EQ(error_in_ulps<T>(onnxc_kernels::remainder_toward_zero<T>(x, y), std::fmod(x, y)), 0) << x << ", " << y;
  }
  EXPECT_EQ(onnxc_kernels::modulo<T>(T(-7), T(3)), T(2));
  EXPECT_EQ(onnxc_kernels::modulo<T>(T(7), T(-3)), T(-2));
  EXPECT_EQ(onnxc_kernels::modulo<T>(T(7), T(3)), T(1));
  EXPECT_EQ(onnxc_kernels::modulo<T>(T(5.5), T(2)), T(1.5));
}
TEST(MathTest, Pairs) {
  check_pairs<float>();
  check_pairs<double>();
}

// A vector gives in each lane what the scalar gives.
TEST(MathTest, VectorsAgreeWithScalars) {
  using V = onnxc_kernels::Wide<float>;
  const auto values = samples<float>();
  for (size_t i = 0; i + 16 <= 3200; i += onnxc_kernels::kLanes<float>) {
    const V x = onnxc_kernels::load<V>(values.data() + i);
    const V e = onnxc_kernels::exp<V>(x), t = onnxc_kernels::tanh<V>(x), r = onnxc_kernels::erf<V>(x),
            s = onnxc_kernels::sigmoid<V>(x);
    for (int lane = 0; lane < onnxc_kernels::kLanes<float>; ++lane) {
      const float v = values[i + size_t(lane)];
      EXPECT_EQ(std::isnan(e[lane]) ? 0 : e[lane], std::isnan(v) ? 0 : onnxc_exp_f32(v));
      EXPECT_EQ(std::isnan(t[lane]) ? 0 : t[lane], std::isnan(v) ? 0 : onnxc_tanh_f32(v));
      EXPECT_EQ(std::isnan(r[lane]) ? 0 : r[lane], std::isnan(v) ? 0 : onnxc_erf_f32(v));
      EXPECT_EQ(std::isnan(s[lane]) ? 0 : s[lane], std::isnan(v) ? 0 : onnxc_sigmoid_f32(v));
    }
  }
}

}  // namespace
}  // namespace kernel_test
