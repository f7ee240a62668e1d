#include "compiler/ops/winograd_error.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "compiler/ir/winograd.h"
#include "runtime_lib/kernels/conv_winograd.h"

namespace onnxc {
namespace {

constexpr int kTiles = 64, kChannels = 8;

template <class T>
struct Sums {
  T of[kChannels] = {};
  void add(T x, const T* w) {
    for (int s = 0; s < kChannels; ++s)
      of[s] = static_cast<T>(static_cast<double>(x) * static_cast<double>(w[s]) + static_cast<double>(of[s]));
  }
};

template <int M>
class Trial {
 public:
  explicit Trial(const Tensor& weights) : ic_(weights.dims()[1]) {
    const int64_t oc = weights.dims()[0], kh = weights.dims()[2], kw = weights.dims()[3];
    const float* w = weights.as<float>().data();
    single_.resize(static_cast<size_t>(ic_ * 9 * kChannels));
    transformed_.resize(static_cast<size_t>(kSide * kSide * ic_ * kChannels));
    for (int64_t s = 0; s < kChannels; ++s)
      for (int64_t i = 0; i < ic_; ++i) {
        // Spread evenly; fewer channels come twice.
        const std::array<float, 9> g = winograd_taps(w + (s * oc / kChannels * ic_ + i) * kh * kw, kh, kw);
        double u[kSide * kSide];
        transform_winograd_weights(g.data(), M, u);
        for (int64_t k = 0; k < 9; ++k)
          single_[static_cast<size_t>((i * 9 + k) * kChannels + s)] = g[static_cast<size_t>(k)];
        for (int64_t p = 0; p < kSide * kSide; ++p)
          transformed_[static_cast<size_t>((p * ic_ + i) * kChannels + s)] = static_cast<float>(u[p]);
      }
    double_.assign(single_.begin(), single_.end());
  }

  double error_ratio() {
    std::mt19937 random(1);
    double direct = 0, winograd = 0;
    std::vector<float> x(static_cast<size_t>(ic_ * kSide * kSide));
    for (int tile = 0; tile < kTiles; ++tile) {
      for (float& v : x) v = std::max(0.0f, gaussian(random));
      products(x);
      Sums<float> y[M * M];
      outputs(y);
      for (int p = 0; p < M * M; ++p) {
        const Sums<double> want = sum<double>(x, double_, p);
        const Sums<float> plain = sum<float>(x, single_, p);
        for (int s = 0; s < kChannels; ++s) {
          direct = std::max(direct, std::abs(static_cast<double>(plain.of[s]) - want.of[s]));
          winograd = std::max(winograd, std::abs(static_cast<double>(y[p].of[s]) - want.of[s]));
        }
      }
    }
    return winograd == 0 ? 0 : winograd / direct;
  }

 private:
  static constexpr int64_t kSide = M + 2;  // of a tile of inputs
  using Transform = onnxc_kernels::WinogradTransform<M>;

  // Nearly: the sum of four uniform numbers.
  static float gaussian(std::mt19937& random) {
    double sum = -2;
    for (int i = 0; i < 4; ++i) sum += random() * 0x1p-32;
    return static_cast<float>(sum);
  }

  // Output p of the tile.
  template <class T>
  Sums<T> sum(const std::vector<float>& x, const std::vector<T>& w, int p) const {
    Sums<T> total;
    for (int64_t i = 0; i < ic_; ++i)
      for (int64_t k = 0; k < 9; ++k)
        total.add(x[static_cast<size_t>((i * kSide + p / M + k / 3) * kSide + p % M + k % 3)],
                  &w[static_cast<size_t>((i * 9 + k) * kChannels)]);
    return total;
  }

  void products(const std::vector<float>& x) {
    std::vector<float> v(static_cast<size_t>(kSide * kSide * ic_));
    for (int64_t i = 0; i < ic_; ++i) {
      float half[kSide * kSide], d[kSide], out[kSide];
      for (int c = 0; c < kSide; ++c) {
        for (int r = 0; r < kSide; ++r) d[r] = x[static_cast<size_t>((i * kSide + r) * kSide + c)];
        Transform::input(d, out);
        for (int r = 0; r < kSide; ++r) half[r * kSide + c] = out[r];
      }
      for (int r = 0; r < kSide; ++r) {
        Transform::input(half + r * kSide, out);
        for (int c = 0; c < kSide; ++c) v[static_cast<size_t>((r * kSide + c) * ic_ + i)] = out[c];
      }
    }
    for (int64_t p = 0; p < kSide * kSide; ++p) {
      Sums<float> total, chain;
      for (int64_t i = 0; i < ic_; ++i) {
        chain.add(v[static_cast<size_t>(p * ic_ + i)], &transformed_[static_cast<size_t>((p * ic_ + i) * kChannels)]);
        if ((i + 1) % onnxc_kernels::kWinogradChain != 0 && i + 1 != ic_) continue;
        for (int s = 0; s < kChannels; ++s) total.of[s] += chain.of[s];
        chain = {};
      }
      products_[p] = total;
    }
  }

  void outputs(Sums<float>* y) const {
    for (int s = 0; s < kChannels; ++s) {
      float half[M * kSide], m[kSide], out[M];
      for (int r = 0; r < kSide; ++r) {
        for (int c = 0; c < kSide; ++c) m[c] = products_[r * kSide + c].of[s];
        Transform::output(m, out);
        for (int c = 0; c < M; ++c) half[c * kSide + r] = out[c];
      }
      for (int c = 0; c < M; ++c) {
        Transform::output(half + c * kSide, out);
        for (int r = 0; r < M; ++r) y[r * M + c].of[s] = out[r];
      }
    }
  }

  int64_t ic_;
  std::vector<float> single_, transformed_;  // [I][9][channels], [kSide * kSide][I][channels]
  std::vector<double> double_;
  Sums<float> products_[kSide * kSide];
};

}  // namespace

double winograd_error_ratio(const Tensor& weights, int m) {
  return m == 4 ? Trial<4>(weights).error_ratio() : Trial<2>(weights).error_ratio();
}

}  // namespace onnxc
