// --debug-plan: every arena buffer has a guard of ONNXC_GUARD_BYTES on both sides (the planner leaves the room), is
// filled with NaN bits at birth and death, and the guards around it are checked after each operation that writes it.
// Under AddressSanitizer the guards are poisoned too, so that an over-read is caught where it happens. Called by both
// back ends' bodies. Tested in tests/unit/abi_test.cc.
#ifndef ONNXC_ABI_DEBUG_PLAN_H
#define ONNXC_ABI_DEBUG_PLAN_H

#include "frame.h"
#include "message.h"

#define ONNXC_GUARD_BYTES 64
#define ONNXC_GUARD_BYTE 0xA5
// 0xFF bytes are NaN in every float type of IEEE form, -1 in signed integers.
#define ONNXC_FILL_BYTE 0xFF

extern "C" {

// `buffer`: the first byte of the extent, halo included; its guards lie directly before and after its `bytes`.
ONNXC_ENTRY void onnxc_debug_fill(unsigned char* buffer, uint64_t bytes) {
  for (uint64_t i = 0; i < bytes; ++i) buffer[i] = ONNXC_FILL_BYTE;
}

ONNXC_ENTRY void onnxc_debug_guard(unsigned char* buffer, uint64_t bytes) {
  for (uint64_t i = 0; i < ONNXC_GUARD_BYTES; ++i) {
    *(buffer - 1 - i) = ONNXC_GUARD_BYTE;
    buffer[bytes + i] = ONNXC_GUARD_BYTE;
  }
}

// ONNXC_OK, or ONNXC_INTERNAL with a message that names the buffer and the operation after which the damage was seen.
ONNXC_ENTRY int32_t onnxc_debug_check(const onnxc_frame* frame, const unsigned char* buffer, uint64_t bytes,
                                      const char* name, const char* operation) {
  for (uint64_t i = 0; i < ONNXC_GUARD_BYTES; ++i) {
    const bool before = *(buffer - 1 - i) != ONNXC_GUARD_BYTE;
    if (!before && buffer[bytes + i] == ONNXC_GUARD_BYTE) continue;
    onnxc_entry::Message(frame->message) << "debug-plan: " << operation << " wrote "
                                         << (before ? "before the start" : "beyond the end") << " of buffer '" << name
                                         << "', " << static_cast<int64_t>(i + 1) << " bytes away";
    return ONNXC_INTERNAL;
  }
  return ONNXC_OK;
}

}  // extern "C"

#endif
