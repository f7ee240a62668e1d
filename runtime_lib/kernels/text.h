// Strings: views of UTF-8 characters that lie elsewhere (onnxc_string): packed lists of constants, comparison, look-up
// by hash, concatenation, splitting, matching. New characters go into memory of the run (`allocate`, null: none left;
// the kernel returns 2 then). A packed list has an offset from its start and a number of bytes per text, both uint64,
// then the characters. A hash table is a power of two of int32: what stands at hash & mask or in the next free place
// after it is the number of a text, or -1. Tested in tests/unit/kernels/text_test.cc.
#ifndef ONNXC_KERNELS_TEXT_H
#define ONNXC_KERNELS_TEXT_H

#include <onnxc/onnxc.h>

#include "kernel.h"

namespace onnxc_kernels {

typedef void* (*Allocate)(void* run, int64_t bytes);
inline constexpr int32_t kNoMemory = 2, kNoNumber = 3, kNoUtf8 = 4;

ONNXC_INLINE void copy_bytes(char* to, const char* from, uint64_t bytes) {
  for (uint64_t i = 0; i < bytes; ++i) to[i] = from[i];
}

ONNXC_INLINE bool same_bytes(const char* a, uint64_t a_bytes, const char* b, uint64_t b_bytes) {
  if (a_bytes != b_bytes) return false;
  for (uint64_t i = 0; i < a_bytes; ++i)
    if (a[i] != b[i]) return false;
  return true;
}

ONNXC_INLINE onnxc_string packed_text(const uint8_t* packed, int64_t i) {
  const uint64_t* row = reinterpret_cast<const uint64_t*>(packed) + 2 * i;
  return {reinterpret_cast<const char*>(packed) + row[0], row[1]};
}

// FNV-1a, its upper bits folded into the lower ones.
ONNXC_INLINE uint64_t hash_bytes(const char* data, uint64_t bytes) {
  uint64_t hash = 14695981039346656037ull;
  for (uint64_t i = 0; i < bytes; ++i) hash = (hash ^ static_cast<uint8_t>(data[i])) * 1099511628211ull;
  return hash ^ (hash >> 32);
}
ONNXC_INLINE uint64_t hash_key(int64_t key) {
  const uint64_t hash = static_cast<uint64_t>(key) * 0x9E3779B97F4A7C15ull;
  return hash ^ (hash >> 32);
}

ONNXC_INLINE int64_t find_text(onnxc_string x, const int32_t* slots, const uint8_t* packed, int64_t mask) {
  for (uint64_t at = hash_bytes(x.data, x.bytes);; ++at) {
    const int32_t number = slots[at & static_cast<uint64_t>(mask)];
    if (number < 0) return -1;
    const onnxc_string t = packed_text(packed, number);
    if (same_bytes(x.data, x.bytes, t.data, t.bytes)) return number;
  }
}

// The parts of a text between delimiters; without a delimiter those between white space. At most `most` splits, any
// number where it is negative.
struct Splitter {
  onnxc_string rest;
  const char* delimiter;
  uint64_t delimiter_bytes;
  int64_t most;
  bool done = false;

  ONNXC_INLINE static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  ONNXC_INLINE void drop(uint64_t bytes) {
    rest.data += bytes;
    rest.bytes -= bytes;
  }
  ONNXC_INLINE bool at_delimiter(uint64_t i) const {
    if (!delimiter_bytes) return is_space(rest.data[i]);
    return i + delimiter_bytes <= rest.bytes && same_bytes(rest.data + i, delimiter_bytes, delimiter, delimiter_bytes);
  }
  ONNXC_INLINE bool next(onnxc_string* part) {
    if (done) return false;
    if (!delimiter_bytes)
      while (rest.bytes && is_space(rest.data[0])) drop(1);
    if (!rest.bytes && !delimiter_bytes) return false;
    uint64_t end = 0;
    while (end < rest.bytes && !at_delimiter(end)) ++end;
    if (most == 0 || end == rest.bytes) {
      *part = rest;
      done = true;
      return true;
    }
    --most;
    *part = {rest.data, end};
    drop(end + (delimiter_bytes ? delimiter_bytes : 1));
    return true;
  }
};

// The longest runs of wanted bytes (wanted[256]), of `least` characters or more.
struct Tokens {
  onnxc_string rest;
  const uint8_t* wanted;
  int64_t least;

  ONNXC_INLINE bool next(onnxc_string* token) {
    for (;;) {
      uint64_t begin = 0;
      while (begin < rest.bytes && !wanted[static_cast<uint8_t>(rest.data[begin])]) ++begin;
      uint64_t end = begin;
      int64_t characters = 0;
      for (; end < rest.bytes && wanted[static_cast<uint8_t>(rest.data[end])]; ++end)
        characters += (rest.data[end] & 0xC0) != 0x80;
      if (end == begin) return false;
      *token = {rest.data + begin, end - begin};
      rest.data += end;
      rest.bytes -= end;
      if (characters >= least) return true;
    }
  }
};

}  // namespace onnxc_kernels

ONNXC_KERNEL bool onnxc_eq_string(const char* a, uint64_t a_bytes, const char* b, uint64_t b_bytes) {
  return onnxc_kernels::same_bytes(a, a_bytes, b, b_bytes);
}

// Views of a packed list.
ONNXC_KERNEL void onnxc_make_texts(onnxc_string* y, const uint8_t* packed, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) y[i] = onnxc_kernels::packed_text(packed, i);
}

// The number of each text in a hash table, or -1.
ONNXC_KERNEL void onnxc_find_texts(int64_t* at, const onnxc_string* x, const int32_t* slots, const uint8_t* packed,
                                   int64_t mask, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) at[i] = onnxc_kernels::find_text(x[i], slots, packed, mask);
}

// The same for integers.
ONNXC_KERNEL void onnxc_find_keys(int64_t* at, const int64_t* x, const int32_t* slots, const int64_t* keys,
                                  int64_t mask, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    at[i] = -1;
    for (uint64_t place = onnxc_kernels::hash_key(x[i]);; ++place) {
      const int32_t number = slots[place & static_cast<uint64_t>(mask)];
      if (number >= 0 && keys[number] != x[i]) continue;
      at[i] = number;
      break;
    }
  }
}

// Texts of a packed list by number; what has none there is number `otherwise`.
ONNXC_KERNEL void onnxc_take_texts(onnxc_string* y, const int64_t* at, const uint8_t* packed, int64_t otherwise,
                                   int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i)
    y[i] = onnxc_kernels::packed_text(packed, at[i] >= 0 && at[i] < otherwise ? at[i] : otherwise);
}

// y[i] = a[i] followed by b[i].
ONNXC_KERNEL int32_t onnxc_concat_texts(onnxc_string* y, const onnxc_string* a, const onnxc_string* b, int64_t n,
                                        void* (*allocate)(void*, int64_t), void* run) {
  uint64_t all = 0;
  for (int64_t i = 0; i < n; ++i) all += a[i].bytes + b[i].bytes;
  char* to = static_cast<char*>(allocate(run, static_cast<int64_t>(all)));
  if (!to) return onnxc_kernels::kNoMemory;
  for (int64_t i = 0; i < n; ++i) {
    onnxc_kernels::copy_bytes(to, a[i].data, a[i].bytes);
    onnxc_kernels::copy_bytes(to + a[i].bytes, b[i].data, b[i].bytes);
    y[i] = {to, a[i].bytes + b[i].bytes};
    to += y[i].bytes;
  }
  return 0;
}

// How many parts each text has, and the greatest of these numbers.
ONNXC_KERNEL void onnxc_count_parts(int64_t* counts, int64_t* greatest, const onnxc_string* x, const uint8_t* delimiter,
                                    int64_t n, int64_t delimiter_bytes, int64_t most) {
  *greatest = 0;
  for (int64_t i = 0; i < n; ++i) {
    onnxc_kernels::Splitter parts = {x[i], reinterpret_cast<const char*>(delimiter),
                                     static_cast<uint64_t>(delimiter_bytes), most};
    onnxc_string part;
    counts[i] = 0;
    while (parts.next(&part)) ++counts[i];
    if (counts[i] > *greatest) *greatest = counts[i];
  }
}

// The parts in rows of `greatest`, filled up with empty texts.
ONNXC_KERNEL void onnxc_split_texts(onnxc_string* y, const onnxc_string* x, const uint8_t* delimiter, int64_t n,
                                    int64_t greatest, int64_t delimiter_bytes, int64_t most) {
  for (int64_t i = 0; i < n; ++i) {
    onnxc_kernels::Splitter parts = {x[i], reinterpret_cast<const char*>(delimiter),
                                     static_cast<uint64_t>(delimiter_bytes), most};
    for (int64_t k = 0; k < greatest; ++k)
      if (onnxc_string part; parts.next(&part))
        y[i * greatest + k] = part;
      else
        y[i * greatest + k] = {reinterpret_cast<const char*>(delimiter), 0};
  }
}

// Whether each text leads an automaton from state `start` to one that accepts: next[state][class of a byte].
ONNXC_KERNEL void onnxc_match_texts(uint8_t* out, const onnxc_string* x, const uint8_t* class_of, const int32_t* next,
                                    const uint8_t* accepts, int64_t n, int64_t classes, int64_t start) {
  for (int64_t i = 0; i < n; ++i) {
    int64_t state = start;
    for (uint64_t at = 0; at < x[i].bytes; ++at)
      state = next[state * classes + class_of[static_cast<uint8_t>(x[i].data[at])]];
    out[i] = accepts[state];
  }
}

// The greatest number of tokens that a text has.
ONNXC_KERNEL void onnxc_count_tokens(int64_t* greatest, const onnxc_string* x, const uint8_t* wanted, int64_t n,
                                     int64_t least) {
  *greatest = 0;
  for (int64_t i = 0; i < n; ++i) {
    onnxc_kernels::Tokens tokens = {x[i], wanted, least};
    int64_t count = 0;
    for (onnxc_string token; tokens.next(&token);) ++count;
    if (count > *greatest) *greatest = count;
  }
}

// The tokens in rows of `greatest`, filled up with `pad`.
ONNXC_KERNEL void onnxc_find_tokens(onnxc_string* y, const onnxc_string* x, const uint8_t* wanted, const uint8_t* pad,
                                    int64_t n, int64_t greatest, int64_t pad_bytes, int64_t least) {
  for (int64_t i = 0; i < n; ++i) {
    onnxc_kernels::Tokens tokens = {x[i], wanted, least};
    for (int64_t k = 0; k < greatest; ++k)
      if (onnxc_string token; tokens.next(&token))
        y[i * greatest + k] = token;
      else
        y[i * greatest + k] = {reinterpret_cast<const char*>(pad), static_cast<uint64_t>(pad_bytes)};
  }
}

#endif
