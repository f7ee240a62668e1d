/* What models that decode pictures call of libonnxc_images.so (runtime_lib/images). Both give 0, or a code of
 * runtime_lib/kernels/README.md. */
#ifndef ONNXC_ABI_IMAGES_H
#define ONNXC_ABI_IMAGES_H

#include <stdint.h>

enum {
  ONNXC_IMAGE_NO_MEMORY = 2,
  ONNXC_IMAGE_UNKNOWN = 8,   /* the bytes begin like no format that is known */
  ONNXC_IMAGE_BROKEN = 9,    /* damaged, cut off, or of a kind that its library does not read */
  ONNXC_IMAGE_TOO_LARGE = 10 /* more than ONNXC_IMAGE_MOST_PIXELS */
};
#define ONNXC_IMAGE_MOST_PIXELS (1 << 28)

enum { ONNXC_IMAGE_RGB, ONNXC_IMAGE_BGR, ONNXC_IMAGE_GRAYSCALE }; /* `format` */

#ifdef __cplusplus
extern "C" {
#endif

/* `dims`: height and width, as the picture's header says. */
__attribute__((visibility("default"))) int32_t onnxc_images_dims(const uint8_t* bytes, int64_t length, int64_t* dims);
/* `pixels`: height * width * 3 (Grayscale: 1) bytes, row by row; the dims must be those of the header. */
__attribute__((visibility("default"))) int32_t onnxc_images_decode(const uint8_t* bytes, int64_t length, int64_t format,
                                                                   int64_t height, int64_t width, uint8_t* pixels);

#ifdef __cplusplus
}
#endif

#endif
