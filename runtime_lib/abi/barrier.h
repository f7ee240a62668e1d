// Where the threads of a run meet. All come to the same barriers in the same order; no thread leaves a body before the
// others, so a failure is carried to the next barrier, at which all threads get the same status and leave together.
// Called by emitted C++ and by LLVM code, so extern "C". Tested in tests/unit/barrier_test.cc.
#ifndef ONNXC_ABI_BARRIER_H
#define ONNXC_ABI_BARRIER_H

#include "frame.h"
#include "message.h"

extern "C" {

// Waits for all threads. `status`: this thread's own; returned to all: that of the first thread, by number, whose
// status is not ONNXC_OK. A thread writes the words of odd and even barriers in turn: while others still read its word
// of this barrier it may come to the next one, but not beyond.
ONNXC_ENTRY int32_t onnxc_barrier(onnxc_frame* frame, int32_t status) {
  if (frame->threads == 1) return status;
  const uint64_t number = ++frame->barriers;
  const uint64_t mine = number << 32 | static_cast<uint32_t>(status);
  __atomic_store_n(&frame->arrivals[frame->thread].words[number & 1], mine, __ATOMIC_RELEASE);
  int32_t first = ONNXC_OK;
  for (int32_t t = 0; t < frame->threads; ++t) {
    const uint64_t* word = &frame->arrivals[t].words[number & 1];
    uint64_t seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    for (uint32_t looks = 1; seen >> 32 != number; ++looks) {
#if defined(__x86_64__) || defined(__i386__)
      __builtin_ia32_pause();
#endif
      if (looks % ONNXC_LOOKS == 0 && frame->host && frame->host->wait)
        frame->host->wait(frame->host->user, looks / ONNXC_LOOKS);
      seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    }
    if (first == ONNXC_OK) first = static_cast<int32_t>(seen & 0xffffffffu);
  }
  return first;
}

// The `meet` of kernels whose threads meet within a call: all have come to it, so none has failed.
ONNXC_ENTRY void onnxc_meet(void* frame) { onnxc_barrier(static_cast<onnxc_frame*>(frame), ONNXC_OK); }

}  // extern "C"

#endif
