// Messages -> Graph. Accepts what real exporters write: nodes in any order, initializers that are or are not inputs,
// declared types of anything but inputs and what custom operators
// give ignored. Refuses dangling and duplicate names and cycles, naming the node.
// Constant nodes become constants. Tested in tests/unit/import_test.cc.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compiler/import/external_data.h"
#include "compiler/import/input_types.h"
#include "compiler/import/onnx_schemas.h"
#include "compiler/import/proto.h"
#include "compiler/ir/graph.h"
#include "compiler/support/options.h"
#include "compiler/support/result.h"

namespace onnxc {

struct GraphSource {
  Opsets opsets;                     // of the model or function
  ExternalData* external = nullptr;  // null: none allowed
  DimNames* dim_names = nullptr;     // filled with the names of the inputs' dims
  const std::map<std::pair<std::string, std::string>, CustomOp>* custom_ops = nullptr;  // Options::custom_ops
};

// Subgraphs deeper than this are refused.
inline constexpr int kMaxGraphDepth = 40;

// The main graph of a model whose model-local functions are inlined. Tensors' bytes are taken out of `proto`.
// Every operator that is valid but not ours is listed in one Unsupported error.
Result<std::unique_ptr<Graph>> graph_from_proto(onnx::GraphProto& proto, const GraphSource& source);

// The body of a function that onnx itself ships, for a call with these attributes; `inputs` and `outputs` say which
// of the call's are there (absent inputs stay absent in the body).
Result<std::unique_ptr<Graph>> graph_from_function(onnx::FunctionProto& proto, const Node& call,
                                                   const std::map<std::string, Attr>& attributes,
                                                   const GraphSource& source);

// AttributeProto <-> Attr, for attributes without graphs.
Result<Attr> attr_from_proto(onnx::AttributeProto& proto, ExternalData* external, const std::string& where);
// False for graphs.
bool attr_to_proto(const std::string& name, const Attr& attr, onnx::AttributeProto* proto);

}  // namespace onnxc
