// The invariants of a Program. Checked after lowering in tests and debug builds, and on every textual Program. Tested
// in tests/unit/verify_program_test.cc, one planted violation per rule.
//
//   - Buffers: ids in range; dims, strides, halo and layout of one rank; no overflow; views inside their base where
//   static,
//     without cycles; constants of the packed source's size; inputs and outputs in the order of the model's.
//   - Scalars (and the symbols of input dims) are defined before a Dim uses them, once, within their region or loop
//   nest.
//   - A buffer is written before it is read, a Dynamic one allocated before either; inputs and constants are never
//     written; every output is written.
//   - Expressions are typed; index lists have the buffer's rank; affine indices stay inside its dims and halo, except
//   in
//     the arms of a Select and in a Store with a condition.
//   - Kernel calls: operands with indices only inside nests; scratch is arena memory that no operand names; what is
//   both
//     read and written is `inout`.
//   - If and Loop: as many yields as results, of the same element types, and of the same dims where memory is not
//   owned.
//   - Partition: of a kernel call, or of a nest by its single outermost loop, on which every store depends. Reductions
//   are
//     therefore never regrouped.
//   - in_place names a written and a read buffer with elements of one size.
#pragma once

#include "compiler/ir/program.h"
#include "compiler/support/result.h"

namespace onnxc {

// An Internal error names the operation (number, kind, origins) and the buffer.
Status verify_program(const Program& program);

}  // namespace onnxc
