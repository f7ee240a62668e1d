// Element types. The numbers are those of ONNX's TensorProto.DataType (onnx.proto3, onnx 1.23.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace onnxc {

enum class Elem : uint8_t {
  Undefined = 0,
  F32 = 1,
  U8 = 2,
  I8 = 3,
  U16 = 4,
  I16 = 5,
  I32 = 6,
  I64 = 7,
  String = 8,
  Bool = 9,
  F16 = 10,
  F64 = 11,
  U32 = 12,
  U64 = 13,
  C64 = 14,
  C128 = 15,
  BF16 = 16,
  F8E4M3FN = 17,
  F8E4M3FNUZ = 18,
  F8E5M2 = 19,
  F8E5M2FNUZ = 20,
  U4 = 21,
  I4 = 22,
  F4E2M1 = 23,
  F8E8M0 = 24,
  U2 = 25,
  I2 = 26,
  F6E2M3 = 27,
  F6E3M2 = 28,
};
inline constexpr int kElemCount = 29;

std::string_view elem_name(Elem e);                         // "f32", "i64", "bool", "string", "bf16", "f8e4m3fn" ...
std::optional<Elem> elem_from_name(std::string_view name);  // inverse of elem_name
std::string_view onnx_elem_name(Elem e);                    // ONNX Runtime's spelling: "tensor(float)" has "float"

// Bytes per element inside a compiled model: sub-byte types are one per byte there; a string is an onnxc_string
// (runtime_lib/include/onnxc/onnxc.h), a view of characters that lie elsewhere.
size_t elem_size(Elem e);
int elem_bits(Elem e);  // bits per element in files and at the C ABI (4 for i4 ...)
bool is_float(Elem e);  // every real floating type, from f64 to f4
bool is_int(Elem e);    // integers, signed or not; not bool
bool is_signed(Elem e);
bool is_sub_byte(Elem e);

}  // namespace onnxc
