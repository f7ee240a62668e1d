// unique_i64: the different ones of `rows` rows of `length` keys, in ascending lexicographic order or in that of their
// first occurrence. For the i-th of them first[i] is the row where it occurs first and counts[i] how often it does;
// inverse[r] is which of them row r is. first and counts have room for `rows` of them; `count` says how many there are.
// Tested in tests/unit/kernels/selection_test.cc.
#ifndef ONNXC_KERNELS_UNIQUE_H
#define ONNXC_KERNELS_UNIQUE_H

#include "kernel.h"

namespace onnxc_kernels {

struct KeyRows {
  const int64_t* keys;
  int64_t length;

  // < 0, 0, > 0
  ONNXC_INLINE int compare(int64_t a, int64_t b) const {
    const int64_t *x = keys + a * length, *y = keys + b * length;
    ONNXC_ROLLED
    for (int64_t i = 0; i < length; ++i) {
      if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    }
    return 0;
  }
};

// sorted_rows of rows of one key, digit by digit from the last one (radix sort), which knows no wrong guesses of
// branches. A digit that all keys share costs one look at the keys.
ONNXC_INLINE int64_t* sorted_keys(const int64_t* keys, int64_t n, int64_t* order, int64_t* other) {
  constexpr int kDigits = 8;
  constexpr int64_t kValues = 256;
  ONNXC_ROLLED
  for (int64_t i = 0; i < n; ++i) order[i] = i;
  ONNXC_ROLLED
  for (int d = 0; d < kDigits; ++d) {
    const uint64_t flip = d == kDigits - 1 ? kValues / 2 : 0;  // the sign: negative keys stand first
    const auto digit = [&](int64_t i) { return (uint64_t(keys[i]) >> (8 * d) & (kValues - 1)) ^ flip; };
    int64_t place[kValues] = {};  // how many keys have the digit; then where the next of them goes
    ONNXC_ROLLED
    for (int64_t i = 0; i < n; ++i) ++place[digit(i)];
    if (place[digit(0)] == n) continue;
    int64_t before = 0;
    ONNXC_ROLLED
    for (int64_t v = 0; v < kValues; ++v) {
      const int64_t mine = place[v];
      place[v] = before;
      before += mine;
    }
    ONNXC_ROLLED
    for (int64_t i = 0; i < n; ++i) other[place[digit(order[i])]++] = order[i];
    int64_t* const moved = other;
    other = order;
    order = moved;
  }
  return order;
}

// The numbers 0 .. n - 1 in the order of their rows, equal ones ascending; in `order` or `other`, which is returned.
ONNXC_INLINE int64_t* sorted_rows(const KeyRows& rows, int64_t n, int64_t* order, int64_t* other) {
  constexpr int64_t kFew = 128;  // fewer are merged sooner than digits are counted
  if (rows.length == 1 && n >= kFew) return sorted_keys(rows.keys, n, order, other);
  ONNXC_ROLLED
  for (int64_t i = 0; i < n; ++i) order[i] = i;
  ONNXC_ROLLED
  for (int64_t width = 1; width < n; width *= 2) {
    ONNXC_ROLLED
    for (int64_t begin = 0; begin < n; begin += 2 * width) {
      const int64_t middle = n - begin < width ? n : begin + width, end = n - middle < width ? n : middle + width;
      int64_t a = begin, b = middle;
      ONNXC_ROLLED
      for (int64_t to = begin; to < end; ++to) {
        const bool left = b >= end || (a < middle && rows.compare(order[a], order[b]) <= 0);
        other[to] = left ? order[a++] : order[b++];
      }
    }
    int64_t* const merged = other;
    other = order;
    order = merged;
  }
  return order;
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_unique_i64(int64_t* count, int64_t* first, int64_t* counts, int64_t* inverse,
                                   const int64_t* keys, int64_t* scratch_a, int64_t* scratch_b, int64_t rows,
                                   int64_t length, int64_t sorted) {
  using namespace onnxc_kernels;
  const KeyRows all{keys, length};
  const int64_t* const order = sorted_rows(all, rows, scratch_a, scratch_b);
  int64_t groups = 0;
  ONNXC_ROLLED
  for (int64_t i = 0; i < rows; ++i) {
    if (i == 0 || all.compare(order[i - 1], order[i]) != 0) {
      first[groups] = order[i];
      counts[groups++] = 0;
    }
    ++counts[groups - 1];
    inverse[order[i]] = groups - 1;
  }
  *count = groups;
  if (sorted != 0) return;
  // A row stands first of its group where no row before it is of the group: groups are numbered again in that order.
  int64_t *const number = scratch_a, seen = -1;
  ONNXC_ROLLED
  for (int64_t g = 0; g < groups; ++g) number[g] = seen;
  int64_t next = 0;
  ONNXC_ROLLED
  for (int64_t r = 0; r < rows; ++r) {
    int64_t& mine = number[inverse[r]];
    if (mine == seen) {
      mine = next;
      first[next] = r;
      counts[next++] = 0;
    }
    inverse[r] = mine;
    ++counts[mine];
  }
}

#endif
