// One row per element type. Tested in tests/unit/tensor_test.cc.
#include "compiler/ir/elem.h"

#include <array>

namespace onnxc {
namespace {

enum Kind : uint8_t { kOther, kFloat, kSignedInt, kUnsignedInt };

struct Row {
  std::string_view name, onnx_name;
  int bits;  // in files
  Kind kind;
};

// By number.
constexpr std::array<Row, kElemCount> kRows = {{
    {"undefined", "undefined", 0, kOther},
    {"f32", "float", 32, kFloat},
    {"u8", "uint8", 8, kUnsignedInt},
    {"i8", "int8", 8, kSignedInt},
    {"u16", "uint16", 16, kUnsignedInt},
    {"i16", "int16", 16, kSignedInt},
    {"i32", "int32", 32, kSignedInt},
    {"i64", "int64", 64, kSignedInt},
    {"string", "string", 128, kOther},
    {"bool", "bool", 8, kOther},
    {"f16", "float16", 16, kFloat},
    {"f64", "double", 64, kFloat},
    {"u32", "uint32", 32, kUnsignedInt},
    {"u64", "uint64", 64, kUnsignedInt},
    {"c64", "complex64", 64, kOther},
    {"c128", "complex128", 128, kOther},
    {"bf16", "bfloat16", 16, kFloat},
    {"f8e4m3fn", "float8e4m3fn", 8, kFloat},
    {"f8e4m3fnuz", "float8e4m3fnuz", 8, kFloat},
    {"f8e5m2", "float8e5m2", 8, kFloat},
    {"f8e5m2fnuz", "float8e5m2fnuz", 8, kFloat},
    {"u4", "uint4", 4, kUnsignedInt},
    {"i4", "int4", 4, kSignedInt},
    {"f4e2m1", "float4e2m1", 4, kFloat},
    {"f8e8m0", "float8e8m0", 8, kFloat},
    {"u2", "uint2", 2, kUnsignedInt},
    {"i2", "int2", 2, kSignedInt},
    {"f6e2m3", "float6e2m3", 6, kFloat},
    {"f6e3m2", "float6e3m2", 6, kFloat},
}};

const Row& row(Elem e) {
  const auto i = static_cast<size_t>(e);
  return kRows[i < kRows.size() ? i : 0];
}

}  // namespace

std::string_view elem_name(Elem e) { return row(e).name; }
std::string_view onnx_elem_name(Elem e) { return row(e).onnx_name; }

std::optional<Elem> elem_from_name(std::string_view name) {
  for (int i = 1; i < kElemCount; ++i) {
    if (kRows[i].name == name) return static_cast<Elem>(i);
  }
  return std::nullopt;
}

size_t elem_size(Elem e) { return (row(e).bits + 7) / 8; }
int elem_bits(Elem e) { return row(e).bits; }
bool is_float(Elem e) { return row(e).kind == kFloat; }
bool is_int(Elem e) { return row(e).kind == kSignedInt || row(e).kind == kUnsignedInt; }
bool is_signed(Elem e) { return row(e).kind == kSignedInt || row(e).kind == kFloat; }
bool is_sub_byte(Elem e) { return row(e).bits > 0 && row(e).bits < 8; }

}  // namespace onnxc
