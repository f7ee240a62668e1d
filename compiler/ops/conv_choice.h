// Direct or Winograd: which form a convolution of 3x3 taps or 2x2 takes, by a cost model and an accuracy guard. The
// model's figures stand in conv_choice.cc. Tested in tests/unit/conv_choice_test.cc and tests/lit/lower.
#pragma once

#include <cstdint>
#include <string>

#include "compiler/ir/dim.h"
#include "compiler/ir/tensor.h"
#include "compiler/support/options.h"
#include "compiler/support/target.h"

namespace onnxc {

// A convolution of 2 or 3 taps per axis, stride 1, dilation 1, one group; where a run decides its extents, likely ones.
struct SmallConv {
  int64_t n, ic, oc, oh, ow;
  int64_t kh = 3, kw = 3;
};

struct ConvForm {
  int m = 0;          // outputs per dimension of a Winograd tile: 2 or 4; 0: direct
  int64_t block = 0;  // tiles that are transformed together at most
  std::string note;   // what the accuracy guard found; empty when it was not asked
};

// `model_bytes`: of all constants of the model, which decides whether weights come from memory or stay in a cache.
ConvForm choose_conv_form(const SmallConv& conv, const Tensor& weights, int64_t model_bytes, const Target& target,
                          const Options& options);

// Of the form's kernel over `n` images of oh x ow outputs: into how many shares its work is cut, the floats of scratch
// that all of them need, and about how many products it makes.
struct WinogradWork {
  Dim shares, scratch, products;
};
WinogradWork winograd_work(const SmallConv& conv, const ConvForm& form, const Dim& n, const Dim& oh, const Dim& ow);

}  // namespace onnxc
