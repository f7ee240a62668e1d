// Regular expressions in the syntax of RE2 (github.com/google/re2/wiki/Syntax), made into automata over the bytes of
// UTF-8 at compile time, so that a run only follows a table. Tested in tests/unit/regex_test.cc and, against ONNX
// Runtime, in tests/differential/test_strings.py.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "compiler/support/result.h"

namespace onnxc::regex {

// Deterministic. State 0 is the one that nothing leads out of; the first is `start`. Bytes that no state tells apart
// are one class.
struct Automaton {
  std::array<uint8_t, 256> classes{};
  int64_t class_count = 0, start = 0;
  std::vector<int32_t> next;     // [state][class]
  std::vector<uint8_t> accepts;  // [state]: whether a text may end there
  int64_t states() const { return static_cast<int64_t>(accepts.size()); }
  bool matches(std::string_view text) const;
};

// The automaton of all texts that `pattern` matches from their first to their last character. Errors: InvalidModel (no
// pattern), Unsupported (Unicode classes by name; more than kMostStates).
inline constexpr int64_t kMostStates = 20000;
Result<Automaton> compile(const std::string& pattern);

}  // namespace onnxc::regex
