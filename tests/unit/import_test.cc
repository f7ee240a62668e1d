// Import: what exporters write is taken, what the standard forbids is refused with the right kind and a name.
#include "compiler/import/import.h"

#include <gtest/gtest.h>
#include <onnx/defs/parser.h>
#include <onnx/onnx_pb.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "compiler/import/function_bodies.h"
#include "compiler/import/tensor_from_proto.h"

namespace onnxc {
namespace {

namespace fs = std::filesystem;

class Import : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "onnxc_import_XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A model in onnx's textual syntax (onnx/docs/Syntax.md), changed by `edit`.
  Result<ImportedModel> import_text(const std::string& text, const std::function<void(onnx::ModelProto&)>& edit = {}) {
    onnx::ModelProto model;
    const auto status = onnx::OnnxParser::Parse(model, text.c_str());
    EXPECT_TRUE(status.IsOK()) << status.ErrorMessage();
    if (edit) edit(model);
    return import_proto(model);
  }
  Result<ImportedModel> import_proto(const onnx::ModelProto& model) {
    options_.input = (folder_ / "model.onnx").string();
    std::ofstream(options_.input, std::ios::binary) << model.SerializeAsString();
    return import_model(options_);
  }
  Result<ImportedModel> import_bytes(const std::string& bytes) {
    options_.input = (folder_ / "model.onnx").string();
    std::ofstream(options_.input, std::ios::binary) << bytes;
    return import_model(options_);
  }

  fs::path folder_;
  Options options_;
};

// An error of this kind whose text holds all of `parts`.
void expect_error(const Result<ImportedModel>& r, ErrorKind kind, const std::vector<std::string>& parts) {
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().kind(), kind) << r.error().str();
  for (const auto& part : parts)
    EXPECT_NE(r.error().str().find(part), std::string::npos) << part << " not in: " << r.error().str();
}

const char* kAddChain = R"(<ir_version: 10, opset_import: ["" : 20]>
  g (float[N, 4] x, float[N, 4] y) => (float[N, 4] z) { a = Add(x, y)  z = Relu(a) })";

TEST_F(Import, TypesOfInputsAndMetadata) {
  auto r = import_text(kAddChain, [](onnx::ModelProto& m) { m.set_producer_name("test"); });
  ASSERT_TRUE(r.ok()) << r.error().str();
  const Graph& g = *r->graph;
  ASSERT_EQ(g.inputs.size(), 2u);
  EXPECT_EQ(g.inputs[0]->type.str(), "f32[N, 4]");
  EXPECT_EQ(g.nodes().size(), 2u);
  EXPECT_EQ(g.outputs[0]->name, "z");
  EXPECT_EQ(g.metadata.at("producer_name"), "test");
  EXPECT_NE(r->sha256, (std::array<uint8_t, 32>{}));
}

TEST_F(Import, NodesOutOfOrderAreSorted) {
  auto r = import_text(kAddChain, [](onnx::ModelProto& m) { m.mutable_graph()->mutable_node()->SwapElements(0, 1); });
  ASSERT_TRUE(r.ok()) << r.error().str();
  EXPECT_EQ(r->graph->nodes()[0]->op, "Add");
}

TEST_F(Import, InitializersThatAreInputsAreConstants) {
  auto r = import_text(R"(<ir_version: 3, opset_import: ["" : 9]>
    g (float[2] x, float[2] w) => (float[7] z) <float[2] w = {1, 2}> { z = Add(x, w) })");
  ASSERT_TRUE(r.ok()) << r.error().str();
  EXPECT_EQ(r->graph->inputs.size(), 1u);
  ASSERT_TRUE(r->graph->nodes()[0]->input(1)->is_constant());
  EXPECT_EQ(r->graph->nodes()[0]->input(1)->constant->float_at(1), 2);
}

TEST_F(Import, UpsampleBecomesResize) {
  for (const char* text : {R"(<ir_version: 3, opset_import: ["" : 7]>
         g (float[1, 1, 2, 2] x) => (float[1, 1, 4, 6] z) { z = Upsample<scales = [1.0, 1.0, 2.0, 3.0]>(x) })",
                           R"(<ir_version: 4, opset_import: ["" : 9]>
         g (float[1, 1, 2, 2] x) => (float[1, 1, 4, 6] z) <float[4] s = {1, 1, 2, 3}> { z = Upsample(x, s) })",
                           R"(<ir_version: 5, opset_import: ["" : 10]>
         g (float[1, 1, 2, 2] x) => (float[1, 1, 4, 6] z) <float[4] s = {1, 1, 2, 3}> { z = Resize(x, s) })"}) {
    auto r = import_text(text);
    ASSERT_TRUE(r.ok()) << r.error().str();
    const Node& n = *r->graph->nodes()[0];
    EXPECT_EQ(n.op, "Resize");
    EXPECT_EQ(n.input(1), nullptr);
    ASSERT_TRUE(n.input(2) && n.input(2)->constant) << text;
    EXPECT_EQ(n.input(2)->constant->float_at(3), 3);
    EXPECT_EQ(n.attr_string("coordinate_transformation_mode", ""), "asymmetric");
  }
}

TEST_F(Import, UnusedOpsetImportsAreIgnored) {
  auto r = import_text(kAddChain, [](onnx::ModelProto& m) {
    auto* import = m.add_opset_import();
    import->set_domain("com.example");
    import->set_version(3);
  });
  EXPECT_TRUE(r.ok());
}

TEST_F(Import, ConstantNodesBecomeConstants) {
  auto r = import_text(R"(<ir_version: 10, opset_import: ["" : 20]>
    g (float[2] x) => (float[2] z) { c = Constant<value_floats = [3.0, 4.0]>()  z = Mul(x, c) })");
  ASSERT_TRUE(r.ok()) << r.error().str();
  ASSERT_EQ(r->graph->nodes().size(), 1u);
  EXPECT_EQ(r->graph->nodes()[0]->input(1)->constant->float_at(0), 3);
}

TEST_F(Import, UnknownDimsBecomeSymbols) {
  auto r = import_text(kAddChain, [](onnx::ModelProto& m) {
    auto* shape = m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
    shape->mutable_dim(0)->set_dim_value(-1);
    shape->mutable_dim(1)->set_dim_param("?");
    shape = m.mutable_graph()->mutable_input(1)->mutable_type()->mutable_tensor_type()->mutable_shape();
    shape->mutable_dim(0)->set_dim_param("past seq + 1");
    shape->mutable_dim(1)->set_dim_param("n + 1");
  });
  ASSERT_TRUE(r.ok()) << r.error().str();
  EXPECT_EQ(r->graph->inputs[0]->type.str(), "f32[x.0, x.1]");
  EXPECT_EQ(r->graph->inputs[1]->type.str(), "f32[past_seq___1, n + 1]");
}

TEST_F(Import, DimAndShapeOptionsFixSymbols) {
  options_.dims["N"] = 3;
  auto r = import_text(kAddChain);
  ASSERT_TRUE(r.ok()) << r.error().str();
  EXPECT_EQ(r->graph->inputs[1]->type.str(), "f32[3, 4]");
  options_.dims.clear();
  options_.shapes["x"] = {5, 4};
  r = import_text(kAddChain);
  ASSERT_TRUE(r.ok()) << r.error().str();
  EXPECT_EQ(r->graph->inputs[1]->type.str(), "f32[5, 4]");
}

TEST_F(Import, ShapeOptionsThatDoNotFitAreUsageErrors) {
  options_.dims["M"] = 3;
  expect_error(import_text(kAddChain), ErrorKind::Usage, {"--dim M=3", "N"});
  options_.dims.clear();
  options_.shapes["q"] = {1};
  expect_error(import_text(kAddChain), ErrorKind::Usage, {"--shape q=1", "x, y"});
  options_.shapes = {{"x", {5, 5}}};
  expect_error(import_text(kAddChain), ErrorKind::Usage, {"--shape x=5,5", "f32[N, 4]"});
  options_.shapes = {{"x", {5, 4}}, {"y", {6, 4}}};
  expect_error(import_text(kAddChain), ErrorKind::Usage, {"two values"});
}

TEST_F(Import, FilesThatAreNoModels) {
  options_.input = (folder_ / "absent.onnx").string();
  expect_error(import_model(options_), ErrorKind::Environment, {"absent.onnx"});
  options_.input = folder_.string();
  expect_error(import_model(options_), ErrorKind::Environment, {"directory"});
  expect_error(import_bytes(""), ErrorKind::InvalidModel, {"empty"});
  expect_error(import_bytes("this is text and no model"), ErrorKind::InvalidModel, {"no ONNX model"});
  onnx::ModelProto model;
  ASSERT_TRUE(onnx::OnnxParser::Parse(model, kAddChain).IsOK());
  const std::string whole = model.SerializeAsString();
  for (size_t size : {size_t{1}, size_t{5}, whole.size() / 2, whole.size() - 1})
    expect_error(import_bytes(whole.substr(0, size)), ErrorKind::InvalidModel, {"model"});
}

TEST_F(Import, NamesThatDanglingNodesReadAreReported) {
  expect_error(import_text(kAddChain,
                           [](onnx::ModelProto& m) {
                             m.mutable_graph()->mutable_node(1)->set_name("relu");
                             m.mutable_graph()->mutable_node(1)->set_input(0, "nothing");
                           }),
               ErrorKind::InvalidModel, {"relu", "Relu", "\"nothing\""});
  expect_error(import_text(kAddChain, [](onnx::ModelProto& m) { m.mutable_graph()->mutable_output(0)->set_name("w"); }),
               ErrorKind::InvalidModel, {"output \"w\""});
}

TEST_F(Import, DuplicateNamesAreReported) {
  expect_error(
      import_text(kAddChain, [](onnx::ModelProto& m) { m.mutable_graph()->mutable_node(0)->set_output(0, "z"); }),
      ErrorKind::InvalidModel, {"\"z\"", "Add", "Relu", "twice"});
  expect_error(import_text(kAddChain, [](onnx::ModelProto& m) { m.mutable_graph()->mutable_input(1)->set_name("x"); }),
               ErrorKind::InvalidModel, {"\"x\""});
}

TEST_F(Import, CyclesAreReported) {
  expect_error(
      import_text(kAddChain, [](onnx::ModelProto& m) { m.mutable_graph()->mutable_node(0)->set_input(1, "z"); }),
      ErrorKind::InvalidModel, {"cycle", "Add", "Relu"});
}

TEST_F(Import, OperatorsNobodyKnows) {
  expect_error(
      import_text(kAddChain, [](onnx::ModelProto& m) { m.mutable_graph()->mutable_node(0)->set_op_type("Ad"); }),
      ErrorKind::InvalidModel, {"no such operator", "Ad"});
  expect_error(import_text(kAddChain,
                           [](onnx::ModelProto& m) {
                             m.mutable_opset_import(0)->set_version(9);
                             m.mutable_graph()->mutable_node(1)->set_op_type("Gelu");
                           }),
               ErrorKind::InvalidModel, {"Gelu", "newer"});
  expect_error(import_text(kAddChain, [](onnx::ModelProto& m) { m.mutable_opset_import(0)->set_version(1000); }),
               ErrorKind::Unsupported, {"1000"});
  expect_error(import_text(kAddChain, [](onnx::ModelProto& m) { m.mutable_graph()->mutable_node(0)->clear_input(); }),
               ErrorKind::InvalidModel, {"Add", "input"});
}

TEST_F(Import, UnsupportedOperatorsAreListedTogether) {
  auto r = import_text(kAddChain, [](onnx::ModelProto& m) {
    m.mutable_graph()->mutable_node(0)->set_domain("com.example");
    m.mutable_graph()->mutable_node(1)->set_domain("org.example");
  });
  expect_error(r, ErrorKind::Unsupported, {"com.example::Add", "org.example::Relu"});
  EXPECT_EQ(r.error().diagnostics().size(), 2u);
}

TEST_F(Import, SubgraphsReadOuterValues) {
  auto r = import_text(R"(<ir_version: 10, opset_import: ["" : 20]>
    g (bool c, float[2] x) => (float[2] z) {
      z = If (c) <then_branch = t () => (float[2] a) { a = Relu(x) }, else_branch = e () => (float[2] b) { b = Neg(y) }>
      y = Exp(x)
    })");
  ASSERT_TRUE(r.ok()) << r.error().str();
  const Graph& g = *r->graph;
  EXPECT_EQ(g.nodes()[0]->op, "Exp");  // what a branch reads comes first
  const Graph* then_branch = g.nodes()[1]->attr_graph("then_branch");
  ASSERT_NE(then_branch, nullptr);
  EXPECT_EQ(then_branch->nodes()[0]->input(0), g.inputs[1]);
  EXPECT_EQ(then_branch->parent, &g);
}

const char* kFunctions = R"(<ir_version: 10, opset_import: ["" : 20, "local" : 1]>
  g (float[2] x) => (float[2] z) { y = local.twice(x)  z = local.scaled<by = 3.0>(y) }
  <domain: "local", opset_import: ["" : 20, "local" : 1]> twice (a) => (b) { b = Add(a, a) }
  <domain: "local", opset_import: ["" : 20, "local" : 1]> scaled <by> (a) => (b) { k = Constant<value_float: float = @by>()  b = Mul(a, k) })";

TEST_F(Import, ModelLocalFunctionsAreInlined) {
  auto r = import_text(kFunctions);
  ASSERT_TRUE(r.ok()) << r.error().str();
  ASSERT_EQ(r->graph->nodes().size(), 2u);
  EXPECT_EQ(r->graph->nodes()[1]->op, "Mul");
  EXPECT_EQ(r->graph->nodes()[1]->input(1)->constant->float_at(0), 3);
}

TEST_F(Import, FunctionsThatCallThemselvesAreRefused) {
  expect_error(import_text(kFunctions,
                           [](onnx::ModelProto& m) {
                             auto* node = m.mutable_functions(0)->mutable_node(0);
                             node->set_domain("local");
                             node->set_op_type("twice");
                             node->mutable_input()->RemoveLast();
                           }),
               ErrorKind::InvalidModel, {"local::twice", "itself"});
}

TEST_F(Import, FunctionsThatExplodeAreRefused) {
  onnx::ModelProto model;
  ASSERT_TRUE(onnx::OnnxParser::Parse(model, kFunctions).IsOK());
  for (int i = 0; i < 40; ++i) {  // each calls the next twice: 2^40 nodes
    auto* f = model.add_functions();
    f->set_domain("local");
    f->set_name("f" + std::to_string(i));
    *f->add_opset_import() = model.opset_import(0);
    *f->add_opset_import() = model.opset_import(1);
    f->add_input("a");
    f->add_output("c");
    for (int half = 0; half < 2; ++half) {
      auto* node = f->add_node();
      node->set_op_type(i == 39 ? "Relu" : "f" + std::to_string(i + 1));
      node->set_domain(i == 39 ? "" : "local");
      node->add_input(half ? "b" : "a");
      node->add_output(half ? "c" : "b");
    }
  }
  model.mutable_graph()->mutable_node(0)->set_op_type("f0");
  expect_error(import_proto(model), ErrorKind::InvalidModel, {"expand to more than"});
}

TEST_F(Import, OldMeaningsAreUpgraded) {
  auto r = import_text(R"(<ir_version: 4, opset_import: ["" : 9]>
    g (float[1, 2] x) => (float[2] z) { y = Clip<min = 1.0, max = 2.0>(x)  z = Squeeze<axes = [0]>(y) })");
  ASSERT_TRUE(r.ok()) << r.error().str();
  const Node& clip = *r->graph->nodes()[0];
  ASSERT_EQ(clip.num_inputs(), 3u);
  EXPECT_EQ(clip.input(2)->constant->float_at(0), 2);
  EXPECT_TRUE(clip.attrs.empty());
  EXPECT_EQ(r->graph->nodes()[1]->input(1)->constant->int_at(0), 0);
}

TEST_F(Import, AncientOpsetsAreConverted) {
  auto r = import_text(R"(<ir_version: 3, opset_import: ["" : 6]>
    g (float[2, 3] x, float[3] y) => (float[2, 3] z) { z = Add<broadcast = 1>(x, y) })");
  ASSERT_TRUE(r.ok()) << r.error().str();
  EXPECT_TRUE(r->graph->nodes()[0]->attrs.empty());
}

// ---- tensors

onnx::TensorProto tensor_proto(onnx::TensorProto::DataType type, const std::vector<int64_t>& dims,
                               const std::string& raw) {
  onnx::TensorProto t;
  t.set_name("t");
  t.set_data_type(type);
  for (int64_t d : dims) t.add_dims(d);
  t.set_raw_data(raw);
  return t;
}

TEST(TensorFromProto, UnpacksSubByteElements) {
  auto t = tensor_proto(onnx::TensorProto::INT4, {3}, "\xF1\x08");
  EXPECT_EQ(tensor_from_proto(t, nullptr, "")->to_ints(), (std::vector<int64_t>{1, -1, -8}));
  t = tensor_proto(onnx::TensorProto::UINT2, {5}, "\xE4\x03");
  EXPECT_EQ(tensor_from_proto(t, nullptr, "")->to_ints(), (std::vector<int64_t>{0, 1, 2, 3, 3}));
  t = tensor_proto(onnx::TensorProto::FLOAT6E2M3, {4}, "\x41\x20\x0C");  // 1, 1, 2, 3 in six bits each
  const auto six = tensor_from_proto(t, nullptr, "");
  ASSERT_TRUE(six.ok());
  EXPECT_EQ(six->bytes(), 4u);
  EXPECT_EQ(std::to_integer<int>(six->raw()[0]), 1);
  EXPECT_EQ(std::to_integer<int>(six->raw()[1]), 1);
  EXPECT_EQ(std::to_integer<int>(six->raw()[2]), 2);
  EXPECT_EQ(std::to_integer<int>(six->raw()[3]), 3);
}

TEST(TensorFromProto, GoesBackToTheSameBytes) {
  for (auto type :
       {onnx::TensorProto::INT4, onnx::TensorProto::UINT2, onnx::TensorProto::FLOAT6E3M2, onnx::TensorProto::INT16}) {
    const std::string raw = type == onnx::TensorProto::INT16   ? std::string("\x01\x02\x03\x04\x05\x06\x07\x08", 8)
                            : type == onnx::TensorProto::UINT2 ? "\x1B"
                            : type == onnx::TensorProto::INT4  ? "\x21\x43"
                                                               : "\x41\x20\x0C";
    auto t = tensor_proto(type, {4}, raw);
    const auto tensor = tensor_from_proto(t, nullptr, "");
    ASSERT_TRUE(tensor.ok()) << tensor.error().str();
    onnx::TensorProto back;
    tensor_to_proto(*tensor, &back);
    EXPECT_EQ(back.raw_data(), raw);
  }
}

TEST(TensorFromProto, ReadsTypedFields) {
  onnx::TensorProto t;
  t.set_data_type(onnx::TensorProto::FLOAT16);
  t.add_dims(1);
  t.add_int32_data(0x3c00);
  EXPECT_EQ(tensor_from_proto(t, nullptr, "")->float_at(0), 1.0);
  t.set_data_type(onnx::TensorProto::BOOL);
  EXPECT_EQ(tensor_from_proto(t, nullptr, "")->int_at(0), 1);
  t.set_data_type(onnx::TensorProto::STRING);
  t.add_string_data("abc");
  EXPECT_EQ(tensor_from_proto(t, nullptr, "")->as_strings()[0], "abc");
  t.set_data_type(onnx::TensorProto::UINT32);
  t.add_uint64_data(4000000000u);
  EXPECT_EQ(tensor_from_proto(t, nullptr, "")->int_at(0), 4000000000);
}

TEST(TensorFromProto, RefusesWhatDoesNotFit) {
  const auto refused = [](onnx::TensorProto t) {
    const auto r = tensor_from_proto(t, nullptr, "here");
    return !r.ok() && r.error().kind() == ErrorKind::InvalidModel && r.error().str().find("\"t\"") != std::string::npos;
  };
  EXPECT_TRUE(refused(tensor_proto(onnx::TensorProto::FLOAT, {2}, "1234")));
  EXPECT_TRUE(refused(tensor_proto(onnx::TensorProto::FLOAT, {1}, "12345678")));
  EXPECT_TRUE(refused(tensor_proto(onnx::TensorProto::FLOAT, {-1}, "1234")));
  EXPECT_TRUE(refused(tensor_proto(onnx::TensorProto::FLOAT, {int64_t{1} << 40, int64_t{1} << 40}, "1234")));
  EXPECT_TRUE(refused(tensor_proto(onnx::TensorProto::UNDEFINED, {1}, "1234")));
  EXPECT_TRUE(refused(tensor_proto(static_cast<onnx::TensorProto::DataType>(99), {1}, "1234")));
}

TEST(TensorFromProto, MakesSparseTensorsDense) {
  onnx::SparseTensorProto s;
  s.add_dims(2);
  s.add_dims(2);
  s.mutable_values()->set_name("s");
  s.mutable_values()->set_data_type(onnx::TensorProto::FLOAT);
  s.mutable_values()->add_dims(1);
  s.mutable_values()->add_float_data(7);
  s.mutable_indices()->set_data_type(onnx::TensorProto::INT64);
  s.mutable_indices()->add_dims(1);
  s.mutable_indices()->add_int64_data(2);
  auto copy = s;
  const auto dense = tensor_from_sparse(copy, nullptr, "");
  ASSERT_TRUE(dense.ok()) << dense.error().str();
  EXPECT_EQ(dense->float_at(2), 7);
  EXPECT_EQ(dense->float_at(0), 0);
  s.mutable_indices()->set_int64_data(0, 4);
  EXPECT_FALSE(tensor_from_sparse(s, nullptr, "").ok());
}

// ---- external data

class ExternalFiles : public Import {
 protected:
  Result<ImportedModel> import_with(const std::string& location, const std::string& offset, const std::string& length) {
    return import_text(
        R"(<ir_version: 10, opset_import: ["" : 20]> g (float[2] x) => (float[2] z) <float[2] w = {0, 0}> { z = Add(x, w) })",
        [&](onnx::ModelProto& m) {
          auto* w = m.mutable_graph()->mutable_initializer(0);
          w->clear_float_data();
          w->clear_raw_data();
          w->set_data_location(onnx::TensorProto::EXTERNAL);
          const auto entry = [&](const char* key, const std::string& value) {
            auto* e = w->add_external_data();
            e->set_key(key);
            e->set_value(value);
          };
          entry("location", location);
          if (!offset.empty()) entry("offset", offset);
          if (!length.empty()) entry("length", length);
        });
  }
  void write(const fs::path& path, const std::vector<float>& values) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(4 * values.size()));
  }
};

TEST_F(ExternalFiles, AreMapped) {
  write(folder_ / "w.bin", {1, 2, 3});
  auto r = import_with("w.bin", "4", "8");
  ASSERT_TRUE(r.ok()) << r.error().str();
  EXPECT_EQ(r->graph->nodes()[0]->input(1)->constant->float_at(1), 3);
  EXPECT_TRUE(import_with("w.bin", "", "").ok());
}

TEST_F(ExternalFiles, StayInTheFolder) {
  const fs::path outside = folder_.string() + "_outside.bin";
  write(outside, {1, 2, 3});
  fs::create_directory(folder_ / "sub");
  write(folder_ / "sub" / "w.bin", {1, 2});
  fs::create_symlink(outside, folder_ / "link.bin");
  EXPECT_TRUE(import_with("sub/w.bin", "", "").ok());
  expect_error(import_with(outside.string(), "", ""), ErrorKind::InvalidModel, {"absolute"});
  expect_error(import_with("../" + outside.filename().string(), "", ""), ErrorKind::InvalidModel, {".."});
  expect_error(import_with("link.bin", "", ""), ErrorKind::InvalidModel, {"out of the model's folder"});
  expect_error(import_with("sub", "", ""), ErrorKind::InvalidModel, {"regular file"});
  expect_error(import_with("", "", ""), ErrorKind::InvalidModel, {"no file name"});
  fs::remove(outside);
}

TEST_F(ExternalFiles, MustBeThereAndLongEnough) {
  write(folder_ / "w.bin", {1, 2});
  expect_error(import_with("absent.bin", "", ""), ErrorKind::Environment, {"absent.bin", "\"w\""});
  expect_error(import_with("w.bin", "4", "8"), ErrorKind::InvalidModel, {"too short"});
  expect_error(import_with("w.bin", "0", "4"), ErrorKind::InvalidModel, {"4 bytes"});
  expect_error(import_with("w.bin", "999999999999999999", "8"), ErrorKind::InvalidModel, {"too short"});
  expect_error(import_with("w.bin", "-4", "8"), ErrorKind::InvalidModel, {"no number"});
}

// ---- function bodies

TEST(FunctionBodies, GivesBodiesWithTheNodesAttributes) {
  Graph g;
  Value* x = g.add_input("x", Type::tensor(Elem::F32, {Dim(2), Dim(4), Dim(3)}));
  Value* scale = g.add_input("scale", Type::tensor(Elem::F32, {Dim(4)}));
  Node* node = g.add_node("GroupNormalization", {x, scale, scale});
  node->attrs["num_groups"] = int64_t{2};
  OnnxFunctionBodies bodies;
  auto body = bodies.body(*node);
  ASSERT_TRUE(body.ok()) << body.error().str();
  ASSERT_NE(body->get(), nullptr);
  EXPECT_EQ((*body)->inputs.size(), 3u);
  EXPECT_EQ((*body)->outputs.size(), 1u);
  EXPECT_EQ((*body)->inputs[0]->type, x->type);
  Node* add = g.add_node("Add", {x, x});
  auto none = bodies.body(*add);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->get(), nullptr);
}

}  // namespace
}  // namespace onnxc
