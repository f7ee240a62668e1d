// Constants: element access, comparison, hash. Tested in tests/unit/tensor_test.cc.
#include "compiler/ir/tensor.h"

#include <cmath>
#include <limits>

namespace onnxc {
namespace {

// How a narrow float is written: bits of exponent and mantissa, bias, and what its highest codes mean.
struct FloatFormat {
  int exponent_bits, mantissa_bits, bias;
  enum Special { Ieee, MaxIsNan, NegativeZeroIsNan, None } special;
};

double decode_float(uint32_t bits, const FloatFormat& f) {
  const uint32_t mantissa = bits & ((1u << f.mantissa_bits) - 1);
  const uint32_t exponent = (bits >> f.mantissa_bits) & ((1u << f.exponent_bits) - 1);
  const bool negative = (bits >> (f.mantissa_bits + f.exponent_bits)) & 1;
  const uint32_t top = (1u << f.exponent_bits) - 1;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (f.special == FloatFormat::Ieee && exponent == top) {
    if (mantissa) return nan;
    const double infinity = std::numeric_limits<double>::infinity();
    return negative ? -infinity : infinity;
  }
  if (f.special == FloatFormat::MaxIsNan && exponent == top && mantissa == (1u << f.mantissa_bits) - 1) return nan;
  if (f.special == FloatFormat::NegativeZeroIsNan && negative && !exponent && !mantissa) return nan;
  double v = exponent ? std::ldexp(1.0 + std::ldexp(double(mantissa), -f.mantissa_bits), int(exponent) - f.bias)
                      : std::ldexp(double(mantissa), 1 - f.bias - f.mantissa_bits);
  return negative ? -v : v;
}

template <class T>
T load(const std::byte* data, int64_t i) {
  T v;
  std::memcpy(&v, data + i * sizeof(T), sizeof(T));
  return v;
}

uint64_t mix(uint64_t h, uint64_t v) {
  h = (h ^ v) * 0x9E3779B97F4A7C15ull;
  return h ^ (h >> 29);
}

}  // namespace

std::optional<int64_t> checked_numel(std::span<const int64_t> dims) {
  constexpr int64_t kMost = int64_t(1) << 48;
  bool empty = false;
  for (int64_t d : dims) {
    if (d < 0 || d > kMost) return std::nullopt;
    empty = empty || d == 0;
  }
  if (empty) return 0;
  int64_t n = 1;
  for (int64_t d : dims) {
    if (__builtin_mul_overflow(n, d, &n) || n > kMost) return std::nullopt;
  }
  return n;
}

Tensor Tensor::zeros(Elem elem, std::vector<int64_t> dims) {
  const int64_t n = checked_numel(dims).value_or(0);
  if (elem == Elem::String) return strings(std::move(dims), std::vector<std::string>(n));
  const size_t bytes = n * elem_size(elem);
  std::shared_ptr<std::byte> data(new std::byte[bytes ? bytes : 1](), std::default_delete<std::byte[]>());
  return Tensor(elem, std::move(dims), std::move(data), bytes);
}

Tensor Tensor::ints(Elem elem, std::vector<int64_t> dims, const std::vector<int64_t>& values) {
  const size_t size = elem_size(elem);
  std::vector<std::byte> bytes(values.size() * size);
  for (size_t i = 0; i < values.size(); ++i) std::memcpy(bytes.data() + i * size, &values[i], size);
  return of<std::byte>(elem, std::move(dims), bytes);
}

Tensor Tensor::strings(std::vector<int64_t> dims, std::vector<std::string> values) {
  Tensor t(Elem::String, std::move(dims), nullptr, 0);
  t.strings_ = std::make_shared<const std::vector<std::string>>(std::move(values));
  return t;
}

int64_t Tensor::numel() const { return checked_numel(dims_).value_or(0); }

int64_t Tensor::int_at(int64_t i) const {
  const std::byte* p = data_.get();
  switch (elem_) {
    case Elem::U8:
    case Elem::Bool:
    case Elem::U4:
    case Elem::U2: return load<uint8_t>(p, i);
    case Elem::I8:
    case Elem::I4:
    case Elem::I2: return load<int8_t>(p, i);
    case Elem::U16: return load<uint16_t>(p, i);
    case Elem::I16: return load<int16_t>(p, i);
    case Elem::I32: return load<int32_t>(p, i);
    case Elem::U32: return load<uint32_t>(p, i);
    case Elem::I64:
    case Elem::U64: return load<int64_t>(p, i);
    default: return static_cast<int64_t>(float_at(i));
  }
}

double Tensor::float_at(int64_t i) const {
  using F = FloatFormat;
  const std::byte* p = data_.get();
  switch (elem_) {
    case Elem::F32: return load<float>(p, i);
    case Elem::F64: return load<double>(p, i);
    case Elem::U64: return static_cast<double>(load<uint64_t>(p, i));
    case Elem::F16: return decode_float(load<uint16_t>(p, i), {5, 10, 15, F::Ieee});
    case Elem::BF16: return decode_float(load<uint16_t>(p, i), {8, 7, 127, F::Ieee});
    case Elem::F8E4M3FN: return decode_float(load<uint8_t>(p, i), {4, 3, 7, F::MaxIsNan});
    case Elem::F8E4M3FNUZ: return decode_float(load<uint8_t>(p, i), {4, 3, 8, F::NegativeZeroIsNan});
    case Elem::F8E5M2: return decode_float(load<uint8_t>(p, i), {5, 2, 15, F::Ieee});
    case Elem::F8E5M2FNUZ: return decode_float(load<uint8_t>(p, i), {5, 2, 16, F::NegativeZeroIsNan});
    case Elem::F4E2M1: return decode_float(load<uint8_t>(p, i), {2, 1, 1, F::None});
    case Elem::F6E2M3: return decode_float(load<uint8_t>(p, i), {2, 3, 1, F::None});
    case Elem::F6E3M2: return decode_float(load<uint8_t>(p, i), {3, 2, 3, F::None});
    case Elem::F8E8M0: {
      const int code = load<uint8_t>(p, i);
      return code == 255 ? std::numeric_limits<double>::quiet_NaN() : std::ldexp(1.0, code - 127);
    }
    case Elem::C64: return load<float>(p, 2 * i);  // the real part
    case Elem::C128: return load<double>(p, 2 * i);
    case Elem::String:
    case Elem::Undefined: return 0;
    default: return static_cast<double>(int_at(i));
  }
}

std::vector<int64_t> Tensor::to_ints() const {
  std::vector<int64_t> v(numel());
  for (size_t i = 0; i < v.size(); ++i) v[i] = int_at(i);
  return v;
}

Tensor Tensor::reshaped(std::vector<int64_t> dims) const {
  Tensor t = *this;
  t.dims_ = std::move(dims);
  return t;
}

bool Tensor::equals(const Tensor& o) const {
  if (elem_ != o.elem_ || dims_ != o.dims_ || bytes_ != o.bytes_) return false;
  if (elem_ == Elem::String) return strings_ == o.strings_ || (strings_ && o.strings_ && *strings_ == *o.strings_);
  return data_ == o.data_ || bytes_ == 0 || std::memcmp(data_.get(), o.data_.get(), bytes_) == 0;
}

uint64_t Tensor::hash() const {
  uint64_t h = mix(0x6F6E6E7863ull, static_cast<uint64_t>(elem_));
  for (int64_t d : dims_) h = mix(h, static_cast<uint64_t>(d));
  if (strings_) {
    for (const std::string& s : *strings_) {
      h = mix(h, s.size());
      for (char c : s) h = mix(h, static_cast<unsigned char>(c));
    }
    return h;
  }
  size_t i = 0;
  for (; i + 8 <= bytes_; i += 8) h = mix(h, load<uint64_t>(data_.get() + i, 0));
  uint64_t tail = 0;
  if (i < bytes_) std::memcpy(&tail, data_.get() + i, bytes_ - i);
  return mix(h, tail);
}

}  // namespace onnxc
