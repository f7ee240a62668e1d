// Numbers as text and back, correctly rounded. A Decimal holds every digit of a finite double; it is multiplied and
// divided by powers of two digit by digit (the method of Go's strconv, "simple decimal conversion"). Tested in
// tests/unit/kernels/text_test.cc.
#ifndef ONNXC_KERNELS_DECIMAL_H
#define ONNXC_KERNELS_DECIMAL_H

#include "text.h"

namespace onnxc_kernels {

// 0.d0 d1 d2 ... * 10^point
struct Decimal {
  static constexpr int kMost = 800;
  static constexpr int kMostShift = 59;  // a digit times 2^59 and a carry fit 64 bits
  uint8_t digits[kMost];
  int count = 0, point = 0;
  bool more = false;  // digits that are not 0 have been cut

  void trim() {
    while (count && !digits[count - 1]) --count;
    if (!count) point = 0;
  }
  void push(int digit) {
    if (count < kMost)
      digits[count++] = static_cast<uint8_t>(digit);
    else
      more = more || digit;
  }
  void set(uint64_t v) {
    uint8_t reversed[20];
    int n = 0;
    for (; v; v /= 10) reversed[n++] = static_cast<uint8_t>(v % 10);
    count = 0;
    point = n;
    while (n) digits[count++] = reversed[--n];
    trim();
  }
  void double_times(int k) {  // 0 < k <= kMostShift
    uint64_t carry = 0;
    for (int i = count; i-- > 0;) {
      carry += static_cast<uint64_t>(digits[i]) << k;
      digits[i] = static_cast<uint8_t>(carry % 10);
      carry /= 10;
    }
    uint8_t reversed[20];
    int n = 0;
    for (; carry; carry /= 10) reversed[n++] = static_cast<uint8_t>(carry % 10);
    for (int i = count; i-- > 0;) {
      if (i + n < kMost)
        digits[i + n] = digits[i];
      else
        more = more || digits[i];
    }
    count = count + n < kMost ? count + n : kMost;
    point += n;
    for (int i = 0; n; ++i) digits[i] = reversed[--n];
    trim();
  }
  void halve_times(int k) {  // 0 < k <= kMostShift
    int read = 0, written = 0;
    uint64_t rest = 0;
    for (; rest >> k == 0; ++read) {
      if (read >= count && !rest) {
        count = 0;
        return trim();
      }
      rest = 10 * rest + (read < count ? digits[read] : 0);
    }
    point -= read - 1;
    const uint64_t mask = (uint64_t{1} << k) - 1;
    while (read < count || rest) {
      const int digit = static_cast<int>(rest >> k);
      const uint64_t next = 10 * (rest & mask) + (read < count ? digits[read] : 0);
      ++read;
      if (written < kMost)
        digits[written++] = static_cast<uint8_t>(digit);
      else
        more = more || digit;
      rest = next;
    }
    count = written;
    trim();
  }
  void shift(int k) {
    while (k && count) {
      const int step = k > kMostShift ? kMostShift : k < -kMostShift ? -kMostShift : k;
      if (step > 0)
        double_times(step);
      else
        halve_times(-step);
      k -= step;
    }
  }
  // Whether what follows the first n digits makes them one more: more than a half, or a half of an odd one.
  bool rounds_up(int n) const {
    if (n < 0 || n >= count) return false;
    if (digits[n] == 5 && n + 1 == count) return more || (n > 0 && digits[n - 1] % 2);
    return digits[n] >= 5;
  }
  void round(int n) {  // to n digits
    if (n >= count) return;
    const bool up = rounds_up(n);
    count = n;
    if (up) {
      while (count && digits[count - 1] == 9) --count;
      if (!count) {
        digits[count++] = 1;
        ++point;
      } else {
        ++digits[count - 1];
      }
    }
    trim();
  }
  uint64_t rounded_integer() const {
    uint64_t v = 0;
    int i = 0;
    for (; i < point && i < count; ++i) v = 10 * v + digits[i];
    for (; i < point; ++i) v *= 10;
    return v + rounds_up(point);
  }
};

template <class T>
struct FloatParts;
template <>
struct FloatParts<float> {
  using Bits = uint32_t;
  static constexpr int kMantissa = 23, kExponent = 8, kBias = -127, kExactDigits = 7, kExactPower = 10, kPrinted = 8;
};
template <>
struct FloatParts<double> {
  using Bits = uint64_t;
  static constexpr int kMantissa = 52, kExponent = 11, kBias = -1023, kExactDigits = 15, kExactPower = 22, kPrinted = 8;
};

template <class T>
T nearest(Decimal& d) {
  using P = FloatParts<T>;
  using Bits = typename P::Bits;
  constexpr uint64_t kTop = (uint64_t{1} << P::kExponent) - 1;
  const auto made = [](uint64_t exponent, uint64_t mantissa) {
    return bits_as<T>(static_cast<Bits>(exponent << P::kMantissa | mantissa));
  };
  if (!d.count || d.point < -400) return 0;
  if (d.point > 400) return made(kTop, 0);
  constexpr int kPowers[] = {1, 3, 6, 9, 13, 16, 19, 23, 26};
  int exponent = 0;
  while (d.point > 0) {
    const int n = d.point > 8 ? 27 : kPowers[d.point];
    d.shift(-n);
    exponent += n;
  }
  while (d.point < 0 || (d.point == 0 && d.digits[0] < 5)) {
    const int n = -d.point > 8 ? 27 : kPowers[-d.point];
    d.shift(n);
    exponent -= n;
  }
  --exponent;  // of a number in [1, 2)
  if (exponent < P::kBias + 1) {
    d.shift(exponent - (P::kBias + 1));
    exponent = P::kBias + 1;
  }
  if (exponent - P::kBias >= static_cast<int>(kTop)) return made(kTop, 0);
  d.shift(P::kMantissa + 1);
  uint64_t mantissa = d.rounded_integer();
  constexpr uint64_t kOne = uint64_t{1} << P::kMantissa;
  if (mantissa == 2 * kOne) {
    mantissa /= 2;
    if (++exponent - P::kBias >= static_cast<int>(kTop)) return made(kTop, 0);
  }
  if (mantissa < kOne) exponent = P::kBias;
  return made(static_cast<uint64_t>(exponent - P::kBias), mantissa & (kOne - 1));
}

// Reads characters of a text, 0 at its end.
struct Reader {
  onnxc_string text;
  uint64_t at = 0;
  char peek(uint64_t ahead = 0) const { return at + ahead < text.bytes ? text.data[at + ahead] : '\0'; }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  void skip_spaces() {
    while (Splitter::is_space(peek())) ++at;
  }
  bool take_sign() {
    const bool negative = peek() == '-';
    if (negative || peek() == '+') ++at;
    return negative;
  }
  bool take_word(const char* word) {  // in small letters; either case is taken
    uint64_t n = 0;
    for (; word[n]; ++n)
      if ((peek(n) | 0x20) != word[n]) return false;
    at += n;
    return true;
  }
};

// As strtod reads it, of what there is at the front; false where that is no number.
template <class T>
bool parse_float(onnxc_string text, T* out) {
  using P = FloatParts<T>;
  Reader r = {text};
  r.skip_spaces();
  const bool negative = r.take_sign();
  const T sign = negative ? T(-1) : T(1);
  if (r.take_word("inf")) return *out = sign * T(__builtin_inff()), true;
  if (r.take_word("nan")) return *out = bits_as<T>(bits_as<typename P::Bits>(T(__builtin_nanf("")))), true;
  Decimal d;
  bool any = false, after = false;
  uint64_t small = 0;
  int kept = 0;
  for (;; ++r.at) {
    const char c = r.peek();
    if (c == '.' && !after) {
      after = true;
      continue;
    }
    if (!Reader::is_digit(c)) break;
    any = true;
    if (c == '0' && !d.count) {
      d.point -= after;
      continue;
    }
    if (kept < 19) small = 10 * small + static_cast<uint64_t>(c - '0'), ++kept;
    d.push(c - '0');
    d.point += !after;
  }
  if (!any) return false;
  if ((r.peek() | 0x20) == 'e') {
    const bool sign_given = r.peek(1) == '-' || r.peek(1) == '+';
    if (Reader::is_digit(r.peek(1 + sign_given))) {
      ++r.at;
      const bool down = r.take_sign();
      int exponent = 0;
      for (; Reader::is_digit(r.peek()); ++r.at)
        if (exponent < 100000) exponent = 10 * exponent + (r.peek() - '0');
      d.point += down ? -exponent : exponent;
    }
  }
  const int power = d.point - d.count;  // of the last digit
  if (d.count <= P::kExactDigits && power >= -P::kExactPower && power <= P::kExactPower) {
    T v = static_cast<T>(small), scale = 1;
    for (int i = 0; i < (power < 0 ? -power : power); ++i) scale *= 10;
    *out = sign * (power < 0 ? v / scale : v * scale);
    return true;
  }
  d.trim();
  *out = sign * nearest<T>(d);
  return true;
}

// As strtoll reads it; false where there is no number or it does not fit.
template <class T>
bool parse_integer(onnxc_string text, T* out) {
  constexpr bool kSigned = T(-1) < T(0);
  Reader r = {text};
  r.skip_spaces();
  const bool negative = r.take_sign();
  if (!Reader::is_digit(r.peek())) return false;
  uint64_t v = 0;
  for (; Reader::is_digit(r.peek()); ++r.at)
    if (__builtin_mul_overflow(v, uint64_t{10}, &v) ||
        __builtin_add_overflow(v, static_cast<uint64_t>(r.peek() - '0'), &v))
      return false;
  if (kSigned && v > static_cast<uint64_t>(INT64_MAX) + negative) return false;
  *out = static_cast<T>(negative ? 0 - v : v);
  return true;
}

constexpr int kMostNumberBytes = 32;

template <class T>
uint64_t format_integer(T v, char* to) {
  const bool negative = v < T(0);
  uint64_t rest = negative ? 0 - static_cast<uint64_t>(v) : static_cast<uint64_t>(v), bytes = 0;
  char reversed[20];
  int n = 0;
  do reversed[n++] = static_cast<char>('0' + rest % 10);
  while (rest /= 10);
  if (negative) to[bytes++] = '-';
  while (n) to[bytes++] = reversed[--n];
  return bytes;
}

// As printf's %.8g writes it; NaN, INF and -INF.
template <class T>
uint64_t format_float(T v, char* to) {
  using P = FloatParts<T>;
  uint64_t bytes = 0;
  const auto put = [&](char c) { to[bytes++] = c; };
  const auto put_word = [&](const char* word) {
    for (; *word; ++word) put(*word);
    return bytes;
  };
  if (v != v) return put_word("NaN");
  const uint64_t bits = bits_as<typename P::Bits>(v);
  if (bits >> (P::kMantissa + P::kExponent)) put('-');
  constexpr uint64_t kTop = (uint64_t{1} << P::kExponent) - 1, kOne = uint64_t{1} << P::kMantissa;
  const uint64_t exponent = bits >> P::kMantissa & kTop;
  if (exponent == kTop) return put_word("INF");
  Decimal d;
  d.set((bits & (kOne - 1)) | (exponent ? kOne : 0));
  if (!d.count) return put_word("0");
  d.shift(static_cast<int>(exponent ? exponent : 1) + P::kBias - P::kMantissa);
  d.round(P::kPrinted);
  const int power = d.point - 1;
  const auto digit = [&](int i) { put(static_cast<char>('0' + (i >= 0 && i < d.count ? d.digits[i] : 0))); };
  if (power < -4 || power >= P::kPrinted) {
    digit(0);
    if (d.count > 1) put('.');
    for (int i = 1; i < d.count; ++i) digit(i);
    put('e');
    put(power < 0 ? '-' : '+');
    const int size = power < 0 ? -power : power;
    if (size < 10) put('0');
    bytes += format_integer<int64_t>(size, to + bytes);
    return bytes;
  }
  for (int i = 0; i < d.point; ++i) digit(i);
  if (d.point <= 0) put('0');
  if (d.count > d.point) put('.');
  for (int i = d.point; i < 0; ++i) put('0');
  for (int i = d.point < 0 ? 0 : d.point; i < d.count; ++i) digit(i);
  return bytes;
}

// Texts of numbers in memory of the run.
template <class T, class Format>
ONNXC_INLINE int32_t format_all(onnxc_string* y, const T* x, int64_t n, Format format, Allocate allocate, void* run) {
  for (int64_t i = 0; i < n; ++i) {
    char text[kMostNumberBytes];
    const uint64_t bytes = format(x[i], text);
    char* to = static_cast<char*>(allocate(run, static_cast<int64_t>(bytes)));
    if (!to) return kNoMemory;
    copy_bytes(to, text, bytes);
    y[i] = {to, bytes};
  }
  return 0;
}

}  // namespace onnxc_kernels

#define ONNXC_TEXT_OF_NUMBERS(elem, type, parse, format)                                         \
  ONNXC_KERNEL int32_t onnxc_parse_texts_##elem(type* y, const onnxc_string* x, int64_t n) {     \
    for (int64_t i = 0; i < n; ++i)                                                              \
      if (!onnxc_kernels::parse<type>(x[i], &y[i])) return onnxc_kernels::kNoNumber;             \
    return 0;                                                                                    \
  }                                                                                              \
  ONNXC_KERNEL int32_t onnxc_format_texts_##elem(onnxc_string* y, const type* x, int64_t n,      \
                                                 void* (*allocate)(void*, int64_t), void* run) { \
    return onnxc_kernels::format_all(y, x, n, onnxc_kernels::format<type>, allocate, run);       \
  }
ONNXC_TEXT_OF_NUMBERS(f32, float, parse_float, format_float)
ONNXC_TEXT_OF_NUMBERS(f64, double, parse_float, format_float)
ONNXC_TEXT_OF_NUMBERS(i64, int64_t, parse_integer, format_integer)
ONNXC_TEXT_OF_NUMBERS(u64, uint64_t, parse_integer, format_integer)
#undef ONNXC_TEXT_OF_NUMBERS

#endif
