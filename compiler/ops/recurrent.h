// The way down of RNN, GRU and LSTM to kernels (recurrent_kernels.cc); recurrent.cc has the shapes and the way by
// nests.
#pragma once

#include "compiler/ops/op.h"

namespace onnxc {

// Whether the kernels of runtime_lib/kernels/recurrent.h compute this node: f32, constant weights, biases and
// peepholes, the default activations (or relu for RNN).
bool has_recurrent_kernel(const LowerContext& c);

// The products of the inputs of all steps and directions as one gemm, then one kernel call for all steps.
Status lower_recurrent_kernel(LowerContext& c);

// ONNX's names of activations are compared without regard to case.
std::string lower_case(std::string s);

}  // namespace onnxc
