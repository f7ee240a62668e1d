// Sequences and optionals: types of elements, and sequences that the compiler can list. The operators are in
// sequence.cc and, where only a run knows the elements, sequence_lowering.cc.
#pragma once

#include <optional>
#include <vector>

#include "compiler/ops/op.h"

namespace onnxc {

// A dim of a sequence's element that need not be the same for all elements.
Dim varying_dim();
// What holds for elements of either type: of the same element type.
Type joined_elements(const Type& a, const Type& b);

inline bool is_sequence(const Type& t) { return t.kind == Type::Kind::Sequence; }
inline bool is_optional(const Type& t) { return t.kind == Type::Kind::Optional; }
// Of a sequence, an optional, or an optional sequence: the tensor within.
const Type& element_type(const Type& t);
// Of ConcatFromSequence: where a pass knows that no element means no row.
inline constexpr const char* kMayBeEmpty = "may_be_empty";

// Whether both are sequences, optionals, or sequences and optionals of these, of tensors of one element type, so that
// they lie in memory alike; and their common type, an optional where one of them is.
bool is_joinable(const Type& a, const Type& b);
Type joined_lists(const Type& a, const Type& b);

// The elements of a sequence that operators of the graph, or of those around, list.
std::optional<std::vector<Value*>> listed_elements(const Value* sequence);

// ---- ways down where a run knows the elements
Status lower_sequence_construct(LowerContext& c);
Status lower_sequence_empty(LowerContext& c);
Status lower_sequence_insert(LowerContext& c);
Status lower_sequence_erase(LowerContext& c);
Status lower_sequence_at(LowerContext& c);
Status lower_sequence_length(LowerContext& c);
Status lower_split_to_sequence(LowerContext& c);
Status lower_concat_from_sequence(LowerContext& c);
Status lower_optional(LowerContext& c);
Status lower_optional_has_element(LowerContext& c);
Status lower_optional_get_element(LowerContext& c);
Status lower_list_identity(LowerContext& c);

}  // namespace onnxc
