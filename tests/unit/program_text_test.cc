// The textual Program: every construct prints, parses and prints the same.
#include "compiler/ir/program_text.h"

#include <gtest/gtest.h>

#include <limits>

#include "compiler/ir/expr_text.h"

namespace onnxc {
namespace {

constexpr char kEverything[] = R"(program @main {
  metadata "producer" = "a \"b\" \\ c\x01"
  constant @w: f32[2, 3] packing(block = [16, 1], perm = [0, 2, 1]) = {1.0, -2.5, 1e-07, inf, -inf, nan}
  constant @winograd: f32[32, 16, 3, 3] packing(winograd = 4) = splat 0.5
  constant @zeros: i64[100] = splat 0
  constant @large: f32[70] = opaque 0x1234abcd
  constant @half: f16[2] = {0x3c00, 0x8000}
  constant @flags: bool[3] = {true, false, true}
  constant @"odd name/1": string[2] = {"a", "b\n"}
  constant @complex: c64[1] = {1.0 -2.0}
  constant @big: u64[1] = {18446744073709551615}
  constant @none: i32[0] = {}
  constant @nans: f64[2] = {nan, nan(0x7ff8000000000001)}
  buffer %x: f32[N, 4] = input(0)
  buffer %state: f32[1, 8] = input(1)
  buffer %y: f32[N, 4] = output(0)
  buffer %state_out: f32[1, 8] = output(1) alias(%state)
  buffer %wp: f32[1, 3, 16] = constant(@w)
  buffer %a: f32[1, 4, 112, 112, 16] layout(1, 16) lanes(unspecified) halo((0, 0), (0, 0), (1, 1), (1, 2), (0, 0)) align(128) = arena
  buffer %z: f32[1, 4, 16] layout(1, 16) lanes(zero) = arena
  buffer %v: f32[2, 4] strides[8, 1] = view(%a, 64*N + 2)
  buffer %d: i64[n] = dynamic
  buffer %count: i64[1] = arena
  buffer %cond: bool[1] = arena
  buffer %h: string[N] = handle("string[N]")
  buffer %"conv1/Relu:0": i8[4] = arena
  buffer %twice: i8[4] = arena
  buffer %twice_14 named("twice"): i8[4] = arena
  buffer %b_15 named(""): i32[4] = arena
  input "x": f32[N, 4] names("N", "") at %x
  input "state": f32[1, 8] holds seq unranked: i64[] at %state
  output "y": f32[N, 4] names("N", "") at %y
  output "state_out": f32[1, 8] holds optional seq: f32["?", 4] at %state_out
  scalar m = 2*N + 1
  scalar rows = dim(%x, 0) from("Shape_1")
  scalar n = element(%count, m - 1)
  alloc %d
  call conv_f32(out %a, inout %z, in %x, in null, in %wp, scratch %count) {n = 1, size = 2*N, alpha = 0.5, beta = -1e-05, limit = float(inf), shift = -3} run_memory may_fail partition(rows, 28, grain = 2, parts = 8, halo = (1, 1)) in_place(%a <- %x, %z <- %z) from("conv1", "relu \"1\"") note("as \"small\" as can be")
  call step(out %a) meetings(2*N) partition(units, N)
  nest partition(i, N) from("chain") {
    for i in N {
      let t = exp(%x[i, 0])
      reduce s = add lanes(8) over (k in 4, j in 2*N) : mul(%x[i, k], t)
      reduce best = argmax last over (k in 4) : %x[i, k]
      let at = min(best, index(i + 3))
      store %y[i, {at}] = select(lt(s, 1.0), fma(t, s, -0.0), cast(best, f32)) when and(true, not(isnan(s)))
      for "odd var" in min(4, N) {
        call gemm_f32(out %y[i, 0], in %x["odd var", {add(at, 1)}]) {k = 4*i}
      }
      store %"conv1/Relu:0"[3] = cast(mul_shift_round(%b_15[N % 4], 1073741824:i32, 7:i32), i8)
      store %twice_14[0] = bitcast(3:u8, i8)
      store %d[i] = 9223372036854775807
    }
  }
  if %cond -> (%a, %d) {
    yield(%a, %d)
  } else {
    barrier
    yield(%z, null)
  }
  loop (turn) trip(N) while(%cond) carried(%z = %a, %h = %h) -> (%z, %h, %d) {
    loop () trip(4) carried() -> () {
      yield()
    }
    yield(%cond, %z, %h, %d)
  }
  barrier
}
)";

TEST(ProgramText, EverythingRoundTrips) {
  const Result<Program> program = parse_program(kEverything);
  ASSERT_TRUE(program.ok()) << program.error().str();
  EXPECT_EQ(print_program(*program), kEverything);
}

TEST(ProgramText, ParsesWhatItSays) {
  const Result<Program> parsed = parse_program(kEverything);
  ASSERT_TRUE(parsed.ok()) << parsed.error().str();
  const Program& p = *parsed;
  EXPECT_EQ(p.metadata.at("producer"), "a \"b\" \\ c\x01");
  EXPECT_EQ(p.constants[0].source.as<float>()[1], -2.5f);
  EXPECT_EQ(p.constants[0].packing.block, (std::vector<int64_t>{16, 1}));
  EXPECT_EQ(p.constants[1].packing.winograd, 4);
  EXPECT_EQ(p.constants[6].name, "odd name/1");
  EXPECT_EQ(p.buffers[3].alias_of, 1u);
  EXPECT_EQ(p.buffers[5].halo[3], (std::pair<int64_t, int64_t>{1, 2}));
  EXPECT_EQ(p.buffers[5].align, 128);
  EXPECT_EQ(p.buffers[7].base, 5u);
  EXPECT_EQ(p.buffers[13].name, "twice");
  EXPECT_EQ(p.buffers[14].name, "twice");
  EXPECT_EQ(p.buffers[15].name, "");
  const auto& call = std::get<KernelCall>(p.ops[4].node);
  EXPECT_TRUE(call.may_fail);
  EXPECT_TRUE(call.run_memory);
  EXPECT_EQ(call.ins[1].buffer, kNoBuffer);
  EXPECT_EQ(std::get<double>(call.arguments[4].value), std::numeric_limits<double>::infinity());
  EXPECT_EQ(std::get<Dim>(call.arguments[5].value), Dim(-3));
  EXPECT_FALSE(call.meetings);
  EXPECT_FALSE(std::get<KernelCall>(p.ops[5].node).run_memory);
  EXPECT_EQ(std::get<KernelCall>(p.ops[5].node).meetings, Dim(2) * Dim::symbol("N"));
  EXPECT_EQ(p.ops[4].partition->halo_after, 1);
  EXPECT_EQ(p.ops[4].origins[1], "relu \"1\"");
  const auto& nest = std::get<Nest>(p.ops[6].node);
  const auto& loop = std::get<For>(nest.body[0].node);
  const auto& best = std::get<Reduce>(loop.body[2].node);
  EXPECT_EQ(best.op, ReduceOp::ArgMax);
  EXPECT_TRUE(best.last_of_equals);
  const auto& store = std::get<Store>(loop.body[4].node);
  EXPECT_EQ(store.value->type, Elem::F32);
  EXPECT_EQ(store.at[1]->type, Elem::I64);
  EXPECT_EQ(std::get<Loop>(p.ops[8].node).body.scalar_args, (std::vector<std::string>{"turn"}));
}

TEST(ProgramText, LargeConstantsArePrintedAsTheirHash) {
  Program p;
  std::vector<float> values(100);
  values[3] = 1;
  p.constants.push_back({"w", Tensor::f32({100}, values), {}, {}});
  const std::string text = print_program(p);
  EXPECT_NE(text.find("= opaque 0x"), std::string::npos) << text;
  const Result<Program> again = parse_program(text);
  ASSERT_TRUE(again.ok()) << again.error().str();
  EXPECT_EQ(print_program(*again), text);
  EXPECT_EQ(again->constants[0].source.numel(), 100);
}

TEST(ProgramText, FloatConstantsAreExact) {
  for (const double value : {0.1, 1.0 / 3, 3.4e38, 1.4e-45, -0.0, 16777217.0}) {
    for (const Elem type : {Elem::F32, Elem::F64}) {
      const Expr e = expr::constant(type, value);
      auto tokens = tokenize(expr_text(e, {}));
      ASSERT_TRUE(tokens.ok());
      Cursor cursor(*tokens);
      const Result<Expr> again = parse_expr(cursor, {});
      ASSERT_TRUE(again.ok()) << again.error().str();
      EXPECT_EQ((*again)->type, type);
      EXPECT_EQ(std::memcmp(&(*again)->number, &e->number, sizeof(double)), 0) << value;
    }
  }
}

std::string error_of(const std::string& text) {
  const Result<Program> program = parse_program(text);
  return program.ok() ? "" : program.error().str();
}

TEST(ProgramText, ErrorsNameTheLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"program @main {\n  buffer %x: f33[1] = arena\n}", "line 2"},
      {"program @main {\n\n  call k(in %nobody)\n}", "no buffer is called 'nobody'"},
      {"program @main {\n  buffer %x: f32[1] = arena\n  buffer %x: f32[1] = arena\n}", "declared twice"},
      {"program @main {\n  buffer %v: f32[1] = view(%w, 0)\n}", "no buffer is called 'w'"},
      {"program @main {\n  constant @w: f32[2] = {1.0}\n}", "expected ','"},
      {"program @main {\n  nest { let a = b }\n}", "no let or reduce called 'b'"},
      {"program @main {\n  frobnicate\n}", "expected an operation"},
      {"program @main {", "expected"},
      {"program @main {\n  metadata \"a\" = \"b\n}", "does not end"},
      {"program @main { } x", "expected the end"},
      {"program @main { scalar n = N / 0 }", "divisor"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_NE(error_of(text).find(message), std::string::npos) << error_of(text);
}

TEST(ProgramText, DeepNestingIsRefusedNotOverflowed) {
  std::string text = "program @main { nest { let a = ";
  for (int i = 0; i < 100000; ++i) text += "neg(";
  EXPECT_NE(error_of(text).find("too deeply nested"), std::string::npos);
  text = "program @main { scalar n = ";
  text.append(100000, '(');
  EXPECT_NE(error_of(text).find("too deeply nested"), std::string::npos);
  text = "program @main { nest {";
  for (int i = 0; i < 100000; ++i) text += "for i in 2 {";
  EXPECT_NE(error_of(text).find("too deeply nested"), std::string::npos);
}

// Every prefix and every single-character change of a valid text gives a Program or an error, never a crash.
TEST(ProgramText, DamagedTextsAreRefused) {
  const std::string text = kEverything;
  for (size_t i = 0; i < text.size(); i += 11) {
    (void)parse_program(text.substr(0, i));
    for (const char c : {'%', '(', '0', '"'}) {
      std::string damaged = text;
      damaged[i] = c;
      (void)parse_program(damaged);
    }
  }
}

}  // namespace
}  // namespace onnxc
