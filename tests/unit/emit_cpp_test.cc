// The C++ back end: spelling, expressions, nests and reductions, whole projects built by the host's compiler and run.
#include "compiler/emit/cpp/emit_cpp.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <onnxc/onnxc.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "codegen_templates/embedded_files.h"
#include "compiler/emit/cpp/cpp_text.h"
#include "compiler/emit/cpp/nest_printer.h"
#include "compiler/plan/make_plan.h"

namespace onnxc {
namespace {

namespace fs = std::filesystem;
using expr::operator+;
using expr::operator*;

Expr idx(const std::string& name) { return expr::index(Dim::symbol(name)); }

TEST(CppText, FloatLiteralsReadBack) {
  EXPECT_EQ(cpp::float_literal(Elem::F32, 0.1f), "0.1f");
  EXPECT_EQ(cpp::float_literal(Elem::F32, 1), "1.0f");
  EXPECT_EQ(cpp::float_literal(Elem::F64, 0.1), "0.1");
  EXPECT_EQ(cpp::float_literal(Elem::F32, 16777216), "16777216.0f");
  EXPECT_EQ(cpp::float_literal(Elem::F32, -INFINITY), "-__builtin_inff()");
  EXPECT_EQ(cpp::float_literal(Elem::F64, NAN), "__builtin_nan(\"\")");
  EXPECT_EQ(cpp::float_literal(Elem::F32, 1e20), "1e+20f");
  EXPECT_EQ(cpp::float_literal(Elem::F32, -0.0), "-0.0f");
  for (float v : {1.17549435e-38f, 3.4028235e38f, 1.0f / 3, 1e-45f})
    EXPECT_EQ(std::strtof(cpp::float_literal(Elem::F32, v).c_str(), nullptr), v);
}

TEST(CppText, Identifiers) {
  cpp::Names names;
  EXPECT_EQ(names.of("conv1/weight:0"), "conv1_weight_0");
  EXPECT_EQ(names.of("conv1.weight.0"), "conv1_weight_0_2");
  EXPECT_EQ(names.of("conv1/weight:0"), "conv1_weight_0");
  EXPECT_EQ(names.of("int"), "int_2");
  EXPECT_EQ(names.of("0"), "v0");
  EXPECT_EQ(names.of("\xc3\xa9__x_"), "x");
  EXPECT_EQ(cpp::quoted("a\"\\\n"), "\"a\\\"\\\\\\012\"");
}

TEST(CppText, Dims) {
  cpp::Names names;
  const Dim i = Dim::symbol("i"), j = Dim::symbol("j");
  EXPECT_EQ(cpp::dim_text(i * Dim(64) + j, names), "i * 64 + j");
  EXPECT_EQ(cpp::dim_text(i - j * Dim(2) - Dim(1), names), "i - j * 2 - 1");
  EXPECT_EQ(cpp::dim_text(Dim::floor_div(i, Dim(4)) * Dim(3), names), "i / 4 * 3");
  EXPECT_EQ(cpp::dim_text(Dim::floor_div(i - Dim(3), Dim(4)), names), "(i + 1) / 4 - 1");
}

// A program of one input per buffer given, one output, and one nest.
struct Built {
  Program program;
  BufferId input(const std::string& name, Elem elem, Shape dims) {
    Buffer b;
    b.name = name;
    b.elem = elem;
    b.dims = dims;
    b.storage = Buffer::Storage::Input;
    b.index = static_cast<int64_t>(program.inputs.size());
    const BufferId id = program.add_buffer(b);
    program.inputs.push_back({name, elem, std::vector<std::string>(dims.size()), dims, id});
    return id;
  }
  BufferId output(const std::string& name, Elem elem, Shape dims) {
    Buffer b;
    b.name = name;
    b.elem = elem;
    b.dims = dims;
    b.storage = Buffer::Storage::Output;
    b.index = static_cast<int64_t>(program.outputs.size());
    const BufferId id = program.add_buffer(b);
    program.outputs.push_back({name, elem, std::vector<std::string>(dims.size()), dims, id});
    return id;
  }
  BufferId arena(const std::string& name, Elem elem, Shape dims) {
    Buffer b;
    b.name = name;
    b.elem = elem;
    b.dims = dims;
    return program.add_buffer(b);
  }
  BufferId constant(const std::string& name, Tensor tensor) {
    Buffer b;
    b.name = name;
    b.elem = tensor.elem();
    for (int64_t d : tensor.dims()) b.dims.push_back(d);
    b.storage = Buffer::Storage::Constant;
    b.index = static_cast<int64_t>(program.constants.size());
    program.constants.push_back({name, tensor, {}});
    return program.add_buffer(b);
  }
  void nest(Block body, const std::string& origin = "node") {
    program.ops.push_back({Nest{std::move(body)}, std::nullopt, {}, {origin}});
  }
};

Stmt for_each(const std::string& var, Dim extent, Block body) { return {For{{var, extent}, std::move(body)}}; }

// Builds the model into a shared library and runs it.
class Model {
 public:
  explicit Model(const Built& built, Options options = {}, const std::string& name = "unit_model") {
    options.cpu = "x86-64-v3";
    auto target = Target::from_options(options);
    EXPECT_TRUE(target.ok());
    auto plan = make_plan(built.program, options);
    EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().str());
    ModelIdentity identity;
    identity.name = name;
    auto files = emit_cpp(*plan, identity, *target, options);
    EXPECT_TRUE(files.ok()) << (files.ok() ? "" : files.error().str());
    if (files.ok()) source = files->at(name + ".cc");
    const std::string path =
        (fs::temp_directory_path() / ("emit_cpp_test_" + std::to_string(getpid()) + ".so")).string();
    const Status status = build_cpp_shared(*plan, identity, *target, options, path);
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().str()) << source;
    if (!status.ok()) return;
    library_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    fs::remove(path);
    EXPECT_NE(library_, nullptr) << dlerror();
    model_ = reinterpret_cast<onnxc_get_model_fn>(dlsym(library_, "onnxc_get_model"))();
    message_.struct_size = sizeof message_;
    onnxc_create_args args = {};
    args.struct_size = sizeof args;
    args.abi_version = ONNXC_ABI_VERSION;
    args.session_memory = memory_;
    args.session_memory_bytes = sizeof memory_;
    EXPECT_EQ(model_->create(&args, &session_, &message_), ONNXC_OK) << message_.text;
  }
  ~Model() {
    if (library_) dlclose(library_);
  }

  onnxc_status run(const std::vector<void*>& inputs, const std::vector<void*>& outputs) {
    std::vector<onnxc_value> in, out;
    for (size_t i = 0; i < inputs.size(); ++i) in.push_back(value(model_->info->inputs[i], inputs[i]));
    for (size_t i = 0; i < outputs.size(); ++i) out.push_back(value(model_->info->outputs[i], outputs[i]));
    const uint64_t bytes = (model_->info->arena_bytes + 63) / 64 * 64;
    void* arena = bytes ? std::aligned_alloc(64, bytes) : nullptr;
    const onnxc_run_args args = {
        sizeof args, static_cast<uint32_t>(in.size()), static_cast<uint32_t>(out.size()), in.data(), out.data(), arena,
        bytes};
    const onnxc_status status = model_->run(session_, &args, &message_);
    std::free(arena);
    return status;
  }
  std::string message() const { return message_.text; }
  const onnxc_model* model() const { return model_; }
  std::string source;

 private:
  static onnxc_value value(const onnxc_value_info& info, void* data) {
    onnxc_value v = {};
    v.struct_size = sizeof v;
    v.kind = ONNXC_TENSOR;
    v.elem = info.elem;
    v.rank = static_cast<uint32_t>(info.rank);
    for (int i = 0; i < info.rank; ++i) v.dims[i] = info.dims[i];
    v.data = data;
    v.capacity = 1 << 20;
    return v;
  }
  void* library_ = nullptr;
  const onnxc_model* model_ = nullptr;
  onnxc_session* session_ = nullptr;
  onnxc_message message_ = {};
  alignas(16) char memory_[1024];
};

TEST(EmitCpp, RunsAChainOfNestsOverArenaAndWeights) {
  Built b;
  const BufferId x = b.input("x", Elem::F32, {4, 5}), w = b.constant("w", Tensor::f32({5}, {1, 2, 3, 4, 5}));
  const BufferId t = b.arena("t", Elem::F32, {4, 5}), y = b.output("y", Elem::F32, {4, 5});
  const auto at = std::vector<Expr>{idx("i"), idx("j")};
  b.nest(
      {for_each("i", 4,
                {for_each("j", 5,
                          {{Store{t, at, expr::load(x, Elem::F32, at) * expr::load(w, Elem::F32, {idx("j")}), {}}}})})},
      "Mul_0");
  const Expr v = expr::load(t, Elem::F32, at);
  b.nest(
      {for_each("i", 4,
                {for_each("j", 5, {{Store{y, at, expr::binary(ExprOp::Max, v, expr::constant(Elem::F32, 0)), {}}}})})},
      "Relu_1");
  b.program.metadata["author"] = "a \"quoted\" name";
  Model m(b);
  float in[20], out[20];
  for (int i = 0; i < 20; ++i) in[i] = static_cast<float>(i - 10);
  ASSERT_EQ(m.run({in}, {out}), ONNXC_OK) << m.message();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(out[i], std::fmax(0.0f, in[i] * static_cast<float>(i % 5 + 1)));
  EXPECT_NE(m.source.find("// from: Mul_0"), std::string::npos);
  EXPECT_NE(m.source.find("for (int64_t j = 0; j < 5; ++j) {"), std::string::npos) << m.source;
  EXPECT_STREQ(m.model()->info->metadata[0].value, "a \"quoted\" name");
  EXPECT_STREQ(m.model()->info->operations[1], "nest (Relu_1)");
}

TEST(EmitCpp, EqualOperationsShareAFunction) {
  Built b;
  const BufferId x = b.input("x", Elem::F32, {8}), t = b.arena("t", Elem::F32, {8}), y = b.output("y", Elem::F32, {8});
  for (const auto& [from, to, var] : {std::tuple{x, t, "i"}, std::tuple{t, y, "k"}})
    b.nest({for_each(
        var, 8, {{Store{to, {idx(var)}, expr::unary(ExprOp::Exp, expr::load(from, Elem::F32, {idx(var)})), {}}}})});
  Options options;
  auto target = Target::from_options(options);
  auto plan = make_plan(b.program, options);
  ModelIdentity identity;
  identity.name = "m";
  const std::string source = emit_cpp(*plan, identity, *target, options)->at("m.cc");
  EXPECT_NE(source.find("op_0_nest("), std::string::npos);
  EXPECT_EQ(source.find("op_1_nest("), std::string::npos) << source;
}

// out[i] = f(x[i]) for several f over one input; each an output of its own.
TEST(EmitCpp, SharedAndGuardedSubexpressions) {
  Built b;
  const BufferId x = b.input("x", Elem::F32, {6}), y = b.output("y", Elem::F32, {6});
  Expr v = expr::load(x, Elem::F32, {idx("i")});
  for (int k = 0; k < 40; ++k) v = v + v * expr::constant(Elem::F32, 0.0);  // 2^40 nodes as a tree
  // Beyond the end for i = 5: only the taken branch may load.
  const Expr last = expr::binary(ExprOp::Ge, idx("i"), expr::int_constant(Elem::I64, 5));
  b.nest({for_each("i", 6,
                   {{Let{"twice", v + v}},
                    {Store{y,
                           {idx("i")},
                           expr::select(last, expr::constant(Elem::F32, -1),
                                        expr::let("twice", Elem::F32) +
                                            expr::load(x, Elem::F32, {expr::index(Dim::symbol("i") + Dim(1))})),
                           {}}}})});
  Model m(b);
  float in[6] = {1, 2, 3, 4, 5, 6}, out[6];
  ASSERT_EQ(m.run({in}, {out}), ONNXC_OK);
  EXPECT_EQ(out[0], 4);
  EXPECT_EQ(out[4], 16);
  EXPECT_EQ(out[5], -1);
}

TEST(EmitCpp, IntegersAreTotal) {
  Built b;
  const BufferId x = b.input("x", Elem::I32, {4}), z = b.input("z", Elem::I32, {4});
  const auto row = [&](ExprOp op) {
    const BufferId y = b.output("y", Elem::I32, {4});
    b.nest(
        {for_each("i", 4,
                  {{Store{y,
                          {idx("i")},
                          expr::binary(op, expr::load(x, Elem::I32, {idx("i")}), expr::load(z, Elem::I32, {idx("i")})),
                          {}}}})});
  };
  for (ExprOp op :
       {ExprOp::Add, ExprOp::Mul, ExprOp::Div, ExprOp::Rem, ExprOp::Mod, ExprOp::Shl, ExprOp::Min, ExprOp::Xor})
    row(op);
  Model m(b);
  int32_t a[4] = {INT32_MAX, INT32_MIN, 7, -7}, c[4] = {1, -1, 0, 4}, out[8][4];
  std::vector<void*> outs;
  for (auto& o : out) outs.push_back(o);
  ASSERT_EQ(m.run({a, c}, outs), ONNXC_OK);
  EXPECT_EQ(out[0][0], INT32_MIN);
  EXPECT_EQ(out[1][1], INT32_MIN);
  EXPECT_EQ(out[2][1], INT32_MIN);
  EXPECT_EQ(out[2][2], 0);
  EXPECT_EQ(out[3][3], -3);
  EXPECT_EQ(out[4][3], 1);
  EXPECT_EQ(out[5][1], 0);
  EXPECT_EQ(out[6][3], -7);
  EXPECT_EQ(out[7][3], -7 ^ 4);
}

TEST(EmitCpp, NarrowTypesWidenAndRound) {
  Built b;
  const BufferId x = b.input("x", Elem::F16, {3}), h = b.output("h", Elem::F16, {3}), q = b.output("q", Elem::I4, {3});
  const BufferId p = b.output("p", Elem::Bool, {3});
  const Expr v = expr::load(x, Elem::F16, {idx("i")});
  b.nest({for_each("i", 3,
                   {{Store{h, {idx("i")}, v + v, {}}},
                    {Store{q, {idx("i")}, expr::cast(v, Elem::I4), {}}},
                    {Store{p, {idx("i")}, expr::binary(ExprOp::Gt, v, expr::constant(Elem::F32, 1.5)), {}}}})});
  Model m(b);
  uint16_t in[3] = {0x3c00, 0x4000, 0xc900}, half[3];  // 1, 2, -10
  unsigned char nibbles[2] = {}, greater[3];
  ASSERT_EQ(m.run({in}, {half, nibbles, greater}), ONNXC_OK);
  EXPECT_EQ(half[0], 0x4000);
  EXPECT_EQ(half[2], 0xcd00);
  EXPECT_EQ(nibbles[0], 0x21);
  EXPECT_EQ(nibbles[1], 0x08);  // -10 saturates at -8
  EXPECT_EQ(greater[0], 0);
  EXPECT_EQ(greater[1], 1);
}

float tree_sum(const std::vector<float>& v, int lanes) {
  std::vector<float> partial(static_cast<size_t>(lanes), 0.0f);
  for (size_t i = 0; i < v.size(); ++i) partial[i % static_cast<size_t>(lanes)] += v[i];
  for (int half = lanes / 2; half; half /= 2)
    for (int l = 0; l < half; ++l) partial[static_cast<size_t>(l)] += partial[static_cast<size_t>(l + half)];
  return partial[0];
}

TEST(EmitCpp, ReductionsHaveTheStatedOrder) {
  Built b;
  const BufferId x = b.input("x", Elem::F32, {7, 19});
  const auto sum = [&](const std::vector<LoopVar>& vars, int lanes, Dim rows) {
    const BufferId y = b.output("y", Elem::F32, {rows});
    const Expr element = expr::load(x, Elem::F32, {idx(vars.size() == 2 ? vars[0].name : "r"), idx(vars.back().name)});
    Reduce reduce{"sum", ReduceOp::Add, vars, lanes, false, element};
    b.nest({for_each("r", rows, {{reduce}, {Store{y, {idx("r")}, expr::let("sum", Elem::F32), {}}}})});
  };
  sum({{"k", 19}}, 1, 7);
  sum({{"k", 19}}, 8, 7);
  sum({{"a", 7}, {"k", 19}}, 4, 1);
  sum({{"a", 7}, {"k", 16}}, 8, 1);
  const BufferId best = b.output("best", Elem::I64, {7});
  b.nest({for_each(
      "r", 7,
      {{Reduce{"where", ReduceOp::ArgMax, {{"k", 19}}, 1, false, expr::load(x, Elem::F32, {idx("r"), idx("k")})}},
       {Store{best, {idx("r")}, expr::let("where", Elem::I64), {}}}})});
  Model m(b);
  std::vector<float> in(7 * 19);
  for (size_t i = 0; i < in.size(); ++i) in[i] = std::sin(static_cast<float>(i * i)) * 1e3f + 0.1f;
  in[19 * 2 + 5] = in[19 * 2 + 9] = 5e3f;
  in[19 * 3 + 7] = NAN;
  float y[4][7];
  int64_t where[7];
  ASSERT_EQ(m.run({in.data()}, {y[0], y[1], y[2], y[3], where}), ONNXC_OK);
  for (int r = 0; r < 7; ++r) {
    const std::vector<float> row(in.begin() + r * 19, in.begin() + r * 19 + 19);
    if (r == 3) continue;  // NaN
    EXPECT_EQ(y[0][r], tree_sum(row, 1));
    EXPECT_EQ(y[1][r], tree_sum(row, 8));
  }
  EXPECT_EQ(where[2], 5);
  EXPECT_EQ(where[3], 7);
  in[19 * 3 + 7] = 0;
  ASSERT_EQ(m.run({in.data()}, {y[0], y[1], y[2], y[3], where}), ONNXC_OK);
  EXPECT_EQ(y[2][0], tree_sum(in, 4));
  std::vector<float> part;
  for (int r = 0; r < 7; ++r) part.insert(part.end(), in.begin() + r * 19, in.begin() + r * 19 + 16);
  EXPECT_EQ(y[3][0], tree_sum(part, 8));
}

TEST(EmitCpp, NoUndefinedSymbols) {
  Built b;
  const BufferId x = b.input("x", Elem::F32, {4096}), y = b.output("y", Elem::F32, {4096});
  b.nest({for_each("i", 4096,
                   {{Store{y, {idx("i")}, expr::load(x, Elem::F32, {idx("i")}), {}}}})});  // memcpy to a compiler
  Model m(b);  // linked with -nostdlib -z defs
  std::vector<float> in(4096, 2.5f), out(4096);
  ASSERT_EQ(m.run({in.data()}, {out.data()}), ONNXC_OK);
  EXPECT_EQ(out, in);
}

TEST(EmitCpp, DebugPlanCatchesAWriteBeyondTheEnd) {
  Built b;
  const BufferId x = b.input("x", Elem::F32, {8}), t = b.arena("t", Elem::F32, {8}), y = b.output("y", Elem::F32, {8});
  b.nest({for_each("i", 9, {{Store{t, {idx("i")}, expr::constant(Elem::F32, 1), {}}}})}, "Bad_7");
  b.nest({for_each(
      "i", 8,
      {{Store{y, {idx("i")}, expr::load(t, Elem::F32, {idx("i")}) + expr::load(x, Elem::F32, {idx("i")}), {}}}})});
  Options options;
  options.debug_plan = true;
  Model m(b, options);
  float in[8] = {}, out[8];
  EXPECT_EQ(m.run({in}, {out}), ONNXC_INTERNAL);
  EXPECT_EQ(m.message(), "debug-plan: nest (Bad_7) wrote 1 bytes beyond the end of buffer 't'");
}

TEST(EmitCpp, ProjectIsWrittenWholeOrNotAtAll) {
  Built b;
  const BufferId x = b.input("x", Elem::F32, {2}), y = b.output("y", Elem::F32, {2});
  const BufferId w = b.constant("w", Tensor::f32({2}, {1, 2}));
  b.nest({for_each(
      "i", 2,
      {{Store{y, {idx("i")}, expr::load(x, Elem::F32, {idx("i")}) + expr::load(w, Elem::F32, {idx("i")}), {}}}})});
  Options options;
  auto target = Target::from_options(options);
  auto plan = make_plan(b.program, options);
  ModelIdentity identity;
  identity.name = "tiny";
  identity.shared = false;
  const fs::path folder = fs::temp_directory_path() / ("emit_cpp_project_" + std::to_string(getpid()));
  ASSERT_TRUE(write_cpp_project(*plan, identity, *target, options, folder.string() + "/").ok());
  for (const char* name : {"tiny.cc", "tiny.h", "tiny_model.cc", "tiny_weights.S", "tiny.weights.bin", "CMakeLists.txt",
                           "runtime/include/onnxc/onnxc.h", "runtime/abi/frame.h", "runtime/kernels/all_kernels.h"})
    EXPECT_TRUE(fs::exists(folder / name)) << name;
  EXPECT_EQ(fs::file_size(folder / "tiny.weights.bin"), plan->blob_bytes);
  size_t beside = 0;
  for (const auto& e : fs::directory_iterator(folder.parent_path()))
    beside += e.path().filename().string().starts_with(folder.filename().string() + ".");
  EXPECT_EQ(beside, 0u);
  fs::remove_all(folder);
  const Status bad = write_cpp_project(*plan, identity, *target, options, "/nonexistent/folder");
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().kind(), ErrorKind::Environment);
}

TEST(EmitCpp, FreeDimsAreComputedInTheRun) {
  Built b;
  const BufferId x = b.input("x", Elem::F32, {Dim::symbol("batch")}),
                 y = b.output("y", Elem::F32, {Dim::symbol("batch")});
  b.program.ops.push_back({ScalarDef{"batch", ScalarDef::DimOf{x, 0}}, {}, {}, {}});
  b.nest({for_each("i", Dim::symbol("batch"), {{Store{y, {idx("i")}, expr::load(x, Elem::F32, {idx("i")}), {}}}})});
  Options options;
  auto target = Target::from_options(options);
  auto plan = make_plan(b.program, options);
  ASSERT_TRUE(plan.ok()) << plan.error().str();
  ModelIdentity identity;
  identity.name = "model";
  const auto files = emit_cpp(*plan, identity, *target, options);
  ASSERT_TRUE(files.ok()) << files.error().str();
  const std::string& code = files->at("model.cc");
  EXPECT_NE(code.find("table[1] = frame->input_values[0].dims[0];"), std::string::npos) << code;
  EXPECT_NE(code.find("const int64_t batch = table[1];"), std::string::npos) << code;
  EXPECT_EQ(files->at("model.h").find("class Session"), std::string::npos);
}

}  // namespace
}  // namespace onnxc
