// What TopK and NonMaxSuppression share: keys with their indices as one candidate each, of which the one with the
// greater key stands first, of equal keys the one with the lower index; so all differ, and orders are the only ones.
// Tested by the kernels that use it in tests/unit/kernels/selection_test.cc.
#ifndef ONNXC_KERNELS_ORDER_H
#define ONNXC_KERNELS_ORDER_H

#include "kernel.h"

namespace onnxc_kernels {

// A key of 32 bits and an index below 2^32 as one number, which is the greater the further in front it stands.
struct ShortCandidate {
  int64_t bits;
  static ONNXC_INLINE ShortCandidate of(int32_t key, int64_t index) {
    return {int64_t(uint64_t(uint32_t(key)) << 32 | uint32_t(~uint32_t(index)))};
  }
  ONNXC_INLINE int32_t key() const { return int32_t(bits >> 32); }
  ONNXC_INLINE int64_t index() const { return int64_t(uint32_t(~uint32_t(bits))); }
  ONNXC_INLINE bool before(const ShortCandidate& o) const { return bits > o.bits; }
};
struct LongCandidate {
  int64_t key_, index_;
  static ONNXC_INLINE LongCandidate of(int64_t key, int64_t index) { return {key, index}; }
  ONNXC_INLINE int64_t key() const { return key_; }
  ONNXC_INLINE int64_t index() const { return index_; }
  ONNXC_INLINE bool before(const LongCandidate& o) const {
    return (key_ > o.key_) | ((key_ == o.key_) & (index_ < o.index_));
  }
};

// An I32 in the order of floats: both zeros are one, NaN is the least.
ONNXC_INLINE int32_t key_of_float(float x) {
  const int32_t bits = bits_as<int32_t>(x);
  return x != x ? INT32_MIN : x == 0 ? 0 : bits < 0 ? bits ^ INT32_MAX : bits;
}

// Exchanges candidates so that the first k of n stand in front, in any order. Quickselect around the median of three
// taken at places that look random, so that no order of the input is slow.
template <class C>
ONNXC_INLINE void move_first(C* c, int64_t n, int64_t k) {
  uint64_t random = 1;
  int64_t low = 0, high = n;  // what is before low stands before all else, what is from high on behind it
  while (low < k && k < high) {
    int64_t at[3];
    ONNXC_UNROLL
    for (int i = 0; i < 3; ++i) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      at[i] = low + int64_t((random >> 33) % uint64_t(high - low));
    }
    if (c[at[1]].before(c[at[0]])) at[0] = at[1];
    const int64_t pivot_at = c[at[2]].before(c[at[0]]) ? at[0] : at[2];
    const C pivot = c[pivot_at];
    c[pivot_at] = c[high - 1];
    int64_t border = low;
    ONNXC_ROLLED
    for (int64_t i = low; i < high - 1; ++i) {
      const C mine = c[i];
      c[i] = c[border];
      c[border] = mine;
      border += mine.before(pivot);
    }
    c[high - 1] = c[border];
    c[border] = pivot;
    if (border < k)
      low = border + 1;
    else
      high = border;
  }
}

template <class C>
ONNXC_INLINE void insert_in_order(C* c, int64_t n) {
  ONNXC_ROLLED
  for (int64_t i = 1; i < n; ++i) {
    const C mine = c[i];
    int64_t at = i;
    for (; at > 0 && mine.before(c[at - 1]); --at) c[at] = c[at - 1];
    c[at] = mine;
  }
}

// The candidates in order; in `c` or `other`, which is returned. Runs of 8, then merged.
template <class C>
ONNXC_INLINE C* in_order(C* c, C* other, int64_t n) {
  constexpr int64_t kRun = 8;
  ONNXC_ROLLED
  for (int64_t i = 0; i < n; i += kRun) insert_in_order(c + i, n - i < kRun ? n - i : kRun);
  ONNXC_ROLLED
  for (int64_t width = kRun; width < n; width *= 2) {
    ONNXC_ROLLED
    for (int64_t begin = 0; begin < n; begin += 2 * width) {
      const int64_t middle = n - begin < width ? n : begin + width, end = n - middle < width ? n : middle + width;
      int64_t a = begin, b = middle, to = begin;
      while (a < middle && b < end) {
        const bool right = c[b].before(c[a]);
        other[to++] = c[right ? b : a];
        a += !right;
        b += right;
      }
      while (a < middle) other[to++] = c[a++];
      while (b < end) other[to++] = c[b++];
    }
    C* const merged = other;
    other = c;
    c = merged;
  }
  return c;
}

}  // namespace onnxc_kernels

#endif
