// The bitcode unit of the kernels of strings, of trees and of pictures: one for all levels, since nothing in it is
// vectorised.
#define ONNXC_BITCODE 1
#include "text_kernels.h"

#include "image.h"
#include "trees.h"
