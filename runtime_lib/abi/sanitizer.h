// ONNXC_ADDRESS_SANITIZER: defined where this unit is instrumented by AddressSanitizer.
#ifndef ONNXC_ABI_SANITIZER_H
#define ONNXC_ABI_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ONNXC_ADDRESS_SANITIZER 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ONNXC_ADDRESS_SANITIZER 1
#endif

#endif
