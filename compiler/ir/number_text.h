// Text of numbers and of constant tensors, exact in both directions. Tested in tests/unit/program_text_test.cc.
#pragma once

#include <string>

#include "compiler/ir/elem.h"
#include "compiler/ir/tensor.h"
#include "compiler/ir/text_lexer.h"

namespace onnxc {

// Shortest text that reads back as the same number: "1.0", "1e-07", "-inf", "nan", "nan(0x7fc00001)" for unusual NaNs.
std::string float_text(double value);
std::string float_text(float value);
std::string hex_text(uint64_t bits);
// The number of such a text, as a double or rounded once to a float (and widened).
Result<double> parse_float(Cursor& cursor, bool single);

inline constexpr int64_t kMostInlineValues = 64;

// "{1.0, 2.0}", "splat 1.0", or "opaque 0x..." (a hash) above kMostInlineValues elements. f16 and narrower floats are
// written as bits.
std::string tensor_values_text(const Tensor& tensor);
// Sets `opaque` to the hash's text when that is all there is; the tensor holds zeros then.
Result<Tensor> parse_tensor_values(Cursor& cursor, Elem elem, std::vector<int64_t> dims, std::string* opaque);

}  // namespace onnxc
