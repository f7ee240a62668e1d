// The text form of a Program: parsed back to an equal Program. Tested in tests/unit/program_text_test.cc and
// tests/lit/program/, which show every construct. In short:
//
//   program @main {
//     metadata "producer" = "torch"
//     constant @w: f32[2, 3] packing(block = [16, 1], perm = [0, 2, 1]) = {1.0, 2.0, ...} | splat 0.0 | opaque 0xHASH
//     constant @u: f32[32, 16, 3, 3] packing(winograd = 4) = ...
//     buffer %x: f32[N, 4] = input(0)
//     buffer %y: f32[N, 4] = output(0) alias(%x)
//     buffer %wp: f32[1, 3, 16] = constant(@w)
//     buffer %a: f32[1, 4, 112, 112, 16] layout(1, 16) lanes(unspecified) halo((0, 0), ...) align(128) = arena
//     buffer %v: f32[2, 4] strides[8, 1] = view(%a, 64)
//     buffer %d: i64[n] = dynamic
//     buffer %h: string[N] = handle("string[N]")
//     input "x": f32[N, 4] names("N", "") at %x
//     output "y": f32[N, 4] at %y
//     output "s": i64[2] holds optional seq: f32["?", 4] at %s
//     scalar n = 2*N + 1 | dim(%x, 0) | element(%i, 3)
//     require N - 4, "what the run is told where N < 4"
//     call conv_f32(out %y, inout %s, in %x, in null, scratch %t) {n = 1, alpha = 0.5} meetings(N) run_memory may_fail
//     call custom_call(out %y, in %d, in %x, scratch %t) {n = 1} function(my_function) may_fail
//         partition(rows, 28, grain = 2, parts = 8, halo = (1, 1)) in_place(%y <- %x) from("conv1", "relu1")
//         note("why")
//     nest { for i in N { let t = exp(%x[i, 0]) store %y[i, 0] = t when lt(t, 1.0) } }
//     nest { reduce s = add lanes(8) over (k in 64) : %x[k, 0] ... call k(out %y[i, 0]) ... }
//     alloc %d
//     if %c -> (%r) { ... yield(%a) } else { ... yield(%b) }
//     loop (t) trip(N) while(%c) carried(%s = %init) -> (%last, %all) { ... yield(%go, %next, %item) }
//     barrier
//   }
//
// Expressions: expr_text.h. Buffers and constants are known by their names; where names are missing or not unique, the
// text gives them others and keeps the real ones: `buffer %x_7 named("x"): ...`. `//` begins a comment. Partition,
// in_place, from and note may follow any operation's head (before its `{`, for nests, ifs and loops).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/ir/program.h"
#include "compiler/support/result.h"

namespace onnxc {

std::string print_program(const Program& program);
// The operation's lines, for reports; names as in print_program.
std::string print_operation(const Program& program, const Operation& op);
// The name that the text gives to each buffer, "%x".
std::vector<std::string> printed_buffer_names(const Program& program);
// Errors name the line.
Result<Program> parse_program(std::string_view text);

}  // namespace onnxc
