// pack_constant: writes a constant as its kernel reads it. Tested in tests/unit/pack_test.cc against a naive
// definition.
#include <algorithm>
#include <cstring>

#include "compiler/ir/winograd.h"
#include "compiler/plan/make_plan.h"
#include "compiler/plan/weights_blob.h"

namespace onnxc {
namespace {

// One dim of the packed tensor: walks `step` source positions along source dim `source` for each of `extent` turns.
struct PackedDim {
  size_t source;
  int64_t extent, step;
};

class Packer {
 public:
  Packer(const Tensor& source, const Packing& packing) : source_(source), size_(elem_size(source.elem())) {
    std::vector<int64_t> strides(source.dims().size(), 1);
    for (size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * source.dims()[i];
    strides_ = std::move(strides);
    at_.resize(strides_.size(), 0);
    std::vector<int64_t> order = packing.perm;
    if (order.empty())
      for (size_t i = 0; i < 2 * at_.size(); ++i) order.push_back(static_cast<int64_t>(i));
    for (int64_t split : order) {
      const auto dim = static_cast<size_t>(split / 2);
      const int64_t block = packing.block[dim];
      if (split % 2 == 0)
        dims_.push_back({dim, (source.dims()[dim] + block - 1) / block, block});
      else if (block != 1)
        dims_.push_back({dim, block, 1});
    }
  }

  // `to` is zeroed memory for the packed tensor.
  void run(std::byte* to) {
    to_ = to;
    fill(0, 0);
  }

 private:
  // Elements that lie beyond the source stay zero. `from`: source offset of what the outer dims have chosen.
  void fill(size_t level, int64_t from) {
    if (level == dims_.size()) return copy(from, 1, 1);
    const PackedDim dim = dims_[level];
    const int64_t before = at_[dim.source], stride = dim.step * strides_[dim.source];
    if (level + 1 == dims_.size()) return fill_innermost(dim, before, from, stride);
    for (int64_t i = 0; i < dim.extent; ++i) {
      at_[dim.source] = before + i * dim.step;
      fill(level + 1, from + i * stride);
    }
    at_[dim.source] = before;
  }

  void fill_innermost(const PackedDim& dim, int64_t before, int64_t from, int64_t stride) {
    const int64_t left = source_.dims()[dim.source] - before;
    int64_t inside = left <= 0 ? 0 : std::min(dim.extent, (left + dim.step - 1) / dim.step);
    for (size_t i = 0; i < at_.size(); ++i)
      if (i != dim.source && at_[i] >= source_.dims()[i]) inside = 0;
    copy(from, inside, stride);
    to_ += static_cast<size_t>(dim.extent - inside) * size_;
  }

  void copy(int64_t from, int64_t count, int64_t stride) {
    const std::byte* read = source_.raw() + static_cast<size_t>(from) * size_;
    if (stride == 1) {
      if (count > 0) std::memcpy(to_, read, static_cast<size_t>(count) * size_);
      to_ += static_cast<size_t>(count) * size_;
      return;
    }
    switch (size_) {
      case 1: return copy_strided<1>(read, count, stride);
      case 2: return copy_strided<2>(read, count, stride);
      case 4: return copy_strided<4>(read, count, stride);
      case 8: return copy_strided<8>(read, count, stride);
      default: return copy_strided<16>(read, count, stride);
    }
  }

  template <size_t kSize>
  void copy_strided(const std::byte* read, int64_t count, int64_t stride) {
    for (int64_t i = 0; i < count; ++i, to_ += kSize, read += stride * static_cast<int64_t>(kSize))
      std::memcpy(to_, read, kSize);
  }

  const Tensor& source_;
  size_t size_;
  std::vector<int64_t> strides_, at_;  // at_: source coordinates that the outer dims have chosen
  std::vector<PackedDim> dims_;
  std::byte* to_ = nullptr;
};

}  // namespace

Tensor pack_constant(const Constant& constant) {
  if (constant.packing.identity()) return constant.source;
  if (constant.packing.winograd != 0) return winograd_weights(constant.source, constant.packing.winograd);
  Tensor packed = Tensor::zeros(constant.source.elem(), constant.packing.packed_dims(constant.source.dims()));
  // Nobody else holds the new tensor's bytes yet.
  if (packed.bytes() > 0) Packer(constant.source, constant.packing).run(const_cast<std::byte*>(packed.raw()));
  return packed;
}

}  // namespace onnxc
