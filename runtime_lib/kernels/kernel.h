// What every kernel stands on: the ONNXC_KERNEL mark, vector types of any lane count, and the few operations (load,
// store, select, madd, bit casts, polynomials) that kernels and math functions are written in. Self-contained C++17 for
// clang and g++ (12 or later), hosted or freestanding: no libc, libm, heap, exceptions, RTTI; <stdint.h> and <stddef.h>
// only. Invariants: contraction is off wherever this is compiled (-ffp-contract=off), madd() says where an FMA may
// stand; vector types never cross a call that is not inlined. Tested in tests/unit/kernels/.
#ifndef ONNXC_KERNELS_KERNEL_H
#define ONNXC_KERNELS_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang fp contract(off)
#endif

// A kernel: a C function that back ends call by name. In the bitcode unit (ONNXC_BITCODE) each has a hidden definition
// that LLVM inlines into its caller; in C++ it is an inline function.
#if defined(ONNXC_BITCODE)
#define ONNXC_KERNEL extern "C" __attribute__((always_inline, visibility("hidden")))
#else
#define ONNXC_KERNEL extern "C" inline __attribute__((always_inline))
#endif
#define ONNXC_INLINE inline __attribute__((always_inline))

// ONNXC_UNROLL: before a loop over a register tile (at most 64 turns), unrolled whole so that the tile lives in
// registers. ONNXC_ROLLED: before the loops around a tile: neither vectorised nor unrolled by the compiler (either
// makes it spill).
#if defined(__clang__)
#define ONNXC_UNROLL _Pragma("clang loop unroll(full) vectorize(disable)")
#define ONNXC_ROLLED _Pragma("clang loop unroll(disable) vectorize(disable) interleave(disable)")
#else
#define ONNXC_UNROLL _Pragma("GCC unroll 64")
#define ONNXC_ROLLED _Pragma("GCC unroll 1")
#endif

// The x86-64 level that is compiled for, 0 elsewhere, and the bytes of a vector there (4: one float, firmware).
#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__AVX512DQ__) && defined(__AVX512BW__)
#define ONNXC_LEVEL 4
#define ONNXC_VECTOR_BYTES 64
#elif defined(__AVX2__) && defined(__FMA__)
#define ONNXC_LEVEL 3
#define ONNXC_VECTOR_BYTES 32
#elif defined(__SSE4_1__)
#define ONNXC_LEVEL 2
#define ONNXC_VECTOR_BYTES 16
#elif defined(__SSE2__) || defined(__ARM_NEON)
#define ONNXC_LEVEL 0
#define ONNXC_VECTOR_BYTES 16
#else
#define ONNXC_LEVEL 0
#define ONNXC_VECTOR_BYTES 4
#endif

#if defined(__FMA__) || defined(__FP_FAST_FMAF)
#define ONNXC_FMA_F32 1
#else
#define ONNXC_FMA_F32 0
#endif
#if defined(__FMA__) || defined(__FP_FAST_FMA)
#define ONNXC_FMA_F64 1
#else
#define ONNXC_FMA_F64 0
#endif

namespace onnxc_kernels {

// ---- vector types: Vec<T, N>; Vec<T, 1> is T itself.
template <class T, int N>
struct VecType {
  typedef T type __attribute__((vector_size(N * sizeof(T))));
};
template <class T>
struct VecType<T, 1> {
  using type = T;
};
template <class T, int N>
using Vec = typename VecType<T, N>::type;

// Lanes of the widest vector of this level (1 at least).
template <class T>
inline constexpr int kLanes = ONNXC_VECTOR_BYTES >= sizeof(T) ? int(ONNXC_VECTOR_BYTES / sizeof(T)) : 1;
template <class T>
using Wide = Vec<T, kLanes<T>>;

template <class T>
struct Plain {
  using type = T;
};
template <class T>
struct Plain<T&> {
  using type = T;
};
template <class T>
struct Plain<const T&> {
  using type = T;
};
template <class T>
T& lvalue();
template <class V>
struct ElemType {
  using type = typename Plain<decltype(lvalue<V>()[0])>::type;
};
template <>
struct ElemType<float> {
  using type = float;
};
template <>
struct ElemType<double> {
  using type = double;
};
template <>
struct ElemType<int32_t> {
  using type = int32_t;
};
template <>
struct ElemType<uint32_t> {
  using type = uint32_t;
};
template <>
struct ElemType<int64_t> {
  using type = int64_t;
};
template <>
struct ElemType<uint64_t> {
  using type = uint64_t;
};
template <class V>
using Elem = typename ElemType<V>::type;
template <class V>
inline constexpr int kLanesOf = int(sizeof(V) / sizeof(Elem<V>));

// 0 .. N - 1 as arguments of a template: FirstIndices<N>::type.
template <int... I>
struct Indices {};
template <int N, int... I>
struct FirstIndices : FirstIndices<N - 1, N - 1, I...> {};
template <int... I>
struct FirstIndices<0, I...> {
  using type = Indices<I...>;
};

template <int Bytes>
struct IntOfBytes;
template <>
struct IntOfBytes<4> {
  using type = int32_t;
  using unsigned_type = uint32_t;
};
template <>
struct IntOfBytes<8> {
  using type = int64_t;
  using unsigned_type = uint64_t;
};
// The signed and unsigned integer vectors of V's shape.
template <class V>
using IntVec = Vec<typename IntOfBytes<sizeof(Elem<V>)>::type, kLanesOf<V>>;
template <class V>
using UintVec = Vec<typename IntOfBytes<sizeof(Elem<V>)>::unsigned_type, kLanesOf<V>>;

template <class To, class From>
ONNXC_INLINE To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From), "bits_as keeps the width");
  return __builtin_bit_cast(To, from);
}

template <class V>
ONNXC_INLINE V splat(Elem<V> s) {
  return s - V{};  // keeps -0, unlike s + V{}
}
template <>
ONNXC_INLINE float splat<float>(float s) {
  return s;
}
template <>
ONNXC_INLINE double splat<double>(double s) {
  return s;
}

template <class V>
ONNXC_INLINE V load(const Elem<V>* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof(V));
  return v;
}
template <class V>
ONNXC_INLINE void store(Elem<V>* p, V v) {
  __builtin_memcpy(p, &v, sizeof(V));
}
// The first `n` lanes, the others from `rest`; reads nothing beyond.
template <class V>
ONNXC_INLINE V load_part(const Elem<V>* p, int64_t n, Elem<V> rest) {
  if constexpr (kLanesOf<V> == 1) {
    return n > 0 ? *p : rest;
  } else {
    V v = splat<V>(rest);
    ONNXC_UNROLL
    for (int i = 0; i < kLanesOf<V>; ++i) {
      if (i < n) v[i] = p[i];
    }
    return v;
  }
}
template <class V>
ONNXC_INLINE void store_part(Elem<V>* p, int64_t n, V v) {
  if constexpr (kLanesOf<V> == 1) {
    if (n > 0) *p = v;
  } else {
    ONNXC_UNROLL
    for (int i = 0; i < kLanesOf<V>; ++i) {
      if (i < n) p[i] = v[i];
    }
  }
}
// A whole vector, or the first `n` lanes where there are fewer.
template <class V>
ONNXC_INLINE V load_up_to(const Elem<V>* p, int64_t n, Elem<V> rest) {
  return n >= kLanesOf<V> ? load<V>(p) : load_part<V>(p, n, rest);
}
template <class V>
ONNXC_INLINE void store_up_to(Elem<V>* p, int64_t n, V v) {
  if (n >= kLanesOf<V>)
    store<V>(p, v);
  else
    store_part<V>(p, n, v);
}

// ---- lane-wise choice; a mask is what a comparison of V gives.
ONNXC_INLINE float select(bool m, float a, float b) { return m ? a : b; }
ONNXC_INLINE double select(bool m, double a, double b) { return m ? a : b; }
ONNXC_INLINE int32_t select(bool m, int32_t a, int32_t b) { return m ? a : b; }
ONNXC_INLINE int64_t select(bool m, int64_t a, int64_t b) { return m ? a : b; }
template <class M, class V>
ONNXC_INLINE V select(M m, V a, V b) {
  return m ? a : b;
}
template <class M, class V>
ONNXC_INLINE V select(M m, Elem<V> a, V b) {
  return select(m, splat<V>(a), b);
}
template <class M, class V>
ONNXC_INLINE V select(M m, V a, Elem<V> b) {
  return select(m, a, splat<V>(b));
}

// Whether a comparison holds in some lane.
template <class M>
ONNXC_INLINE bool any_true(M m) {
  if constexpr (sizeof(M) < 8) {
    return m;
  } else {
#if defined(__clang__)
    return __builtin_reduce_or(m) != 0;
#else
    const auto words = bits_as<Vec<int64_t, int(sizeof(M) / 8)>>(m);
    if constexpr (sizeof(M) == 8) {
      return words != 0;
    } else {
      int64_t any = 0;
      ONNXC_UNROLL
      for (int i = 0; i < int(sizeof(M) / 8); ++i) any |= words[i];
      return any != 0;
    }
#endif
  }
}

// a * b + c: one rounding where the level has FMA, two elsewhere.
ONNXC_INLINE float madd(float a, float b, float c) {
#if ONNXC_FMA_F32
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}
ONNXC_INLINE double madd(double a, double b, double c) {
#if ONNXC_FMA_F64
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}
template <class V>
inline constexpr bool kHasFma = sizeof(Elem<V>) == 4 ? ONNXC_FMA_F32 : ONNXC_FMA_F64;
template <class V>
ONNXC_INLINE V madd(V a, V b, V c) {
  if constexpr (kLanesOf<V> == 1) {
    return madd(Elem<V>(a), Elem<V>(b), Elem<V>(c));
  } else if constexpr (kHasFma<V>) {
#if defined(__clang__)
    return __builtin_elementwise_fma(a, b, c);
#elif defined(__AVX512F__)
    if constexpr (sizeof(V) == 64 && sizeof(Elem<V>) == 4) {
      return (V)__builtin_ia32_vfmaddps512_mask(a, b, c, 0xffff, 4);
    }
#endif
#if !defined(__clang__)
    V r;
    ONNXC_UNROLL
    for (int i = 0; i < kLanesOf<V>; ++i) r[i] = madd(a[i], b[i], c[i]);
    return r;
#endif
  } else {
    return a * b + c;
  }
}
template <class V>
ONNXC_INLINE V madd(V a, Elem<V> b, V c) {
  return madd(a, splat<V>(b), c);
}
template <class V>
ONNXC_INLINE V madd(V a, Elem<V> b, Elem<V> c) {
  return madd(a, splat<V>(b), splat<V>(c));
}

// c0 + c1 x + c2 x^2 ... by Horner's rule.
template <class V>
ONNXC_INLINE V poly(V, Elem<V> c0) {
  return splat<V>(c0);
}
template <class V, class... C>
ONNXC_INLINE V poly(V x, Elem<V> c0, C... rest) {
  return madd(poly(x, rest...), x, splat<V>(c0));
}

template <class V>
ONNXC_INLINE V sign_mask() {
  return splat<V>(Elem<V>(-0.0));
}
template <class V>
ONNXC_INLINE V abs(V x) {
  return bits_as<V>(bits_as<IntVec<V>>(x) & ~bits_as<IntVec<V>>(sign_mask<V>()));
}
template <class V>
ONNXC_INLINE V copysign(V magnitude, V sign) {
  const auto s = bits_as<IntVec<V>>(sign_mask<V>());
  return bits_as<V>((bits_as<IntVec<V>>(magnitude) & ~s) | (bits_as<IntVec<V>>(sign) & s));
}
// The smaller or larger; NaN if either is (which one of -0 and +0 is the second's choice).
template <class V>
ONNXC_INLINE V min(V a, V b) {
  return select(a != a, a, select(a < b, a, b));
}
template <class V>
ONNXC_INLINE V max(V a, V b) {
  return select(a != a, a, select(a > b, a, b));
}

template <class T>
inline constexpr T kInfinity = T(__builtin_inff());
template <class T>
inline constexpr T kNan = T(__builtin_nanf(""));

}  // namespace onnxc_kernels

#endif
