// Linking: a tiny model as shared library and archive; what is in them; what failures leave behind.
#include "compiler/link/link.h"

#include <dlfcn.h>
#include <elf.h>
#include <gtest/gtest.h>
#include <onnxc/onnxc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "compiler/link/temporary_file.h"
#include "compiler/plan/make_plan.h"

namespace onnxc {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kElements = 3000;

// y = x + c, with a constant c of some pages.
Plan small_plan() {
  Program p;
  auto add = [&](const char* name, Buffer::Storage storage) {
    Buffer b;
    b.name = name;
    b.dims = {kElements};
    b.storage = storage;
    b.index = 0;
    return p.add_buffer(b);
  };
  const BufferId x = add("x", Buffer::Storage::Input), y = add("y", Buffer::Storage::Output);
  const BufferId c = add("c", Buffer::Storage::Constant);
  p.inputs = {{"x", Elem::F32, {""}, {kElements}, x}};
  p.outputs = {{"y", Elem::F32, {""}, {kElements}, y}};
  p.constants = {{"c", Tensor::f32({kElements}, std::vector<float>(kElements, 2.5f)), {}}};
  const Expr i = expr::index(Dim::symbol("i"));
  const Expr sum = expr::binary(ExprOp::Add, expr::load(x, Elem::F32, {i}), expr::load(c, Elem::F32, {i}));
  p.ops.push_back({Nest{{{For{{"i", kElements}, {{Store{y, {i}, sum, nullptr}}}}}}}, {}, {}, {}});
  auto plan = make_plan(p, Options());
  EXPECT_TRUE(plan.ok()) << plan.error().str();
  return std::move(plan).value();
}

class LinkTest : public testing::Test {
 protected:
  // A test run in the background may have inherited SIG_IGN, which the handlers would put back.
  static void SetUpTestSuite() { signal(SIGINT, SIG_DFL); }
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("onnxc_link_test_" + std::to_string(getpid()));
    fs::create_directories(folder_);
    identity_.name = "tiny";
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string object() {
    Options options;
    auto result = emit_llvm(plan_, identity_, *Target::from_options(options), options, LlvmOutput::Object);
    EXPECT_TRUE(result.ok()) << result.error().str();
    return *result;
  }
  std::string path(const char* name) const { return (folder_ / name).string(); }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
  ModelIdentity identity_;
  Plan plan_ = small_plan();
};

void expect_runs(const onnxc_model* model) {
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(model->info->weights) % 4096, 0u);
  alignas(16) unsigned char memory[1024];
  onnxc_create_args create = {};
  create.struct_size = sizeof create;
  create.abi_version = ONNXC_ABI_VERSION;
  create.session_memory = memory;
  create.session_memory_bytes = sizeof memory;
  onnxc_message message = {sizeof message, ""};
  onnxc_session* session = nullptr;
  ASSERT_EQ(model->create(&create, &session, &message), ONNXC_OK) << message.text;
  std::vector<float> x(kElements, 1.0f), y(kElements);
  auto value = [](std::vector<float>& data) {
    onnxc_value v = {};
    v.struct_size = sizeof v;
    v.kind = ONNXC_TENSOR;
    v.elem = 1;
    v.rank = 1;
    v.dims[0] = kElements;
    v.data = data.data();
    v.capacity = data.size() * 4;
    return v;
  };
  onnxc_value in = value(x), out = value(y);
  onnxc_run_args run = {sizeof run, 1, 1, &in, &out, nullptr, 0};
  ASSERT_EQ(model->run(session, &run, &message), ONNXC_OK) << message.text;
  EXPECT_EQ(y, std::vector<float>(kElements, 3.5f));
  model->destroy(session);
}

TEST_F(LinkTest, SharedLibraryRuns) {
  const Status linked = link_shared(object(), plan_, identity_, {}, path("tiny.so"));
  ASSERT_TRUE(linked.ok()) << linked.error().str();
  EXPECT_EQ(files(), 1u) << "only the library is left";
  void* library = dlopen(path("tiny.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  expect_runs(reinterpret_cast<onnxc_get_model_fn>(dlsym(library, "onnxc_get_model"))());
  EXPECT_NE(dlsym(library, "tiny_get_model"), nullptr);
  EXPECT_EQ(dlsym(library, "tiny_body"), nullptr);
  dlclose(library);
}

TEST_F(LinkTest, SharedLibraryNeedsNothingAndEndsWithItsWeights) {
  ASSERT_TRUE(link_shared(object(), plan_, identity_, {}, path("tiny.so")).ok());
  std::ifstream in(path("tiny.so"), std::ios::binary);
  std::stringstream contents;
  contents << in.rdbuf();
  const std::string file = contents.str();
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(file.data());
  const auto* segments = reinterpret_cast<const Elf64_Phdr*>(file.data() + header->e_phoff);
  const Elf64_Phdr* last = nullptr;
  for (int i = 0; i < header->e_phnum; ++i) {
    const Elf64_Phdr& s = segments[i];
    if (s.p_type == PT_LOAD) last = &s;
    if (s.p_type != PT_DYNAMIC) continue;
    for (auto* d = reinterpret_cast<const Elf64_Dyn*>(file.data() + s.p_offset); d->d_tag != DT_NULL; ++d)
      EXPECT_NE(d->d_tag, DT_NEEDED);
  }
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(last->p_flags, static_cast<uint32_t>(PF_R));
  EXPECT_EQ(last->p_filesz, plan_.blob_bytes);
  EXPECT_EQ(last->p_offset + last->p_filesz, file.size());
  EXPECT_EQ(last->p_offset % 4096, 0u);
}

TEST_F(LinkTest, ArchiveLinksIntoAProgram) {
  identity_.shared = false;
  const Status written = write_archive(object(), plan_, identity_, path("tiny.a"));
  ASSERT_TRUE(written.ok()) << written.error().str();
  EXPECT_EQ(files(), 1u);
  std::ofstream(path("main.c"))
      << "extern const void* tiny_get_model(void); int main(void) { return !tiny_get_model(); }";
  const std::string command = "cc " + path("main.c") + " " + path("tiny.a") + " -o " + path("main");
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(std::system(path("main").c_str()), 0);
}

TEST_F(LinkTest, WeightsApart) {
  identity_.embed_weights = false;
  ASSERT_TRUE(link_shared(object(), plan_, identity_, {}, path("tiny.so")).ok());
  ASSERT_TRUE(write_weights(plan_, path("tiny.weights")).ok());
  EXPECT_EQ(fs::file_size(path("tiny.weights")), plan_.blob_bytes);
}

TEST_F(LinkTest, LinkerErrorsAreOurs) {
  const Status bad = link_shared("not an object", plan_, identity_, {}, path("tiny.so"));
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(files(), 0u);
}

TEST_F(LinkTest, MissingFolderIsAnEnvironmentError) {
  const Status bad = link_shared(object(), plan_, identity_, {}, path("nowhere/tiny.so"));
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().kind(), ErrorKind::Environment);
}

TEST_F(LinkTest, FullDiskIsAnEnvironmentErrorAndLeavesNothing) {
  const pid_t child = fork();
  if (child == 0) {  // a limit on the size of files stands for the full disk
    signal(SIGXFSZ, SIG_IGN);
    const rlim_t limit = 8192;
    struct rlimit value = {limit, limit};
    setrlimit(RLIMIT_FSIZE, &value);
    const Status bad = write_archive(object() + std::string(20000, '\0'), plan_, identity_, path("tiny.a"));
    _exit(!bad.ok() && bad.error().kind() == ErrorKind::Environment ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(files(), 0u);
}

TEST_F(LinkTest, InterruptRemovesTemporaryFiles) {
  const pid_t child = fork();
  if (child == 0) {
    auto file = TemporaryFile::create(path("tiny.so"));
    if (!file.ok() || !file->write("half").ok()) _exit(1);
    raise(SIGINT);
    _exit(2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) << status;
  EXPECT_EQ(files(), 0u);
}

TEST_F(LinkTest, AnIgnoredInterruptLeavesTemporaryFiles) {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGINT, SIG_IGN);
    auto file = TemporaryFile::create(path("tiny.so"));
    if (!file.ok() || !file->write("half").ok()) _exit(1);
    raise(SIGINT);
    _exit(file->commit(0666).ok() ? 0 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(fs::exists(path("tiny.so")));
}

}  // namespace
}  // namespace onnxc
