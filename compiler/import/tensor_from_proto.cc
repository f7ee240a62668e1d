#include "compiler/import/tensor_from_proto.h"

#include <algorithm>
#include <cstring>
#include <memory>

namespace onnxc {
namespace {

using onnx::TensorProto;

std::string describe(const TensorProto& proto) { return "tensor \"" + proto.name() + "\""; }

Error bad(const TensorProto& proto, const std::string& where, const std::string& why) {
  return Error(ErrorKind::InvalidModel, describe(proto) + " " + why, where);
}

// Bytes of `n` elements as files hold them.
uint64_t file_bytes(Elem elem, int64_t n) {
  return (static_cast<uint64_t>(n) * static_cast<uint64_t>(elem_bits(elem)) + 7) / 8;
}

struct Bytes {
  std::shared_ptr<const std::byte> data;
  size_t size = 0;
};

std::shared_ptr<std::byte> allocate(size_t n) {
  return std::shared_ptr<std::byte>(new std::byte[n ? n : 1], std::default_delete<std::byte[]>());
}

// Sub-byte elements, packed from the low bits up, to one per byte; signed ones are sign-extended.
Bytes unpack(Elem elem, const std::byte* packed, int64_t n) {
  const int bits = elem_bits(elem);
  const unsigned mask = (1u << bits) - 1;
  const bool sign = elem == Elem::I4 || elem == Elem::I2;
  auto out = allocate(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    const int64_t bit = i * bits;
    unsigned v = std::to_integer<unsigned>(packed[bit / 8]) >> (bit % 8);
    if (bit % 8 + bits > 8) v |= std::to_integer<unsigned>(packed[bit / 8 + 1]) << (8 - bit % 8);
    v &= mask;
    if (sign && (v >> (bits - 1))) v |= ~mask;
    out.get()[i] = static_cast<std::byte>(v & 0xff);
  }
  return {out, static_cast<size_t>(n)};
}

// Bytes in file form to a Tensor: unpacks, and copies only what is misaligned or not canonical.
Tensor from_file_form(Elem elem, std::vector<int64_t> dims, int64_t n, Bytes bytes) {
  if (is_sub_byte(elem)) {
    Bytes unpacked = unpack(elem, bytes.data.get(), n);
    return Tensor(elem, std::move(dims), std::move(unpacked.data), unpacked.size);
  }
  const bool aligned = reinterpret_cast<uintptr_t>(bytes.data.get()) % std::max<size_t>(elem_size(elem), 1) == 0;
  const bool odd_bool = elem == Elem::Bool && std::any_of(bytes.data.get(), bytes.data.get() + bytes.size,
                                                          [](std::byte b) { return std::to_integer<int>(b) > 1; });
  if (!aligned || odd_bool) {
    auto copy = allocate(bytes.size);
    std::memcpy(copy.get(), bytes.data.get(), bytes.size);
    if (odd_bool)
      for (size_t i = 0; i < bytes.size; ++i) copy.get()[i] = std::byte{copy.get()[i] != std::byte{0}};
    bytes.data = copy;
  }
  return Tensor(elem, std::move(dims), std::move(bytes.data), bytes.size);
}

template <class Out, class Field>
Result<Tensor> from_field(const TensorProto& proto, Elem elem, std::vector<int64_t> dims, int64_t count,
                          const Field& field, const std::string& where) {
  if (field.size() != count)
    return bad(proto, where,
               "holds " + std::to_string(field.size()) + " values, its shape needs " + std::to_string(count));
  auto out = allocate(static_cast<size_t>(count) * sizeof(Out));
  for (int64_t i = 0; i < count; ++i) {
    const Out v = static_cast<Out>(field[static_cast<int>(i)]);
    std::memcpy(out.get() + i * static_cast<int64_t>(sizeof(Out)), &v, sizeof(Out));
  }
  return Tensor(elem, std::move(dims), std::move(out), static_cast<size_t>(count) * sizeof(Out));
}

// int32_data: one element per entry from 8 bits up and for 6-bit floats, one packed byte per entry for 4 and 2 bits.
Result<Tensor> from_int32(const TensorProto& proto, Elem elem, std::vector<int64_t> dims, int64_t n,
                          const std::string& where) {
  const auto& field = proto.int32_data();
  if (elem == Elem::F6E2M3 || elem == Elem::F6E3M2)
    return from_field<uint8_t>(proto, elem, std::move(dims), n, field, where);
  if (is_sub_byte(elem)) {
    const uint64_t packed = file_bytes(elem, n);
    ONNXC_ASSIGN(const Tensor raw, from_field<uint8_t>(proto, Elem::U8, {static_cast<int64_t>(packed)},
                                                       static_cast<int64_t>(packed), field, where));
    return from_file_form(elem, std::move(dims), n, {raw.share(), raw.bytes()});
  }
  if (elem == Elem::Bool) {
    if (field.size() != n)
      return bad(proto, where,
                 "holds " + std::to_string(field.size()) + " values, its shape needs " + std::to_string(n));
    std::vector<uint8_t> flags(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) flags[static_cast<size_t>(i)] = field[static_cast<int>(i)] != 0;
    return Tensor::of(elem, std::move(dims), flags);
  }
  switch (elem_size(elem)) {
    case 1: return from_field<uint8_t>(proto, elem, std::move(dims), n, field, where);
    case 2: return from_field<uint16_t>(proto, elem, std::move(dims), n, field, where);
    default: return from_field<int32_t>(proto, elem, std::move(dims), n, field, where);
  }
}

Result<Tensor> from_typed_fields(const TensorProto& proto, Elem elem, std::vector<int64_t> dims, int64_t n,
                                 const std::string& where) {
  switch (elem) {
    case Elem::F32: return from_field<float>(proto, elem, std::move(dims), n, proto.float_data(), where);
    case Elem::C64: return from_field<float>(proto, elem, std::move(dims), 2 * n, proto.float_data(), where);
    case Elem::F64: return from_field<double>(proto, elem, std::move(dims), n, proto.double_data(), where);
    case Elem::C128: return from_field<double>(proto, elem, std::move(dims), 2 * n, proto.double_data(), where);
    case Elem::I64: return from_field<int64_t>(proto, elem, std::move(dims), n, proto.int64_data(), where);
    case Elem::U64: return from_field<uint64_t>(proto, elem, std::move(dims), n, proto.uint64_data(), where);
    case Elem::U32: return from_field<uint32_t>(proto, elem, std::move(dims), n, proto.uint64_data(), where);
    default: return from_int32(proto, elem, std::move(dims), n, where);
  }
}

Result<uint64_t> external_number(const TensorProto& proto, const std::string& key, const std::string& text,
                                 const std::string& where) {
  uint64_t v = 0;
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos)
    return bad(proto, where, "has an external-data " + key + " that is no number: \"" + text + "\"");
  for (char c : text) v = v * 10 + static_cast<uint64_t>(c - '0');
  return v;
}

Result<Tensor> from_external(const TensorProto& proto, Elem elem, std::vector<int64_t> dims, int64_t n,
                             ExternalData* external, const std::string& where) {
  if (external == nullptr) return bad(proto, where, "has external data where none can be");
  std::string location;
  uint64_t offset = 0;
  const uint64_t bytes = file_bytes(elem, n);
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") {
      ONNXC_ASSIGN(offset, external_number(proto, "offset", entry.value(), where));
    }
    if (entry.key() == "length") {
      ONNXC_ASSIGN(const uint64_t length, external_number(proto, "length", entry.value(), where));
      if (length != bytes)
        return bad(
            proto, where,
            "has external data of " + std::to_string(length) + " bytes, its shape needs " + std::to_string(bytes));
    }
  }
  const std::string at = where.empty() ? describe(proto) : where + ", " + describe(proto);
  ONNXC_ASSIGN(auto data, external->map(location, offset, bytes, at));
  if (bytes == 0) return Tensor::zeros(elem, std::move(dims));
  return from_file_form(elem, std::move(dims), n, {std::move(data), bytes});
}

Result<Tensor> from_strings(const TensorProto& proto, std::vector<int64_t> dims, int64_t n, const std::string& where) {
  if (proto.string_data_size() != n)
    return bad(proto, where,
               "holds " + std::to_string(proto.string_data_size()) + " strings, its shape needs " + std::to_string(n));
  return Tensor::strings(std::move(dims), {proto.string_data().begin(), proto.string_data().end()});
}

}  // namespace

Result<Tensor> tensor_from_proto(TensorProto& proto, ExternalData* external, const std::string& where) {
  const int type = proto.data_type();
  if (type <= 0 || type >= kElemCount) return bad(proto, where, "has the unknown element type " + std::to_string(type));
  const Elem elem = static_cast<Elem>(type);
  if (proto.has_segment()) return bad(proto, where, "is stored in segments, which ONNX does not define for models");
  std::vector<int64_t> dims(proto.dims().begin(), proto.dims().end());
  for (int64_t d : dims)
    if (d < 0) return bad(proto, where, "has the negative dim " + std::to_string(d));
  const auto n = checked_numel(dims);
  if (!n) return bad(proto, where, "is too large: its dims overflow");
  if (elem == Elem::String) return from_strings(proto, std::move(dims), *n, where);
  if (proto.data_location() == TensorProto::EXTERNAL)
    return from_external(proto, elem, std::move(dims), *n, external, where);
  if (!proto.has_raw_data()) return from_typed_fields(proto, elem, std::move(dims), *n, where);
  const uint64_t bytes = file_bytes(elem, *n);
  if (proto.raw_data().size() != bytes)
    return bad(
        proto, where,
        "has " + std::to_string(proto.raw_data().size()) + " bytes of data, its shape needs " + std::to_string(bytes));
  if (bytes == 0) return Tensor::zeros(elem, std::move(dims));
  std::shared_ptr<const std::string> raw(proto.release_raw_data());
  std::shared_ptr<const std::byte> data(raw, reinterpret_cast<const std::byte*>(raw->data()));
  return from_file_form(elem, std::move(dims), *n, {std::move(data), bytes});
}

Result<Tensor> tensor_from_sparse(onnx::SparseTensorProto& proto, ExternalData* external, const std::string& where) {
  const std::vector<int64_t> dims(proto.dims().begin(), proto.dims().end());
  const TensorProto& named = proto.values();
  for (int64_t d : dims)
    if (d <= 0) return bad(named, where, "is sparse with the dim " + std::to_string(d));
  const auto n = checked_numel(dims);
  // A few stored values may claim any dense size: what dense form is made is bounded.
  if (!n || *n > (int64_t{1} << 32)) return bad(named, where, "is sparse with dims too large for a dense form");
  ONNXC_ASSIGN(const Tensor values, tensor_from_proto(*proto.mutable_values(), external, where));
  ONNXC_ASSIGN(const Tensor indices, tensor_from_proto(*proto.mutable_indices(), external, where));
  const int64_t rank = static_cast<int64_t>(dims.size());
  const bool linear = indices.rank() == 1;
  if (values.elem() == Elem::String || values.rank() != 1 || indices.elem() != Elem::I64 ||
      indices.numel() != values.numel() * (linear ? 1 : rank) || (!linear && indices.rank() != 2))
    return bad(named, where, "is sparse with values and indices that do not fit together");
  const size_t size = elem_size(values.elem());
  auto out = allocate(static_cast<size_t>(*n) * size);
  std::memset(out.get(), 0, static_cast<size_t>(*n) * size);
  for (int64_t i = 0; i < values.numel(); ++i) {
    int64_t at = linear ? indices.int_at(i) : 0;
    for (int64_t d = 0; !linear && d < rank; ++d) {
      const int64_t coordinate = indices.int_at(i * rank + d);
      if (coordinate < 0 || coordinate >= dims[static_cast<size_t>(d)])
        return bad(named, where, "is sparse with an index out of range");
      at = at * dims[static_cast<size_t>(d)] + coordinate;
    }
    if (at < 0 || at >= *n) return bad(named, where, "is sparse with an index out of range");
    std::memcpy(out.get() + static_cast<size_t>(at) * size, values.raw() + static_cast<size_t>(i) * size, size);
  }
  return Tensor(values.elem(), dims, std::move(out), static_cast<size_t>(*n) * size);
}

void tensor_to_proto(const Tensor& tensor, TensorProto* proto) {
  proto->set_data_type(static_cast<int>(tensor.elem()));
  for (int64_t d : tensor.dims()) proto->add_dims(d);
  if (tensor.elem() == Elem::String) {
    for (const auto& s : tensor.as_strings()) proto->add_string_data(s);
    return;
  }
  if (!is_sub_byte(tensor.elem())) {
    proto->set_raw_data(tensor.raw(), tensor.bytes());
    return;
  }
  const int bits = elem_bits(tensor.elem());
  std::string packed(file_bytes(tensor.elem(), tensor.numel()), '\0');
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    const unsigned v = std::to_integer<unsigned>(tensor.raw()[i]) & ((1u << bits) - 1);
    const size_t at = static_cast<size_t>(i * bits / 8);
    const int shift = static_cast<int>(i * bits % 8);
    packed[at] = static_cast<char>(static_cast<unsigned char>(packed[at]) | ((v << shift) & 0xff));
    if (shift + bits > 8)
      packed[at + 1] = static_cast<char>(static_cast<unsigned char>(packed[at + 1]) | (v >> (8 - shift)));
  }
  proto->set_raw_data(std::move(packed));
}

}  // namespace onnxc
