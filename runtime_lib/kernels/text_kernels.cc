// The bitcode unit of the kernels of strings and of trees: one for all levels, since nothing in it is vectorised.
#define ONNXC_BITCODE 1
#include "text_kernels.h"

#include "trees.h"
