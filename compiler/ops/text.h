// Strings in lowerings: constants as the kernels of runtime_lib/kernels/text.h read them, and calls of these.
#pragma once

#include <string>
#include <vector>

#include "compiler/ops/indexing.h"

namespace onnxc::text {

// A packed list.
Tensor pack(const std::vector<std::string>& texts);

// The bytes of one text, at least one, for kernels that take its length apart.
Tensor characters(const std::string& text);

// A hash table of keys, of equal ones the first, whose numbers a look-up gives.
struct HashTable {
  Tensor slots, keys;  // keys: of a packed list, or integers
  int64_t mask = 0;
};
HashTable hash_table(const std::vector<std::string>& keys);
HashTable hash_table(const std::vector<int64_t>& keys);

// An I64 that is the same for equal numbers and for all NaN; what look-ups of numbers go by.
Expr number_key(const Expr& x);
int64_t number_key(const Tensor& numbers, int64_t i);

// The number of each element of input i (strings, or numbers by number_key) among the keys of a table, -1 where it is
// none of them.
Result<BufferId> find(LowerContext& c, size_t i, const HashTable& table);
// Output i takes the texts of these numbers; `otherwise` is the one of numbers that have none.
void take(LowerContext& c, size_t i, BufferId numbers, std::vector<std::string> texts, const std::string& otherwise);

// Code points that differ in case alone, orbit by orbit.
const std::vector<std::vector<uint32_t>>& case_orbits();

// Cast and CastLike of strings and to strings.
Status lower_cast(LowerContext& c);

}  // namespace onnxc::text
