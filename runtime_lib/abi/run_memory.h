// Run memory: what a run makes of sizes that nobody knew before it (the characters of new strings ...). Taken in blocks
// from the host, handed out from their fronts, given back all at once at the end of the run. Called by kernels through
// a pointer, so extern "C". Tested in tests/unit/abi_test.cc.
#ifndef ONNXC_ABI_RUN_MEMORY_H
#define ONNXC_ABI_RUN_MEMORY_H

#include "frame.h"
#include "message.h"

#define ONNXC_LEAST_BLOCK_BYTES 16384u
#define ONNXC_RUN_ALIGNMENT 16u

extern "C" {

// `bytes`, aligned to ONNXC_RUN_ALIGNMENT, which live until the run ends; null when the host has none. By any thread.
ONNXC_ENTRY void* onnxc_run_allocate(void* frame, int64_t bytes) {
  const onnxc_host* host = static_cast<onnxc_frame*>(frame)->host;
  onnxc_run_memory& memory = *static_cast<onnxc_frame*>(frame)->memory;
  if (!host || !host->allocate || bytes < 0 || bytes > INT64_MAX / 2) return nullptr;
  constexpr uint64_t kAlign = ONNXC_RUN_ALIGNMENT;
  const uint64_t wanted = (static_cast<uint64_t>(bytes ? bytes : 1) + kAlign - 1) / kAlign * kAlign;
  while (__atomic_exchange_n(&memory.taken, 1, __ATOMIC_ACQUIRE)) {
  }
  if (wanted > memory.left) {
    uint64_t block = memory.block_bytes ? 2 * memory.block_bytes : ONNXC_LEAST_BLOCK_BYTES;
    if (block < wanted + kAlign) block = wanted + kAlign;
    void* made = host->allocate(host->user, block, kAlign);
    if (made) {
      *static_cast<void**>(made) = memory.blocks;
      memory.blocks = made;
      memory.block_bytes = block;
      memory.next = static_cast<unsigned char*>(made) + kAlign;
      memory.left = block - kAlign;
    }
  }
  void* place = nullptr;
  if (wanted <= memory.left) {
    place = memory.next;
    memory.next += wanted;
    memory.left -= wanted;
  }
  __atomic_store_n(&memory.taken, 0, __ATOMIC_RELEASE);
  return place;
}

// Memory that one place of the model takes again and again, in turns of a loop; zero at first.
typedef struct onnxc_grown {
  void* memory;
  int64_t bytes;
} onnxc_grown;

// `bytes` for `place`, which loses what it held; null when the host has none.
ONNXC_ENTRY void* onnxc_run_grow(void* frame, onnxc_grown* place, int64_t bytes) {
  if (place->memory && bytes <= place->bytes) return place->memory;
  const int64_t wanted = bytes < 2 * place->bytes ? 2 * place->bytes : bytes;
  place->memory = onnxc_run_allocate(frame, wanted);
  place->bytes = place->memory ? wanted : 0;
  return place->memory;
}

// For the bytes of a tensor, dim by dim; what no memory holds, or a negative dim, is INT64_MAX.
ONNXC_ENTRY int64_t onnxc_times(int64_t bytes, int64_t dim) {
  int64_t product = 0;
  return dim < 0 || bytes == INT64_MAX || __builtin_mul_overflow(bytes, dim, &product) ? INT64_MAX : product;
}

}  // extern "C"

namespace onnxc_entry {
namespace {

inline void release_run_memory(const onnxc_host& host, onnxc_run_memory& memory) {
  while (memory.blocks) {
    void* const block = memory.blocks;
    memory.blocks = *static_cast<void**>(block);
    host.release(host.user, block);
  }
}

}  // namespace
}  // namespace onnxc_entry

#endif
