/* Opens a model.so by its path and runs it on the same input as classify.cc does, in C, with no other library than
 * libc. A second argument is the file of its weights, where they are kept apart. */
#include <dlfcn.h>
#include <onnxc/onnxc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t elements(const onnxc_value_info* info) {
  uint64_t n = 1;
  for (int32_t i = 0; i < info->rank; ++i) n *= (uint64_t)info->dims[i];
  return n;
}

static onnxc_value value_of(const onnxc_value_info* info, void* data) {
  onnxc_value v;
  memset(&v, 0, sizeof v);
  v.struct_size = sizeof v;
  v.kind = ONNXC_TENSOR;
  v.elem = info->elem;
  v.rank = (uint32_t)info->rank;
  for (int32_t i = 0; i < info->rank; ++i) v.dims[i] = info->dims[i];
  v.data = data;
  v.capacity = elements(info) * sizeof(float);
  return v;
}

/* The file's contents, aligned to 64 bytes. */
static void* read_file(const char* path, uint64_t* bytes) {
  FILE* file = fopen(path, "rb");
  if (!file) return NULL;
  fseek(file, 0, SEEK_END);
  *bytes = (uint64_t)ftell(file);
  rewind(file);
  void* memory = aligned_alloc(64, (*bytes + 63) / 64 * 64);
  const size_t read = fread(memory, 1, *bytes, file);
  fclose(file);
  return read == *bytes ? memory : NULL;
}

int main(int argc, char** argv) {
  void* library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
  if (!library) return fprintf(stderr, "%s\n", dlerror()), 1;
  onnxc_get_model_fn get_model;
  *(void**)&get_model = dlsym(library, "onnxc_get_model");
  const onnxc_model* model = get_model();
  const onnxc_model_info* info = model->info;
  onnxc_message message = {sizeof message, ""};
  onnxc_create_args create = {sizeof create, ONNXC_ABI_VERSION, NULL, NULL, 0, NULL, 0, 0};
  create.session_memory_bytes = (info->session_bytes + 15) / 16 * 16;
  create.session_memory = aligned_alloc(16, create.session_memory_bytes);
  if (argc > 2) create.weights = read_file(argv[2], &create.weights_bytes);
  onnxc_session* session;
  if (model->create(&create, &session, &message) != ONNXC_OK) return fprintf(stderr, "%s\n", message.text), 1;

  const uint64_t n = elements(&info->inputs[0]), m = elements(&info->outputs[0]);
  float *x = malloc(n * sizeof *x), *y = malloc(m * sizeof *y);
  for (uint64_t i = 0; i < n; ++i) x[i] = (float)((int)(i * 37 % 17) - 8) / 8;
  onnxc_value input = value_of(&info->inputs[0], x), output = value_of(&info->outputs[0], y);
  onnxc_run_args run = {sizeof run, 1, 1, &input, &output, NULL, (info->arena_bytes + 63) / 64 * 64};
  run.arena = aligned_alloc(64, run.arena_bytes ? run.arena_bytes : 64);
  if (model->run(session, &run, &message) != ONNXC_OK) return fprintf(stderr, "%s\n", message.text), 1;
  for (uint64_t i = 0; i < m; ++i) printf("%ld\n", (long)(y[i] * 1e6f + 0.5f));
  model->destroy(session);
  return 0;
}
