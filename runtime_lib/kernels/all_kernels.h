// Every kernel: what emitted C++ includes, and what kernels.cc turns into bitcode.
#ifndef ONNXC_KERNELS_ALL_KERNELS_H
#define ONNXC_KERNELS_ALL_KERNELS_H

#include "arg_max.h"
#include "attention.h"
#include "conv_blocked.h"
#include "conv_depthwise.h"
#include "conv_first.h"
#include "conv_plain.h"
#include "conv_winograd.h"
#include "convert.h"
#include "cumulative.h"
#include "gemm.h"
#include "gemm_integer.h"
#include "grid_sample.h"
#include "integer.h"
#include "math_f32.h"
#include "math_f64.h"
#include "non_max_suppression.h"
#include "nonzero.h"
#include "pool.h"
#include "quantize.h"
#include "recurrent.h"
#include "resize_taps.h"
#include "rows.h"
#include "sequence.h"
#include "svm.h"
#include "top_k.h"
#include "transpose.h"
#include "unique.h"

#endif
