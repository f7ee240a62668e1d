// TypeProto -> Type, and what --dim and --shape make of the types of the model's inputs.
// A named dim becomes a symbol (a name such as "past + 1" an expression), a dim without name, or a negative one, a
// fresh symbol "INPUT.AXIS". Tested in tests/unit/import_test.cc.
#pragma once

#include <map>
#include <string>

#include "compiler/import/proto.h"
#include "compiler/ir/graph.h"
#include "compiler/support/options.h"
#include "compiler/support/result.h"

namespace onnxc {

// The dims that the file names, by the file's own spelling.
using DimNames = std::map<std::string, Dim>;

// `value`: the input's name. With `names` null (inputs of subgraphs) shapes are left out: the rule of the node that
// holds the subgraph knows better than the file.
Result<Type> type_from_proto(const onnx::TypeProto& proto, const std::string& value, DimNames* names);
void type_to_proto(const Type& type, onnx::TypeProto* proto);

// Applies options.dims and options.shapes to the inputs of `graph`. Unknown names and contradictions are Usage errors.
Status apply_shape_options(Graph& graph, const DimNames& names, const Options& options);

}  // namespace onnxc
