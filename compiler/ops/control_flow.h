// If, Loop and Scan as branches and loops of the Program, for control_flow.cc, which selects and unrolls the short
// ones. Their shape rules infer the graphs within.
#pragma once

#include "compiler/ops/op.h"

namespace onnxc {

// The only integer that `v` is known to hold.
std::optional<int64_t> known_int(const Value* v);
// Whether the body of a Loop leaves the condition true: a constant, or its own input passed on.
bool stays_true(const Graph& body);

// Whether what the turns of a Loop stack has room for a number of turns that is known before the first.
bool turns_are_bounded(const Node& loop);

Status infer_if(InferContext& c);
Status infer_loop(InferContext& c);
Status infer_scan(InferContext& c);
// Whether carried values keep their types from turn to turn.
bool keeps_types(const Graph& body, size_t first_input, size_t first_output, size_t carried);
Status lower_if(LowerContext& c);
Status lower_loop(LowerContext& c);
Status lower_scan(LowerContext& c);

// The types within a branch. What it would require of a run is not asked for: it may not be taken.
Status infer_branch(Graph& branch);
// Whether the branch of an If only refuses the run (refuse.cc): its results are those of the other branch then.
bool refuses(const Graph& branch);

}  // namespace onnxc
