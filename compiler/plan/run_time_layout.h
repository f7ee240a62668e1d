// The layout of an arena whose blocks have sizes that only a run knows: the order of a layout that was made for likely
// sizes, with places that follow from the sizes. Tested in tests/unit/plan_test.cc.
#pragma once

#include <span>
#include <vector>

#include "compiler/ir/plan.h"
#include "compiler/plan/arena.h"

namespace onnxc {

// Bytes of a block: the largest of these.
using BlockSize = std::vector<Dim>;

struct RunTimeLayout {
  std::vector<Dim> offsets;  // one per block
  Dim bytes;                 // a multiple of kArenaAlignment
  std::vector<RunTimeBytes> named;
};

// Of two blocks that live at the same time, the one that is lower in `likely` stays so: the other begins at its end or
// above. At the likely sizes no place is higher than in `likely`; at any others, no two such blocks overlap. Where all
// sizes are constant, `likely` itself. `prefix`: of the names.
RunTimeLayout follow_layout(std::span<const ArenaBlock> blocks, const ArenaLayout& likely,
                            std::span<const BlockSize> sizes, const std::string& prefix = "@");

// The stage at whose end an output of such dims gets its memory: when all of them are known, even where one is 0.
size_t stage_of_output(const Shape& dims, const StageOfSymbol& known);

}  // namespace onnxc
