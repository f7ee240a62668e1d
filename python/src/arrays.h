// Element types at the boundary between numpy and the C ABI: sizes, and packing of the types below one byte, which
// numpy (with ml_dtypes) holds one per byte and ONNX packs, first element in the low bits. Tested in
// tests/api/test_types.py.
#pragma once

#include <onnxc/onnxc.h>

#include <cstddef>
#include <cstdint>

namespace onnxc::python {

// Bits per element in ONNX's numbering of types; 0 for types that are no plain tensor elements (strings, undefined,
// unknown).
int element_bits(onnxc_elem elem);
bool is_packed(onnxc_elem elem);  // several elements per byte at the C ABI

// Bytes that `count` elements take at the C ABI.
size_t packed_bytes(onnxc_elem elem, size_t count);
// One element per byte <-> packed. `bytes` holds `count` bytes, `packed` packed_bytes(elem, count).
void pack(onnxc_elem elem, const uint8_t* bytes, size_t count, uint8_t* packed);
void unpack(onnxc_elem elem, const uint8_t* packed, size_t count, uint8_t* bytes);

}  // namespace onnxc::python
