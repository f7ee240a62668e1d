// What emitted code uses beside kernels: places in memory, integer arithmetic that wraps.
#ifndef ONNXC_EMITTED_SUPPORT_H
#define ONNXC_EMITTED_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

// Keeps each operation a function of its own: quick to compile, and visible in profiles.
#define ONNXC_OPERATION __attribute__((noinline))

namespace onnxc_support {
namespace {

template <class T>
inline T* at(unsigned char* base, int64_t offset) {
  return reinterpret_cast<T*>(base + offset);
}
template <class T>
inline const T* at(const unsigned char* base, int64_t offset) {
  return reinterpret_cast<const T*>(base + offset);
}

// What of 0 .. extent - 1 a thread runs: whole grains, dealt out as evenly as can be, to `parts` threads at most.
struct Share {
  int64_t begin, end;
};
template <class Frame>
inline Share share_of(const Frame* frame, int64_t extent, int64_t grain, int64_t parts) {
  const int64_t grains = (extent + grain - 1) / grain;
  const int64_t threads = parts && parts < frame->threads ? parts : frame->threads;
  const int64_t begin = (grains * frame->thread + threads - 1) / threads * grain;
  const int64_t end = (grains * (frame->thread + 1) + threads - 1) / threads * grain;
  return {begin < extent ? begin : extent, end < extent ? end : extent};
}

// Two's complement, whatever the width.
template <size_t bytes>
struct WrapAs {
  using type = uint32_t;
};
template <>
struct WrapAs<8> {
  using type = uint64_t;
};
template <class T>
using Wrap = typename WrapAs<sizeof(T)>::type;
template <class T>
inline T wrap_add(T a, T b) {
  return static_cast<T>(static_cast<Wrap<T>>(a) + static_cast<Wrap<T>>(b));
}
template <class T>
inline T wrap_sub(T a, T b) {
  return static_cast<T>(static_cast<Wrap<T>>(a) - static_cast<Wrap<T>>(b));
}
template <class T>
inline T wrap_mul(T a, T b) {
  return static_cast<T>(static_cast<Wrap<T>>(a) * static_cast<Wrap<T>>(b));
}
template <class T>
inline T wrap_neg(T a) {
  return static_cast<T>(0 - static_cast<Wrap<T>>(a));
}

template <class T>
inline T least(T a, T b) {
  return b < a ? b : a;
}
template <class T>
inline T greatest(T a, T b) {
  return b > a ? b : a;
}

// Index arithmetic: towards minus infinity; b > 0.
inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
inline int64_t floor_mod(int64_t a, int64_t b) { return a % b + (a % b < 0 ? b : 0); }

// The nearest int64.
inline int64_t sum(int64_t a, int64_t b) {
  int64_t r;
  return !__builtin_add_overflow(a, b, &r) ? r : a < 0 ? INT64_MIN : INT64_MAX;
}
template <class... Rest>
inline int64_t sum(int64_t a, int64_t b, int64_t c, Rest... rest) {
  return sum(sum(a, b), c, rest...);
}
inline int64_t product(int64_t a, int64_t b) {
  int64_t r;
  return !__builtin_mul_overflow(a, b, &r) ? r : (a < 0) != (b < 0) ? INT64_MIN : INT64_MAX;
}

template <class To, class From>
inline To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From), "the widths differ");
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

}  // namespace
}  // namespace onnxc_support

#endif
