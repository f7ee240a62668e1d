// Upper and lower case of UTF-8, and StringNormalizer. Case is Unicode's simple mapping, one character to one: rows of
// (first, last, step, difference) of code points, sorted, which the compiler gives. Tested in
// tests/unit/kernels/text_test.cc.
#ifndef ONNXC_KERNELS_TEXT_CASE_H
#define ONNXC_KERNELS_TEXT_CASE_H

#include "text.h"

namespace onnxc_kernels {

// Code point at `i`, which moves on; -1 where there is none (overlong, surrogate, cut, too large).
ONNXC_INLINE int32_t next_code_point(onnxc_string x, uint64_t& i) {
  const auto byte = [&](uint64_t at) { return static_cast<uint8_t>(x.data[at]); };
  const uint32_t first = byte(i++);
  if (first < 0x80) return static_cast<int32_t>(first);
  const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
  if (first < 0xC2 || first > 0xF4 || i + static_cast<uint64_t>(more) > x.bytes) return -1;
  uint32_t code = first & (0x3Fu >> more);
  for (int k = 0; k < more; ++k) {
    const uint32_t next = byte(i++);
    if ((next & 0xC0) != 0x80) return -1;
    code = code << 6 | (next & 0x3F);
  }
  const uint32_t least = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
  if (code < least || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return -1;
  return static_cast<int32_t>(code);
}

ONNXC_INLINE uint64_t put_code_point(char* to, int32_t code) {
  const uint32_t c = static_cast<uint32_t>(code);
  const uint64_t bytes = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  if (!to) return bytes;
  if (bytes == 1) {
    to[0] = static_cast<char>(c);
    return 1;
  }
  constexpr uint32_t kMarks[] = {0, 0, 0xC0, 0xE0, 0xF0};
  to[0] = static_cast<char>(kMarks[bytes] | c >> (6 * (bytes - 1)));
  for (uint64_t k = 1; k < bytes; ++k) to[k] = static_cast<char>(0x80 | (c >> (6 * (bytes - 1 - k)) & 0x3F));
  return bytes;
}

ONNXC_INLINE int32_t other_case(int32_t code, const int32_t* rows, int64_t count) {
  int64_t low = 0, high = count;  // the last row that begins at or before it is below `high`
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (rows[4 * middle] <= code)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0) return code;
  const int32_t* row = rows + 4 * (low - 1);
  return code <= row[1] && (code - row[0]) % row[2] == 0 ? code + row[3] : code;
}

// The text in the other case, in memory of the run.
ONNXC_INLINE int32_t change_case(onnxc_string* y, onnxc_string x, const int32_t* rows, int64_t count, Allocate allocate,
                                 void* run) {
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < x.bytes;) {
    const int32_t code = next_code_point(x, i);
    if (code < 0) return kNoUtf8;
    bytes += put_code_point(nullptr, other_case(code, rows, count));
  }
  char* to = static_cast<char*>(allocate(run, static_cast<int64_t>(bytes)));
  if (!to) return kNoMemory;
  *y = {to, bytes};
  for (uint64_t i = 0; i < x.bytes;) to += put_code_point(to, other_case(next_code_point(x, i), rows, count));
  return 0;
}

}  // namespace onnxc_kernels

// The texts that are no stop words, in another case where `rows` is given. Stop words are looked up as they are, or,
// where `fold_rows` is given, in its case, which they have already. Where none is left, there is one, which is empty.
ONNXC_KERNEL int32_t onnxc_normalise_texts(onnxc_string* y, int64_t* count, const onnxc_string* x, const int32_t* slots,
                                           const uint8_t* stop_words, const int32_t* rows, const int32_t* fold_rows,
                                           int64_t n, int64_t mask, int64_t num_rows, int64_t num_fold_rows,
                                           void* (*allocate)(void*, int64_t), void* run) {
  using namespace onnxc_kernels;
  int64_t kept = 0;
  for (int64_t i = 0; i < n; ++i) {
    onnxc_string key = x[i];
    if (slots && num_fold_rows)
      if (const int32_t code = change_case(&key, x[i], fold_rows, num_fold_rows, allocate, run)) return code;
    if (slots && find_text(key, slots, stop_words, mask) >= 0) continue;
    y[kept] = x[i];
    if (num_rows)
      if (const int32_t code = change_case(&y[kept], x[i], rows, num_rows, allocate, run)) return code;
    ++kept;
  }
  if (!kept) y[kept++] = {nullptr, 0};
  *count = kept;
  return 0;
}

#endif
