// Every kernel: what emitted C++ includes, and what kernels.cc turns into bitcode.
#ifndef ONNXC_KERNELS_ALL_KERNELS_H
#define ONNXC_KERNELS_ALL_KERNELS_H

#include "convert.h"
#include "integer.h"
#include "math_f32.h"
#include "math_f64.h"

#endif
