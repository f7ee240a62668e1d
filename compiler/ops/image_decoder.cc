// ImageDecoder (onnx/docs/Operators.md): the height and width that the picture's header tells, then its pixels, both by
// libonnxc_images.so (runtime_lib/images). Tested by tests/conformance and tests/api/test_images.py.
#include "compiler/ops/indexing.h"
#include "runtime_lib/abi/images.h"

namespace onnxc {
namespace {

using namespace indexing;

Result<int64_t> pixel_format(const Node& node) {
  const std::string format = node.attr_string("pixel_format", "RGB");
  if (format == "RGB") return ONNXC_IMAGE_RGB;
  if (format == "BGR") return ONNXC_IMAGE_BGR;
  if (format == "Grayscale") return ONNXC_IMAGE_GRAYSCALE;
  return Error(ErrorKind::InvalidModel, "there is no pixel_format \"" + format + "\": it must be RGB, BGR or Grayscale",
               node.where());
}

Status infer_image_decoder(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  ONNXC_ASSIGN(const int64_t format, pixel_format(c.node));
  if (c.elem(0) != Elem::U8 || (c.has_shape(0) && c.shape(0).size() != 1))
    return c.invalid("the encoded picture must be a list of bytes (uint8), not " + c.in(0).str());
  const Dim channels(format == ONNXC_IMAGE_GRAYSCALE ? 1 : 3);
  return c.set(0, Elem::U8, {c.unknown("height"), c.unknown("width"), channels}), ok();
}

Status lower_image_decoder(LowerContext& c) {
  if (c.target().level == Level::Generic)
    return c.unsupported("pictures are decoded by libonnxc_images.so, which --mcpu=generic cannot count on",
                         "decode before the model, or compile for an x86-64 level");
  ONNXC_ASSIGN(const int64_t format, pixel_format(c.node()));
  ONNXC_ASSIGN(const BufferId x, c.in(0));
  const Dim length = numel(c.in_shape(0));
  const BufferId dims = c.temporary(Elem::I64, {Dim(2)});
  c.emit(Call("image_dims").out(dims).in(x).arg("length", length).may_fail().op());
  const Shape& shape = c.out_shape();
  c.define(shape[0], dims, 0);
  c.define(shape[1], dims, 1);
  Call decode("decode_image");
  decode.out(c.out()).in(x).arg("length", length).arg("format", format);
  c.emit(decode.arg("height", shape[0]).arg("width", shape[1]).may_fail().op());
  return ok();
}

}  // namespace

// As a random operator it is never folded: the compiler does not load the library.
OP(ImageDecoder) = {.name = "ImageDecoder",
                    .infer = infer_image_decoder,
                    .lower = lower_image_decoder,
                    .defines_dims = true,
                    .random = true};

}  // namespace onnxc
