// Sequences and optionals whose elements only a run knows (runtime_lib/abi/sequence.h says how they lie in memory).
// Values are made, never changed: an insertion at the end of the longest sequence of a list takes the next entry of the
// list, any other makes a list of its own. Codes: 1 a position is out of range, 2 no memory, 5 an element has another
// type or shape, 6 an optional has no element, 7 the parts are not the whole. A position that is null is the end.
// Tested in tests/unit/kernels/sequence_test.cc.
#ifndef ONNXC_KERNELS_SEQUENCE_H
#define ONNXC_KERNELS_SEQUENCE_H

#include "../abi/sequence.h"
#include "kernel.h"

namespace onnxc_kernels {

using Allocate = void* (*)(void* run, int64_t bytes);

// What a tensor is, beside its data.
struct ElementForm {
  int64_t elem, elem_bytes, rank, dims[8];

  ONNXC_INLINE int64_t count() const {
    int64_t n = 1;
    for (int64_t d = 0; d < rank; ++d) n *= dims[d];
    return n;
  }
  ONNXC_INLINE bool fits(const onnxc_value& value) const {
    bool same = value.elem == elem && value.rank == uint64_t(rank);
    for (int64_t d = 0; same && d < rank; ++d) same = value.dims[d] == dims[d];
    return same;
  }
};

ONNXC_INLINE const onnxc_list* list_of(const int64_t* sequence) {
  return reinterpret_cast<const onnxc_list*>(static_cast<intptr_t>(sequence[1]));
}
ONNXC_INLINE onnxc_list* list_of(int64_t* sequence) {
  return reinterpret_cast<onnxc_list*>(static_cast<intptr_t>(sequence[1]));
}
ONNXC_INLINE void set_sequence(int64_t* sequence, int64_t length, const onnxc_list* list) {
  sequence[0] = length;
  sequence[1] = static_cast<int64_t>(reinterpret_cast<intptr_t>(list));
}

ONNXC_INLINE onnxc_list* make_list(int64_t capacity, Allocate allocate, void* run) {
  if (capacity > INT64_MAX / int64_t(sizeof(onnxc_value)) - 1) return nullptr;
  auto* list =
      static_cast<onnxc_list*>(allocate(run, int64_t(sizeof(onnxc_list)) + capacity * int64_t(sizeof(onnxc_value))));
  if (!list) return nullptr;
  list->used = 0;
  list->capacity = capacity;
  return list;
}

ONNXC_INLINE void copy_values(onnxc_value* to, const onnxc_value* from, int64_t count) {
  ONNXC_ROLLED
  for (int64_t i = 0; i < count; ++i) to[i] = from[i];
}

// Makes `value` a tensor of that form with memory of its own; false when there is none.
ONNXC_INLINE bool make_tensor(onnxc_value& value, const ElementForm& form, Allocate allocate, void* run) {
  const int64_t bytes = form.count() * form.elem_bytes;
  value = {};
  value.struct_size = sizeof value;
  value.kind = ONNXC_TENSOR;
  value.elem = onnxc_elem(form.elem);
  value.rank = uint32_t(form.rank);
  ONNXC_ROLLED
  for (int64_t d = 0; d < form.rank; ++d) value.dims[d] = form.dims[d];
  value.capacity = uint64_t(bytes);
  value.data = allocate(run, bytes > 0 ? bytes : 1);
  return value.data != nullptr;
}

// Where the position points in 0 .. places - 1, or -1.
ONNXC_INLINE int64_t place_of(const int64_t* position, int64_t length, int64_t places) {
  const int64_t at = position ? (*position < 0 ? *position + length : *position) : places - 1;
  return at >= 0 && at < places ? at : -1;
}

// Copies [outer][extent][inner] bytes between tensors whose rows lie `to_step` and `from_step` apart.
ONNXC_INLINE void copy_rows(unsigned char* to, int64_t to_step, const unsigned char* from, int64_t from_step,
                            int64_t outer, int64_t bytes) {
  ONNXC_ROLLED
  for (int64_t o = 0; bytes && o < outer; ++o)
    __builtin_memcpy(to + o * to_step, from + o * from_step, static_cast<size_t>(bytes));
}

// See onnxc_sequence_split.
ONNXC_INLINE int32_t split(int64_t* out, const void* tensor, const int64_t* sizes, int64_t count, int64_t axis,
                           bool keepdims, const ElementForm& whole, Allocate allocate, void* run) {
  const int64_t extent = whole.dims[axis];
  int64_t outer = 1, inner = whole.elem_bytes, sum = 0;
  ONNXC_ROLLED
  for (int64_t d = 0; d < whole.rank; ++d) {
    if (d < axis) outer *= whole.dims[d];
    if (d > axis) inner *= whole.dims[d];
  }
  ONNXC_ROLLED
  for (int64_t i = 0; sizes && i < count; ++i) {
    if (sizes[i] < 0 || sizes[i] > extent - sum) return 7;
    sum += sizes[i];
  }
  if (sizes ? sum != extent : count < 1) return 7;
  const int64_t parts = sizes ? count : extent / count + (extent % count != 0);
  onnxc_list* list = make_list(parts, allocate, run);
  if (!list) return 2;
  const auto* from = static_cast<const unsigned char*>(tensor);
  int64_t at = 0;
  ONNXC_ROLLED
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t size = sizes ? sizes[i] : count < extent - at ? count : extent - at;
    ElementForm part = whole;
    part.dims[axis] = size;
    if (!keepdims) {
      part.rank = whole.rank - 1;
      ONNXC_ROLLED
      for (int64_t d = axis; d < part.rank; ++d) part.dims[d] = whole.dims[d + 1];
    }
    if (!make_tensor(list->values[i], part, allocate, run)) return 2;
    copy_rows(static_cast<unsigned char*>(list->values[i].data), size * inner, from + at * inner, extent * inner, outer,
              size * inner);
    at += size;
  }
  list->used = parts;
  set_sequence(out, parts, list);
  return 0;
}

}  // namespace onnxc_kernels

// `in` (null: none) with the tensor inserted.
ONNXC_KERNEL int32_t onnxc_sequence_insert(int64_t* out, const int64_t* in, const void* tensor, const int64_t* position,
                                           int64_t elem, int64_t elem_bytes, int64_t rank, int64_t d0, int64_t d1,
                                           int64_t d2, int64_t d3, int64_t d4, int64_t d5, int64_t d6, int64_t d7,
                                           void* (*allocate)(void*, int64_t), void* run) {
  using namespace onnxc_kernels;
  const ElementForm form{elem, elem_bytes, rank, {d0, d1, d2, d3, d4, d5, d6, d7}};
  int64_t old[2] = {in ? in[0] : 0, in ? in[1] : 0};
  const int64_t length = old[0] < 0 ? 0 : old[0], at = place_of(position, length, length + 1);
  if (at < 0) return 1;
  onnxc_value value;
  if (!make_tensor(value, form, allocate, run)) return 2;
  if (value.capacity) __builtin_memcpy(value.data, tensor, static_cast<size_t>(value.capacity));
  onnxc_list* list = list_of(old);
  if (!list || at < length || list->used != length || list->capacity == length) {
    onnxc_list* own = make_list(length < 4 ? 8 : 2 * length, allocate, run);
    if (!own) return 2;
    if (list) {
      copy_values(own->values, list->values, at);
      copy_values(own->values + at + 1, list->values + at, length - at);
    }
    list = own;
  }
  list->values[at] = value;
  list->used = length + 1;
  set_sequence(out, length + 1, list);
  return 0;
}

ONNXC_KERNEL int32_t onnxc_sequence_erase(int64_t* out, const int64_t* in, const int64_t* position,
                                          void* (*allocate)(void*, int64_t), void* run) {
  using namespace onnxc_kernels;
  const int64_t length = in[0], at = place_of(position, length, length);
  if (at < 0) return 1;
  const onnxc_list* list = list_of(in);
  if (at < length - 1) {
    onnxc_list* own = make_list(length - 1, allocate, run);
    if (!own) return 2;
    copy_values(own->values, list->values, at);
    copy_values(own->values + at, list->values + at + 1, length - 1 - at);
    own->used = length - 1;
    list = own;
  }
  set_sequence(out, length - 1, list);
  return 0;
}

// The dims of the element there, which must be of that element type and rank.
ONNXC_KERNEL int32_t onnxc_sequence_at_dims(int64_t* dims, const int64_t* in, const int64_t* position, int64_t elem,
                                            int64_t rank) {
  using namespace onnxc_kernels;
  const int64_t length = in[0], at = place_of(position, length, length);
  if (at < 0) return 1;
  const onnxc_value& value = list_of(in)->values[at];
  if (value.elem != elem || value.rank != uint64_t(rank)) return 5;
  ONNXC_ROLLED
  for (int64_t d = 0; d < rank; ++d) dims[d] = value.dims[d];
  return 0;
}

ONNXC_KERNEL int32_t onnxc_sequence_at(void* out, const int64_t* in, const int64_t* position, int64_t elem,
                                       int64_t elem_bytes, int64_t rank, int64_t d0, int64_t d1, int64_t d2, int64_t d3,
                                       int64_t d4, int64_t d5, int64_t d6, int64_t d7) {
  using namespace onnxc_kernels;
  const ElementForm form{elem, elem_bytes, rank, {d0, d1, d2, d3, d4, d5, d6, d7}};
  const int64_t length = in[0], at = place_of(position, length, length);
  if (at < 0) return 1;
  const onnxc_value& value = list_of(in)->values[at];
  if (!form.fits(value)) return 5;
  if (const int64_t bytes = form.count() * elem_bytes) __builtin_memcpy(out, value.data, static_cast<size_t>(bytes));
  return 0;
}

// Parts of the tensor along `axis`: of the extents sizes[0 .. count - 1], or, where `sizes` is null, of `count` each,
// the last one perhaps smaller. `keepdims` 0: parts of one, without the axis.
ONNXC_KERNEL int32_t onnxc_sequence_split(int64_t* out, const void* tensor, const int64_t* sizes, int64_t count,
                                          int64_t axis, int64_t keepdims, int64_t elem, int64_t elem_bytes,
                                          int64_t rank, int64_t d0, int64_t d1, int64_t d2, int64_t d3, int64_t d4,
                                          int64_t d5, int64_t d6, int64_t d7, void* (*allocate)(void*, int64_t),
                                          void* run) {
  using namespace onnxc_kernels;
  const ElementForm whole{elem, elem_bytes, rank, {d0, d1, d2, d3, d4, d5, d6, d7}};
  return split(out, tensor, sizes, count, axis, keepdims != 0, whole, allocate, run);
}

// The same for parts of `*size` each.
ONNXC_KERNEL int32_t onnxc_sequence_split_even(int64_t* out, const void* tensor, const int64_t* size, int64_t axis,
                                               int64_t keepdims, int64_t elem, int64_t elem_bytes, int64_t rank,
                                               int64_t d0, int64_t d1, int64_t d2, int64_t d3, int64_t d4, int64_t d5,
                                               int64_t d6, int64_t d7, void* (*allocate)(void*, int64_t), void* run) {
  using namespace onnxc_kernels;
  const ElementForm whole{elem, elem_bytes, rank, {d0, d1, d2, d3, d4, d5, d6, d7}};
  return split(out, tensor, nullptr, *size, axis, keepdims != 0, whole, allocate, run);
}

// The dims of the elements joined along `axis` (of the result; new_axis 1: one that they have not), which must have
// that element type, `rank` dims together, and fit. Without any element: `of_none` (null: that is an error).
ONNXC_KERNEL int32_t onnxc_sequence_concat_dims(int64_t* dims, const int64_t* in, const int64_t* of_none, int64_t axis,
                                                int64_t new_axis, int64_t elem, int64_t rank) {
  using namespace onnxc_kernels;
  const int64_t length = in[0], own = rank - new_axis;
  if (length < 1) {
    ONNXC_ROLLED
    for (int64_t d = 0; of_none && d < rank; ++d) dims[d] = of_none[d];
    return of_none ? 0 : 1;
  }
  const onnxc_value* values = list_of(in)->values;
  int64_t total = 0;
  ONNXC_ROLLED
  for (int64_t i = 0; i < length; ++i) {
    if (values[i].elem != elem || values[i].rank != uint64_t(own)) return 5;
    ONNXC_ROLLED
    for (int64_t d = 0; d < own; ++d)
      if ((new_axis || d != axis) && values[i].dims[d] != values[0].dims[d]) return 5;
    total += new_axis ? 1 : values[i].dims[axis];
  }
  ONNXC_ROLLED
  for (int64_t d = 0; d < rank; ++d) dims[d] = d == axis ? total : values[0].dims[new_axis && d > axis ? d - 1 : d];
  return 0;
}

// `out` has the dims that onnxc_sequence_concat_dims gave; d0 .. are what the compiler takes for them.
ONNXC_KERNEL int32_t onnxc_sequence_concat(void* out, const int64_t* in, const int64_t* dims, int64_t axis,
                                           int64_t new_axis, int64_t elem, int64_t elem_bytes, int64_t rank, int64_t d0,
                                           int64_t d1, int64_t d2, int64_t d3, int64_t d4, int64_t d5, int64_t d6,
                                           int64_t d7) {
  using namespace onnxc_kernels;
  const ElementForm form{elem, elem_bytes, rank, {d0, d1, d2, d3, d4, d5, d6, d7}};
  int64_t outer = 1, inner = elem_bytes;
  ONNXC_ROLLED
  for (int64_t d = 0; d < rank; ++d) {
    if (dims[d] != form.dims[d]) return 5;
    if (d < axis) outer *= form.dims[d];
    if (d > axis) inner *= form.dims[d];
  }
  const onnxc_value* values = list_of(in)->values;
  auto* to = static_cast<unsigned char*>(out);
  int64_t at = 0;
  ONNXC_ROLLED
  for (int64_t i = 0; i < in[0]; ++i) {
    const int64_t bytes = (new_axis ? 1 : values[i].dims[axis]) * inner;
    copy_rows(to + at, form.dims[axis] * inner, static_cast<const unsigned char*>(values[i].data), bytes, outer, bytes);
    at += bytes;
  }
  return 0;
}

// The sequence that an optional one holds.
ONNXC_KERNEL int32_t onnxc_optional_sequence(int64_t* out, const int64_t* in) {
  if (in[0] < 0) return 6;
  out[0] = in[0];
  out[1] = in[1];
  return 0;
}

#endif
