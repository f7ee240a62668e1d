// The LLVM back end: tiny Programs are planned, compiled and run in process, and compared with what C++ computes.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "compiler/emit/llvm/in_process.h"
#include "compiler/plan/make_plan.h"

namespace onnxc {
namespace {

using expr::operator+;
using expr::operator*;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

Target target_of(const std::string& cpu) {
  Options options;
  options.cpu = cpu;
  return *Target::from_options(options);
}

// A Program with one nest, built by hand.
struct Builder {
  Program program;

  BufferId add(const std::string& name, Elem elem, Shape dims, Buffer::Storage storage) {
    Buffer b;
    b.name = name;
    b.elem = elem;
    b.dims = dims;
    b.storage = storage;
    const BufferId id = program.add_buffer(b);
    auto bind = [&](std::vector<ProgramValue>& values) {
      program.buffers[id].index = static_cast<int64_t>(values.size());
      values.push_back({name, elem, std::vector<std::string>(dims.size()), dims, id});
    };
    if (storage == Buffer::Storage::Input) bind(program.inputs);
    if (storage == Buffer::Storage::Output) bind(program.outputs);
    return id;
  }
  BufferId input(const std::string& name, Elem elem, Shape dims) {
    return add(name, elem, dims, Buffer::Storage::Input);
  }
  BufferId output(const std::string& name, Elem elem, Shape dims) {
    return add(name, elem, dims, Buffer::Storage::Output);
  }
  BufferId arena(const std::string& name, Elem elem, Shape dims) {
    return add(name, elem, dims, Buffer::Storage::Arena);
  }
  BufferId constant(const std::string& name, Tensor tensor) {
    Shape dims(tensor.dims().begin(), tensor.dims().end());
    const BufferId id = add(name, tensor.elem(), dims, Buffer::Storage::Constant);
    program.buffers[id].index = static_cast<int64_t>(program.constants.size());
    program.constants.push_back({name, std::move(tensor), {}});
    return id;
  }
  void nest(Block body) { program.ops.push_back({Nest{std::move(body)}, {}, {}, {"node"}}); }
  Expr load(BufferId b, std::vector<Expr> at) { return expr::load(b, program.buffers[b].elem, std::move(at)); }
};

Expr var(const std::string& name) { return expr::index(Dim::symbol(name)); }
Stmt loop(const std::string& name, Dim extent, Block body) { return {For{{name, extent}, std::move(body)}}; }

Result<std::vector<Tensor>> run(const Program& program, const std::vector<Tensor>& inputs,
                                const std::string& cpu = "native", int opt_level = 3, bool debug = false) {
  Options options;
  options.opt_level = opt_level;
  options.debug_plan = debug;
  ONNXC_ASSIGN(const Plan plan, make_plan(program, options));
  ONNXC_ASSIGN(const auto model, InProcessModel::load(plan, target_of(cpu), options));
  return model->run(inputs);
}

std::string text(const Result<std::vector<Tensor>>& r) { return r.ok() ? "" : r.error().str(); }

// y[i] = f(a[i], b[i]) at every level and optimisation.
template <class R, class T, class F>
void expect_map(Elem in, Elem out, const std::vector<T>& a, const std::vector<T>& b, F make,
                const std::vector<R>& expected) {
  const auto n = static_cast<int64_t>(a.size());
  Builder p;
  const BufferId x = p.input("a", in, {n}), y = p.input("b", in, {n}), z = p.output("z", out, {n});
  p.nest({loop("i", n, {{Store{z, {var("i")}, make(p.load(x, {var("i")}), p.load(y, {var("i")})), nullptr}}})});
  for (const auto& [cpu, level] :
       std::vector<std::pair<std::string, int>>{{"x86-64-v2", 3}, {"native", 3}, {"native", 0}}) {
    auto result = run(p.program, {Tensor::of(in, {n}, a), Tensor::of(in, {n}, b)}, cpu, level);
    ASSERT_TRUE(result.ok()) << text(result);
    const Tensor& tensor = result.value()[0];
    const auto got = tensor.as<R>();
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      if (expected[i] != expected[i])
        EXPECT_TRUE(got[i] != got[i]) << "element " << i << " is " << +got[i] << ", not NaN; " << cpu;
      else
        EXPECT_EQ(got[i], expected[i]) << "element " << i << ", " << cpu << " -O" << level;
    }
  }
}

auto op2(ExprOp op) {
  return [op](Expr a, Expr b) { return expr::binary(op, a, b); };
}
auto op1(ExprOp op) {
  return [op](Expr a, Expr) { return expr::unary(op, a); };
}
auto to(Elem elem) {
  return [elem](Expr a, Expr) { return expr::cast(a, elem); };
}

constexpr int32_t kMin = std::numeric_limits<int32_t>::min(), kMax = std::numeric_limits<int32_t>::max();

TEST(ExprSemantics, IntegerDivisionNeverTraps) {
  const std::vector<int32_t> a = {7, -7, 7, -7, 5, kMin, kMin, 0}, b = {2, 2, -2, -2, 0, -1, 0, -1};
  expect_map<int32_t>(Elem::I32, Elem::I32, a, b, op2(ExprOp::Div), {3, -3, -3, 3, 0, kMin, 0, 0});
  expect_map<int32_t>(Elem::I32, Elem::I32, a, b, op2(ExprOp::Rem), {1, -1, 1, -1, 0, 0, 0, 0});
  expect_map<int32_t>(Elem::I32, Elem::I32, a, b, op2(ExprOp::Mod), {1, 1, -1, -1, 0, 0, 0, 0});
  expect_map<uint8_t>(Elem::U8, Elem::U8, std::vector<uint8_t>{200, 7}, std::vector<uint8_t>{7, 0}, op2(ExprOp::Div),
                      {28, 0});
}

TEST(ExprSemantics, ArithmeticWraps) {
  expect_map<int32_t>(Elem::I32, Elem::I32, std::vector<int32_t>{kMax, kMin}, std::vector<int32_t>{1, -1},
                      op2(ExprOp::Add), {kMin, kMax});
  expect_map<int8_t>(Elem::I8, Elem::I8, std::vector<int8_t>{100, -128}, std::vector<int8_t>{100, -1}, op2(ExprOp::Mul),
                     {16, -128});
}

TEST(ExprSemantics, WideShiftsGiveZeroOrTheSign) {
  const std::vector<int32_t> a = {1, -8, -8, 5, -8}, b = {31, 1, 40, 32, -1};
  expect_map<int32_t>(Elem::I32, Elem::I32, a, b, op2(ExprOp::Shl), {kMin, -16, 0, 0, 0});
  expect_map<int32_t>(Elem::I32, Elem::I32, a, b, op2(ExprOp::Shr), {0, -4, -1, 0, -1});
  expect_map<uint8_t>(Elem::U8, Elem::U8, std::vector<uint8_t>{0x81, 0x81}, std::vector<uint8_t>{1, 8},
                      op2(ExprOp::Shr), {0x40, 0});
}

TEST(ExprSemantics, MinAndMaxKeepNan) {
  const std::vector<float> a = {1, kNan, 1, -kInf, kNan}, b = {2, 1, kNan, kInf, kNan};
  expect_map<float>(Elem::F32, Elem::F32, a, b, op2(ExprOp::Min), {1, kNan, kNan, -kInf, kNan});
  expect_map<float>(Elem::F32, Elem::F32, a, b, op2(ExprOp::Max), {2, kNan, kNan, kInf, kNan});
  const auto relu = [](Expr x, Expr) { return expr::binary(ExprOp::Max, x, expr::constant(Elem::F32, 0)); };
  expect_map<float>(Elem::F32, Elem::F32, std::vector<float>{-1, kNan, 3}, std::vector<float>(3), relu, {0, kNan, 3});
}

TEST(ExprSemantics, CastsAreTotal) {
  const std::vector<float> a = {1.9f, -1.9f, kNan, 1e20f, -1e20f, 255.5f, kInf};
  const std::vector<float> none(a.size());
  expect_map<int32_t>(Elem::F32, Elem::I32, a, none, to(Elem::I32), {1, -1, 0, kMax, kMin, 255, kMax});
  expect_map<uint8_t>(Elem::F32, Elem::U8, a, none, to(Elem::U8), {1, 0, 0, 255, 0, 255, 255});
  expect_map<int8_t>(Elem::F32, Elem::I8, a, none, to(Elem::I8), {1, -1, 0, 127, -128, 127, 127});
  expect_map<uint16_t>(Elem::F32, Elem::U16, a, none, to(Elem::U16), {1, 0, 0, 65535, 0, 255, 65535});
  expect_map<int16_t>(Elem::F32, Elem::I16, a, none, to(Elem::I16), {1, -1, 0, 32767, -32768, 255, 32767});
  expect_map<uint8_t>(Elem::F32, Elem::Bool, std::vector<float>{0, -0.0f, kNan, 0.5f}, std::vector<float>(4),
                      to(Elem::Bool), {0, 0, 1, 1});
  expect_map<int8_t>(Elem::I32, Elem::I8, std::vector<int32_t>{300, -129}, std::vector<int32_t>(2), to(Elem::I8),
                     {44, 127});
  expect_map<double>(Elem::I64, Elem::F64, std::vector<int64_t>{-3, 1LL << 53}, std::vector<int64_t>(2), to(Elem::F64),
                     {-3.0, 9007199254740992.0});
}

TEST(ExprSemantics, Rounding) {
  const std::vector<float> a = {0.5f, 1.5f, -0.5f, 2.5f, -2.7f}, none(5);
  expect_map<float>(Elem::F32, Elem::F32, a, none, op1(ExprOp::Round), {0, 2, -0.0f, 2, -3});
  expect_map<float>(Elem::F32, Elem::F32, a, none, op1(ExprOp::Floor), {0, 1, -1, 2, -3});
  expect_map<float>(Elem::F32, Elem::F32, a, none, op1(ExprOp::Trunc), {0, 1, -0.0f, 2, -2});
  expect_map<float>(Elem::F32, Elem::F32, std::vector<float>{-2, 0, kNan, 5}, std::vector<float>(4), op1(ExprOp::Sign),
                    {-1, 0, kNan, 1});
}

TEST(ExprSemantics, HalfPrecisionIsWidenedAndRounded) {
  const std::vector<uint16_t> a = {0x3c00, 0x7bff, 0x0001}, b = {0x3c01, 0x7bff, 0x0001};  // 1, 65504, the least
  expect_map<uint16_t>(Elem::F16, Elem::F16, a, b, op2(ExprOp::Add), {0x4000, 0x7c00, 0x0002});
  const std::vector<uint16_t> one = {0x3f80, 0x4040}, two = {0x3b80, 0x0000};  // 1 + 2^-8 is a tie: to even
  expect_map<uint16_t>(Elem::BF16, Elem::BF16, one, two, op2(ExprOp::Add), {0x3f80, 0x4040});
}

TEST(ExprSemantics, ComparisonsAndLogic) {
  const std::vector<float> a = {1, kNan, 2}, b = {1, kNan, 3};
  expect_map<uint8_t>(Elem::F32, Elem::Bool, a, b, op2(ExprOp::Eq), {1, 0, 0});
  expect_map<uint8_t>(Elem::F32, Elem::Bool, a, b, op2(ExprOp::Ne), {0, 1, 1});
  expect_map<uint8_t>(Elem::F32, Elem::Bool, a, b, op2(ExprOp::Lt), {0, 0, 1});
  expect_map<uint8_t>(Elem::Bool, Elem::Bool, std::vector<uint8_t>{0, 1}, std::vector<uint8_t>{1, 1}, op1(ExprOp::Not),
                      {1, 0});
  expect_map<uint8_t>(Elem::U64, Elem::Bool, std::vector<uint64_t>{~0ull}, std::vector<uint64_t>{1}, op2(ExprOp::Gt),
                      {1});
}

TEST(ExprSemantics, KernelFunctionsInLoops) {
  std::vector<float> a(100), none(100), expected(100);
  for (int i = 0; i < 100; ++i) a[static_cast<size_t>(i)] = static_cast<float>(i - 50) * 0.1f;
  Builder p;
  const BufferId x = p.input("x", Elem::F32, {100}), y = p.output("y", Elem::F32, {100});
  p.nest({loop("i", 100, {{Store{y, {var("i")}, expr::unary(ExprOp::Exp, p.load(x, {var("i")})), nullptr}}})});
  auto result = run(p.program, {Tensor::f32({100}, a)});
  ASSERT_TRUE(result.ok()) << text(result);
  for (size_t i = 0; i < 100; ++i) EXPECT_NEAR((*result)[0].as<float>()[i], std::exp(a[i]), 2e-6 * std::exp(a[i]));
}

// In vectors, in what a vector leaves over, and in scalar code, whatever scales the result: the same bits.
TEST(ExprSemantics, ExpGivesTheSameBitsInVectors) {
  std::vector<float> a = {kInf, -kInf, 0.0f, -0.0f, 88.722836f, 88.722847f, -87.4f, -103.97f, -103.98f, -1e30f, 1e30f};
  for (int i = 0; a.size() < 4099; ++i) a.push_back(static_cast<float>(i) * 0.06f - 120.0f);
  const auto n = static_cast<int64_t>(a.size());
  Builder p;
  const BufferId x = p.input("x", Elem::F32, {n}), y = p.output("y", Elem::F32, {n});
  p.nest({loop("i", n, {{Store{y, {var("i")}, expr::unary(ExprOp::Exp, p.load(x, {var("i")})), nullptr}}})});
  auto vectors = run(p.program, {Tensor::f32({n}, a)}), scalars = run(p.program, {Tensor::f32({n}, a)}, "native", 0);
  ASSERT_TRUE(vectors.ok() && scalars.ok()) << text(vectors) << text(scalars);
  for (size_t i = 0; i < a.size(); ++i) {
    const float got = (*vectors)[0].as<float>()[i], want = std::exp(a[i]);
    EXPECT_EQ(got, (*scalars)[0].as<float>()[i]) << a[i];
    EXPECT_TRUE(got == want || std::fabs(got - want) <= 1e-6f * want + 1e-44f) << a[i] << ": " << got;
  }
  EXPECT_EQ((*vectors)[0].as<float>()[0], kInf);
}

// Padding by an index that is out of range in the arm not taken.
TEST(Nest, SelectReadsOnlyTheArmTaken) {
  Builder p;
  const BufferId x = p.input("x", Elem::F32, {4}), y = p.output("y", Elem::F32, {8});
  const Expr i = var("i");
  const Expr inside = expr::binary(ExprOp::And, expr::binary(ExprOp::Ge, i, expr::int_constant(Elem::I64, 2)),
                                   expr::binary(ExprOp::Lt, i, expr::int_constant(Elem::I64, 6)));
  const Expr value =
      expr::select(inside, p.load(x, {expr::index(Dim::symbol("i") - Dim(2))}), expr::constant(Elem::F32, -1));
  p.nest({loop("i", 8, {{Store{y, {i}, value, nullptr}}})});
  auto result = run(p.program, {Tensor::f32({4}, {1, 2, 3, 4})});
  ASSERT_TRUE(result.ok()) << text(result);
  EXPECT_TRUE((*result)[0].equals(Tensor::f32({8}, {-1, -1, 1, 2, 3, 4, -1, -1})));
}

TEST(Nest, FloorDivisionOfIndices) {
  Builder p;
  const BufferId y = p.output("y", Elem::I64, {9}), z = p.output("z", Elem::I64, {9});
  const Dim shifted = Dim::symbol("i") - Dim(4);
  p.nest({loop("i", 9,
               {{Store{y, {var("i")}, expr::index(Dim::floor_div(shifted, 3)), nullptr}},
                {Store{z, {var("i")}, expr::index(Dim::mod(shifted, 4)), nullptr}}})});
  auto result = run(p.program, {});
  ASSERT_TRUE(result.ok()) << text(result);
  EXPECT_EQ((*result)[0].to_ints(), (std::vector<int64_t>{-2, -1, -1, -1, 0, 0, 0, 1, 1}));
  EXPECT_EQ((*result)[1].to_ints(), (std::vector<int64_t>{0, 1, 2, 3, 0, 1, 2, 3, 0}));
}

// Sums in the stated order: lane l takes positions p with p mod lanes == l, then the tree.
float sum_in_lanes(const std::vector<float>& v, size_t lanes) {
  std::vector<float> lane(lanes, 0.0f);
  for (size_t i = 0; i < v.size(); ++i) lane[i % lanes] += v[i];
  for (size_t half = lanes / 2; half; half /= 2)
    for (size_t l = 0; l < half; ++l) lane[l] += lane[l + half];
  return lane[0];
}

std::vector<float> awkward(size_t n) {
  std::vector<float> v(n);
  for (size_t i = 0; i < n; ++i)
    v[i] = std::ldexp(1.0f + static_cast<float>(i * 37 % 101) / 64.0f, static_cast<int>(i % 19) - 9);
  return v;
}

void expect_sum(int64_t rows, int64_t cols, bool both, int lanes) {
  Builder p;
  const BufferId x = p.input("x", Elem::F32, {rows, cols}), y = p.output("y", Elem::F32, {both ? 1 : rows});
  Reduce sum;
  sum.name = "s";
  sum.lanes = lanes;
  sum.value = p.load(x, {var("r"), var("c")});
  sum.vars = both ? std::vector<LoopVar>{{"r", rows}, {"c", cols}} : std::vector<LoopVar>{{"c", cols}};
  const Stmt store = {
      Store{y, {both ? expr::int_constant(Elem::I64, 0) : var("r")}, expr::let("s", Elem::F32), nullptr}};
  if (both)
    p.nest({{sum}, store});
  else
    p.nest({loop("r", rows, {{sum}, store})});
  const auto data = awkward(static_cast<size_t>(rows * cols));
  for (const char* cpu : {"x86-64-v2", "native"}) {
    auto result = run(p.program, {Tensor::f32({rows, cols}, data)}, cpu);
    ASSERT_TRUE(result.ok()) << text(result);
    const auto got = (*result)[0].as<float>();
    for (int64_t r = 0; r < (both ? 1 : rows); ++r) {
      const auto begin = data.begin() + r * cols;
      const std::vector<float> row = both ? data : std::vector<float>(begin, begin + cols);
      EXPECT_EQ(got[static_cast<size_t>(r)], sum_in_lanes(row, static_cast<size_t>(lanes)))
          << cols << " x " << lanes << cpu;
    }
  }
}

TEST(Reduce, SumsKeepTheirOrder) {
  expect_sum(3, 50, false, 1);
  expect_sum(3, 64, false, 16);
  expect_sum(3, 50, false, 16);
  expect_sum(2, 7, false, 8);
  expect_sum(5, 32, true, 8);
  expect_sum(5, 33, true, 8);
}

// Sums of columns, with and without a loop of one turn between: each in the order of the rows.
TEST(Reduce, ColumnsAreSummedRowByRow) {
  constexpr int64_t kRows = 11;
  for (const int64_t cols : {8, 64, 65, 150})
    for (const bool between : {false, true}) {
      Builder p;
      const BufferId x = p.input("x", Elem::F32, {kRows, cols}), y = p.output("y", Elem::F32, {1, cols});
      Reduce sum;
      sum.name = "s";
      sum.value = p.load(x, {var("r"), var("c")});
      sum.vars = {{"r", kRows}};
      const Expr at = between ? var("one") : expr::int_constant(Elem::I64, 0);
      const Block body = {{sum}, {Store{y, {at, var("c")}, expr::let("s", Elem::F32), nullptr}}};
      p.nest({loop("c", cols, between ? Block{loop("one", 1, body)} : body)});
      const auto data = awkward(static_cast<size_t>(kRows * cols));
      auto result = run(p.program, {Tensor::f32({kRows, cols}, data)}, "native");
      ASSERT_TRUE(result.ok()) << text(result);
      for (int64_t c = 0; c < cols; ++c) {
        float expected = 0;
        for (int64_t r = 0; r < kRows; ++r) expected += data[static_cast<size_t>(r * cols + c)];
        EXPECT_EQ((*result)[0].as<float>()[static_cast<size_t>(c)], expected) << cols << " " << c;
      }
    }
}

TEST(Reduce, MaxOfManyAndPositions) {
  const std::vector<float> v = {1, 7, 3, 7, -2, 0};
  Builder p;
  const BufferId x = p.input("x", Elem::F32, {6});
  const BufferId outs[] = {p.output("m", Elem::F32, {1}), p.output("first", Elem::I64, {1}),
                           p.output("last", Elem::I64, {1})};
  auto reduce = [&](const char* name, ReduceOp op, bool last) {
    Reduce r;
    r.name = name;
    r.op = op;
    r.lanes = op == ReduceOp::Max ? 4 : 1;
    r.last_of_equals = last;
    r.vars = {{"i", 6}};
    r.value = p.load(x, {var("i")});
    return Stmt{r};
  };
  const Expr zero = expr::int_constant(Elem::I64, 0);
  p.nest({reduce("m", ReduceOp::Max, false),
          {Store{outs[0], {zero}, expr::let("m", Elem::F32), nullptr}},
          reduce("f", ReduceOp::ArgMax, false),
          {Store{outs[1], {zero}, expr::let("f", Elem::I64), nullptr}},
          reduce("l", ReduceOp::ArgMax, true),
          {Store{outs[2], {zero}, expr::let("l", Elem::I64), nullptr}}});
  for (const auto& [data, max, first, last] : std::vector<std::tuple<std::vector<float>, float, int64_t, int64_t>>{
           {v, 7, 1, 3}, {{1, kNan, 3, 9, kNan, 0}, kNan, 1, 4}}) {
    auto result = run(p.program, {Tensor::f32({6}, data)});
    ASSERT_TRUE(result.ok()) << text(result);
    const float got = (*result)[0].as<float>()[0];
    EXPECT_TRUE(got == max || (got != got && max != max)) << got;
    EXPECT_EQ((*result)[1].int_at(0), first);
    EXPECT_EQ((*result)[2].int_at(0), last);
  }
}

// Rows that are no multiple of the lanes.
TEST(Reduce, MaxOfRaggedRows) {
  Builder p;
  const BufferId x = p.input("x", Elem::F32, {5, 37}), y = p.output("y", Elem::F32, {1});
  Reduce max;
  max.name = "m";
  max.op = ReduceOp::Max;
  max.lanes = 8;
  max.vars = {{"r", 5}, {"c", 37}};
  max.value = p.load(x, {var("r"), var("c")});
  p.nest({{max}, {Store{y, {expr::int_constant(Elem::I64, 0)}, expr::let("m", Elem::F32), nullptr}}});
  for (size_t at = 0; at < 5 * 37; ++at) {
    std::vector<float> data(5 * 37, -2.0f);
    data[at] = -1.0f;
    auto result = run(p.program, {Tensor::f32({5, 37}, data)});
    ASSERT_TRUE(result.ok()) << text(result);
    EXPECT_EQ((*result)[0].as<float>()[0], -1.0f) << at;
  }
}

// x -> a = x + 1 -> b = a * c -> y = b - x, with a constant c and a view.
Program chain() {
  Builder p;
  const int64_t n = 64;
  const BufferId x = p.input("x", Elem::F32, {n}), y = p.output("y", Elem::F32, {n});
  const BufferId a = p.arena("a", Elem::F32, {n}), b = p.arena("b", Elem::F32, {n});
  const BufferId c = p.constant("c", Tensor::f32({n}, std::vector<float>(n, 3.0f)));
  const Expr i = var("i");
  p.nest({loop("i", n, {{Store{a, {i}, p.load(x, {i}) + expr::constant(Elem::F32, 1), nullptr}}})});
  p.nest({loop("i", n, {{Store{b, {i}, p.load(a, {i}) * p.load(c, {i}), nullptr}}})});
  p.nest({loop("i", n, {{Store{y, {i}, expr::binary(ExprOp::Sub, p.load(b, {i}), p.load(x, {i})), nullptr}}})});
  return p.program;
}

TEST(Body, ChainWithArenaAndWeights) {
  std::vector<float> x(64), expected(64);
  for (size_t i = 0; i < 64; ++i) x[i] = static_cast<float>(i), expected[i] = (x[i] + 1) * 3 - x[i];
  for (bool debug : {false, true}) {
    auto result = run(chain(), {Tensor::f32({64}, x)}, "native", 3, debug);
    ASSERT_TRUE(result.ok()) << text(result);
    EXPECT_TRUE((*result)[0].equals(Tensor::f32({64}, expected)));
  }
}

TEST(Body, DebugPlanNamesTheOperationThatWritesBeyondItsBuffer) {
  Builder p;
  const BufferId x = p.input("x", Elem::F32, {8}), y = p.output("y", Elem::F32, {8}),
                 a = p.arena("temp", Elem::F32, {8});
  const Expr i = var("i");
  p.nest({loop("i", 9, {{Store{a, {i}, expr::constant(Elem::F32, 1), nullptr}}})});
  p.nest({loop("i", 8, {{Store{y, {i}, p.load(a, {i}) + p.load(x, {i}), nullptr}}})});
  auto result = run(p.program, {Tensor::f32({8}, std::vector<float>(8))}, "native", 1, true);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(text(result).find("nest (node)"), std::string::npos) << text(result);
  EXPECT_NE(text(result).find("'temp'"), std::string::npos) << text(result);
}

TEST(Body, IfTakesTheBranchOfItsCondition) {
  Builder p;
  const BufferId x = p.input("x", Elem::F32, {4}), c = p.input("c", Elem::Bool, {1}), y = p.output("y", Elem::F32, {4});
  const BufferId a = p.arena("a", Elem::F32, {4}), b = p.arena("b", Elem::F32, {4}), r = p.arena("r", Elem::F32, {4});
  const Expr i = var("i");
  auto scaled = [&](BufferId to, float by) {
    Operation op;
    op.node = Nest{{loop("i", 4, {{Store{to, {i}, p.load(x, {i}) * expr::constant(Elem::F32, by), nullptr}}})}};
    return op;
  };
  If node;
  node.condition = c;
  node.results = {r};
  node.then_region = {{}, {}, {scaled(a, 2)}, {a}};
  node.else_region = {{}, {}, {scaled(b, 3)}, {b}};
  p.program.ops.push_back({node, {}, {}, {}});
  p.nest({loop("i", 4, {{Store{y, {i}, p.load(r, {i}) + expr::constant(Elem::F32, 1), nullptr}}})});
  for (uint8_t condition : {0, 1}) {
    auto result =
        run(p.program, {Tensor::f32({4}, {1, 2, 3, 4}), Tensor::of(Elem::Bool, {1}, std::vector<uint8_t>{condition})});
    ASSERT_TRUE(result.ok()) << text(result);
    const float by = condition ? 2.0f : 3.0f;
    EXPECT_TRUE((*result)[0].equals(Tensor::f32({4}, {by + 1, 2 * by + 1, 3 * by + 1, 4 * by + 1})));
  }
}

TEST(Body, LoopCarriesAValueAndCollectsScans) {
  Builder p;
  const BufferId x = p.input("x", Elem::F32, {2}), y = p.output("y", Elem::F32, {2}),
                 s = p.output("s", Elem::F32, {3, 2});
  const BufferId arg = p.arena("arg", Elem::F32, {2}), next = p.arena("next", Elem::F32, {2});
  const Expr i = var("i");
  Operation step;
  const Expr turn = expr::cast(expr::index(Dim::symbol("t")), Elem::F32);
  step.node = Nest{{loop("i", 2, {{Store{next, {i}, p.load(arg, {i}) + turn, nullptr}}})}};
  Loop node;
  node.trip_count = Dim(3);
  node.inits = {x};
  node.results = {y, s};
  node.body = {{"t"}, {arg}, {step}, {next, next}};
  p.program.ops.push_back({node, {}, {}, {}});
  auto result = run(p.program, {Tensor::f32({2}, {10, 20})});
  ASSERT_TRUE(result.ok()) << text(result);
  EXPECT_TRUE((*result)[0].equals(Tensor::f32({2}, {13, 23})));
  EXPECT_TRUE((*result)[1].equals(Tensor::f32({3, 2}, {10, 20, 11, 21, 13, 23})));
}

TEST(Body, SymbolsThatNobodyDefinesAreRefusedByName) {
  Builder p;
  const Dim n = Dim::symbol("batch");
  const BufferId x = p.input("x", Elem::F32, {n}), y = p.output("y", Elem::F32, {n});
  p.nest({loop("i", n, {{Store{y, {var("i")}, p.load(x, {var("i")}), nullptr}}})});
  auto result = run(p.program, {});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind(), ErrorKind::Unsupported);
  EXPECT_NE(text(result).find("\"batch\", which is known only at run time"), std::string::npos) << text(result);
}

std::string optimised_ir(const Program& program) {
  Options options;
  auto plan = make_plan(program, options);
  if (!plan.ok()) return plan.error().str();
  ModelIdentity identity;
  identity.name = "nest";
  auto ir = emit_llvm(*plan, identity, target_of("x86-64-v4"), options, LlvmOutput::IrText);
  return ir.ok() ? *ir : ir.error().str();
}

// A loop over 16 lanes that LLVM would unroll whole, to vectorise the one around it with gathers.
TEST(EmitLlvm, LanesOfTheBlockedLayoutAreOneVector) {
  Builder p;
  const BufferId x = p.input("x", Elem::F32, {32, 16}), b = p.input("b", Elem::F32, {16});
  const BufferId y = p.output("y", Elem::F32, {32, 16});
  const std::vector<Expr> at{var("i"), var("lane")};
  p.nest({loop("i", 32, {loop("lane", 16, {{Store{y, at, p.load(x, at) * p.load(b, {at[1]}), nullptr}}})})});
  const std::string ir = optimised_ir(p.program);
  EXPECT_NE(ir.find("fmul <16 x float>"), std::string::npos) << ir;
  EXPECT_EQ(ir.find("gather"), std::string::npos);
}

// Serial sums down the columns go on side by side, of however many columns.
TEST(EmitLlvm, ColumnsOfFreeNumberAreVectors) {
  Builder p;
  const Dim n = Dim::symbol("n");
  const BufferId x = p.input("x", Elem::F32, {5, n}), y = p.output("y", Elem::F32, {n});
  p.program.inputs[0].dim_names[1] = "n";
  p.program.ops.push_back({ScalarDef{"n", ScalarDef::DimOf{x, 1}}, {}, {}, {}});
  Reduce sum;
  sum.name = "s";
  sum.value = p.load(x, {var("r"), var("c")});
  sum.vars = {{"r", 5}};
  p.nest({loop("c", n, {{sum}, {Store{y, {var("c")}, expr::let("s", Elem::F32), nullptr}}})});
  const std::string ir = optimised_ir(p.program);
  EXPECT_NE(ir.find("fadd <16 x float>"), std::string::npos) << ir;
}

// Alone, and in the 8 lanes of a sum.
TEST(EmitLlvm, ExpScalesByOneInstruction) {
  Builder p;
  const BufferId x = p.input("x", Elem::F32, {256}), y = p.output("y", Elem::F32, {256});
  const BufferId total = p.output("total", Elem::F32, {1});
  const Expr e = expr::unary(ExprOp::Exp, p.load(x, {var("i")}));
  p.nest({loop("i", 256, {{Store{y, {var("i")}, e, nullptr}}})});
  Reduce sum;
  sum.name = "s";
  sum.op = ReduceOp::Add;
  sum.lanes = 8;
  sum.vars = {{"i", 256}};
  sum.value = e;
  p.nest({Stmt{sum}, {Store{total, {expr::int_constant(Elem::I64, 0)}, expr::let("s", Elem::F32), nullptr}}});
  const std::string ir = optimised_ir(p.program);
  EXPECT_NE(ir.find("call <16 x float> @llvm.x86.avx512.mask.scalef.ps.512"), std::string::npos) << ir;
  EXPECT_NE(ir.find("call <8 x float> @llvm.x86.avx512.mask.scalef.ps.256"), std::string::npos) << ir;
  EXPECT_EQ(ir.find("onnxc_scale_f32"), std::string::npos) << ir;
}

// LLVM casts vectors to 32 bits only.
TEST(EmitLlvm, CastsToFewBitsAreVectors) {
  for (const Elem to : {Elem::U8, Elem::I8, Elem::U16, Elem::I16}) {
    Builder p;
    const BufferId x = p.input("x", Elem::F32, {256}), y = p.output("y", to, {256});
    p.nest({loop("i", 256, {{Store{y, {var("i")}, expr::cast(p.load(x, {var("i")}), to), nullptr}}})});
    const std::string ir = optimised_ir(p.program);
    EXPECT_NE(ir.find("fptosi <16 x float>"), std::string::npos) << ir;
  }
}

// Rows of 7 that lie one after the other are vectors; those that a value of their own is added to stay loops.
TEST(EmitLlvm, LoopsOverNeighboursAreOne) {
  const std::vector<Expr> at{var("c"), var("h"), var("w")};
  auto program = [&](bool per_row) {
    Builder p;
    const BufferId x = p.input("x", Elem::F32, {3, 5, 7}), b = p.input("b", Elem::F32, {3, 5});
    const BufferId y = p.output("y", Elem::F32, {3, 5, 7});
    const Expr more = p.load(b, {var("c"), per_row ? var("h") : expr::index(Dim(0))});
    Block row{{Store{y, at, p.load(x, at) * more, nullptr}}};
    p.nest({loop("c", 3, {loop("h", 5, {loop("w", 7, row)})})});
    return p.program;
  };
  EXPECT_NE(optimised_ir(program(false)).find("fmul <16 x float>"), std::string::npos);
  std::vector<float> x, b, by_row, by_plane;
  for (int i = 0; i < 3 * 5 * 7; ++i) x.push_back(static_cast<float>(i));
  for (int i = 0; i < 3 * 5; ++i) b.push_back(static_cast<float>(i + 1));
  for (size_t i = 0; i < x.size(); ++i) {
    by_row.push_back(x[i] * b[i / 7]);
    by_plane.push_back(x[i] * b[i / 35 * 5]);
  }
  for (const bool per_row : {true, false}) {
    auto result = run(program(per_row), {Tensor::f32({3, 5, 7}, x), Tensor::f32({3, 5}, b)});
    ASSERT_TRUE(result.ok()) << text(result);
    EXPECT_TRUE((*result)[0].equals(Tensor::f32({3, 5, 7}, per_row ? by_row : by_plane)));
  }
}

// Sums over planes of 7 by 7 go along all 49 elements; with a factor per row they keep their rows. Either way in the
// order of the positions.
TEST(EmitLlvm, SumsOverNeighboursAreOneLoop) {
  constexpr int kPlanes = 3, kRows = 7, kCols = 7, kLanes = 8;
  std::vector<float> x, rows;
  for (int i = 0; i < kPlanes * kRows * kCols; ++i) x.push_back(1.0F / static_cast<float>(i + 1));
  for (int i = 0; i < kRows; ++i) rows.push_back(static_cast<float>(i + 1));
  for (const bool per_row : {false, true}) {
    Builder p;
    const BufferId in = p.input("x", Elem::F32, {kPlanes, kRows, kCols}), b = p.input("b", Elem::F32, {kRows});
    const BufferId y = p.output("y", Elem::F32, {kPlanes});
    Reduce sum;
    sum.name = "s";
    sum.lanes = kLanes;
    sum.vars = {{"h", kRows}, {"w", kCols}};
    sum.value = p.load(in, {var("c"), var("h"), var("w")});
    if (per_row) sum.value = sum.value * p.load(b, {var("h")});
    p.nest({loop("c", kPlanes, {{sum}, {Store{y, {var("c")}, expr::let("s", Elem::F32), nullptr}}})});
    if (!per_row) {
      EXPECT_NE(optimised_ir(p.program).find("fadd <8 x float>"), std::string::npos);
    }
    auto result = run(p.program, {Tensor::f32({kPlanes, kRows, kCols}, x), Tensor::f32({kRows}, rows)});
    ASSERT_TRUE(result.ok()) << text(result);
    for (size_t c = 0; c < kPlanes; ++c) {
      std::vector<float> plane;
      for (size_t i = 0; i < kRows * kCols; ++i)
        plane.push_back(x[c * kRows * kCols + i] * (per_row ? rows[i / kCols] : 1));
      EXPECT_EQ((*result)[0].as<float>()[c], sum_in_lanes(plane, kLanes)) << per_row << " " << c;
    }
  }
}

TEST(EmitLlvm, TextAndDeterminism) {
  Options options;
  auto plan = make_plan(chain(), options);
  ASSERT_TRUE(plan.ok());
  ModelIdentity identity;
  identity.name = "tiny";
  const Target target = target_of("x86-64-v4");
  auto ir = emit_llvm(*plan, identity, target, options, LlvmOutput::IrText);
  ASSERT_TRUE(ir.ok());
  EXPECT_NE(ir->find("@tiny_get_model"), std::string::npos);
  EXPECT_NE(ir->find("<16 x float>"), std::string::npos) << "element-wise nests vectorise at 512 bits";
  EXPECT_EQ(ir->find(" fast "), std::string::npos);
  auto first = emit_llvm(*plan, identity, target, options, LlvmOutput::Object);
  auto second = emit_llvm(*plan, identity, target, options, LlvmOutput::Object);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
}

}  // namespace
}  // namespace onnxc
