// Which operations the threads of a run share, and where they must meet. Tested in tests/unit/partition_test.cc and
// tests/lit/program/.
#pragma once

#include "compiler/ir/plan.h"

namespace onnxc {

// How long the operation takes one thread, about; for the choice below only. Nests by their statements, kernel calls by
// their stated work or, without, by the bytes that they touch.
double estimate_nanoseconds(const Program& program, const Operation& op);

// Sets the parts of each partitioned operation so that a part is worth a thread's while: what is too small becomes one
// grain, which is serial. Nests whose outermost loop has few turns get a better loop of theirs outermost, where that
// changes nothing that they compute. Operations of regions become serial: an If or Loop is one serial operation.
// False, and nothing is changed, when threads would gain less than they cost.
// `grain_nanoseconds`: what a thread's part takes at least; 0: whatever can be shared is.
bool choose_partitions(Program& program, int64_t grain_nanoseconds);

// Inserts the fewest barriers such that no two operations between which no barrier stands touch one byte, one of them
// writing it, from different threads. Needs every place, since buffers that share memory conflict too.
void insert_barriers(Plan& plan);

// Two operations of one list between which a barrier is missing, as indices; first < 0: none.
struct MissingBarrier {
  int64_t first = -1, second = -1;
};
MissingBarrier find_missing_barrier(const Plan& plan);

}  // namespace onnxc
