// See arrays.h. The numbers are those of ONNX's TensorProto.DataType.
#include "python/src/arrays.h"

#include <cstring>

namespace onnxc::python {

namespace {
constexpr onnxc_elem kInt4 = 22, kInt2 = 26;
// By type number, 0 to 26. The 6-bit types above them are held one per byte nowhere that numpy knows.
constexpr uint8_t kBits[] = {0,  32,  8,  8, 16, 16, 32, 64, 0, 8, 16, 64, 32, 64,
                             64, 128, 16, 8, 8,  8,  8,  4,  4, 4, 8,  2,  2};
}  // namespace

int element_bits(onnxc_elem elem) {
  return elem >= 0 && static_cast<size_t>(elem) < sizeof kBits ? kBits[static_cast<size_t>(elem)] : 0;
}

bool is_packed(onnxc_elem elem) {
  const int bits = element_bits(elem);
  return bits != 0 && bits < 8;
}

size_t packed_bytes(onnxc_elem elem, size_t count) { return (count * static_cast<size_t>(element_bits(elem)) + 7) / 8; }

void pack(onnxc_elem elem, const uint8_t* bytes, size_t count, uint8_t* packed) {
  const unsigned bits = static_cast<unsigned>(element_bits(elem)), mask = (1u << bits) - 1, per_byte = 8 / bits;
  std::memset(packed, 0, packed_bytes(elem, count));
  for (size_t i = 0; i < count; ++i)
    packed[i / per_byte] = static_cast<uint8_t>(packed[i / per_byte] | (bytes[i] & mask) << (i % per_byte * bits));
}

void unpack(onnxc_elem elem, const uint8_t* packed, size_t count, uint8_t* bytes) {
  const unsigned bits = static_cast<unsigned>(element_bits(elem)), mask = (1u << bits) - 1, per_byte = 8 / bits;
  // Signed integers: (v ^ sign) - sign copies the sign bit upwards.
  const unsigned sign = elem == kInt4 || elem == kInt2 ? 1u << (bits - 1) : 0;
  for (size_t i = 0; i < count; ++i) {
    const unsigned value = packed[i / per_byte] >> (i % per_byte * bits) & mask;
    bytes[i] = static_cast<uint8_t>((value ^ sign) - sign);
  }
}

}  // namespace onnxc::python
