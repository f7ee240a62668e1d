// Where a mask of bytes is not 0. count_true: how often. true_places: at which coordinates, y[rank][count] in row-major
// order of the mask's dims; writes no more than `count` a row, whatever the mask holds. Tested in
// tests/unit/kernels/selection_test.cc.
#ifndef ONNXC_KERNELS_NONZERO_H
#define ONNXC_KERNELS_NONZERO_H

#include "kernel.h"

namespace onnxc_kernels {

// The places in mask[0 .. n - 1] to y, which has room for `room`. Returns how many there are.
ONNXC_INLINE int64_t row_places(int64_t* y, const uint8_t* mask, int64_t n, int64_t room) {
  int64_t found = 0, i = 0;
  ONNXC_ROLLED
  for (; i + 8 <= n; i += 8) {
    uint64_t word;
    __builtin_memcpy(&word, mask + i, 8);
    if (word == 0) continue;
    if (room - found >= 8) {
      ONNXC_UNROLL
      for (int64_t j = 0; j < 8; ++j) {
        y[found] = i + j;
        found += mask[i + j] != 0;
      }
    } else {
      for (int64_t j = i; j < i + 8 && found < room; ++j)
        if (mask[j] != 0) y[found++] = j;
    }
  }
  for (; i < n && found < room; ++i)
    if (mask[i] != 0) y[found++] = i;
  return found;
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_count_true(int64_t* count, const uint8_t* mask, int64_t n) {
  constexpr int64_t kRun = 1 << 16;  // a sum that 32 bits hold
  int64_t total = 0;
  ONNXC_ROLLED
  for (int64_t i = 0; i < n; i += kRun) {
    const int64_t end = n - i < kRun ? n : i + kRun;
    uint32_t sum = 0;
    for (int64_t j = i; j < end; ++j) sum += mask[j] != 0;
    total += sum;
  }
  *count = total;
}

ONNXC_KERNEL void onnxc_true_places(int64_t* y, const uint8_t* mask, const int64_t* dims, int64_t rank, int64_t n,
                                    int64_t count) {
  if (rank == 0 || n == 0) return;
  const int64_t columns = dims[rank - 1], rows = n / columns;
  int64_t* const last = y + (rank - 1) * count;
  int64_t found = 0;
  for (int64_t r = 0; r < rows && found < count; ++r) {
    const int64_t here = onnxc_kernels::row_places(last + found, mask + r * columns, columns, count - found);
    int64_t rest = here == 0 ? 0 : r;
    ONNXC_ROLLED
    for (int64_t d = here == 0 ? -1 : rank - 2; d >= 0; --d) {
      const int64_t at = rest % dims[d];
      rest /= dims[d];
      for (int64_t i = found; i < found + here; ++i) y[d * count + i] = at;
    }
    found += here;
  }
}

#endif
