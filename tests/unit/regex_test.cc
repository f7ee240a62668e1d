// Patterns as automata: what they match, what is no pattern, and what is too much. That they match what RE2 matches is
// tested against ONNX Runtime in tests/differential/test_strings.py.
#include "compiler/ops/regex.h"

#include <gtest/gtest.h>

namespace onnxc::regex {
namespace {

bool matches(const std::string& pattern, const std::string& text) {
  const auto a = compile(pattern);
  EXPECT_TRUE(a.ok()) << pattern << ": " << (a.ok() ? "" : a.error().str());
  return a.ok() && a.value().matches(text);
}

TEST(Regex, MatchesTheWholeText) {
  EXPECT_TRUE(matches("a(b|c)*d", "abcbd"));
  EXPECT_FALSE(matches("a(b|c)*d", "abcbd "));
  EXPECT_TRUE(matches("", ""));
  EXPECT_FALSE(matches("", "a"));
  EXPECT_TRUE(matches("x{2,3}", "xxx"));
  EXPECT_FALSE(matches("x{2,3}", "xxxx"));
  EXPECT_TRUE(matches("x{,3}", "x{,3}"));
}

TEST(Regex, ReadsCharactersNotBytes) {
  EXPECT_TRUE(matches("..", "\xC3\xA4\xE2\x82\xAC"));                // ä€
  EXPECT_TRUE(matches("[\xC3\xA4-\xC3\xB6]+", "\xC3\xA5\xC3\xB6"));  // ä-ö
  EXPECT_TRUE(matches("[^a]", "\xF0\x9F\x98\x80"));
  EXPECT_FALSE(matches(".", "\xC3"));
  EXPECT_TRUE(
      matches("(?i)stra\xC3\x9F"
              "E",
              "STRA\xE1\xBA\x9E"
              "e"));  // ß and its capital
}

TEST(Regex, LooksAround) {
  EXPECT_TRUE(matches("\\bfoo\\b bar", "foo bar"));
  EXPECT_FALSE(matches("foo\\Bbar\\B", "foobar"));
  EXPECT_TRUE(matches("(?m)a$\\n^b", "a\nb"));
  EXPECT_FALSE(matches("a$\\n^b", "a\nb"));
}

TEST(Regex, RefusesWhatIsNoPattern) {
  for (const char* pattern : {"(", ")", "a)", "[", "[a", "[b-a]", "*", "a**", "a|*", "\\", "\\q", "\\1", "x{2,1}",
                              "x{1001}", "(?z)", "(?P<>a)", "[[:nothing:]]", "\\x{110000}", "\xFF"}) {
    const auto a = compile(pattern);
    ASSERT_FALSE(a.ok()) << pattern;
    EXPECT_EQ(a.error().kind(), ErrorKind::InvalidModel) << pattern;
  }
}

TEST(Regex, RefusesWhatIsTooMuch) {
  std::string nested;
  for (int i = 0; i < 10000; ++i) nested += '(';
  EXPECT_FALSE(compile(nested).ok());
  for (const char* pattern : {"((x{1000}){1000}){1000}", "(a|b)*a(a|b){40}", "(.{1000}){1000}", "\\pL"}) {
    const auto a = compile(pattern);
    ASSERT_FALSE(a.ok()) << pattern;
    EXPECT_EQ(a.error().kind(), ErrorKind::Unsupported) << pattern;
  }
}

}  // namespace
}  // namespace onnxc::regex
