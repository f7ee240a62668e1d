// Model-local functions: replaced by their bodies, through onnx's inliner. Refuses functions that call themselves
// and expansions that would explode. Tested in tests/unit/import_test.cc.
#pragma once

#include "compiler/import/proto.h"
#include "compiler/support/result.h"

namespace onnxc {

// More nodes than this after inlining are refused: no model needs them, a hostile one may ask for 2^60.
inline constexpr int64_t kMaxInlinedNodes = 4'000'000;
inline constexpr int kMaxCallDepth = 64;

Status inline_functions(onnx::ModelProto& model);

}  // namespace onnxc
