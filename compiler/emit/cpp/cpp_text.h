// Spelling of C++: identifiers, types, literals, dims. Tested in tests/unit/emit_cpp_test.cc.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/ir/dim.h"
#include "compiler/ir/elem.h"

namespace onnxc::cpp {

// The C++ type of one element in memory, and of a value of an expression of this type.
std::string storage_type(Elem e);  // "float", "uint16_t" (f16), "uint8_t" (bool, f8 ...)
std::string value_type(Elem e);    // the same, but "bool" for bool

std::string float_literal(Elem e, double value);  // F32 or F64: "1.5f", "0x1.8p-3", "__builtin_inff()"
std::string int_literal(Elem e, int64_t value);   // "-3", "INT64_MIN", "7u"
std::string quoted(std::string_view text);        // a C string literal
std::string comment_text(std::string_view text);  // fit for one // comment

// Joins with ", ".
std::string join(const std::vector<std::string>& items, std::string_view separator = ", ");

// Gives each name a C identifier of its own. `neutral`: identifiers that do not depend on the names, so that two
// functions that differ in nothing else print alike.
class Names {
 public:
  explicit Names(bool neutral = false);
  // The identifier of `name` in this scope: the same each time.
  const std::string& of(const std::string& name);
  // The same, for the place where it is declared.
  const std::string& declare(const std::string& name);
  // An identifier that no other name has.
  std::string fresh(const std::string& stem);
  // Names that were used and never declared, in the order of their first use.
  const std::vector<std::string>& undeclared() const { return undeclared_; }

 private:
  bool neutral_;
  std::map<std::string, std::string> given_;
  std::set<std::string> taken_, declared_;
  std::vector<std::string> undeclared_;
};

// C identifier made of `text`, not made distinct.
std::string identifier(std::string_view text);

// An integer expression over `names`; `of`: what stands for a symbol.
std::string dim_text(const Dim& dim, Names& names);
std::string dim_text(const Dim& dim, const std::function<std::string(const std::string&)>& of);
// The same, where what is larger than int64 holds is the largest.
std::string saturating_text(const Dim& dim, const std::function<std::string(const std::string&)>& of);

}  // namespace onnxc::cpp
