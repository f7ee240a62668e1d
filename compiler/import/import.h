// ONNX file -> Graph. The only room that sees protobuf.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "compiler/ir/graph.h"
#include "compiler/support/options.h"
#include "compiler/support/result.h"

namespace onnxc {

struct ImportedModel {
  std::unique_ptr<Graph> graph;      // operators at the newest opset, types declared by the file on inputs only, sorted
  std::array<uint8_t, 32> sha256{};  // of the file's bytes
};

// Reads options.input: parse, check, inline model-local functions, map external data (confined to the model's folder),
// upgrade to the newest opset by the operators' own rows, apply --dim and --shape. Shapes are not inferred yet.
Result<ImportedModel> import_model(const Options& options);

}  // namespace onnxc
