// Naive double-precision references and helpers for the kernel tests.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace kernel_test {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Slices at which the work of a kernel is cut into calls.
inline constexpr int64_t kSlices = 240;
inline const std::vector<int64_t> kCuts[] = {{0, 120, 240}, {0, 80, 160, 240}, {0, 1, 7, 40, 41, 150, 239, 240}};

// Uniform in [-1, 1].
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  float next() { return float(int64_t(engine_() >> 40) - (1 << 23)) / float(1 << 23); }
  std::vector<float> vector(int64_t n) {
    std::vector<float> v(static_cast<size_t>(n));
    for (float& x : v) x = next();
    return v;
  }

 private:
  std::mt19937_64 engine_;
};

// A copy of floats between two pages that may not be touched, close to the one after it or to the one before: a kernel
// that reads or writes outside dies.
class Guarded {
 public:
  enum class Side { Before, After };
  Guarded(const std::vector<float>& from, Side side) : count_(from.size()) {
    const size_t bytes = count_ * sizeof(float);
    size_ = (bytes + kPage - 1) / kPage * kPage + 2 * kPage;
    base_ = static_cast<char*>(mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_ + kPage, size_ - 2 * kPage, PROT_READ | PROT_WRITE);
    data_ = reinterpret_cast<float*>(side == Side::Before ? base_ + kPage : base_ + size_ - kPage - bytes);
    if (bytes != 0) std::memcpy(data_, from.data(), bytes);
  }
  ~Guarded() { munmap(base_, size_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  float* data() const { return data_; }
  std::vector<float> vector() const { return {data_, data_ + count_}; }

 private:
  static constexpr size_t kPage = 4096;
  size_t count_, size_;
  char* base_;
  float* data_;
};

// NCHW <-> [N][ceil(C/16)][H*W][16]; pad lanes get `pad`.
inline std::vector<float> to_blocked(const std::vector<float>& x, int64_t n, int64_t c, int64_t hw, float pad) {
  const int64_t blocks = (c + 15) / 16;
  std::vector<float> y(static_cast<size_t>(n * blocks * hw * 16), pad);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < c; ++j)
      for (int64_t p = 0; p < hw; ++p) y[((i * blocks + j / 16) * hw + p) * 16 + j % 16] = x[(i * c + j) * hw + p];
  return y;
}
inline std::vector<float> from_blocked(const std::vector<float>& x, int64_t n, int64_t c, int64_t hw) {
  const int64_t blocks = (c + 15) / 16;
  std::vector<float> y(static_cast<size_t>(n * c * hw));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < c; ++j)
      for (int64_t p = 0; p < hw; ++p) y[(i * c + j) * hw + p] = x[((i * blocks + j / 16) * hw + p) * 16 + j % 16];
  return y;
}
// Bias padded with zeros to whole blocks.
inline std::vector<float> pad_bias(std::vector<float> b) {
  b.resize((b.size() + 15) / 16 * 16, 0.0f);
  return b;
}

inline double activate(double x, int code, double alpha, double beta) {
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  const auto clip = [](double v, double low, double high) { return std::min(std::max(v, low), high); };
  switch (code) {
    case 1: return std::max(x, 0.0);
    case 2: return x < 0 ? alpha * x : x;
    case 3: return clip(x, alpha, beta);
    case 4: return sigmoid(x);
    case 5: return std::tanh(x);
    case 6: return x * sigmoid(x);
    case 7: return x * clip(x / 6 + 0.5, 0, 1);
    case 8: return clip(alpha * x + beta, 0, 1);
    case 9: return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0)));
    case 10: return x < 0 ? alpha * std::expm1(x) : x;
    default: return x;
  }
}

// |got - want| <= tolerance * (1 + |want|), everywhere; NaN in `got` fails.
inline void expect_near(const std::vector<float>& got, const std::vector<double>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  int shown = 0;
  for (size_t i = 0; i < got.size() && shown < 5; ++i) {
    if (!(std::abs(got[i] - want[i]) <= tolerance * (1 + std::abs(want[i])))) {
      ADD_FAILURE() << "element " << i << " of " << got.size() << ": got " << got[i] << ", want " << want[i];
      ++shown;
    }
  }
}

struct Conv {
  int64_t n, ic, ih, iw, oc, kh, kw, sh = 1, sw = 1, pt = 0, pl = 0, pb = 0, pr = 0, dh = 1, dw = 1, groups = 1;
  int activation = 0;
  float alpha = 0, beta = 0;
  bool bias = true, residual = false;

  int64_t oh() const { return (ih + pt + pb - (kh - 1) * dh - 1) / sh + 1; }
  int64_t ow() const { return (iw + pl + pr - (kw - 1) * dw - 1) / sw + 1; }
};

inline std::vector<double> reference(const Conv& c, const std::vector<float>& x, const std::vector<float>& w,
                                     const std::vector<float>& bias, const std::vector<float>& residual) {
  std::vector<double> y;
  const int64_t icg = c.ic / c.groups, ocg = c.oc / c.groups;
  for (int64_t n = 0; n < c.n; ++n)
    for (int64_t o = 0; o < c.oc; ++o)
      for (int64_t oy = 0; oy < c.oh(); ++oy)
        for (int64_t ox = 0; ox < c.ow(); ++ox) {
          double s = 0;
          for (int64_t i = 0; i < icg; ++i)
            for (int64_t ky = 0; ky < c.kh; ++ky)
              for (int64_t kx = 0; kx < c.kw; ++kx) {
                const int64_t iy = oy * c.sh - c.pt + ky * c.dh, ix = ox * c.sw - c.pl + kx * c.dw;
                if (iy < 0 || ix < 0 || iy >= c.ih || ix >= c.iw) continue;
                s += double(x[((n * c.ic + o / ocg * icg + i) * c.ih + iy) * c.iw + ix]) *
                     w[((o * icg + i) * c.kh + ky) * c.kw + kx];
              }
          if (c.bias) s += bias[o];
          if (c.residual) s += residual[y.size()];
          y.push_back(activate(s, c.activation, c.alpha, c.beta));
        }
  return y;
}

// A list with a canary on each side.
template <class T>
class Fenced {
 public:
  explicit Fenced(int64_t n) : all_(static_cast<size_t>(n) + 2, T(77)) {}
  T* data() { return all_.data() + 1; }
  std::vector<T> first(int64_t n) const { return {all_.begin() + 1, all_.begin() + 1 + n}; }
  void check() const { EXPECT_TRUE(all_.front() == T(77) && all_.back() == T(77)); }

 private:
  std::vector<T> all_;
};

}  // namespace kernel_test
