// The bitcode unit: compiled by clang once per x86-64 level, never by the host compiler (CMakeLists.txt beside this
// file).
#define ONNXC_BITCODE 1
#include "all_kernels.h"
