// Tensor: a constant. Its bytes may live in a memory-mapped file (external data), so they are shared, not copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compiler/ir/elem.h"
#include "compiler/support/result.h"

namespace onnxc {

class Tensor {
 public:
  Tensor() = default;
  // Bytes are little-endian, row-major, elem_size() per element (sub-byte types unpacked to one per byte).
  Tensor(Elem elem, std::vector<int64_t> dims, std::shared_ptr<const std::byte> data, size_t bytes)
      : elem_(elem), dims_(std::move(dims)), data_(std::move(data)), bytes_(bytes) {}
  static Tensor zeros(Elem elem, std::vector<int64_t> dims);
  template <class T>
  static Tensor of(Elem elem, std::vector<int64_t> dims, const std::vector<T>& values);
  static Tensor i64(std::vector<int64_t> dims, const std::vector<int64_t>& values) {
    return of(Elem::I64, std::move(dims), values);
  }
  static Tensor f32(std::vector<int64_t> dims, const std::vector<float>& values) {
    return of(Elem::F32, std::move(dims), values);
  }
  // Of any integer type, or bool; values are cut to its width.
  static Tensor ints(Elem elem, std::vector<int64_t> dims, const std::vector<int64_t>& values);
  static Tensor strings(std::vector<int64_t> dims, std::vector<std::string> values);

  Elem elem() const { return elem_; }
  const std::vector<int64_t>& dims() const { return dims_; }
  int64_t rank() const { return static_cast<int64_t>(dims_.size()); }
  int64_t numel() const;
  size_t bytes() const { return bytes_; }
  const std::byte* raw() const { return data_.get(); }
  std::shared_ptr<const std::byte> share() const { return data_; }
  template <class T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data_.get()), bytes_ / sizeof(T)};
  }
  const std::vector<std::string>& as_strings() const { return *strings_; }

  // Element i of any integer, bool or float tensor, widened. Requires i < numel().
  int64_t int_at(int64_t i) const;
  double float_at(int64_t i) const;
  std::vector<int64_t> to_ints() const;
  Tensor reshaped(std::vector<int64_t> dims) const;  // same bytes
  bool equals(const Tensor& o) const;                // same type, dims and bits
  uint64_t hash() const;

 private:
  Elem elem_ = Elem::Undefined;
  std::vector<int64_t> dims_;
  std::shared_ptr<const std::byte> data_;
  size_t bytes_ = 0;
  std::shared_ptr<const std::vector<std::string>> strings_;
};

// Product of dims, or nothing when negative or above 2^48 (no machine holds such a tensor).
std::optional<int64_t> checked_numel(std::span<const int64_t> dims);

template <class T>
Tensor Tensor::of(Elem elem, std::vector<int64_t> dims, const std::vector<T>& values) {
  const size_t bytes = values.size() * sizeof(T);
  std::shared_ptr<std::byte> data(new std::byte[bytes ? bytes : 1], std::default_delete<std::byte[]>());
  if (bytes) std::memcpy(data.get(), values.data(), bytes);
  return Tensor(elem, std::move(dims), std::move(data), bytes);
}

}  // namespace onnxc
