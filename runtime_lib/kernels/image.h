// Pictures (ImageDecoder): calls of libonnxc_images.so, which decodes them. Tested in tests/api/test_images.py.
#ifndef ONNXC_KERNELS_IMAGE_H
#define ONNXC_KERNELS_IMAGE_H

#include "../abi/images.h"
#include "kernel.h"

ONNXC_KERNEL int32_t onnxc_image_dims(int64_t* dims, const uint8_t* bytes, int64_t length) {
  return onnxc_images_dims(bytes, length, dims);
}

ONNXC_KERNEL int32_t onnxc_decode_image(uint8_t* y, const uint8_t* bytes, int64_t length, int64_t format,
                                        int64_t height, int64_t width) {
  return onnxc_images_decode(bytes, length, format, height, width, y);
}

#endif
