// create, run and destroy of every compiled model, written once: emitted C++ includes this header, the LLVM back end
// links it as bitcode. A model emits its descriptor, its body, and one small function:
//   onnxc_status NAME_create(args, session, message) { return onnxc_entry_create(&NAME_info, &NAME_code, args, session,
//   message); } onnxc_model NAME_model = {sizeof(onnxc_model), ONNXC_ABI_VERSION, &NAME_info, &NAME_create,
//   &onnxc_entry_run, &onnxc_entry_destroy};
// Invariants: freestanding; no mutable state outside the session, which never changes after create; what was allocated
// is released on every path. Must be compiled for the baseline of the architecture, because it holds the CPU check.
// Tested in tests/unit/abi_test.cc.
#ifndef ONNXC_ABI_MODEL_ENTRY_H
#define ONNXC_ABI_MODEL_ENTRY_H

#include "barrier.h"
#include "cpu_check.h"
#include "frame.h"
#include "message.h"
#include "run_memory.h"
#include "sequence.h"
#include "step.h"
#include "sub_byte.h"
#include "weights_header.h"

// onnxc_model_info.session_bytes of every model.
#define ONNXC_SESSION_BYTES 256u
// No model may ask for more memory in one piece than x86-64 and AArch64 address.
#define ONNXC_MAX_BYTES (int64_t{1} << 47)

// More threads than this are not asked for: each takes a cache line of the stack of `run`.
#define ONNXC_MAX_THREADS 256

struct onnxc_session {
  const onnxc_model_info* info;
  const onnxc_code* code;
  const unsigned char* weights;
  onnxc_host host;  // fields that the caller's struct lacks are null
  int32_t has_host, threads, owns_memory;
};
static_assert(sizeof(onnxc_session) <= ONNXC_SESSION_BYTES, "ONNXC_SESSION_BYTES is too small");

namespace onnxc_entry {
namespace {

constexpr int32_t kString = 8;  // of onnxc_elem

// onnxc_model_info.arena_bytes is the plan's arena plus these for each input and output: of sub-byte types, which the
// entry unpacks and packs there, and of strings that the run gives, which it copies with their characters.
inline uint64_t staging_bytes(int32_t elem, uint64_t elements, bool is_output) {
  const uint64_t bytes = is_sub_byte(elem)              ? elements
                         : is_output && elem == kString ? elements * sizeof(onnxc_string)
                                                        : 0;
  return (bytes + 63) / 64 * 64;
}

// The size of a struct up to and including `field`: what its maker must know at least.
#define ONNXC_SIZE_UP_TO(type, field) (offsetof(type, field) + sizeof(static_cast<type*>(nullptr)->field))

inline const char* elem_label(int32_t elem) {
  static constexpr const char* const kNames[] = {
      "undefined",      "float32",    "uint8",          "int8",       "uint16",    "int16",
      "int32",          "int64",      "string",         "bool",       "float16",   "float64",
      "uint32",         "uint64",     "complex64",      "complex128", "bfloat16",  "float8e4m3fn",
      "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4",      "int4",      "float4e2m1",
      "float8e8m0",     "uint2",      "int2",           "float6e2m3", "float6e3m2"};
  return elem >= 0 && elem < static_cast<int32_t>(sizeof kNames / sizeof *kNames) ? kNames[elem] : "unknown";
}

inline void copy_host(const onnxc_host* from, onnxc_host* to) {
  const uint32_t known = from->struct_size < sizeof *to ? from->struct_size : static_cast<uint32_t>(sizeof *to);
  unsigned char* t = reinterpret_cast<unsigned char*>(to);
  const unsigned char* f = reinterpret_cast<const unsigned char*>(from);
  for (uint32_t i = 0; i < sizeof *to; ++i) t[i] = i < known ? f[i] : 0;
}

inline onnxc_status check_weights(const onnxc_model_info* info, const onnxc_create_args* args, onnxc_message* out,
                                  const unsigned char** weights) {
  const bool own = !args->weights;
  *weights = static_cast<const unsigned char*>(own ? info->weights : args->weights);
  if (!info->weights_bytes) return ONNXC_OK;
  Message message(out);
  if (!*weights) {
    message << "the weights of this model are kept apart: give them in onnxc_create_args.weights";
    return ONNXC_INVALID_ARGUMENT;
  }
  if (reinterpret_cast<uintptr_t>(*weights) % 64) {
    message << "the weights must be aligned to 64 bytes";
    return ONNXC_INVALID_ARGUMENT;
  }
  if (!own && args->weights_bytes < info->weights_bytes) {
    message << "the weights have " << static_cast<int64_t>(args->weights_bytes) << " bytes, the model needs "
            << static_cast<int64_t>(info->weights_bytes);
    return ONNXC_INCOMPATIBLE;
  }
  const onnxc_weights_header* header = reinterpret_cast<const onnxc_weights_header*>(*weights);
  if (header->magic != ONNXC_WEIGHTS_MAGIC || header->format != ONNXC_WEIGHTS_FORMAT) {
    message << "these are not weights of format " << static_cast<int64_t>(ONNXC_WEIGHTS_FORMAT) << " written by onnxc";
    return ONNXC_INCOMPATIBLE;
  }
  if (header->hash != info->weights_hash || header->bytes != info->weights_bytes) {
    message << "these weights belong to another model or were packed for another target";
    return ONNXC_INCOMPATIBLE;
  }
  return ONNXC_OK;
}

// All about one run that is not in the caller's structs.
struct Run {
  const onnxc_session* session;
  const onnxc_model_info* info;  // the session's, or as the special body has it
  const onnxc_code* code;        // the session's, or of the special body
  const onnxc_run_args* args;
  onnxc_message* out;
  onnxc_value* input_values;  // contiguous, of the struct as known here
  onnxc_value* output_values;
  const void** inputs;
  void** outputs;
  unsigned char* prepared;   // per output: 1 when its dims are known and it has memory
  unsigned char* allocated;  // per output: 1 when host->allocate gave that during this run
  int64_t* table;            // of the layouts
  unsigned char** arenas;    // per layout; at least one
  void** owned;              // per layout: what host->allocate gave for it, or null
  onnxc_run_memory memory;
  onnxc_sequence* lists;  // per input, then per output: what the body sees of a sequence or an optional
};

// Rank of an output whose dims are not known yet.
constexpr uint32_t kUnknownRank = ~0u;

// Arrays of values may have been made with a longer struct than is known here.
inline const onnxc_value& value_at(const onnxc_value* values, uint64_t i) {
  return *reinterpret_cast<const onnxc_value*>(reinterpret_cast<const char*>(values) + i * values->struct_size);
}
inline onnxc_value& value_at(onnxc_value* values, uint64_t i) {
  return *reinterpret_cast<onnxc_value*>(reinterpret_cast<char*>(values) + i * values->struct_size);
}

inline uint64_t count_elements(const onnxc_value& value) {
  uint64_t count = 1;
  for (uint32_t i = 0; i < value.rank; ++i) count *= static_cast<uint64_t>(value.dims[i]);
  return count;
}

inline bool misaligned(const void* data, int32_t elem) {
  const uintptr_t bytes = static_cast<uintptr_t>(elem_bits(elem) / 8);
  const uintptr_t alignment = bytes > 8 ? 8 : bytes;
  return alignment > 1 && reinterpret_cast<uintptr_t>(data) % alignment;
}

inline bool is_tensor(const onnxc_value_info& info) {
  return info.kind == ONNXC_TENSOR || info.kind == ONNXC_STRING_TENSOR;
}
inline bool is_list(const onnxc_value_info& info) { return info.kind == ONNXC_SEQUENCE || info.kind == ONNXC_OPTIONAL; }

inline onnxc_status check_kind(uint32_t kind, uint32_t wanted, Message& message) {
  if (kind == wanted) return ONNXC_OK;
  message << "is of kind " << static_cast<int64_t>(kind) << ", the model wants kind " << static_cast<int64_t>(wanted);
  return ONNXC_INVALID_ARGUMENT;
}

// The tensor of an input, or one within it.
inline onnxc_status check_tensor(const onnxc_value_info& info, const onnxc_value& value, Message& message) {
  const bool strings = info.kind == ONNXC_STRING_TENSOR;
  const onnxc_status kind = check_kind(value.kind, strings ? ONNXC_STRING_TENSOR : ONNXC_TENSOR, message);
  if (kind != ONNXC_OK) return kind;
  if (value.elem != info.elem) {
    message << "has elements of type " << elem_label(value.elem) << ", the model wants " << elem_label(info.elem);
    return ONNXC_INVALID_ARGUMENT;
  }
  if (value.rank > ONNXC_MAX_RANK || (info.rank >= 0 && value.rank != static_cast<uint32_t>(info.rank))) {
    message << "has rank " << static_cast<int64_t>(value.rank) << ", the model wants "
            << static_cast<int64_t>(info.rank);
    return ONNXC_INVALID_ARGUMENT;
  }
  for (uint32_t i = 0; i < value.rank; ++i) {
    if (value.dims[i] >= 0 && (info.rank < 0 || info.dims[i] < 0 || info.dims[i] == value.dims[i])) continue;
    message << "has the shape ";
    put_dims(message, value.dims, value.rank) << ", the model wants ";
    put_dims(message, info.dims, info.rank);
    return ONNXC_INVALID_ARGUMENT;
  }
  if (!value.data && count_elements(value)) {
    message << "its data pointer is null";
    return ONNXC_INVALID_ARGUMENT;
  }
  if (misaligned(value.data, value.elem)) {
    message << "its data pointer is not aligned to its elements";
    return ONNXC_INVALID_ARGUMENT;
  }
  const onnxc_string* texts = static_cast<const onnxc_string*>(value.data);
  for (uint64_t i = 0; value.elem == kString && i < count_elements(value); ++i) {
    if (texts[i].data || !texts[i].bytes) continue;
    message << "string " << static_cast<int64_t>(i) << " has a null pointer";
    return ONNXC_INVALID_ARGUMENT;
  }
  return ONNXC_OK;
}

inline onnxc_status check_input(const onnxc_value_info& info, const onnxc_value& value, onnxc_message* out) {
  Message message(out);
  message << "input '" << info.name << "': ";
  if (is_tensor(info)) return check_tensor(info, value, message);
  if (!is_list(info)) {
    const onnxc_status kind = check_kind(value.kind, info.kind, message);
    if (kind != ONNXC_OK || value.object) return kind;
    message << "its object is null";
    return ONNXC_INVALID_ARGUMENT;
  }
  if (info.kind == ONNXC_OPTIONAL) {
    if (value.kind == ONNXC_OPTIONAL) return ONNXC_OK;
    if (!(info.flags & ONNXC_OF_SEQUENCE)) return check_tensor(info, value, message);
  }
  const onnxc_status kind = check_kind(value.kind, ONNXC_SEQUENCE, message);
  if (kind != ONNXC_OK) return kind;
  const onnxc_value* elements = static_cast<const onnxc_value*>(value.data);
  if (value.rank != 1 || value.dims[0] < 0 ||
      (value.dims[0] > 0 && (!elements || elements->struct_size < sizeof(onnxc_value)))) {
    message << "a sequence has rank 1, dims[0] elements, and these at its data pointer";
    return ONNXC_INVALID_ARGUMENT;
  }
  for (int64_t i = 0; i < value.dims[0]; ++i) {
    Message element(out);
    element << "input '" << info.name << "': element " << i << " ";
    const onnxc_status status = check_tensor(info, value_at(elements, static_cast<uint64_t>(i)), element);
    if (status != ONNXC_OK) return status;
  }
  return ONNXC_OK;
}

// Whether a tensor of such dims can be in memory.
inline bool fits_memory(const onnxc_value& value) {
  int64_t count = 1;
  for (uint32_t d = 0; d < value.rank; ++d)
    if (value.dims[d] == 0) return true;
  for (uint32_t d = 0; d < value.rank; ++d)
    if (__builtin_mul_overflow(count, value.dims[d], &count) || count > ONNXC_MAX_BYTES / 8) return false;
  return true;
}

// Finds memory for output `i`: the caller's, or the host's.
inline onnxc_status find_output(Run& run, uint32_t i, uint64_t bytes) {
  const onnxc_value_info& info = run.info->outputs[i];
  onnxc_value& value = value_at(run.args->outputs, i);
  if (!value.data && bytes) {
    const onnxc_host& host = run.session->host;
    if (host.allocate) value.data = host.allocate(host.user, bytes, 64);
    if (!value.data) {
      Message(run.out) << "output '" << info.name << "': "
                       << (host.allocate ? "the host could not allocate "
                                         : "no buffer was given and there is no allocator for ")
                       << static_cast<int64_t>(bytes) << " bytes";
      return ONNXC_OUT_OF_MEMORY;
    }
    value.capacity = bytes;
    run.allocated[i] = 1;
  }
  if (value.capacity < bytes) {
    Message(run.out) << "output '" << info.name << "': its buffer has " << static_cast<int64_t>(value.capacity)
                     << " bytes and needs " << static_cast<int64_t>(bytes);
    return ONNXC_INVALID_ARGUMENT;
  }
  if (misaligned(value.data, value.elem)) {
    Message(run.out) << "output '" << info.name << "': its data pointer is not aligned to its elements";
    return ONNXC_INVALID_ARGUMENT;
  }
  return ONNXC_OK;
}

// Fills in dims (of `computed`, where they are not fixed), and finds memory; for strings when the body has run.
inline onnxc_status prepare_output(Run& run, uint32_t i, const onnxc_value& computed) {
  const onnxc_value_info& info = run.info->outputs[i];
  onnxc_value& value = value_at(run.args->outputs, i);
  const bool fixed = info.flags & ONNXC_STATIC;
  value.rank = fixed ? static_cast<uint32_t>(info.rank) : computed.rank;
  for (uint32_t d = 0; d < value.rank; ++d) value.dims[d] = fixed ? info.dims[d] : computed.dims[d];
  if (!fits_memory(value)) {
    put_dims(Message(run.out) << "output '" << info.name << "': its shape would be ", value.dims, value.rank)
        << ", which fits no memory";
    return ONNXC_OUT_OF_MEMORY;
  }
  if (info.kind == ONNXC_STRING_TENSOR) return ONNXC_OK;
  return find_output(run, i, packed_bytes(info.elem, count_elements(value)));
}

inline onnxc_status check_run_args(const onnxc_session* session, const onnxc_run_args* args, onnxc_message* out) {
  Message message(out);
  if (!session || !args || args->struct_size < ONNXC_SIZE_UP_TO(onnxc_run_args, arena_bytes)) {
    message << "run: the session or its arguments are null, or struct_size is not set";
    return ONNXC_INVALID_ARGUMENT;
  }
  const onnxc_model_info* info = session->info;
  if (args->num_inputs != info->num_inputs || args->num_outputs != info->num_outputs) {
    message << "run: the model has " << static_cast<int64_t>(info->num_inputs) << " inputs and "
            << static_cast<int64_t>(info->num_outputs) << " outputs, but got " << static_cast<int64_t>(args->num_inputs)
            << " and " << static_cast<int64_t>(args->num_outputs);
    return ONNXC_INVALID_ARGUMENT;
  }
  if ((info->num_inputs && (!args->inputs || args->inputs->struct_size < sizeof(onnxc_value))) ||
      (info->num_outputs && (!args->outputs || args->outputs->struct_size < sizeof(onnxc_value)))) {
    message << "run: the inputs or outputs are null, or their struct_size is not set";
    return ONNXC_INVALID_ARGUMENT;
  }
  return ONNXC_OK;
}

// What the threads of one run share.
struct Shared {
  Run* run;
  int32_t status;
  onnxc_arrival* arrivals;  // one per thread
};

inline onnxc_status begin_stage(Run& run, uint32_t stage, int64_t bytes);

inline int32_t begin_later_stage(onnxc_frame* frame, uint32_t stage) {
  Run& run = *static_cast<Run*>(frame->run);
  const int32_t status = run.code->layouts[stage](frame);
  if (status != ONNXC_OK) return status;
  return begin_stage(run, stage, run.table[stage]);
}

inline onnxc_frame make_frame(Shared& shared, int32_t thread, int32_t threads) {
  Run& run = *shared.run;
  const onnxc_session& session = *run.session;
  return {run.inputs,
          run.outputs,
          run.input_values,
          run.output_values,
          run.arenas[0],
          session.weights,
          session.has_host ? &session.host : nullptr,
          &shared.status,
          shared.arrivals,
          run.out,
          thread,
          threads,
          0,
          run.table,
          run.arenas,
          &run,
          &begin_later_stage,
          &run.memory};
}

inline void run_thread(void* argument, int32_t thread, int32_t threads) {
  Shared& shared = *static_cast<Shared*>(argument);
  onnxc_frame frame = make_frame(shared, thread, threads);
  const int32_t status = shared.run->code->body(&frame);
  if (status != ONNXC_OK) onnxc_first_failure(&frame, status);
}

inline bool is_staged(int32_t elem) { return is_sub_byte(elem) || elem == kString; }

// Prepares the outputs whose dims have become known. The part of an arena in front of the plan's holds sub-byte inputs
// and outputs, one element per byte, and strings of outputs; adds the bytes that it needs.
inline onnxc_status prepare_outputs(Run& run, int64_t* staging) {
  const onnxc_model_info* info = run.info;
  for (uint32_t i = 0; i < info->num_outputs; ++i) {
    if (run.prepared[i] || run.output_values[i].rank == kUnknownRank) continue;
    const onnxc_status status = prepare_output(run, i, run.output_values[i]);
    if (status != ONNXC_OK) return status;
    run.prepared[i] = 1;
    run.output_values[i] = value_at(run.args->outputs, i);
    run.outputs[i] = run.output_values[i].data;
    const uint64_t staged = staging_bytes(info->outputs[i].elem, count_elements(run.output_values[i]), true);
    if (is_staged(info->outputs[i].elem)) run.outputs[i] = nullptr;  // stage_outputs()
    *staging += static_cast<int64_t>(staged);
    if (*staging > ONNXC_MAX_BYTES) break;
  }
  return ONNXC_OK;
}

inline unsigned char* unpack_inputs(Run& run, unsigned char* arena) {
  const onnxc_model_info* info = run.info;
  for (uint32_t i = 0; i < info->num_inputs; ++i) {
    if (!is_sub_byte(info->inputs[i].elem)) continue;
    const uint64_t count = count_elements(run.input_values[i]);
    unpack(static_cast<const unsigned char*>(run.inputs[i]), arena, count, info->inputs[i].elem);
    run.inputs[i] = arena;
    arena += staging_bytes(info->inputs[i].elem, count, false);
  }
  return arena;
}

inline unsigned char* stage_outputs(Run& run, unsigned char* arena) {
  const onnxc_model_info* info = run.info;
  for (uint32_t i = 0; i < info->num_outputs; ++i) {
    if (!run.prepared[i] || run.outputs[i] || !is_staged(info->outputs[i].elem)) continue;
    run.outputs[i] = arena;
    arena += staging_bytes(info->outputs[i].elem, count_elements(run.output_values[i]), true);
  }
  return arena;
}

inline void pack_outputs(const Run& run) {
  const onnxc_model_info* info = run.info;
  for (uint32_t i = 0; i < info->num_outputs; ++i)
    if (is_sub_byte(info->outputs[i].elem))
      pack(static_cast<const unsigned char*>(run.outputs[i]), static_cast<unsigned char*>(run.output_values[i].data),
           count_elements(run.output_values[i]), info->outputs[i].elem);
}

// The strings of an output, and behind them their characters.
inline onnxc_status copy_strings(Run& run, uint32_t i) {
  const onnxc_string* texts = static_cast<const onnxc_string*>(run.outputs[i]);
  const uint64_t count = count_elements(run.output_values[i]);
  uint64_t bytes = count * sizeof(onnxc_string);
  for (uint64_t k = 0; k < count; ++k)
    if (__builtin_add_overflow(bytes, texts[k].bytes, &bytes) || bytes > ONNXC_MAX_BYTES) {
      Message(run.out) << "output '" << run.info->outputs[i].name << "': its strings fit no memory";
      return ONNXC_OUT_OF_MEMORY;
    }
  const onnxc_status status = find_output(run, i, bytes);
  if (status != ONNXC_OK) return status;
  onnxc_string* copies = static_cast<onnxc_string*>(value_at(run.args->outputs, i).data);
  char* characters = reinterpret_cast<char*>(copies + count);
  for (uint64_t k = 0; k < count; ++k) {
    copies[k] = {characters, texts[k].bytes};
    for (uint64_t c = 0; c < texts[k].bytes; ++c) *characters++ = texts[k].data[c];
  }
  return ONNXC_OK;
}

inline onnxc_status copy_all_strings(Run& run) {
  onnxc_status status = ONNXC_OK;
  for (uint32_t i = 0; status == ONNXC_OK && i < run.info->num_outputs; ++i)
    if (run.info->outputs[i].kind == ONNXC_STRING_TENSOR) status = copy_strings(run, i);
  return status;
}

// Arena `stage`: for the first one the caller's, where it is large enough.
inline onnxc_status find_arena(Run& run, uint32_t stage, int64_t needed) {
  const onnxc_session& session = *run.session;
  const onnxc_run_args* args = run.args;
  run.arenas[stage] = nullptr;
  if (needed > ONNXC_MAX_BYTES) {
    Message(run.out) << "run: tensors of these shapes need more memory than there can be";
    return ONNXC_OUT_OF_MEMORY;
  }
  const uint64_t bytes = static_cast<uint64_t>(needed);
  if (!bytes) return ONNXC_OK;
  // Where only the run tells how much is needed, an arena that is too small is none.
  const bool too_small = session.code->num_layouts && session.host.allocate && args->arena_bytes < bytes;
  if (stage == 0 && args->arena && !too_small) {
    if (reinterpret_cast<uintptr_t>(args->arena) % 64 || args->arena_bytes < bytes) {
      Message(run.out) << "run: the arena must be aligned to 64 bytes and have at least " << needed << " bytes; it has "
                       << static_cast<int64_t>(args->arena_bytes);
      return ONNXC_OUT_OF_MEMORY;
    }
    run.arenas[0] = static_cast<unsigned char*>(args->arena);
    return ONNXC_OK;
  }
  if (session.host.allocate) run.owned[stage] = session.host.allocate(session.host.user, bytes, 64);
  if (!run.owned[stage]) {
    Message(run.out) << "run: no arena was given and the host cannot allocate " << needed << " bytes";
    return ONNXC_OUT_OF_MEMORY;
  }
  run.arenas[stage] = static_cast<unsigned char*>(run.owned[stage]);
  return ONNXC_OK;
}

// Finds the memory that a stage needs, once its layout is known. `bytes`: of its arena, and where all dims are fixed,
// of staging too.
inline onnxc_status begin_stage(Run& run, uint32_t stage, int64_t bytes) {
  int64_t staging = 0;
  const onnxc_model_info* info = run.info;
  for (uint32_t i = 0; stage == 0 && i < info->num_inputs && staging <= ONNXC_MAX_BYTES; ++i)
    if (is_sub_byte(info->inputs[i].elem))
      staging += static_cast<int64_t>(staging_bytes(info->inputs[i].elem, count_elements(run.input_values[i]), false));
  onnxc_status status = prepare_outputs(run, &staging);
  if (status != ONNXC_OK) return status;
  if (!run.code->num_layouts) staging = 0;
  status = find_arena(run, stage, bytes > ONNXC_MAX_BYTES ? bytes : bytes + staging);
  if (status != ONNXC_OK) return status;
  unsigned char* arena = run.arenas[stage];
  if (stage == 0) arena = unpack_inputs(run, arena);
  run.arenas[stage] = stage_outputs(run, arena);
  return ONNXC_OK;
}

inline onnxc_status run_body(Run& run) {
  Shared shared = {&run, ONNXC_OK, nullptr};
  const onnxc_session& session = *run.session;
  if (session.threads > 1 && (run.code->flags & ONNXC_BODY_PARALLEL)) {
    const uintptr_t line = sizeof(onnxc_arrival), count = static_cast<uintptr_t>(session.threads);
    void* lines = __builtin_alloca((count + 1) * line);
    shared.arrivals = reinterpret_cast<onnxc_arrival*>((reinterpret_cast<uintptr_t>(lines) + line - 1) / line * line);
    for (uintptr_t t = 0; t < count; ++t) shared.arrivals[t].words[0] = shared.arrivals[t].words[1] = 0;
    session.host.parallel(session.host.user, session.threads, &run_thread, &shared);
  } else {
    run_thread(&shared, 0, 1);
  }
  if (shared.status != ONNXC_OK) return static_cast<onnxc_status>(shared.status);
  pack_outputs(run);
  return copy_all_strings(run);
}

inline onnxc_status run_stages(Run& run) {
  const onnxc_code& code = *run.code;
  int64_t bytes = static_cast<int64_t>(run.info->arena_bytes);
  if (code.num_layouts) {
    Shared alone = {&run, ONNXC_OK, nullptr};
    onnxc_frame frame = make_frame(alone, 0, 1);
    const int32_t status = code.layouts[0](&frame);
    if (status != ONNXC_OK) return static_cast<onnxc_status>(status);
    bytes = run.table[0];
  }
  const onnxc_status status = begin_stage(run, 0, bytes);
  if (status != ONNXC_OK) return status;
  Message cleared(run.out);
  return run_body(run);
}

// What the body sees of input `i`, a sequence or an optional.
inline onnxc_status list_input(Run& run, uint32_t i, const onnxc_value& value) {
  onnxc_sequence& list = run.lists[i];
  const bool whole = value.kind == ONNXC_SEQUENCE;
  list.length = whole ? value.dims[0] : value.kind == ONNXC_TENSOR ? 1 : -1;
  list.list = 0;
  if (list.length < 1) return ONNXC_OK;
  Shared alone = {&run, ONNXC_OK, nullptr};
  onnxc_frame frame = make_frame(alone, 0, 1);
  int64_t bytes = 0;
  void* memory = nullptr;
  if (!__builtin_mul_overflow(list.length, static_cast<int64_t>(sizeof(onnxc_value)), &bytes) &&
      bytes < ONNXC_MAX_BYTES)
    memory = onnxc_run_allocate(&frame, bytes + static_cast<int64_t>(sizeof(onnxc_list)));
  if (!memory) {
    Message(run.out) << "input '" << run.info->inputs[i].name << "': the host has no memory to list " << list.length
                     << " elements";
    return ONNXC_OUT_OF_MEMORY;
  }
  onnxc_list& elements = *static_cast<onnxc_list*>(memory);
  elements.used = elements.capacity = list.length;
  const onnxc_value* given = whole ? static_cast<const onnxc_value*>(value.data) : &value;
  for (int64_t k = 0; k < list.length; ++k) {
    elements.values[k] = whole ? value_at(given, static_cast<uint64_t>(k)) : value;
    elements.values[k].capacity = packed_bytes(elements.values[k].elem, count_elements(elements.values[k]));
  }
  list.list = static_cast<int64_t>(reinterpret_cast<intptr_t>(memory));
  return ONNXC_OK;
}

inline uint64_t to_cache_line(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

// Gives the caller what the body made of output `i`, a sequence or an optional, in one piece of memory.
inline onnxc_status give_list(Run& run, uint32_t i) {
  const onnxc_value_info& info = run.info->outputs[i];
  const onnxc_host& host = run.session->host;
  const onnxc_sequence& list = run.lists[run.info->num_inputs + i];
  onnxc_value& value = value_at(run.args->outputs, i);
  const onnxc_list* from = reinterpret_cast<const onnxc_list*>(static_cast<intptr_t>(list.list));
  if (list.length < 0) return ONNXC_OK;  // an optional that holds nothing
  const bool sequence = info.kind == ONNXC_SEQUENCE || (info.flags & ONNXC_OF_SEQUENCE);
  const uint64_t count = static_cast<uint64_t>(list.length);
  uint64_t bytes = sequence ? to_cache_line(count * sizeof(onnxc_value)) : 0;
  for (uint64_t k = 0; k < count; ++k) bytes += to_cache_line(from->values[k].capacity);
  unsigned char* memory = nullptr;
  if (bytes) memory = static_cast<unsigned char*>(host.allocate ? host.allocate(host.user, bytes, 64) : nullptr);
  if (bytes && !memory) {
    Message(run.out) << "output '" << info.name
                     << "': " << (host.allocate ? "the host could not allocate " : "there is no allocator for ")
                     << static_cast<int64_t>(bytes) << " bytes";
    return ONNXC_OUT_OF_MEMORY;
  }
  if (sequence) {
    value.kind = ONNXC_SEQUENCE;
    value.rank = 1;
    value.dims[0] = list.length;
  }
  unsigned char* next = memory + (sequence ? to_cache_line(count * sizeof(onnxc_value)) : 0);
  for (uint64_t k = 0; k < count; ++k) {
    onnxc_value element = from->values[k];
    element.struct_size = sizeof element;
    if (element.capacity) __builtin_memcpy(next, element.data, element.capacity);
    element.data = element.capacity ? next : nullptr;
    next += to_cache_line(element.capacity);
    if (sequence) {
      reinterpret_cast<onnxc_value*>(memory)[k] = element;
      continue;
    }
    element.struct_size = value.struct_size;
    value = element;
  }
  value.data = memory;
  value.capacity = bytes;
  run.allocated[i] = memory != nullptr;
  return ONNXC_OK;
}

inline onnxc_status give_lists(Run& run) {
  for (uint32_t i = 0; i < run.info->num_outputs; ++i) {
    const onnxc_status status = is_list(run.info->outputs[i]) ? give_list(run, i) : ONNXC_OK;
    if (status != ONNXC_OK) return status;
  }
  return ONNXC_OK;
}

// Whether the tensors have the dims that a special body is for; of what else they are nothing is known yet.
inline bool fits(const onnxc_value_info& wanted, const onnxc_value& given) {
  if (!is_tensor(wanted) || wanted.rank < 0) return true;
  if (given.rank != static_cast<uint32_t>(wanted.rank)) return false;
  for (int32_t d = 0; d < wanted.rank; ++d)
    if (wanted.dims[d] >= 0 && wanted.dims[d] != given.dims[d]) return false;
  return true;
}

inline const onnxc_special* find_special(const onnxc_session& session, const onnxc_run_args& args) {
  for (uint32_t s = 0; s < session.code->num_specials; ++s) {
    const onnxc_special& special = session.code->specials[s];
    bool all = true;
    for (uint32_t i = 0; all && i < args.num_inputs; ++i) all = fits(special.inputs[i], value_at(args.inputs, i));
    if (all) return &special;
  }
  return nullptr;
}

inline onnxc_model_info info_of_run(const onnxc_session& session, const onnxc_special* special) {
  onnxc_model_info info = *session.info;
  if (!special) return info;
  info.inputs = special->inputs;
  info.outputs = special->outputs;
  info.arena_bytes = special->arena_bytes;
  return info;
}

inline onnxc_status run_values(Run& run) {
  const onnxc_model_info* info = run.info;
  for (uint32_t i = 0; i < info->num_inputs; ++i) {
    const onnxc_value& value = value_at(run.args->inputs, i);
    const onnxc_status status = check_input(info->inputs[i], value, run.out);
    if (status != ONNXC_OK) return status;
    run.input_values[i] = value;
    run.inputs[i] = is_tensor(info->inputs[i]) ? value.data : value.object;
    if (is_list(info->inputs[i])) run.inputs[i] = &run.lists[i];
  }
  for (uint32_t i = 0; i < info->num_outputs; ++i) {
    onnxc_value& value = value_at(run.args->outputs, i);
    value.kind = info->outputs[i].kind;
    value.elem = info->outputs[i].elem;
    run.output_values[i] = value;
    run.output_values[i].rank = info->outputs[i].flags & ONNXC_STATIC ? 0 : kUnknownRank;
    run.outputs[i] = nullptr;
    run.prepared[i] = !is_tensor(info->outputs[i]);  // the body makes it
    run.allocated[i] = 0;
    if (!is_list(info->outputs[i])) continue;
    value.data = nullptr;
    value.capacity = 0;
    onnxc_sequence& list = run.lists[info->num_inputs + i];
    list.length = -1;
    list.list = 0;
    run.outputs[i] = &list;
  }
  const uint32_t stages = run.code->num_layouts ? run.code->num_layouts : 1;
  for (uint32_t s = 0; s < stages; ++s) run.owned[s] = run.arenas[s] = nullptr;
  onnxc_status status = ONNXC_OK;
  for (uint32_t i = 0; status == ONNXC_OK && i < info->num_inputs; ++i)
    if (is_list(info->inputs[i])) status = list_input(run, i, run.input_values[i]);
  if (status == ONNXC_OK) status = run_stages(run);
  if (status == ONNXC_OK) status = give_lists(run);
  const onnxc_host& host = run.session->host;
  release_run_memory(host, run.memory);
  for (uint32_t s = stages; s-- > 0;)
    if (run.owned[s]) host.release(host.user, run.owned[s]);
  for (uint32_t i = 0; status != ONNXC_OK && i < info->num_outputs; ++i) {
    if (!run.allocated[i]) continue;
    onnxc_value& value = value_at(run.args->outputs, i);
    host.release(host.user, value.data);
    value.data = nullptr;
    value.capacity = 0;
  }
  return status;
}

}  // namespace
}  // namespace onnxc_entry

extern "C" {

ONNXC_ENTRY onnxc_status onnxc_entry_create(const onnxc_model_info* info, const onnxc_code* code,
                                            const onnxc_create_args* args, onnxc_session** session,
                                            onnxc_message* out) {
  using onnxc_entry::Message;
  Message message(out);
  if (!args || !session || args->struct_size < ONNXC_SIZE_UP_TO(onnxc_create_args, num_threads)) {
    message << "create: an argument is null, or struct_size is not set";
    return ONNXC_INVALID_ARGUMENT;
  }
  *session = nullptr;
  if (args->abi_version != info->abi_version) {
    message << "the program uses version " << static_cast<int64_t>(args->abi_version)
            << " of the onnxc ABI, the model version " << static_cast<int64_t>(info->abi_version);
    return ONNXC_INCOMPATIBLE;
  }
  if (args->host && args->host->struct_size < ONNXC_SIZE_UP_TO(onnxc_host, release)) {
    message << "create: onnxc_host.struct_size is not set";
    return ONNXC_INVALID_ARGUMENT;
  }
  if (!onnxc_entry::check_cpu(info->required_features, info->target, out)) return ONNXC_INCOMPATIBLE;
  onnxc_session made = {};
  const onnxc_status status = onnxc_entry::check_weights(info, args, out, &made.weights);
  if (status != ONNXC_OK) return status;
  made.info = info;
  made.code = code;
  made.threads = 1;
  if (args->host) {
    onnxc_entry::copy_host(args->host, &made.host);
    made.has_host = 1;
    if (made.host.parallel) {
      made.threads = args->num_threads > 0 ? args->num_threads : made.host.max_threads;
      if (made.threads > made.host.max_threads) made.threads = made.host.max_threads;
      if (made.threads > ONNXC_MAX_THREADS) made.threads = ONNXC_MAX_THREADS;
      if (made.threads < 1) made.threads = 1;
    }
  }
  onnxc_session* place = static_cast<onnxc_session*>(args->session_memory);
  if (place) {
    if (args->session_memory_bytes < ONNXC_SESSION_BYTES || reinterpret_cast<uintptr_t>(place) % 16) {
      message << "create: session_memory must have " << static_cast<int64_t>(ONNXC_SESSION_BYTES)
              << " bytes and be aligned to 16";
      return ONNXC_INVALID_ARGUMENT;
    }
  } else {
    if (made.host.allocate)
      place = static_cast<onnxc_session*>(made.host.allocate(made.host.user, ONNXC_SESSION_BYTES, 16));
    if (!place) {
      message << "create: no session_memory was given and the host has no memory for it";
      return ONNXC_OUT_OF_MEMORY;
    }
    made.owns_memory = 1;
  }
  *place = made;
  *session = place;
  return ONNXC_OK;
}

ONNXC_ENTRY onnxc_status onnxc_entry_run(onnxc_session* session, const onnxc_run_args* args, onnxc_message* out) {
  const onnxc_status status = onnxc_entry::check_run_args(session, args, out);
  if (status != ONNXC_OK) return status;
  const uint32_t inputs = session->info->num_inputs, outputs = session->info->num_outputs;
  // On the stack: a session may be used by several threads at a time, and a model owns no heap.
  onnxc_value* copies = static_cast<onnxc_value*>(__builtin_alloca((inputs + outputs) * sizeof(onnxc_value) + 1));
  const void** pointers = static_cast<const void**>(__builtin_alloca((inputs + outputs) * sizeof(void*) + 1));
  unsigned char* flags = static_cast<unsigned char*>(__builtin_alloca(2 * outputs + 1));
  const onnxc_special* special = onnxc_entry::find_special(*session, *args);
  const onnxc_model_info info = onnxc_entry::info_of_run(*session, special);
  const onnxc_code* code = special ? &special->code : session->code;
  int64_t* table = static_cast<int64_t*>(__builtin_alloca(code->table_length * sizeof(int64_t) + 1));
  const uint32_t stages = code->num_layouts ? code->num_layouts : 1;
  void** memory = static_cast<void**>(__builtin_alloca(2 * stages * sizeof(void*)));
  onnxc_sequence* lists =
      static_cast<onnxc_sequence*>(__builtin_alloca((inputs + outputs) * sizeof(onnxc_sequence) + 1));
  onnxc_entry::Run run = {session,
                          &info,
                          code,
                          args,
                          out,
                          copies,
                          copies + inputs,
                          pointers,
                          const_cast<void**>(pointers + inputs),
                          flags,
                          flags + outputs,
                          table,
                          reinterpret_cast<unsigned char**>(memory),
                          memory + stages,
                          {},
                          lists};
  return onnxc_entry::run_values(run);
}

ONNXC_ENTRY void onnxc_entry_destroy(onnxc_session* session) {
  if (!session || !session->owns_memory) return;
  const onnxc_host host = session->host;
  host.release(host.user, session);
}

}  // extern "C"

#endif
