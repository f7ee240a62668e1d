// Sub-byte elements are packed at the C ABI as ONNX packs them (first element in the low bits) and lie one per byte
// inside a model; signed ones sign-extended. Tested in tests/unit/abi_test.cc.
#ifndef ONNXC_ABI_SUB_BYTE_H
#define ONNXC_ABI_SUB_BYTE_H

#include <stdint.h>

namespace onnxc_entry {
namespace {

// Bits per element at the ABI by ONNX element type (of a string those of its onnxc_string); 0: unknown.
inline int elem_bits(int32_t elem) {
  switch (elem) {
    case 2:
    case 3:
    case 9:
    case 17:
    case 18:
    case 19:
    case 20:
    case 24: return 8;
    case 4:
    case 5:
    case 10:
    case 16: return 16;
    case 1:
    case 6:
    case 12: return 32;
    case 7:
    case 11:
    case 13:
    case 14: return 64;
    case 8:
    case 15: return 128;
    case 21:
    case 22:
    case 23: return 4;
    case 25:
    case 26: return 2;
    case 27:
    case 28: return 6;
    default: return 0;
  }
}
inline bool is_sub_byte(int32_t elem) { return elem_bits(elem) > 0 && elem_bits(elem) < 8; }
inline bool is_signed_sub_byte(int32_t elem) { return elem == 22 || elem == 26; }
inline uint64_t packed_bytes(int32_t elem, uint64_t count) {
  return (count * static_cast<uint64_t>(elem_bits(elem)) + 7) / 8;
}

inline void unpack(const unsigned char* packed, unsigned char* out, uint64_t count, int32_t elem) {
  const unsigned bits = static_cast<unsigned>(elem_bits(elem));
  const unsigned mask = (1u << bits) - 1;
  const unsigned sign = is_signed_sub_byte(elem) ? 1u << (bits - 1) : 0;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t at = i * bits;
    unsigned word = packed[at / 8];
    if (at % 8 + bits > 8) word |= static_cast<unsigned>(packed[at / 8 + 1]) << 8;
    const unsigned value = word >> (at % 8) & mask;
    out[i] = static_cast<unsigned char>((value ^ sign) - sign);
  }
}

inline void pack(const unsigned char* in, unsigned char* packed, uint64_t count, int32_t elem) {
  const unsigned bits = static_cast<unsigned>(elem_bits(elem));
  const unsigned mask = (1u << bits) - 1;
  for (uint64_t i = 0; i < packed_bytes(elem, count); ++i) packed[i] = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t at = i * bits;
    const unsigned value = (in[i] & mask) << (at % 8);
    packed[at / 8] = static_cast<unsigned char>(packed[at / 8] | value);
    if (at % 8 + bits > 8) packed[at / 8 + 1] = static_cast<unsigned char>(packed[at / 8 + 1] | value >> 8);
  }
}

}  // namespace
}  // namespace onnxc_entry

#endif
