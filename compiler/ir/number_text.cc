// Numbers and constant tensors, to text and back: shortest decimals that read back as the same bits.
#include "compiler/ir/number_text.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

namespace onnxc {
namespace {

template <class T, class Bits>
std::string text_of(T value) {
  if (std::isnan(value)) {
    Bits bits, usual;
    const T quiet = std::numeric_limits<T>::quiet_NaN();
    std::memcpy(&bits, &value, sizeof value);
    std::memcpy(&usual, &quiet, sizeof value);
    return bits == usual ? "nan" : "nan(" + hex_text(bits) + ")";
  }
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  std::string text(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

template <class T, class Bits>
Result<double> value_of(Cursor& cursor) {
  const bool minus = cursor.take_punct("-");
  T value = 0;
  if (cursor.take_name("inf"))
    value = std::numeric_limits<T>::infinity();
  else if (cursor.take_name("nan")) {
    value = std::numeric_limits<T>::quiet_NaN();
    if (cursor.take_punct("(")) {
      ONNXC_ASSIGN(const std::string text, cursor.expect(Token::Kind::Number, "the bits of a NaN"));
      Bits bits = 0;
      if (text.size() < 3 || std::from_chars(text.data() + 2, text.data() + text.size(), bits, 16).ec != std::errc())
        return cursor.error("cannot read the bits of a NaN");
      std::memcpy(&value, &bits, sizeof bits);
      ONNXC_TRY(cursor.expect_punct(")"));
    }
    return static_cast<double>(value);
  } else {
    ONNXC_ASSIGN(const std::string text, cursor.expect(Token::Kind::Number, "a number"));
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || end != text.data() + text.size())
      return cursor.error("cannot read the number " + text);
  }
  return static_cast<double>(minus ? -value : value);
}

bool is_bits(Elem elem) { return is_float(elem) && elem != Elem::F32 && elem != Elem::F64; }

std::string element_text(const Tensor& tensor, int64_t i) {
  const auto at = static_cast<size_t>(i);
  switch (tensor.elem()) {
    case Elem::F32: return float_text(tensor.as<float>()[at]);
    case Elem::F64: return float_text(tensor.as<double>()[at]);
    case Elem::C64: return float_text(tensor.as<float>()[2 * at]) + " " + float_text(tensor.as<float>()[2 * at + 1]);
    case Elem::C128: return float_text(tensor.as<double>()[2 * at]) + " " + float_text(tensor.as<double>()[2 * at + 1]);
    case Elem::String: return quoted(tensor.as_strings()[at]);
    case Elem::Bool: return tensor.int_at(i) ? "true" : "false";
    case Elem::U64: return std::to_string(tensor.as<uint64_t>()[at]);
    default: break;
  }
  if (!is_bits(tensor.elem())) return std::to_string(tensor.int_at(i));
  return hex_text(elem_size(tensor.elem()) == 2 ? tensor.as<uint16_t>()[at] : tensor.as<uint8_t>()[at]);
}

bool all_equal(const Tensor& tensor) {
  const size_t size = elem_size(tensor.elem());
  return size > 0 && tensor.bytes() > size &&
         std::memcmp(tensor.raw(), tensor.raw() + size, tensor.bytes() - size) == 0;
}

template <class T>
void append(std::vector<std::byte>& bytes, T value) {
  const auto* from = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), from, from + sizeof value);
}

void append_integer(std::vector<std::byte>& bytes, uint64_t value, size_t size) {
  const auto* from = reinterpret_cast<const std::byte*>(&value);  // little-endian, like the tensor
  bytes.insert(bytes.end(), from, from + size);
}

Result<uint64_t> parse_integer(Cursor& cursor) {
  if (cursor.take_name("true")) return uint64_t{1};
  if (cursor.take_name("false")) return uint64_t{0};
  const bool minus = cursor.take_punct("-");
  ONNXC_ASSIGN(const std::string text, cursor.expect(Token::Kind::Number, "an integer"));
  const bool hex = text.starts_with("0x");
  uint64_t value = 0;
  const auto [end, failed] =
      std::from_chars(text.data() + (hex ? 2 : 0), text.data() + text.size(), value, hex ? 16 : 10);
  if (failed != std::errc() || end != text.data() + text.size()) return cursor.error("cannot read the integer " + text);
  return minus ? 0 - value : value;
}

Status parse_element(Cursor& cursor, Elem elem, std::vector<std::byte>& bytes) {
  const bool complex = elem == Elem::C64 || elem == Elem::C128, single = elem == Elem::F32 || elem == Elem::C64;
  if (!complex && elem != Elem::F32 && elem != Elem::F64) {
    ONNXC_ASSIGN(const uint64_t value, parse_integer(cursor));
    append_integer(bytes, value, elem_size(elem));
    return ok();
  }
  for (int part = 0; part < (complex ? 2 : 1); ++part) {
    ONNXC_ASSIGN(const double value, parse_float(cursor, single));
    if (single)
      append(bytes, static_cast<float>(value));
    else
      append(bytes, value);
  }
  return ok();
}

Tensor tensor_of(Elem elem, std::vector<int64_t> dims, const std::vector<std::byte>& bytes) {
  std::shared_ptr<std::byte> data(new std::byte[bytes.size() + 1], std::default_delete<std::byte[]>());
  std::memcpy(data.get(), bytes.data(), bytes.size());
  return Tensor(elem, std::move(dims), std::move(data), bytes.size());
}

Result<Tensor> parse_strings(Cursor& cursor, std::vector<int64_t> dims, int64_t count) {
  std::vector<std::string> values;
  ONNXC_TRY(cursor.expect_punct("{"));
  while (!cursor.at_punct("}")) {
    if (!values.empty()) ONNXC_TRY(cursor.expect_punct(","));
    ONNXC_ASSIGN(std::string value, cursor.expect(Token::Kind::String, "a string"));
    values.push_back(std::move(value));
  }
  cursor.next();
  if (static_cast<int64_t>(values.size()) != count)
    return cursor.error("the constant's dims want another number of values");
  return Tensor::strings(std::move(dims), std::move(values));
}

}  // namespace

std::string hex_text(uint64_t bits) {
  char buffer[20];
  return "0x" + std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, bits, 16).ptr);
}

std::string float_text(double value) { return text_of<double, uint64_t>(value); }
std::string float_text(float value) { return text_of<float, uint32_t>(value); }

Result<double> parse_float(Cursor& cursor, bool single) {
  return single ? value_of<float, uint32_t>(cursor) : value_of<double, uint64_t>(cursor);
}

std::string tensor_values_text(const Tensor& tensor) {
  const int64_t count = tensor.numel();
  if (count > 4 && all_equal(tensor)) return "splat " + element_text(tensor, 0);
  if (count > kMostInlineValues && tensor.elem() != Elem::String) return "opaque " + hex_text(tensor.hash());
  std::string text = "{";
  for (int64_t i = 0; i < count; ++i) text += (i ? ", " : "") + element_text(tensor, i);
  return text + "}";
}

Result<Tensor> parse_tensor_values(Cursor& cursor, Elem elem, std::vector<int64_t> dims, std::string* opaque) {
  const std::optional<int64_t> count = checked_numel(dims);
  if (!count || *count > (int64_t{1} << 32)) return cursor.error("the constant is too large");
  if (elem == Elem::Undefined) return cursor.error("a constant needs an element type");
  if (elem == Elem::String) return parse_strings(cursor, std::move(dims), *count);
  if (cursor.take_name("opaque")) {
    ONNXC_ASSIGN(*opaque, cursor.expect(Token::Kind::Number, "a hash"));
    return Tensor::zeros(elem, std::move(dims));
  }
  std::vector<std::byte> bytes;
  if (cursor.take_name("splat")) {
    ONNXC_TRY(parse_element(cursor, elem, bytes));
    const std::vector<std::byte> one = bytes;
    if (*count == 0) bytes.clear();
    bytes.reserve(one.size() * static_cast<size_t>(*count));
    for (int64_t i = 1; i < *count; ++i) bytes.insert(bytes.end(), one.begin(), one.end());
    return tensor_of(elem, std::move(dims), bytes);
  }
  ONNXC_TRY(cursor.expect_punct("{"));
  for (int64_t i = 0; i < *count; ++i) {
    if (i) ONNXC_TRY(cursor.expect_punct(","));
    ONNXC_TRY(parse_element(cursor, elem, bytes));
  }
  ONNXC_TRY(cursor.expect_punct("}"));
  return tensor_of(elem, std::move(dims), bytes);
}

}  // namespace onnxc
