/* What the body of a compiled model gets for one run on one thread: the border between model_entry.h (written once) and
 * emitted code (LLVM and C++). The LLVM back end mirrors this struct: emit/llvm/frame_type.cc; a unit test compares. */
#ifndef ONNXC_ABI_FRAME_H
#define ONNXC_ABI_FRAME_H

#include <onnxc/onnxc.h>

/* Where one thread of a run says that it has come to a barrier (barrier.h): a cache line of its own. */
typedef struct onnxc_arrival {
  uint64_t words[2]; /* for odd and even barriers: the barrier's number << 32 | onnxc_status of the thread */
  uint64_t unused[6];
} onnxc_arrival;

// What a run has taken from the host beside its arenas (run_memory.h).
typedef struct onnxc_run_memory {
  void* blocks;         // the newest one; each begins with the address of the one before
  unsigned char* next;  // what is left of it
  uint64_t left, block_bytes;
  int32_t taken;  // by a thread that is allocating
} onnxc_run_memory;

typedef struct onnxc_frame {
  const void* const* inputs;       /* data pointers, in the model's order */
  void* const* outputs;            /* data pointers; static outputs are always set before the body runs */
  const onnxc_value* input_values; /* for run-time dims */
  onnxc_value* output_values;
  unsigned char* arena;
  const unsigned char* weights;
  const onnxc_host* host;   /* may be null */
  volatile int32_t* status; /* shared by the threads of a run; first failure wins */
  onnxc_arrival* arrivals;  /* one per thread of the run */
  onnxc_message* message;   /* may be null; for the thread whose failure came first */
  int32_t thread, threads;
  uint32_t barriers;      /* that this thread has come to */
  int64_t* table;         /* as the layouts fill it */
  unsigned char** arenas; /* one per layout; the first is `arena` */
  void* run;              /* model_entry.h's own */
  /* Computes layout `stage` >= 1 and finds the memory that it asks for: on thread 0, while all others wait. Returns an
   * onnxc_status. */
  int32_t (*begin_stage)(struct onnxc_frame* frame, uint32_t stage);
  onnxc_run_memory* memory;  // shared by the threads of a run
} onnxc_frame;

/* The emitted function. Returns an onnxc_status. */
typedef int32_t (*onnxc_body_fn)(onnxc_frame* frame);

/* An emitted function that computes what follows from the dims of the inputs (the first one, before the run) or from
 * what the body has computed so far (the others, called by begin_stage): entry
 * `number of the layout` of the table is the bytes of an arena, further ones are as the body reads them; and rank and
 * dims of the outputs that are known by now, where they are not fixed. What is larger than int64 holds is INT64_MAX.
 * Returns an onnxc_status. */
typedef int32_t (*onnxc_layout_fn)(onnxc_frame* frame);

typedef struct onnxc_code {
  onnxc_body_fn body;
  const onnxc_layout_fn* layouts;
  uint32_t num_layouts;  /* 0: all dims are fixed */
  uint32_t table_length; /* entries; 0 without layouts */
  uint32_t flags;
  /* Bodies for some dims; a run takes the first that its inputs fit, else the body above, for any dims. */
  const struct onnxc_special* specials;
  uint32_t num_specials;
} onnxc_code;
#define ONNXC_BODY_PARALLEL 1u /* the body may be run by several threads at a time, which meet at barriers */

/* A body for inputs of certain dims, and what of the onnxc_model_info it makes another. */
typedef struct onnxc_special {
  const onnxc_value_info* inputs; /* tensors whose dims are these, where they are not -1, fit */
  const onnxc_value_info* outputs;
  uint64_t arena_bytes;
  onnxc_code code; /* without specials */
} onnxc_special;

#endif
