// Lists (axes, starts ...) whose length only a run knows, brought to the length that they have at most.
#pragma once

#include "compiler/ops/graph_writer.h"

namespace onnxc {

// An axis that no tensor has.
inline constexpr int64_t kNoAxis = int64_t{1} << 60;

bool has_free_length(const Value* list);

// What a ShortList holds beyond the entries that there are.
struct ShortListAttrs {
  int64_t fill = 0;
  bool positions = false;       // 0, 1, 2 ... instead of the entries
  bool at_end = false;          // the entries come last, the fill before them
  bool all_when_empty = false;  // 0, 1, 2 ... where there is no entry
};
// i64[length] before the writer's node; a run with more entries is refused.
Value* short_list(GraphWriter& writer, Value* list, size_t length, const ShortListAttrs& attrs);

}  // namespace onnxc
