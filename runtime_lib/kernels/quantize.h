// What DynamicQuantizeLinear is made of. extremes_f32: pairs[share][2] = the least and the greatest number of one of
// `shares` stretches of x[count]; NaN is passed over; +inf and -inf where there is none. [begin, end) of the stretches
// are done. quantize_u8_f32: y[i] = x[i] / *scale, rounded to even, + *zero, saturated, for finite quotients; NaN gives
// 0. [begin, end) of the blocks of kQuantizeBlock elements are done. Tested in tests/unit/kernels/quantize_test.cc.
#ifndef ONNXC_KERNELS_QUANTIZE_H
#define ONNXC_KERNELS_QUANTIZE_H

#include "rows.h"

namespace onnxc_kernels {

inline constexpr int64_t kQuantizeBlock = 1024;

struct Smaller {  // of numbers: a NaN as b is passed over
  template <class V>
  ONNXC_INLINE V operator()(V a, V b) const {
    return select(b < a, b, a);
  }
};

template <class T>
ONNXC_INLINE void extremes(T* pair, const T* x, int64_t n) {
  constexpr int count = Sixteen<T>::count, chains = count < 2 ? 2 : 1;
  Sixteen<T> least[chains], top[chains];
  ONNXC_UNROLL
  for (int c = 0; c < chains; ++c) {
    least[c] = Sixteen<T>::fill(kInfinity<T>);
    top[c] = Sixteen<T>::fill(-kInfinity<T>);
  }
  int64_t i = 0;
  ONNXC_ROLLED
  for (; i + chains * 16 <= n; i += chains * 16) {
    ONNXC_UNROLL
    for (int c = 0; c < chains; ++c) {
      ONNXC_UNROLL
      for (int j = 0; j < count; ++j) {
        const auto v = load<Wide<T>>(x + i + c * 16 + j * kLanes<T>);
        least[c].v[j] = Smaller{}(least[c].v[j], v);
        top[c].v[j] = Larger{}(top[c].v[j], v);
      }
    }
  }
  least[0].take(x + i, n - i, Identity{}, Smaller{});
  top[0].take(x + i, n - i, Identity{}, Larger{});
  ONNXC_UNROLL
  for (int c = 1; c < chains; ++c) {
    ONNXC_UNROLL
    for (int j = 0; j < count; ++j) {
      least[0].v[j] = Smaller{}(least[0].v[j], least[c].v[j]);
      top[0].v[j] = Larger{}(top[0].v[j], top[c].v[j]);
    }
  }
  pair[0] = least[0].tree(Smaller{});
  pair[1] = top[0].tree(Larger{});
}

// x / divisor, to the last bit where the quotient is 2^-25 or larger, without a division: the product with the inverse,
// of which what rounding lost is kept, is within one unit of the last place; it is corrected by what it leaves. With an
// FMA that is exact while nothing overflows or is lost below the least number (Markstein, "Computation of elementary
// functions on the IBM RISC System/6000 processor", 1990, theorem 5: a quotient within one unit of the last place,
// corrected once by a correctly rounded inverse, is correctly rounded).
struct Divisor {
  float divisor, inverse, lost;
  explicit ONNXC_INLINE Divisor(float d) : divisor(d), inverse(1.0f / d), lost(madd(-d, inverse, 1.0f) * inverse) {}
  static ONNXC_INLINE bool serves(float divisor) { return ONNXC_FMA_F32 && divisor > 0x1p-98f && divisor < 0x1p98f; }
  template <class V>
  ONNXC_INLINE V operator()(V x) const {
    const V over = splat<V>(inverse);
    const V q = madd(x, over, x * lost);
    return madd(madd(q, splat<V>(-divisor), x), over, q);
  }
};

struct Division {
  float divisor;
  template <class V>
  ONNXC_INLINE V operator()(V x) const {
    return x / divisor;
  }
};

struct QuantizeU8 {
  float scale;
  int32_t zero;

  // A quotient as a code: cut to what the codes stand for, it is small enough that adding 1.5 * 2^23 rounds it to even,
  // into the last bits.
  template <class V>
  ONNXC_INLINE Vec<uint8_t, kLanesOf<V>> code(V quotient) const {
    using I = IntVec<V>;
    constexpr float magic = 12582912.0f;
    const float low = float(-zero), high = float(255 - zero);
    const V limited = select(quotient > low, select(quotient < high, quotient, high), low);
    const I code = bits_as<I>(limited + magic) - (bits_as<int32_t>(magic) - zero);
    if constexpr (kLanesOf<V> == 1) {
      return uint8_t(code);
    } else {
      return __builtin_convertvector(code, Vec<uint8_t, kLanesOf<V>>);
    }
  }
  template <class Quotient>
  ONNXC_INLINE void row(uint8_t* y, const float* x, int64_t n, Quotient quotient) const {
    using V = Wide<float>;
    int64_t i = 0;
    ONNXC_ROLLED
    for (; i + kLanes<float> <= n; i += kLanes<float>) {
      const auto codes = code<V>(quotient(load<V>(x + i)));
      __builtin_memcpy(y + i, &codes, sizeof(codes));
    }
    ONNXC_ROLLED
    for (; i < n; ++i) y[i] = code<float>(quotient(x[i]));
  }
  ONNXC_INLINE void all(uint8_t* y, const float* x, int64_t n) const {
    if (Divisor::serves(scale)) return row(y, x, n, Divisor(scale));
    row(y, x, n, Division{scale});
  }
};

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_extremes_f32(float* pairs, const float* x, int64_t count, int64_t shares, int64_t begin,
                                     int64_t end) {
  ONNXC_ROLLED
  for (int64_t s = begin; s < end; ++s) {
    const int64_t first = count / shares * s + (s < count % shares ? s : count % shares);
    onnxc_kernels::extremes(pairs + 2 * s, x + first, count / shares + (s < count % shares));
  }
}
ONNXC_KERNEL void onnxc_quantize_u8_f32(uint8_t* y, const float* x, const float* scale, const uint8_t* zero,
                                        int64_t count, int64_t begin, int64_t end) {
  constexpr int64_t block = onnxc_kernels::kQuantizeBlock;
  const int64_t first = begin * block, last = end * block < count ? end * block : count;
  onnxc_kernels::QuantizeU8{*scale, *zero}.all(y + first, x + first, last - first);
}

#endif
