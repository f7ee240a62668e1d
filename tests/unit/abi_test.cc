// The entry points of a compiled model (runtime_lib/abi/): checks of arguments, memory from the caller and from the
// host, CPU features, weights, threads, messages, packing of sub-byte types. The bodies here are written by hand.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "compiler/plan/weights_blob.h"
#include "runtime_lib/abi/debug_plan.h"
#include "runtime_lib/abi/model_entry.h"

namespace {

const int64_t kDims[] = {2, 3};
const char* const kDimNames[] = {"", ""};

onnxc_value_info value_info(const char* name, onnxc_elem elem) {
  return {sizeof(onnxc_value_info), ONNXC_TENSOR, name, elem, 2, kDims, kDimNames, -1, ONNXC_STATIC};
}

// y = 2 x, by way of the arena; negative x fail.
int32_t twice_body(onnxc_frame* frame) {
  if (int32_t status = onnxc_step_begin(frame, 0)) return status;
  const float* x = static_cast<const float*>(frame->inputs[0]);
  float* t = reinterpret_cast<float*>(frame->arena);
  float* y = static_cast<float*>(frame->outputs[0]);
  for (int i = 0; i < 6; ++i) t[i] = x[i];
  for (int i = 0; i < 6; ++i) {
    if (t[i] < 0) return onnxc_step_failed(frame, "twice_f32 (Mul_1)", 1);
    y[i] = t[i] + t[i];
  }
  onnxc_step_end(frame, 0);
  return ONNXC_OK;
}

struct Heap {  // a host that counts
  int live = 0;
  bool broken = false;
  std::vector<int> profile;
  volatile int32_t cancel = 0;
  static void* allocate(void* user, uint64_t bytes, uint64_t alignment) {
    Heap* heap = static_cast<Heap*>(user);
    if (heap->broken) return nullptr;
    ++heap->live;
    return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  }
  static void release(void* user, void* memory) {
    --static_cast<Heap*>(user)->live;
    std::free(memory);
  }
  static void parallel(void*, int32_t threads, void (*task)(void*, int32_t, int32_t), void* argument) {
    std::vector<std::thread> pool;
    for (int32_t t = 0; t < threads; ++t) pool.emplace_back(task, argument, t, threads);
    for (std::thread& t : pool) t.join();
  }
  static void note(void* user, uint32_t index, int32_t phase) {
    static_cast<Heap*>(user)->profile.push_back(static_cast<int>(index) * 2 + phase);
  }
  onnxc_host host() {
    return {sizeof(onnxc_host), ONNXC_ABI_VERSION, this, allocate, release, parallel, 3, note, &cancel};
  }
};

class AbiTest : public testing::Test {
 protected:
  AbiTest() {
    info.struct_size = sizeof info;
    info.abi_version = ONNXC_ABI_VERSION;
    info.name = "twice";
    info.target = "x86-64-v2";
    info.arena_bytes = 64;
    info.session_bytes = ONNXC_SESSION_BYTES;
    info.num_inputs = info.num_outputs = 1;
    info.inputs = &in;
    info.outputs = &out;
    create_args.struct_size = sizeof create_args;
    create_args.abi_version = ONNXC_ABI_VERSION;
    create_args.session_memory = session_memory;
    create_args.session_memory_bytes = sizeof session_memory;
    message.struct_size = sizeof message;
    x = {sizeof x, ONNXC_TENSOR, 1, 2, {2, 3}, x_data, sizeof x_data, nullptr};
    y = {sizeof y, 0, 0, 0, {}, y_data, sizeof y_data, nullptr};
    run_args = {sizeof run_args, 1, 1, &x, &y, arena, sizeof arena};
  }
  onnxc_status create() {
    code = {body, nullptr, 0, 0, flags, nullptr, 0};
    return onnxc_entry_create(&info, &code, &create_args, &session, &message);
  }
  onnxc_status run() { return onnxc_entry_run(session, &run_args, &message); }
  std::string text() const { return message.text; }

  onnxc_body_fn body = &twice_body;
  uint32_t flags = 0;
  onnxc_code code = {};
  onnxc_value_info in = value_info("x", 1), out = value_info("y", 1);
  onnxc_model_info info = {};
  onnxc_create_args create_args = {};
  alignas(16) char session_memory[ONNXC_SESSION_BYTES];
  alignas(64) unsigned char arena[256];
  float x_data[6] = {1, 2, 3, 4, 5, 6}, y_data[6] = {};
  onnxc_value x, y;
  onnxc_run_args run_args;
  onnxc_session* session = nullptr;
  onnxc_message message;
};

TEST_F(AbiTest, RunsInCallersMemoryWithoutAHost) {
  ASSERT_EQ(create(), ONNXC_OK) << text();
  EXPECT_EQ(static_cast<void*>(session), session_memory);
  ASSERT_EQ(run(), ONNXC_OK) << text();
  EXPECT_EQ(y_data[5], 12);
  EXPECT_EQ(y.elem, 1);
  EXPECT_EQ(y.rank, 2u);
  EXPECT_EQ(y.dims[1], 3);
  EXPECT_EQ(text(), "");
  onnxc_entry_destroy(session);
}

TEST_F(AbiTest, TakesMemoryFromTheHostAndGivesItBack) {
  Heap heap;
  const onnxc_host host = heap.host();
  create_args.host = &host;
  create_args.session_memory = nullptr;
  ASSERT_EQ(create(), ONNXC_OK) << text();
  run_args.arena = nullptr;
  y.data = nullptr;
  ASSERT_EQ(run(), ONNXC_OK) << text();
  EXPECT_EQ(static_cast<float*>(y.data)[0], 2);
  EXPECT_EQ(heap.live, 2);  // session, output
  EXPECT_EQ(heap.profile, (std::vector<int>{0, 1}));
  host.release(&heap, y.data);
  onnxc_entry_destroy(session);
  EXPECT_EQ(heap.live, 0);
}

// y = 2 x, by way of memory of the run: many small pieces and one that is larger than a block.
int32_t copying_body(onnxc_frame* frame) {
  const float* x = static_cast<const float*>(frame->inputs[0]);
  float* pieces[1001] = {};
  for (int i = 0; i <= 1000; ++i) {
    const int64_t bytes = i < 1000 ? 40 : 100000;
    pieces[i] = static_cast<float*>(onnxc_run_allocate(frame, bytes));
    if (!pieces[i] || reinterpret_cast<uintptr_t>(pieces[i]) % ONNXC_RUN_ALIGNMENT)
      return onnxc_step_failed(frame, "copies (Mul_1)", 2);
    std::memset(pieces[i], i, static_cast<size_t>(bytes));
  }
  for (int i = 0; i < 6; ++i) pieces[0][i] = x[i];
  for (int i = 1; i < 1000; ++i)
    if (*reinterpret_cast<unsigned char*>(pieces[i] + 9) != i % 256) return ONNXC_INTERNAL;
  for (int i = 0; i < 6; ++i) static_cast<float*>(frame->outputs[0])[i] = 2 * pieces[0][i];
  return ONNXC_OK;
}

TEST_F(AbiTest, MemoryOfARunComesFromTheHostAndGoesWithTheRun) {
  Heap heap;
  const onnxc_host host = heap.host();
  create_args.host = &host;
  body = &copying_body;
  ASSERT_EQ(create(), ONNXC_OK) << text();
  ASSERT_EQ(run(), ONNXC_OK) << text();
  EXPECT_EQ(y_data[5], 12);
  EXPECT_EQ(heap.live, 0);
  heap.broken = true;
  EXPECT_EQ(run(), ONNXC_OUT_OF_MEMORY);
  EXPECT_NE(text().find("copies (Mul_1): the host could not allocate"), std::string::npos) << text();
  EXPECT_EQ(heap.live, 0);
}

TEST_F(AbiTest, MemoryOfARunNeedsAHost) {
  body = &copying_body;
  ASSERT_EQ(create(), ONNXC_OK) << text();
  EXPECT_EQ(run(), ONNXC_OUT_OF_MEMORY);
  EXPECT_NE(text().find("give the session a host with `allocate`"), std::string::npos) << text();
}

// The output is the input, a sequence or an optional.
int32_t passing_body(onnxc_frame* frame) {
  *static_cast<onnxc_sequence*>(frame->outputs[0]) = *static_cast<const onnxc_sequence*>(frame->inputs[0]);
  return ONNXC_OK;
}

TEST_F(AbiTest, SequencesComeInOnePieceThatTheCallerReleases) {
  Heap heap;
  const onnxc_host host = heap.host();
  create_args.host = &host;
  body = &passing_body;
  in.kind = out.kind = ONNXC_SEQUENCE;
  in.flags = out.flags = 0;
  ASSERT_EQ(create(), ONNXC_OK) << text();
  onnxc_value elements[2] = {x, x};
  onnxc_value list = {sizeof list, ONNXC_SEQUENCE, 0, 1, {2}, elements, 0, nullptr};
  run_args.inputs = &list;
  ASSERT_EQ(run(), ONNXC_OK) << text();
  EXPECT_EQ(y.kind, uint32_t{ONNXC_SEQUENCE});
  ASSERT_EQ(y.dims[0], 2);
  EXPECT_EQ(heap.live, 1);
  const auto* given = static_cast<const onnxc_value*>(y.data);
  for (int k = 0; k < 2; ++k) {
    EXPECT_EQ(given[k].dims[1], 3);
    EXPECT_NE(given[k].data, x.data);
    EXPECT_EQ(std::memcmp(given[k].data, x_data, sizeof x_data), 0);
  }
  host.release(&heap, y.data);
  EXPECT_EQ(heap.live, 0);

  list.dims[0] = 0;
  list.data = nullptr;
  ASSERT_EQ(run(), ONNXC_OK) << text();
  EXPECT_EQ(y.dims[0], 0);
  EXPECT_EQ(heap.live, 0);

  list.dims[0] = 2;
  EXPECT_EQ(run(), ONNXC_INVALID_ARGUMENT);
  EXPECT_NE(text().find("a sequence has rank 1"), std::string::npos) << text();
  list.data = elements;
  elements[1].elem = 7;
  EXPECT_EQ(run(), ONNXC_INVALID_ARGUMENT);
  EXPECT_NE(text().find("element 1 has elements of type int64"), std::string::npos) << text();
  elements[1].elem = 1;
  heap.broken = true;
  EXPECT_EQ(run(), ONNXC_OUT_OF_MEMORY);
  EXPECT_EQ(heap.live, 0);
}

TEST_F(AbiTest, OptionalsAreWhatTheyHold) {
  Heap heap;
  const onnxc_host host = heap.host();
  create_args.host = &host;
  body = &passing_body;
  in.kind = out.kind = ONNXC_OPTIONAL;
  in.flags = out.flags = 0;
  ASSERT_EQ(create(), ONNXC_OK) << text();
  ASSERT_EQ(run(), ONNXC_OK) << text();
  EXPECT_EQ(y.kind, uint32_t{ONNXC_TENSOR});
  EXPECT_EQ(y.dims[0], 2);
  EXPECT_EQ(std::memcmp(y.data, x_data, sizeof x_data), 0);
  host.release(&heap, y.data);
  x.kind = ONNXC_OPTIONAL;
  ASSERT_EQ(run(), ONNXC_OK) << text();
  EXPECT_EQ(y.kind, uint32_t{ONNXC_OPTIONAL});
  EXPECT_EQ(y.data, nullptr);
  EXPECT_EQ(heap.live, 0);
  x.kind = ONNXC_SEQUENCE;
  EXPECT_EQ(run(), ONNXC_INVALID_ARGUMENT);
}

// y = x and behind each string its first character.
int32_t string_body(onnxc_frame* frame) {
  const auto* x = static_cast<const onnxc_string*>(frame->inputs[0]);
  auto* y = static_cast<onnxc_string*>(frame->outputs[0]);
  for (int i = 0; i < 6; ++i) {
    char* to = static_cast<char*>(onnxc_run_allocate(frame, static_cast<int64_t>(x[i].bytes + 1)));
    if (!to) return onnxc_step_failed(frame, "repeat (Op_1)", 2);
    if (x[i].bytes) std::memcpy(to, x[i].data, x[i].bytes);
    to[x[i].bytes] = x[i].bytes ? x[i].data[0] : '.';
    y[i] = {to, x[i].bytes + 1};
  }
  return ONNXC_OK;
}

TEST_F(AbiTest, StringsAndTheirCharactersAreOnePieceOfMemory) {
  Heap heap;
  const onnxc_host host = heap.host();
  create_args.host = &host;
  body = &string_body;
  in.kind = out.kind = ONNXC_STRING_TENSOR;
  in.elem = out.elem = 8;
  info.arena_bytes = onnxc_entry::staging_bytes(8, 6, true);
  ASSERT_EQ(create(), ONNXC_OK) << text();
  onnxc_string texts[6] = {{"ab", 2}, {nullptr, 0}, {"c", 1}, {"d\0e", 3}, {"", 0}, {"f", 1}};
  x = {sizeof x, ONNXC_STRING_TENSOR, 8, 2, {2, 3}, texts, sizeof texts, nullptr};
  y.data = nullptr;
  ASSERT_EQ(run(), ONNXC_OK) << text();
  EXPECT_EQ(heap.live, 1);
  const auto* made = static_cast<const onnxc_string*>(y.data);
  EXPECT_EQ(std::string(made[0].data, made[0].bytes), "aba");
  EXPECT_EQ(std::string(made[1].data, made[1].bytes), ".");
  EXPECT_EQ(std::string(made[3].data, made[3].bytes), std::string("d\0ed", 4));
  EXPECT_EQ(made[0].data, static_cast<char*>(y.data) + 6 * sizeof(onnxc_string));
  host.release(&heap, y.data);

  alignas(16) char room[128];
  y.data = room;
  y.capacity = 20;
  EXPECT_EQ(run(), ONNXC_INVALID_ARGUMENT);
  EXPECT_NE(text().find("its buffer has 20 bytes and needs 109"), std::string::npos) << text();
  y.capacity = sizeof room;
  ASSERT_EQ(run(), ONNXC_OK) << text();
  texts[2] = {nullptr, 1};
  EXPECT_EQ(run(), ONNXC_INVALID_ARGUMENT);
  EXPECT_NE(text().find("string 2 has a null pointer"), std::string::npos) << text();
  EXPECT_EQ(heap.live, 0);
}

TEST_F(AbiTest, FailureReleasesWhatWasAllocated) {
  Heap heap;
  const onnxc_host host = heap.host();
  create_args.host = &host;
  ASSERT_EQ(create(), ONNXC_OK);
  run_args.arena = nullptr;
  y.data = nullptr;
  x_data[2] = -1;
  EXPECT_EQ(run(), ONNXC_FAILED);
  EXPECT_EQ(text(), "twice_f32 (Mul_1): an index is out of range");
  EXPECT_EQ(heap.live, 0);
  EXPECT_EQ(y.data, nullptr);
  heap.broken = true;
  EXPECT_EQ(run(), ONNXC_OUT_OF_MEMORY);
  EXPECT_EQ(text(), "output 'y': the host could not allocate 24 bytes");
}

TEST_F(AbiTest, Cancel) {
  Heap heap;
  const onnxc_host host = heap.host();
  create_args.host = &host;
  ASSERT_EQ(create(), ONNXC_OK);
  heap.cancel = 1;
  EXPECT_EQ(run(), ONNXC_CANCELLED);
  EXPECT_EQ(text(), "cancelled before operation 0");
}

TEST_F(AbiTest, RefusesWrongInputs) {
  ASSERT_EQ(create(), ONNXC_OK);
  x.dims[1] = 4;
  EXPECT_EQ(run(), ONNXC_INVALID_ARGUMENT);
  EXPECT_EQ(text(), "input 'x': has the shape [2, 4], the model wants [2, 3]");
  x.dims[1] = 3;
  x.rank = 1;
  EXPECT_EQ(run(), ONNXC_INVALID_ARGUMENT);
  EXPECT_EQ(text(), "input 'x': has rank 1, the model wants 2");
  x.rank = 2;
  x.elem = 11;
  EXPECT_EQ(run(), ONNXC_INVALID_ARGUMENT);
  EXPECT_EQ(text(), "input 'x': has elements of type float64, the model wants float32");
  x.elem = 1;
  x.data = nullptr;
  EXPECT_EQ(run(), ONNXC_INVALID_ARGUMENT);
  EXPECT_EQ(text(), "input 'x': its data pointer is null");
  x.data = reinterpret_cast<char*>(x_data) + 1;
  EXPECT_EQ(run(), ONNXC_INVALID_ARGUMENT);
  x.data = x_data;
  x.kind = ONNXC_SEQUENCE;
  EXPECT_EQ(run(), ONNXC_INVALID_ARGUMENT);
  EXPECT_EQ(text(), "input 'x': is of kind 3, the model wants kind 1");
  x.kind = ONNXC_TENSOR;
  run_args.num_inputs = 2;
  EXPECT_EQ(run(), ONNXC_INVALID_ARGUMENT);
  EXPECT_EQ(text(), "run: the model has 1 inputs and 1 outputs, but got 2 and 1");
}

TEST_F(AbiTest, RefusesShortMemory) {
  ASSERT_EQ(create(), ONNXC_OK);
  y.capacity = 20;
  EXPECT_EQ(run(), ONNXC_INVALID_ARGUMENT);
  EXPECT_EQ(text(), "output 'y': its buffer has 20 bytes and needs 24");
  y.data = nullptr;
  EXPECT_EQ(run(), ONNXC_OUT_OF_MEMORY);
  y.data = y_data;
  y.capacity = 24;
  run_args.arena_bytes = 63;
  EXPECT_EQ(run(), ONNXC_OUT_OF_MEMORY);
  run_args.arena = nullptr;
  EXPECT_EQ(run(), ONNXC_OUT_OF_MEMORY);
  EXPECT_EQ(text(), "run: no arena was given and the host cannot allocate 64 bytes");
  create_args.session_memory_bytes = 8;
  EXPECT_EQ(create(), ONNXC_INVALID_ARGUMENT);
  create_args.session_memory = nullptr;
  EXPECT_EQ(create(), ONNXC_OUT_OF_MEMORY);
}

TEST_F(AbiTest, RefusesAnotherAbi) {
  create_args.abi_version = 7;
  EXPECT_EQ(create(), ONNXC_INCOMPATIBLE);
  EXPECT_EQ(text(), "the program uses version 7 of the onnxc ABI, the model version 1");
  create_args.struct_size = 4;
  EXPECT_EQ(create(), ONNXC_INVALID_ARGUMENT);
}

TEST_F(AbiTest, OldHostHasNoFieldsAtItsEnd) {
  Heap heap;
  onnxc_host host = heap.host();
  heap.cancel = 1;
  host.struct_size = offsetof(onnxc_host, cancel);
  create_args.host = &host;
  ASSERT_EQ(create(), ONNXC_OK);
  EXPECT_EQ(run(), ONNXC_OK);  // the field lies beyond the struct
}

// A general body, which a layout tells the dims, and one for two rows, which takes more of the arena.
TEST_F(AbiTest, TheDimsOfTheInputsPickTheBody) {
  Heap heap;
  const onnxc_host host = heap.host();
  create_args.host = &host;
  const int64_t free_dims[] = {-1, 3};
  onnxc_value_info special_in = in, special_out = out;
  in.dims = out.dims = free_dims;
  in.flags = out.flags = 0;
  info.arena_bytes = 0;
  const onnxc_layout_fn layout = [](onnxc_frame* f) -> int32_t {
    f->table[0] = 0;
    f->output_values[0].rank = 2;
    f->output_values[0].dims[0] = f->input_values[0].dims[0];
    f->output_values[0].dims[1] = 3;
    return ONNXC_OK;
  };
  const onnxc_body_fn general = [](onnxc_frame* f) -> int32_t {
    static_cast<float*>(f->outputs[0])[0] = 7;
    return f->threads == 3 ? ONNXC_OK : ONNXC_FAILED;
  };
  const onnxc_special special = {&special_in, &special_out, 128, {&twice_body, nullptr, 0, 0, 0, nullptr, 0}};
  code = {general, &layout, 1, 1, ONNXC_BODY_PARALLEL, &special, 1};
  create_args.num_threads = 3;
  ASSERT_EQ(onnxc_entry_create(&info, &code, &create_args, &session, &message), ONNXC_OK) << text();
  run_args.arena_bytes = 64;  // too small for the special body, which then has one of the host
  for (int round = 0; round < 2; ++round) {
    x.dims[0] = 2;
    ASSERT_EQ(run(), ONNXC_OK) << text();
    EXPECT_EQ(y_data[0], 2);
    EXPECT_EQ(y.dims[0], 2);
    x.dims[0] = 1;
    ASSERT_EQ(run(), ONNXC_OK) << text();
    EXPECT_EQ(y_data[0], 7);
    EXPECT_EQ(y.dims[0], 1);
    EXPECT_EQ(heap.live, 0);
  }
  x.rank = 3;
  EXPECT_EQ(run(), ONNXC_INVALID_ARGUMENT);
  EXPECT_EQ(text(), "input 'x': has rank 3, the model wants 2");
}

TEST_F(AbiTest, NewerValuesAreLonger) {
  struct Longer {
    onnxc_value value;
    int64_t more[2];
  } xs[2], ys[2];
  auto two_infos = [](onnxc_value_info v) { return std::vector<onnxc_value_info>{v, v}; };
  const auto ins = two_infos(in), outs = two_infos(out);
  info.inputs = ins.data();
  info.outputs = outs.data();
  info.num_inputs = info.num_outputs = 2;
  float other[6];
  for (int i = 0; i < 2; ++i) {
    xs[i].value = x;
    ys[i].value = y;
    xs[i].value.struct_size = ys[i].value.struct_size = sizeof(Longer);
    ys[i].value.data = i ? other : y_data;
  }
  run_args = {sizeof run_args, 2, 2, &xs[0].value, &ys[0].value, arena, sizeof arena};
  body = [](onnxc_frame* f) -> int32_t {
    static_cast<float*>(f->outputs[1])[0] = static_cast<const float*>(f->inputs[1])[5];
    return f->input_values[1].dims[1] == 3 ? ONNXC_OK : ONNXC_FAILED;
  };
  ASSERT_EQ(create(), ONNXC_OK);
  ASSERT_EQ(run(), ONNXC_OK) << text();
  EXPECT_EQ(other[0], 6);
  EXPECT_EQ(ys[1].value.dims[0], 2);
}

TEST_F(AbiTest, Weights) {
  onnxc::BlobHeader written = {};  // the compiler's idea of the same struct
  std::memcpy(written.magic, onnxc::kBlobMagic, sizeof written.magic);
  written.hash = 42;
  written.bytes = 128;
  onnxc_weights_header read;
  static_assert(sizeof read == sizeof written);
  std::memcpy(&read, &written, sizeof read);
  EXPECT_EQ(read.magic, ONNXC_WEIGHTS_MAGIC);
  EXPECT_EQ(read.hash, 42u);
  EXPECT_EQ(read.bytes, 128u);
  alignas(64) onnxc_weights_header header = {ONNXC_WEIGHTS_MAGIC, ONNXC_WEIGHTS_FORMAT, 0, 42, 0, 128, 64, {}};
  info.weights_bytes = 128;
  info.weights_hash = 42;
  EXPECT_EQ(create(), ONNXC_INVALID_ARGUMENT);
  create_args.weights = &header;
  create_args.weights_bytes = 100;
  EXPECT_EQ(create(), ONNXC_INCOMPATIBLE);
  EXPECT_EQ(text(), "the weights have 100 bytes, the model needs 128");
  create_args.weights_bytes = 128;
  EXPECT_EQ(create(), ONNXC_OK) << text();
  header.hash = 43;
  EXPECT_EQ(create(), ONNXC_INCOMPATIBLE);
  EXPECT_EQ(text(), "these weights belong to another model or were packed for another target");
  header.magic = 0;
  EXPECT_EQ(create(), ONNXC_INCOMPATIBLE);
  create_args.weights = reinterpret_cast<const char*>(&header) + 8;
  EXPECT_EQ(create(), ONNXC_INVALID_ARGUMENT);
}

#if defined(__x86_64__)
TEST_F(AbiTest, NamesMissingCpuFeatures) {
  uint32_t words[onnxc_entry::kCpuWords];
  for (uint32_t& w : words) w = ~0u;
  EXPECT_TRUE(onnxc_entry::check_cpu_words(words, ONNXC_X86_V4 | ONNXC_X86_AVX512_BF16, "x86-64-v4", &message));
  words[onnxc_entry::kXcr0] = 7;
  words[onnxc_entry::kLeaf7Ebx] &= ~(1u << 16);
  EXPECT_TRUE(onnxc_entry::check_cpu_words(words, ONNXC_X86_V3, "x86-64-v3", &message));
  EXPECT_FALSE(onnxc_entry::check_cpu_words(words, ONNXC_X86_V4, "x86-64-v4", &message));
  EXPECT_EQ(text(),
            "the model was compiled for x86-64-v4; this machine lacks AVX512F, AVX-512 registers enabled by the "
            "operating system");
  info.required_features = ONNXC_X86_V2;
  EXPECT_EQ(create(), ONNXC_OK) << text();  // the real processor
}
#endif

TEST_F(AbiTest, RunsOnTheHostsThreads) {
  Heap heap;
  const onnxc_host host = heap.host();
  create_args.host = &host;
  flags = ONNXC_BODY_PARALLEL;
  body = [](onnxc_frame* f) -> int32_t {
    static_cast<float*>(f->outputs[0])[f->thread] = static_cast<float>(f->threads * 10 + f->thread);
    return static_cast<const float*>(f->inputs[0])[f->thread] < 0 ? ONNXC_FAILED : ONNXC_OK;
  };
  ASSERT_EQ(create(), ONNXC_OK);
  ASSERT_EQ(run(), ONNXC_OK);
  EXPECT_EQ(y_data[0], 30);
  EXPECT_EQ(y_data[2], 32);
  x_data[1] = -1;  // fails on thread 1 only
  EXPECT_EQ(run(), ONNXC_FAILED);
  create_args.num_threads = 2;
  x_data[1] = 1;
  ASSERT_EQ(create(), ONNXC_OK);
  ASSERT_EQ(run(), ONNXC_OK);
  EXPECT_EQ(y_data[1], 21);
}

// A kernel fails on thread 1; the others come to the next barrier, learn of it there, and leave with it.
TEST_F(AbiTest, AFailureReachesAllThreadsAtTheNextBarrier) {
  Heap heap;
  const onnxc_host host = heap.host();
  create_args.host = &host;
  flags = ONNXC_BODY_PARALLEL;
  body = [](onnxc_frame* f) -> int32_t {
    float* y = static_cast<float*>(f->outputs[0]);
    int32_t status = onnxc_barrier(f, ONNXC_OK);
    if (status != ONNXC_OK) return status;
    if (static_cast<const float*>(f->inputs[0])[f->thread] < 0) status = onnxc_step_failed(f, "gather (node)", 1);
    status = onnxc_barrier(f, status);
    if (status != ONNXC_OK) return status;
    y[f->thread] = 1;
    return ONNXC_OK;
  };
  ASSERT_EQ(create(), ONNXC_OK);
  std::fill(std::begin(y_data), std::end(y_data), 0.0f);
  x_data[1] = -1;
  EXPECT_EQ(run(), ONNXC_FAILED);
  EXPECT_EQ(text(), "gather (node): an index is out of range");
  for (float v : y_data) EXPECT_EQ(v, 0);
  x_data[1] = 1;
  EXPECT_EQ(run(), ONNXC_OK);
  for (int t = 0; t < 3; ++t) EXPECT_EQ(y_data[t], 1);
}

TEST_F(AbiTest, SubByteValuesAreOnePerByteInside) {
  in = value_info("x", 22);   // int4
  out = value_info("y", 21);  // uint4
  info.arena_bytes = 2 * onnxc_entry::staging_bytes(22, 6, false);
  unsigned char packed[3] = {0x2f, 0x81, 0x70}, result[3] = {};  // -1 2, 1 -8, 0 7
  x.elem = 22;
  x.data = packed;
  y.data = result;
  y.capacity = 3;
  body = [](onnxc_frame* f) -> int32_t {
    const signed char expected[6] = {-1, 2, 1, -8, 0, 7};
    for (int i = 0; i < 6; ++i) static_cast<unsigned char*>(f->outputs[0])[i] = static_cast<unsigned char>(i + 10);
    return std::memcmp(f->inputs[0], expected, 6) ? ONNXC_FAILED : ONNXC_OK;
  };
  ASSERT_EQ(create(), ONNXC_OK);
  ASSERT_EQ(run(), ONNXC_OK) << text();
  EXPECT_EQ(result[0], 0xba);
  EXPECT_EQ(result[2], 0xfe);
}

TEST_F(AbiTest, DebugPlanFillsAndGuards) {
  const onnxc_debug_buffer buffers[] = {{"a", 32, 16, 0, 1}, {"b", 112, 16, 1, 2}};
  const onnxc_debug_plan plan = {buffers, 2, 32};
  onnxc_frame frame = {};
  frame.arena = arena;
  frame.message = &message;
  onnxc_debug_start(&frame, &plan);
  onnxc_debug_before(&frame, &plan, 0);
  std::memset(arena + 32, 0, 16);
  onnxc_debug_before(&frame, &plan, 1);
  EXPECT_EQ(arena[32], 0);  // "a" lives already
  EXPECT_EQ(arena[112], 0xff);
  EXPECT_EQ(onnxc_debug_after(&frame, &plan, 1, "op"), ONNXC_OK);
#ifndef ONNXC_ADDRESS_SANITIZER
  EXPECT_EQ(arena[32], 0xff);  // dead
  arena[130] = 0;
  EXPECT_EQ(onnxc_debug_after(&frame, &plan, 2, "conv"), ONNXC_INTERNAL);
  EXPECT_EQ(text(), "debug-plan: conv wrote 3 bytes beyond the end of buffer 'b'");
  arena[130] = ONNXC_GUARD_BYTE;
  arena[30] = 0;
  EXPECT_EQ(onnxc_debug_after(&frame, &plan, 2, "conv"), ONNXC_INTERNAL);
  EXPECT_EQ(text(), "debug-plan: conv wrote 2 bytes before the start of buffer 'a'");
#endif
  onnxc_debug_end(&frame, &plan);
}

TEST(SubByte, SixBitsCrossBytes) {
  const unsigned char in[5] = {1, 63, 32, 21, 42};
  unsigned char packed[4], out[5];
  ASSERT_EQ(onnxc_entry::packed_bytes(27, 5), 4u);
  onnxc_entry::pack(in, packed, 5, 27);
  onnxc_entry::unpack(packed, out, 5, 27);
  EXPECT_EQ(std::memcmp(in, out, 5), 0);
}

TEST(Message, LongTextsAreCut) {
  onnxc_message message;
  message.struct_size = 12;
  onnxc_entry::Message(&message) << "0123456789";
  EXPECT_STREQ(message.text, "0123456");
  onnxc_entry::Message(&message) << INT64_MIN;
  EXPECT_STREQ(message.text, "-922337");
}

}  // namespace
