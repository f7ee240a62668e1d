// When each buffer lives: the operations between its first and its last use. Views count as uses of the buffer that
// holds their memory. Tested in tests/unit/plan_test.cc.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/ir/program.h"

namespace onnxc {

// Positions number the operations in the order of a walk that visits an If or Loop before the operations of its
// regions. The end of a region has a position, too, at which its yields are copied.
struct LiveRange {
  int64_t first = -1, last = -1;  // inclusive; -1: never used
  bool used() const { return first >= 0; }
  bool overlaps(const LiveRange& o) const { return used() && o.used() && first <= o.last && o.first <= last; }
};

struct Liveness {
  std::vector<LiveRange> ranges;             // one per buffer; a view has its root's
  std::vector<const Operation*> operations;  // by position; points into the Program
};

// What is used in a Loop's body and outside it, or read there before it is written, lives through all of the loop. The
// yields of a region are read, and the results of an If or Loop written, at the region's end.
Liveness compute_liveness(const Program& program);

}  // namespace onnxc
