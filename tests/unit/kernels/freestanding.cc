// Compiles all kernels for a Cortex-M, freestanding: firmware must never lose them. Compiled by the test
// unit.kernels_arm_check where arm-none-eabi-g++ is installed; that it compiles without a warning is the test.
#include "runtime_lib/kernels/all_kernels.h"

extern "C" void dense(float* y, const float* a, const float* b, const float* bias) {
  onnxc_gemm_f32(y, a, b, bias, nullptr, 1, 10, 32, 32, 10, 1, 0, 0, 0, 240);
  onnxc_softmax_f32(y, y, 10, 0, 1);
}
