/* The C ABI of a compiled model. A model (a shared library, an archive, or emitted sources) has one public function,
 * `onnxc_get_model` in shared libraries and `<model name>_get_model` in archives and sources, which returns an
 * onnxc_model. Rules that keep old programs and old models working together:
 *   - every struct begins with its size in bytes as its maker knew it; readers use only fields that lie within;
 *   - fields are only ever added at the end; ONNXC_ABI_VERSION changes only when that is not enough;
 *   - no function throws, exits, prints or keeps mutable state; a model holds no heap memory and starts no thread.
 * C99 and C++17; needs <stdint.h> and <stddef.h> only. Tested in tests/embedded/ and tests/unit/abi_test.cc. */
#ifndef ONNXC_ONNXC_H
#define ONNXC_ONNXC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ONNXC_ABI_VERSION 1u
#define ONNXC_MAX_RANK 8u
#define ONNXC_MESSAGE_BYTES 256u
#define ONNXC_LOOKS 64u

/* What a call came to. The message of the failing call says more. */
typedef enum onnxc_status {
  ONNXC_OK = 0,
  ONNXC_INVALID_ARGUMENT = 1, /* a wrong name, type, rank, dim or struct */
  ONNXC_OUT_OF_MEMORY = 2,    /* the host's allocator, or the caller's arena, is too small or absent */
  ONNXC_INCOMPATIBLE = 3,     /* ABI version, CPU features or weights do not fit */
  ONNXC_FAILED = 4,           /* the model itself failed: an index out of range ... */
  ONNXC_CANCELLED = 5,        /* the host set its cancel flag */
  ONNXC_INTERNAL = 6
} onnxc_status;

/* Element types: the numbers of ONNX's TensorProto.DataType. Sub-byte types are packed as ONNX packs them. */
typedef int32_t onnxc_elem;

typedef enum onnxc_kind {
  ONNXC_TENSOR = 1,
  ONNXC_STRING_TENSOR = 2,
  ONNXC_SEQUENCE = 3,
  ONNXC_MAP = 4,
  ONNXC_OPTIONAL = 5
} onnxc_kind;

/* An element of a string tensor: UTF-8, not terminated. An input's characters belong to the caller and must live and
 * stay as they are during the run. */
typedef struct onnxc_string {
  const char* data;
  uint64_t bytes;
} onnxc_string;

/* One value at the boundary. For ONNXC_TENSOR: row-major bytes at `data`, aligned to the element, no more. For
 * ONNXC_STRING_TENSOR: row-major onnxc_strings at `data`. Outputs: `data` may be null where the model knows the dims
 * beforehand only at run time, or where the host shall allocate; then host->allocate provides it and the caller frees
 * it by host->release. Of a string tensor the characters follow the onnxc_strings in the same piece of memory, which
 * only the end of a run knows the size of.
 *
 * ONNXC_SEQUENCE: `data` is an array of dims[0] onnxc_values, tensors, and rank is 1. An input's array and its elements
 * stay the caller's. An output's come from host->allocate (so the session needs a host), always: array and elements
 * are one piece of memory, which the caller frees by one host->release(data).
 *
 * Where the model's kind is ONNXC_OPTIONAL, the value is what it holds, an ONNXC_TENSOR or (with ONNXC_OF_SEQUENCE) an
 * ONNXC_SEQUENCE; or, where it holds nothing, an ONNXC_OPTIONAL whose `data` is null. Memory of outputs: as for a
 * sequence.
 *
 * The other kinds hold an object of libonnxc_rt in `object`. */
typedef struct onnxc_value {
  uint32_t struct_size;
  uint32_t kind; /* onnxc_kind */
  onnxc_elem elem;
  uint32_t rank;
  int64_t dims[ONNXC_MAX_RANK];
  void* data;
  uint64_t capacity; /* bytes at data; outputs: what the caller provides */
  void* object;
} onnxc_value;

typedef struct onnxc_message {
  uint32_t struct_size;
  char text[ONNXC_MESSAGE_BYTES]; /* always terminated */
} onnxc_message;

/* What a program lends to a model. Null where it has none: without `allocate` the caller provides session memory, arena
 * and outputs; without `parallel` the model runs on the calling thread. */
typedef struct onnxc_host {
  uint32_t struct_size;
  uint32_t abi_version;
  void* user;
  void* (*allocate)(void* user, uint64_t bytes, uint64_t alignment); /* null when it cannot */
  void (*release)(void* user, void* memory);
  /* Runs task(argument, thread, n) for every thread in 0 .. n - 1, at the same time, and returns when all have ended. n
   * is `threads`, or less where the host cannot get so many: the task goes by the n that it is given. */
  void (*parallel)(void* user, int32_t threads, void (*task)(void* argument, int32_t thread, int32_t threads),
                   void* argument);
  int32_t max_threads;
  /* Called by thread 0 at the start (phase 0) and end (phase 1) of operation `index`; null: no profile. */
  void (*profile)(void* user, uint32_t index, int32_t phase);
  const volatile int32_t* cancel; /* non-zero: stop at the next opportunity with ONNXC_CANCELLED */
  /* Called by a thread of a run that waits for the others, after each ONNXC_LOOKS looks (about a microsecond); `times`:
   * how often it was called for this wait. May return at once, or let other threads of the machine run. Null: the
   * thread goes on looking. */
  void (*wait)(void* user, uint32_t times);
} onnxc_host;

typedef struct onnxc_value_info {
  uint32_t struct_size;
  uint32_t kind;
  const char* name;
  onnxc_elem elem;              /* of a sequence and an optional: of its elements, as are rank and dims */
  int32_t rank;                 /* -1: unknown */
  const int64_t* dims;          /* -1: free */
  const char* const* dim_names; /* symbol, or "" */
  int32_t alias_of;             /* outputs: index of the input whose memory may be given for it, or -1 */
  uint32_t flags;               /* ONNXC_STATIC: all dims are known */
} onnxc_value_info;
#define ONNXC_STATIC 1u
#define ONNXC_OF_SEQUENCE 2u /* of an ONNXC_OPTIONAL: it holds a sequence, not a tensor */

/* Of the file: "producer_name", "graph_name", "custom.KEY" ... "zipmap.OUTPUT": the file has maps there (ZipMap), the
 * model the tensor of their values; a list of their keys, one per column, as JSON. "dictvectorizer.INPUT": so too where
 * the file has a map that goes in; missing keys are 0 or empty. */
typedef struct onnxc_metadata {
  const char* key;
  const char* value;
} onnxc_metadata;

/* CPU features that the code needs. Bits of onnxc_model_info.required_features on x86-64. */
#define ONNXC_X86_V2 1ull /* SSE4.2, SSSE3, POPCNT, CX16, LAHF */
#define ONNXC_X86_V3 2ull /* AVX2, FMA, BMI1/2, F16C, LZCNT, MOVBE */
#define ONNXC_X86_V4 4ull /* AVX-512 F, BW, CD, DQ, VL */
#define ONNXC_X86_AVX512_VNNI 8ull
#define ONNXC_X86_AVX512_BF16 16ull

typedef struct onnxc_model_info {
  uint32_t struct_size;
  uint32_t abi_version;
  const char* name;
  const char* compiler; /* "onnxc 0.1.0" */
  const char* target;   /* "x86-64-v4" ... */
  uint64_t required_features;
  uint8_t model_hash[32]; /* sha256 of the .onnx file */
  uint64_t weights_hash;  /* of the weights blob; 0: no weights */
  uint64_t weights_bytes;
  const void* weights;  /* null: the caller gives them at create */
  uint64_t arena_bytes; /* per concurrent run; 64-byte aligned; 0 where it depends on free dims */
  uint64_t session_bytes;
  uint32_t num_inputs, num_outputs, num_metadata, num_operations;
  const onnxc_value_info* inputs;
  const onnxc_value_info* outputs;
  const onnxc_metadata* metadata;
  /* Per operation: kernel and ONNX nodes, for profiles; null when left out. Of a model with bodies of its own for some
   * values of its free dims: first those of the general body, then those of each other. A run picks its body by the
   * dims of its inputs; all else here is the general body's. */
  const char* const* operations;
} onnxc_model_info;

typedef struct onnxc_session onnxc_session;

typedef struct onnxc_create_args {
  uint32_t struct_size;
  uint32_t abi_version;   /* ONNXC_ABI_VERSION of the caller */
  const onnxc_host* host; /* may be null; must outlive the session */
  void* session_memory;   /* >= session_bytes, 16-byte aligned; null: host->allocate */
  uint64_t session_memory_bytes;
  const void* weights; /* null: the model's own */
  uint64_t weights_bytes;
  int32_t num_threads; /* <= 0: host->max_threads; 1 without a host */
} onnxc_create_args;

typedef struct onnxc_run_args {
  uint32_t struct_size;
  uint32_t num_inputs, num_outputs;
  const onnxc_value* inputs; /* in the model's order */
  onnxc_value* outputs;      /* in the model's order; filled in */
  void* arena;               /* >= info->arena_bytes, 64-byte aligned; null: host->allocate for this run. With free dims
                                the run tells how much is needed, and what is too small is not used */
  uint64_t arena_bytes;
} onnxc_run_args;

/* All entry points of a model. `message` may be null everywhere. A session may be used by several threads at a time. */
typedef struct onnxc_model {
  uint32_t struct_size;
  uint32_t abi_version;
  const onnxc_model_info* info;
  onnxc_status (*create)(const onnxc_create_args* args, onnxc_session** session, onnxc_message* message);
  onnxc_status (*run)(onnxc_session* session, const onnxc_run_args* args, onnxc_message* message);
  void (*destroy)(onnxc_session* session);
} onnxc_model;

typedef const onnxc_model* (*onnxc_get_model_fn)(void);

#ifdef __cplusplus
}
#endif
#endif
