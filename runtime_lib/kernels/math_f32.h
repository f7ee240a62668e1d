// Elementary functions of single precision: polynomials (from tools/fit_math_coefficients.py f32) and the C functions
// onnxc_<op>_f32. Algorithms: math.h, math_more.h. Tested in tests/unit/kernels/math_test.cc.
#ifndef ONNXC_KERNELS_MATH_F32_H
#define ONNXC_KERNELS_MATH_F32_H

#include "math_more.h"

namespace onnxc_kernels {

template <>
struct Coefficients<float> {
  // (e^r - 1 - r) / r^2; error 2^-26.92
  template <class V>
  static ONNXC_INLINE V exp(V x) {
    return poly(x, 5.0e-1f, 1.6666576666e-1f, 4.1666554213e-2f, 8.3632328837e-3f, 1.3926250831e-3f);
  }
  // (2^r - 1) / r; error 2^-27.92
  template <class V>
  static ONNXC_INLINE V exp2(V x) {
    return poly(x, 6.9314718807e-1f, 2.4022650761e-1f, 5.5503568986e-2f, 9.6180823706e-3f, 1.3390978248e-3f,
                1.5453262409e-4f);
  }
  // (log((1+s)/(1-s)) - 2 s) / s^3, z = s^2; error 2^-34.78
  template <class V>
  static ONNXC_INLINE V log(V x) {
    return poly(x, 6.6666666554e-1f, 4.0000121957e-1f, 2.8550807482e-1f, 2.3330829986e-1f);
  }
  // (log((1+s)/(1-s)) - 2 s) / s^3, z = s^2, for pow; error 2^-42.08
  template <class V>
  static ONNXC_INLINE V log_precise(V x) {
    return poly(x, 6.6666666667e-1f, 3.9999998796e-1f, 2.8571754852e-1f, 2.2191380789e-1f, 1.9363043049e-1f);
  }
  // (sin r - r) / r^3, z = r^2; error 2^-35.74
  template <class V>
  static ONNXC_INLINE V sin(V x) {
    return poly(x, -1.6666666664e-1f, 8.333331866e-3f, -1.9840082013e-4f, 2.7249314055e-6f);
  }
  // (cos r - 1 + r^2/2) / r^4, z = r^2; error 2^-30.28
  template <class V>
  static ONNXC_INLINE V cos(V x) {
    return poly(x, 4.1666664647e-2f, -1.3888300697e-3f, 2.454743721e-5f);
  }
  // (tan r - r) / r^3, z = r^2; error 2^-27.46
  template <class V>
  static ONNXC_INLINE V tan(V x) {
    return poly(x, 3.333333399e-1f, 1.3333229485e-1f, 5.3994784617e-2f, 2.1618611475e-2f, 9.9709612002e-3f,
                1.1712547119e-3f, 3.8514785094e-3f);
  }
  // (asin x - x) / x^3, z = x^2; error 2^-29.83
  template <class V>
  static ONNXC_INLINE V asin(V x) {
    return poly(x, 1.6666666337e-1f, 7.5000947612e-2f, 4.4599319163e-2f, 3.1101727829e-2f, 1.7143716819e-2f,
                3.3700726321e-2f);
  }
  // (atan x - x) / x^3, z = x^2; error 2^-29.48
  template <class V>
  static ONNXC_INLINE V atan(V x) {
    return poly(x, -3.3333333081e-1f, 1.9999949321e-1f, -1.4284003795e-1f, 1.1088261629e-1f, -8.9318267774e-2f,
                7.03191425e-2f, -4.8960514027e-2f, 2.630500111e-2f, -9.1446297606e-3f, 1.4886919393e-3f);
  }
  // (sinh x - x) / x^3, z = x^2; error 2^-32.22
  template <class V>
  static ONNXC_INLINE V sinh(V x) {
    return poly(x, 1.6666666647e-1f, 8.3333396759e-3f, 1.9838101969e-4f, 2.8062802582e-6f);
  }
  // log2(erfc(x)) / x; error of erf 2^-27.9
  template <class V>
  static ONNXC_INLINE V erf(V x) {
    return poly(x, -1.6279070351f, -9.1844762452e-1f, -1.4827707461e-1f, 2.76320618e-2f, 2.313439369e-4f,
                -2.4049534808e-3f, 9.129583926e-4f, -1.6971143051e-4f, 1.3352952108e-5f);
  }
};

}  // namespace onnxc_kernels

ONNXC_MATH_FUNCTIONS(f32, float)

#endif
