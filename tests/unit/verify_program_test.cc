// One planted violation per rule of verify_program.h, each as a textual Program.
#include "compiler/ir/verify_program.h"

#include <gtest/gtest.h>

#include "compiler/ir/program_text.h"

namespace onnxc {
namespace {

constexpr char kDeclarations[] = R"(
  constant @w: f32[4] = {1.0, 2.0, 3.0, 4.0}
  buffer %x: f32[8, 4] = input(0)
  buffer %c: bool[1] = input(1)
  buffer %y: f32[8, 4] = output(0)
  buffer %w: f32[4] = constant(@w)
  buffer %a: f32[8, 4] = arena
  buffer %b: f32[8, 4] = arena
  buffer %i: i64[4] = arena
  buffer %d: f32[n] = dynamic
  buffer %go: bool[1] = arena
  input "x": f32[8, 4] at %x
  input "c": bool[1] at %c
  output "y": f32[8, 4] at %y
)";

// The verdict on a Program of these operations (and further declarations).
std::string verdict(const std::string& operations, const std::string& declarations = "") {
  const Result<Program> program =
      parse_program("program @main {" + (kDeclarations + declarations) + " " + operations + "\n}");
  if (!program.ok()) return "does not parse: " + program.error().str();
  const Status status = verify_program(*program);
  if (status.ok()) return "fine";
  EXPECT_EQ(status.error().kind(), ErrorKind::Internal);
  return status.error().str();
}

void expect(const std::string& message, const std::string& operations, const std::string& declarations = "") {
  const std::string found = verdict(operations, declarations);
  EXPECT_NE(found.find(message), std::string::npos) << operations << declarations << "\n  gave: " << found;
}

constexpr char kCopy[] = "call k(out %y, in %x)";

TEST(VerifyProgram, AcceptsWhatIsRight) { EXPECT_EQ(verdict(kCopy), "fine"); }

TEST(VerifyProgram, NamesOperationAndBuffer) {
  const std::string found = verdict("call good(out %a, in %x) call bad(out %y, in %b) from(\"conv1\")");
  EXPECT_NE(found.find("operation #1 (call bad, from \"conv1\")"), std::string::npos) << found;
  EXPECT_NE(found.find("%b"), std::string::npos) << found;
}

TEST(VerifyProgram, Buffers) {
  expect("negative dim", kCopy, "buffer %n: f32[-1] = arena");
  expect("too many elements", kCopy, "buffer %n: f32[4000000000, 4000000000] = arena");
  expect("strides of another rank", kCopy, "buffer %n: f32[4, 4] strides[1] = arena");
  expect("halo of another rank", kCopy, "buffer %n: f32[4, 4] halo((1, 1)) = arena");
  expect("negative halo", kCopy, "buffer %n: f32[4] halo((-1, 1)) = arena");
  expect("no power of two", kCopy, "buffer %n: f32[4] align(48) = arena");
  expect("its last dim is 8", kCopy, "buffer %n: f32[1, 2, 8] layout(1, 16) = arena");
  expect("blocked axis that is no dim", kCopy, "buffer %n: f32[1, 16] layout(1, 16) = arena");
  expect("padding lanes", kCopy, "buffer %n: f32[4] lanes(zero) = arena");
  expect("index out of range", kCopy, "buffer %n: f32[4] = input(7)");
  expect("index out of range", kCopy, "buffer %n: f32[4] = constant(3)");
  expect("packed constant 4", kCopy, "buffer %n: f32[5] = constant(@w)");
  expect("another element type", kCopy, "buffer %n: i32[4] = constant(@w)");
  expect("no permutation", kCopy,
         "constant @p: f32[4] packing(block = [2], perm = [0, 0]) = splat 0.0 buffer %n: f32[4] = constant(@p)");
  expect("leaves out a dim", kCopy,
         "constant @p: f32[4] packing(block = [2], perm = [0]) = splat 0.0 buffer %n: f32[2] = constant(@p)");
  expect("no f32 tensor of weights with 2 or 3 taps per axis", kCopy,
         "constant @p: f32[4, 4, 3, 1] packing(winograd = 2) = splat 0.0 buffer %n: f32[1024] = constant(@p)");
  expect("its packed constant 1024", kCopy,
         "constant @p: f32[4, 4, 3, 3] packing(winograd = 2) = splat 0.0 buffer %n: f32[144] = constant(@p)");
  expect("which is no input", kCopy, "buffer %o: f32[8, 4] = output(0) alias(%a)");
}

TEST(VerifyProgram, Views) {
  expect("fine", kCopy, "buffer %v: f32[2, 4] strides[8, 1] = view(%a, 16)");
  expect("reaches from byte 64 to 144", kCopy, "buffer %v: f32[20] = view(%a, 16)");
  expect("reaches from byte -4", kCopy, "buffer %v: f32[2] = view(%a, -1)");
  expect("reaches from byte", kCopy, "buffer %v: f32[3] strides[-8] = view(%a, 12)");
  expect("view of itself", kCopy, "buffer %v: f32[1] = view(%u, 0) buffer %u: f32[1] = view(%v, 0)");
  expect("does not exist", kCopy, "buffer %v: f32[1] = view(null, 0)");
  expect("fine", kCopy, "buffer %h: f32[4] halo((1, 1)) = arena buffer %v: f32[6] = view(%h, -1)");
}

TEST(VerifyProgram, InputsAndOutputs) {
  expect("has another type", kCopy, "buffer %z: f32[1] = input(2) input \"z\": f32[2] at %z");
  expect("is not what its buffer", kCopy, "input \"z\": f32[8, 4] at %a");
  expect("has no buffer", kCopy, "input \"z\": f32[8, 4] at null");
  expect("dim names", kCopy, "buffer %z: f32[1] = input(2) input \"z\": f32[1] names(\"a\", \"b\") at %z");
  expect("\"y\": is never written", "call k(out %a, in %x)");
}

TEST(VerifyProgram, ReadsAndWrites) {
  expect("%a (#4) is read before it is written", "call k(out %y, in %a)");
  expect("is an input", std::string(kCopy) + " call k(out %x, in %y)");
  expect("is a constant", std::string(kCopy) + " call k(out %w, in %y)");
  expect("written before it is allocated", std::string(kCopy) + " scalar n = 4 call k(out %d, in %x)");
  expect("fine", std::string(kCopy) + " scalar n = 4 alloc %d call k(out %d, in %x)");
  expect("is allocated, and is not dynamic", std::string(kCopy) + " alloc %a");
  expect("not an inout", "call k(out %a, in %x) call k(out %a, in %a) call k(out %y, in %a)");
  expect("fine", "call k(out %a, in %x) call k(inout %a) call k(out %y, in %a)");
  expect("is an operand too", "call k(out %y, inout %b, in %x, scratch %b)");
  expect("scratch %x (#0) is not arena", "call k(out %y, scratch %x)");
  expect("takes memory of the run cannot fail", "call k(out %y, in %x) run_memory");
  expect("threads meet in a call that may fail", "call k(out %y, in %x) meetings(2) may_fail");
  expect("a call of a linked function cannot fail", "call k(out %y, in %x) function(f)");
}

TEST(VerifyProgram, Scalars) {
  expect("uses \"m\"", std::string(kCopy) + " scalar n = m + 1");
  expect("defined twice", std::string(kCopy) + " scalar n = 1 scalar n = 2");
  expect("a dim of %d", std::string(kCopy) + " alloc %d");
  expect("argument size", "call k(out %y, in %x) {size = m}");
  expect("fine", std::string(kCopy) + " scalar M = dim(%z, 0)",
         "buffer %z: f32[M] = input(2) input \"z\": f32[M] at %z");
  expect("has no dim 2", std::string(kCopy) + " scalar n = dim(%x, 2)");
  expect("holds no integers", std::string(kCopy) + " scalar n = element(%x, 0)");
  expect("read before it is written", std::string(kCopy) + " scalar n = element(%i, 0)");
  expect("uses \"t\"", std::string(kCopy) + " loop (t) trip(4) carried() -> () { yield() } scalar n = t");
}

std::string nest(const std::string& body, const std::string& head = "") {
  return "nest " + head + " { for i in 8 { for j in 4 { " + body + " store %y[i, j] = 0.0 } } }";
}

TEST(VerifyProgram, Expressions) {
  expect("fine", nest("let t = add(%x[i, j], 1.0)"));
  expect("has rank 2 and is indexed by 1", nest("let t = %x[i]"));
  expect("an index of %x (#0) is f32", nest("let t = %x[i, {%x[i, j]}]"));
  expect("uses \"k\"", nest("let t = %x[i, k]"));
  expect("lies outside dim 1, 4", nest("let t = %x[i, 4]"));
  expect("lies outside dim 0, 8", nest("let t = %x[-1, 0]"));
  expect("index i + 1 of %x (#0), from 1 to 8, lies outside", nest("let t = %x[i + 1, j]"));
  expect("index 2*i of %y (#2), from 0 to 14, lies outside dim 1", nest("store %y[3 - j, 2*i] = 0.0"));
  expect("fine", nest("store %y[3 - j, 3*j - 2*j] = 0.0"));
  expect("fine", nest("let t = select(lt(index(i), 7), %x[i + 1, j], 0.0)"));
  expect("fine", nest("store %y[i + 1, j] = %x[i + 1, j] when lt(index(i), 7)"));
  expect("from 0 to 8", nest("reduce s = add over (k in 9) : %x[k, 0]"));
  expect("fine", "nest { for i in 0 { store %y[i + 9, 0] = 0.0 } } " + std::string(kCopy));
  expect("add wants operands of one type, and has f32, i64", nest("let t = add(%x[i, j], 1)"));
  expect("exp wants floats", nest("let t = exp(index(i))"));
  expect("popcount wants integers", nest("let t = popcount(1.0)"));
  expect("and wants integers or bools", nest("let t = and(1.0, 2.0)"));
  expect("add wants numbers", nest("let t = add(true, false)"));
  expect("select wants a bool", nest("let t = select(1, 2.0, 3.0)"));
  expect("select wants a bool", nest("let t = select(true, 2.0, 3)"));
  expect("mul_shift_round wants three i32", nest("let t = mul_shift_round(1:i32, 2:i32, 3)"));
  expect("bitcast wants elements of one width", nest("let t = bitcast(1.0, i64)"));
  expect("\"t\" is defined twice", nest("let t = 1.0 let t = 2.0"));
  expect("has the name of something visible", nest("for i in 2 { let t = 1.0 }"));
  expect("must be a power of two", nest("reduce s = add lanes(3) over (k in 4) : %x[i, k]"));
  expect("combines bits of floats", nest("reduce s = and over (k in 4) : %x[i, k]"));
  expect("a i64 is stored into %y", nest("store %y[i, j] = 1"));
  expect("condition of a store is not bool", nest("store %y[i, j] = 1.0 when 1.0"));
}

TEST(VerifyProgram, KernelCallsInNests) {
  expect("fine", "nest { for i in 8 { call k(out %y[i, 0], in %x[i, 0]) } }");
  expect("has indices outside a nest", "call k(out %y[0, 0], in %x)");
  expect("has rank 2", "nest { for i in 8 { call k(out %y[i], in %x[i, 0]) } }");
}

TEST(VerifyProgram, Partitions) {
  expect("fine", nest("let t = %x[i, j]", "partition(i, 8)"));
  expect("is not the outermost loop", nest("let t = %x[i, j]", "partition(j, 4)"));
  expect("is not the loop's, 8", nest("let t = %x[i, j]", "partition(i, 4)"));
  expect("must be one loop",
         "nest partition(i, 8) { for i in 8 { store %y[i, 0] = 0.0 } for k in 8 { store %y[k, 1] = 0.0 } }");
  // A sum over the partitioned axis would be regrouped: it cannot be written without a store that does not depend on
  // it.
  expect("do not depend on the partition axis",
         "nest partition(i, 8) { for i in 8 { store %y[0, 0] = add(%y[0, 0], %x[i, 0]) } }");
  expect("do not depend on the partition axis",
         "nest partition(i, 8) { for i in 8 { call k(out %y[0, 0], in %x[i, 0]) } }");
  expect("grain, parts or halo", "call k(out %y, in %x) partition(rows, 8, grain = 0)");
  expect("grain, parts or halo", "call k(out %y, in %x) partition(rows, 8, parts = -1)");
  expect("only kernel calls and nests", std::string(kCopy) + " scalar n = 1 partition(rows, 8)");
}

TEST(VerifyProgram, InPlace) {
  expect("fine", "call k(out %a, in %x) call k(out %y, in %a) in_place(%y <- %a)");
  expect("is in place and not written", "call k(out %y, in %x) in_place(%a <- %x)");
  expect("is in place and not read", "call k(out %y, in %x) in_place(%y <- %a)");
  expect("elements have another size", "call k(out %i, in %x) in_place(%i <- %x) " + std::string(kCopy));
}

TEST(VerifyProgram, Branches) {
  const auto branch = [](const std::string& then_region, const std::string& else_region) {
    return "call k(out %a, in %x) if %c -> (%b) { " + then_region + " } else { " + else_region +
           " } call k(out %y, in %b)";
  };
  expect("fine", branch("yield(%a)", "yield(%x)"));
  expect("yields 0 values for 1 results", branch("yield()", "yield(%x)"));
  expect("of another element type", branch("yield(%c)", "yield(%x)"));
  expect("does not own its memory", branch("yield(%w)", "yield(%x)"));
  expect("read before it is written", branch("yield(%b)", "yield(%x)"));
  expect("is not one bool", "if %x -> () { yield() } else { yield() }");
  // What only one branch writes is not written afterwards.
  expect("%i (#6) is read before", "if %c -> () { call k(out %i) yield() } else { yield() } call k(out %y, in %i)");
  expect("fine", "if %c -> () { call k(out %i) yield() } else { call k(out %i) yield() } call k(out %y, in %i)");
  expect("a handle and a tensor", "if %c -> (%h) { yield(%x) } else { yield(%x) }",
         "buffer %h: f32[8, 4] = handle(\"seq(f32)\")");
}

TEST(VerifyProgram, Loops) {
  const auto loop = [](const std::string& head, const std::string& yields) {
    return "loop " + head + " { call k(out %go, in %a) yield" + yields + " } call k(out %y, in %b)";
  };
  expect("fine", loop("(t) trip(4) carried(%a = %x) -> (%b)", "(%a)"));
  expect("fine", loop("(t) trip(4) while(%c) carried(%a = %x) -> (%b)", "(%go, %a)"));
  expect("neither a trip count nor a condition", loop("(t) carried(%a = %x) -> (%b)", "(%a)"));
  expect("yields 1 values where 2", loop("(t) trip(4) while(%c) carried(%a = %x) -> (%b)", "(%a)"));
  expect("fewer results", loop("(t) trip(4) carried(%a = %x) -> ()", "(%a)"));
  expect("is not one bool", loop("(t) while(%c) carried(%a = %x) -> (%b)", "(%a, %a)"));
  expect("does not own its memory", loop("(t) trip(4) carried(%a = %w) -> (%b)", "(%a)"));
  expect("is no row of %b", "loop (t) trip(4) carried() -> (%b) { yield(%x) } call k(out %y, in %b)");
  expect("one scalar argument", loop("(t, u) trip(4) carried(%a = %x) -> (%b)", "(%a)"));
  // What the body writes is not written after a loop that may take no turn.
  expect("%go (#8) is read before", loop("(t) trip(4) carried(%a = %x) -> (%b)", "(%a)") + " call k(out %i, in %go)");
}

}  // namespace
}  // namespace onnxc
