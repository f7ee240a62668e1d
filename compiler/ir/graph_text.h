// The text form of a Graph: one node per line, parsed back to the same graph (ids apart). Tested in
// tests/unit/graph_text_test.cc.
//
//   graph @main {
//     metadata "producer" = "pytorch"
//     input %x: f32[N, 3, 224, 224]
//     %w: f32[1, 3, 1, 1] = constant {0.5, -1.0, 2.0}
//     %y: f32[N, 1, 224, 224] = Conv @conv1(%x, %w, _) {strides = [1, 1], auto_pad = "VALID"}  // from: conv1, "bn 1"
//     %i: i64[2] is {N, 3} = Identity(%shape)
//     output %y
//   }
//
// Names that are not made of letters, digits and _ . - / stand in quotes: %"a b". `_` is an absent input or output; a
// type is what Type::str() gives; `is {..}` tells contents that are known. Floats have a point, an exponent, or are inf
// or nan. Tensors: {values} (narrow floats as their bits in hex), `splat value`, or, above 64 elements, `opaque
// 0xHASH`, which is read as zeros. Empty lists: ints[], floats[], strings[]; tensors[..] and graphs[..] are always
// spelt so. Types as attributes: type f32[2].
// `//` begins a comment; only `// from:` at the end of a node means something.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "compiler/ir/graph.h"
#include "compiler/support/result.h"

namespace onnxc {

std::string print_graph(const Graph& graph);
std::string print_node(const Node& node);  // its line, without subgraphs' insides
// Errors name the line.
Result<std::unique_ptr<Graph>> parse_graph(std::string_view text);

}  // namespace onnxc
