// The kernels of strings: what emitted C++ includes where a model has strings, and what text_kernels.cc turns into
// bitcode.
#ifndef ONNXC_KERNELS_TEXT_KERNELS_H
#define ONNXC_KERNELS_TEXT_KERNELS_H

#include "decimal.h"
#include "text.h"
#include "text_case.h"

#endif
