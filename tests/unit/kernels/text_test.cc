// Kernels of strings: numbers as text and back against libc, case against libc's wide characters.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <random>
#include <string>
#include <vector>

#include "runtime_lib/kernels/text_kernels.h"

namespace {

using namespace onnxc_kernels;

onnxc_string view(const std::string& s) { return {s.data(), s.size()}; }
std::string text(onnxc_string s) { return {s.data, s.bytes}; }

struct RunMemory {
  std::list<std::vector<char>> pieces;
  static void* allocate(void* run, int64_t bytes) {
    return static_cast<RunMemory*>(run)->pieces.emplace_back(static_cast<size_t>(bytes) + 1).data();
  }
};

template <class T, class Bits>
void compare_with_libc(T (*parse)(const char*, char**)) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; ++i) {
    T v = bits_as<T>(static_cast<Bits>(random()));
    if (i % 2) v = static_cast<T>(static_cast<double>(random() % 2000001) / 1000 - 1000);
    if (v != v || v - v != 0) continue;
    char wanted[64], got[64];
    std::snprintf(wanted, sizeof wanted, "%.8g", static_cast<double>(v));
    got[format_float(v, got)] = 0;
    ASSERT_STREQ(got, wanted);
    for (const char* form : {"%.3g", "%.9g", "%.17g", "%.25g"}) {
      std::snprintf(wanted, sizeof wanted, form, static_cast<double>(v));
      T back = 0;
      ASSERT_TRUE(parse_float(view(wanted), &back)) << wanted;
      const T right = parse(wanted, nullptr);
      ASSERT_EQ(std::memcmp(&back, &right, sizeof back), 0) << wanted;
    }
  }
}

TEST(Text, NumbersAsLibcHasThem) {
  compare_with_libc<float, uint32_t>(&std::strtof);
  compare_with_libc<double, uint64_t>(&std::strtod);
}

TEST(Text, OddNumbers) {
  double v = 0;
  for (const char* s : {"1e400", "-1e-400", "0.1e-330", "123456789012345678901234567890", "  +.5", "5.", "1e5x",
                        "12abc", "-0", "2.2250738585072011e-308", "4.9e-324", "1e99999999999", "0e999999"}) {
    ASSERT_TRUE(parse_float(view(s), &v)) << s;
    EXPECT_EQ(v, std::strtod(s, nullptr)) << s;
  }
  const std::string half = "0." + std::string(1000, '0') + "1";
  EXPECT_TRUE(parse_float(view(half), &v) && v == 0);
  for (const char* s : {"", " ", "abc", ".", "-", "e5"}) EXPECT_FALSE(parse_float(view(s), &v)) << s;
  EXPECT_TRUE(parse_float(view("-Infinity"), &v) && v < -1e308);
  int64_t i = 0;
  EXPECT_TRUE(parse_integer(view("-9223372036854775808"), &i) && i == INT64_MIN);
  EXPECT_FALSE(parse_integer(view("9223372036854775808"), &i));
  uint64_t u = 0;
  EXPECT_TRUE(parse_integer(view("18446744073709551615"), &u) && u == UINT64_MAX);
  EXPECT_FALSE(parse_integer(view("18446744073709551616"), &u));
}

TEST(Text, CaseOfUtf8) {
  const int32_t rows[] = {0x41, 0x5A, 1, 32, 0x100, 0x12E, 2, 1, 0x23A, 0x23A, 1, 10795};
  RunMemory memory;
  onnxc_string y;
  ASSERT_EQ(
      change_case(&y, view("aBZ\xC4\x80\xC4\x81\xC8\xBA\xF0\x9F\x98\x80"), rows, 3, &RunMemory::allocate, &memory), 0);
  EXPECT_EQ(text(y), "abz\xC4\x81\xC4\x81\xE2\xB1\xA5\xF0\x9F\x98\x80");
  for (const char* bad : {"\xC0\x80", "\xED\xA0\x80", "\xE2\x82", "\xFF", "\x80", "\xF4\x90\x80\x80", "a\xC4"})
    EXPECT_EQ(change_case(&y, view(bad), rows, 3, &RunMemory::allocate, &memory), kNoUtf8) << bad;
}

std::vector<std::string> split(const std::string& s, const std::string& delimiter, int64_t most) {
  Splitter splitter = {view(s), delimiter.data(), delimiter.size(), most};
  std::vector<std::string> parts;
  for (onnxc_string part; splitter.next(&part);) parts.push_back(text(part));
  return parts;
}

TEST(Text, SplitsAsPythonDoes) {
  using Parts = std::vector<std::string>;
  EXPECT_EQ(split("a,b,,c", ",", -1), (Parts{"a", "b", "", "c"}));
  EXPECT_EQ(split("a,b,c", ",", 1), (Parts{"a", "b,c"}));
  EXPECT_EQ(split("--a--", "--", -1), (Parts{"", "a", ""}));
  EXPECT_EQ(split("  a \t b  ", "", -1), (Parts{"a", "b"}));
  EXPECT_EQ(split("a b c", "", 1), (Parts{"a", "b c"}));
  EXPECT_EQ(split("a", "", 0), (Parts{"a"}));
  EXPECT_EQ(split("", "", -1), Parts{});
  EXPECT_EQ(split("", ",", -1), Parts{""});
}

TEST(Text, TokensAreRunsOfWantedBytes) {
  uint8_t wanted[256] = {};
  for (int c = 'a'; c <= 'z'; ++c) wanted[c] = 1;
  for (int c = 128; c < 256; ++c) wanted[c] = 1;
  const auto tokens = [&](const std::string& s, int64_t least) {
    Tokens t = {view(s), wanted, least};
    std::vector<std::string> found;
    for (onnxc_string token; t.next(&token);) found.push_back(text(token));
    return found;
  };
  using Parts = std::vector<std::string>;
  EXPECT_EQ(tokens("  ab, c\xC3\xA9 d.", 1), (Parts{"ab", "c\xC3\xA9", "d"}));
  EXPECT_EQ(tokens("a bc \xC3\xA9 \xC3\xA9\xC3\xA9", 2), (Parts{"bc", "\xC3\xA9\xC3\xA9"}));
  EXPECT_EQ(tokens("", 1), Parts{});
  EXPECT_EQ(tokens("12 ,", 1), Parts{});
}

}  // namespace
