// --debug-plan: every arena buffer has a place of its own with a guard on both sides (the planner leaves the room). Its
// extent is filled with 0xFF (NaN in every float type) at birth and death, and the guards are checked after each
// operation. Under AddressSanitizer whatever does not live is poisoned too, so that a wrong read is caught where it
// happens. Called by both back ends' bodies. Tested in tests/unit/abi_test.cc.
#ifndef ONNXC_ABI_DEBUG_PLAN_H
#define ONNXC_ABI_DEBUG_PLAN_H

#include "frame.h"
#include "message.h"
#include "sanitizer.h"

#define ONNXC_GUARD_BYTE 0xA5u
#define ONNXC_FILL_BYTE 0xFFu

// One arena buffer: its extent, halo included, and the operations between which it lives, inclusive.
typedef struct onnxc_debug_buffer {
  const char* name;
  int64_t offset, bytes;
  int32_t first, last;
} onnxc_debug_buffer;

typedef struct onnxc_debug_plan {
  const onnxc_debug_buffer* buffers;
  int64_t count;
  int64_t guard_bytes;
} onnxc_debug_plan;

#ifdef ONNXC_ADDRESS_SANITIZER
extern "C" void __asan_poison_memory_region(const volatile void* memory, size_t bytes);
extern "C" void __asan_unpoison_memory_region(const volatile void* memory, size_t bytes);
#define ONNXC_POISON(memory, bytes) __asan_poison_memory_region(memory, static_cast<size_t>(bytes))
#define ONNXC_UNPOISON(memory, bytes) __asan_unpoison_memory_region(memory, static_cast<size_t>(bytes))
#else
#define ONNXC_POISON(memory, bytes) static_cast<void>(memory)
#define ONNXC_UNPOISON(memory, bytes) static_cast<void>(memory)
#endif

namespace onnxc_entry {
namespace {

inline void fill(unsigned char* memory, int64_t bytes, unsigned value) {
  for (int64_t i = 0; i < bytes; ++i) memory[i] = static_cast<unsigned char>(value);
}

// Bytes of the guard that were changed, counted from the extent outwards; 0: none.
inline int64_t damage(const unsigned char* nearest, int64_t step, int64_t guard_bytes) {
  for (int64_t i = 0; i < guard_bytes; ++i)
    if (nearest[i * step] != ONNXC_GUARD_BYTE) return i + 1;
  return 0;
}

}  // namespace
}  // namespace onnxc_entry

extern "C" {

// At the start of a body.
ONNXC_ENTRY void onnxc_debug_start(const onnxc_frame* frame, const onnxc_debug_plan* plan) {
  for (int64_t i = 0; i < plan->count; ++i) {
    const onnxc_debug_buffer& b = plan->buffers[i];
    unsigned char* extent = frame->arena + b.offset;
    onnxc_entry::fill(extent - plan->guard_bytes, plan->guard_bytes, ONNXC_GUARD_BYTE);
    onnxc_entry::fill(extent + b.bytes, plan->guard_bytes, ONNXC_GUARD_BYTE);
  }
  for (int64_t i = 0; i < plan->count; ++i) {
    const onnxc_debug_buffer& b = plan->buffers[i];
    ONNXC_POISON(frame->arena + b.offset - plan->guard_bytes, b.bytes + 2 * plan->guard_bytes);
  }
}

// Before operation `index`: fills the buffers that are born there.
ONNXC_ENTRY void onnxc_debug_before(const onnxc_frame* frame, const onnxc_debug_plan* plan, int32_t index) {
  for (int64_t i = 0; i < plan->count; ++i) {
    const onnxc_debug_buffer& b = plan->buffers[i];
    if (b.first != index) continue;
    ONNXC_UNPOISON(frame->arena + b.offset, b.bytes);
    onnxc_entry::fill(frame->arena + b.offset, b.bytes, ONNXC_FILL_BYTE);
  }
}

// After operation `index`: checks all guards, fills the buffers that die. ONNXC_INTERNAL with a message that names the
// buffer and the operation, when a guard was written.
ONNXC_ENTRY int32_t onnxc_debug_after(const onnxc_frame* frame, const onnxc_debug_plan* plan, int32_t index,
                                      const char* operation) {
  for (int64_t i = 0; i < plan->count; ++i) {
    const onnxc_debug_buffer& b = plan->buffers[i];
    unsigned char* extent = frame->arena + b.offset;
#ifndef ONNXC_ADDRESS_SANITIZER  // which has reported the write itself
    const int64_t before = onnxc_entry::damage(extent - 1, -1, plan->guard_bytes);
    const int64_t after = onnxc_entry::damage(extent + b.bytes, 1, plan->guard_bytes);
    if (before || after) {
      onnxc_entry::Message(frame->message)
          << "debug-plan: " << operation << " wrote " << (before ? before : after)
          << (before ? " bytes before the start" : " bytes beyond the end") << " of buffer '" << b.name << "'";
      return ONNXC_INTERNAL;
    }
#endif
    if (b.last != index) continue;
    onnxc_entry::fill(extent, b.bytes, ONNXC_FILL_BYTE);
    ONNXC_POISON(extent, b.bytes);
  }
  (void)operation;
  return ONNXC_OK;
}

// At the end of a body, on every path after onnxc_debug_start: the arena is the caller's again.
ONNXC_ENTRY void onnxc_debug_end(const onnxc_frame* frame, const onnxc_debug_plan* plan) {
  for (int64_t i = 0; i < plan->count; ++i) {
    const onnxc_debug_buffer& b = plan->buffers[i];
    ONNXC_UNPOISON(frame->arena + b.offset - plan->guard_bytes, b.bytes + 2 * plan->guard_bytes);
  }
}

}  // extern "C"

#endif
