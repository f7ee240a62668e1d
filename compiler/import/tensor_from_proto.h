// TensorProto -> Tensor: every element type and every way of storing it. Sub-byte types come out one element per byte.
// Tested in tests/unit/import_test.cc.
#pragma once

#include <string>

#include "compiler/import/external_data.h"
#include "compiler/import/proto.h"
#include "compiler/ir/tensor.h"
#include "compiler/support/result.h"

namespace onnxc {

// Takes raw_data out of `proto` instead of copying it. `external` may be null: external data is refused then.
Result<Tensor> tensor_from_proto(onnx::TensorProto& proto, ExternalData* external, const std::string& where);
// Dense form of a sparse tensor (zeros where nothing is stored).
Result<Tensor> tensor_from_sparse(onnx::SparseTensorProto& proto, ExternalData* external, const std::string& where);

// The inverse, for onnx's own function builders, which want constants as messages.
void tensor_to_proto(const Tensor& tensor, onnx::TensorProto* proto);

}  // namespace onnxc
