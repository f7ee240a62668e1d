// gemm_f32, gemm_f64: y[m][n] = activation(a[m][k] * b[k][n] + bias[n] + residual[m][n]); a, y, residual are row-major
// with rows lda and ldy apart (residual as y), b is packed: [ceil(N/16)][K][16], padded with anything finite.
// pack_b_f32, pack_b_f64: that packing, of a b of any strides, zeros as padding. bias and residual may be null.
// Each element is one chain of madd over k in order. Tested in tests/unit/kernels_gemm_test.cc.
#ifndef ONNXC_KERNELS_GEMM_H
#define ONNXC_KERNELS_GEMM_H

#include "tile.h"

namespace onnxc_kernels {

template <class T>
struct GemmArgs {
  T* y;
  const T *a, *b, *bias, *residual;
  int64_t m, n, k, lda, ldy;
  Activation<T> activation;
};

// One tile: rows from `row`, NV vectors of columns from `column`, of which `valid` columns exist.
template <class T, int NV>
struct GemmTile {
  const GemmArgs<T>& g;
  int64_t row, column, valid;

  struct RowsOfA {
    const T* a;
    int64_t lda;
    ONNXC_INLINE T operator()(int r, int64_t i) const { return a[r * lda + i]; }
  };

  template <int MR>
  ONNXC_INLINE void run() {
    using V = Wide<T>;
    Tile<T, MR, NV> tile;
    tile.clear();
    tile.multiply(RowsOfA{g.a + row * g.lda, g.lda}, g.b + column_offset(column, g.k * kBlock), kBlock, g.k * kBlock,
                  g.k);
    ONNXC_UNROLL
    for (int n = 0; n < NV; ++n) {
      const int64_t left = valid - n * kLanes<T>;
      const bool whole = left >= kLanes<T>;
      const T* bias = g.bias + column + n * kLanes<T>;
      const V add = !g.bias ? V{} : whole ? load<V>(bias) : load_part<V>(bias, left, T(0));
      ONNXC_UNROLL
      for (int r = 0; r < MR; ++r) {
        const int64_t at = (row + r) * g.ldy + column + n * kLanes<T>;
        V v = tile.acc[r][n];
        if (g.bias) v = v + add;
        if (g.residual) v = v + (whole ? load<V>(g.residual + at) : load_part<V>(g.residual + at, left, T(0)));
        v = g.activation.template apply<V>(v);
        if (whole) {
          store<V>(g.y + at, v);
        } else {
          store_part<V>(g.y + at, left, v);
        }
      }
    }
  }
};

template <class T, int NV>
ONNXC_INLINE void gemm_columns(const GemmArgs<T>& g, int64_t column, int64_t valid) {
  const Cut cut = cut_evenly(g.m, kMaxRows<NV>);
  GemmTile<T, NV> tile{g, 0, column, valid};
  ONNXC_ROLLED
  for (int64_t t = 0; t < cut.larger; ++t) {
    with_rows<kMaxRows<NV>>(cut.height + 1, tile);
    tile.row += cut.height + 1;
  }
  ONNXC_ROLLED
  for (int64_t t = cut.larger; t < cut.count; ++t) {
    with_rows<kMaxRows<NV>>(cut.height, tile);
    tile.row += cut.height;
  }
}

template <class T>
ONNXC_INLINE void gemm(const GemmArgs<T>& g) {
  constexpr int64_t lanes = kLanes<T>;
  if (g.m <= 0 || g.n <= 0) return;
  int64_t column = 0;
  if (g.m <= kMaxRows<4>) {
    ONNXC_ROLLED
    for (; column + 4 * lanes <= g.n; column += 4 * lanes) gemm_columns<T, 4>(g, column, 4 * lanes);
  }
  ONNXC_ROLLED
  for (; column + 2 * lanes <= g.n; column += 2 * lanes) gemm_columns<T, 2>(g, column, 2 * lanes);
  const int64_t left = g.n - column;
  if (left > lanes) gemm_columns<T, 2>(g, column, left);
  if (left > 0 && left <= lanes) gemm_columns<T, 1>(g, column, left);
}

template <class T>
ONNXC_INLINE void pack_b(T* packed, const T* b, int64_t k, int64_t n, int64_t row_stride, int64_t col_stride) {
  for (int64_t c = 0; c < n; c += kBlock) {
    const int64_t valid = n - c < kBlock ? n - c : kBlock;
    for (int64_t r = 0; r < k; ++r) {
      const T* from = b + r * row_stride + c * col_stride;
      T* to = packed + c * k + r * kBlock;
      if (valid == kBlock && col_stride == 1) {
        for (int64_t j = 0; j < kBlock; j += kLanes<T>) store<Wide<T>>(to + j, load<Wide<T>>(from + j));
      } else {
        for (int64_t j = 0; j < kBlock; ++j) to[j] = j < valid ? from[j * col_stride] : T(0);
      }
    }
  }
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_gemm_f32(float* y, const float* a, const float* b, const float* bias, const float* residual,
                                 int64_t m, int64_t n, int64_t k, int64_t lda, int64_t ldy, int64_t activation,
                                 float alpha, float beta) {
  onnxc_kernels::gemm<float>({y, a, b, bias, residual, m, n, k, lda, ldy, {activation, alpha, beta}});
}
ONNXC_KERNEL void onnxc_gemm_f64(double* y, const double* a, const double* b, const double* bias,
                                 const double* residual, int64_t m, int64_t n, int64_t k, int64_t lda, int64_t ldy,
                                 int64_t activation, double alpha, double beta) {
  onnxc_kernels::gemm<double>({y, a, b, bias, residual, m, n, k, lda, ldy, {activation, alpha, beta}});
}
ONNXC_KERNEL void onnxc_pack_b_f32(float* packed, const float* b, int64_t k, int64_t n, int64_t row_stride,
                                   int64_t col_stride) {
  onnxc_kernels::pack_b<float>(packed, b, k, n, row_stride, col_stride);
}
ONNXC_KERNEL void onnxc_pack_b_f64(double* packed, const double* b, int64_t k, int64_t n, int64_t row_stride,
                                   int64_t col_stride) {
  onnxc_kernels::pack_b<double>(packed, b, k, n, row_stride, col_stride);
}

#endif
