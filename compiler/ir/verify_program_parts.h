// The parts of verify_program: declarations of buffers; expressions, calls and loop nests.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "compiler/ir/program.h"
#include "compiler/support/result.h"

namespace onnxc {

// What is visible at a point of a Program.
struct VerifyScope {
  const Program& program;
  std::set<std::string> symbols;  // scalars, symbols of input dims, loop variables
  std::map<std::string, Elem> lets;
  std::map<std::string, int64_t> extents;  // of loop variables, where constant

  std::string name(BufferId b) const;  // "%x"
  Error bug(const std::string& message) const { return Error(ErrorKind::Internal, message); }
  Status check_dim(const Dim& dim, const std::string& what) const;  // no overflow, symbols known
  Status check_buffer(BufferId b) const;                            // in range
  // `guarded`: evaluated only where some condition holds, so that indices may leave the buffer elsewhere.
  Status check_index_list(BufferId b, const std::vector<Expr>& at, bool guarded) const;
  Status check_index_range(BufferId b, size_t axis, const Expr& index) const;
  Status check_expr(const Expr& e, bool guarded = false) const;
  Status check_call(const KernelCall& call, bool in_nest) const;
};

// Buffers, constants, inputs and outputs, without the operations.
Status verify_buffers(const Program& program);
// The statements of a nest, in a scope of their own.
Status verify_block(const Block& block, VerifyScope scope);
// Whether the nest may be split along the axis: it has one outermost loop, over the axis, and whatever it writes
// depends on it.
Status verify_nest_partition(const Nest& nest, const Partition& partition, const VerifyScope& scope);

}  // namespace onnxc
