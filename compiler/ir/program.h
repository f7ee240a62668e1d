// Program: what the machine will do, with no ONNX left in it. Kernel calls and loop nests over buffers, in an order
// that follows from what each reads and writes. Every later feature (dynamic shapes, Loop, threads, RAM-first planning,
// KV caches) is expressed here and not beside it. Text form: program_text.h. Invariants: verify_program.h. Tested in
// tests/unit/program_test.cc and tests/lit/program/.
//
// Integers that the Program computes (dims, trip counts, offsets) are `Scalars`: SSA int64 values, each with a name
// that Dims use as their symbol. A Scalar is defined by a ScalarDef operation, or is an argument of a Loop region.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "compiler/ir/dim.h"
#include "compiler/ir/elem.h"
#include "compiler/ir/expr.h"
#include "compiler/ir/tensor.h"

namespace onnxc {

// How the logical tensor lies in the buffer's dims. Plain: dims are the tensor's. Blocked: axis `axis` (channels) of
// extent C became two dims, ceil(C/block) in its place and `block` as the last one (NCHW16c: axis 1, block 16).
struct Layout {
  int axis = -1;  // -1: plain
  int block = 1;
  bool plain() const { return axis < 0; }
  bool operator==(const Layout& o) const { return axis == o.axis && block == o.block; }
  bool operator!=(const Layout& o) const { return !(*this == o); }
  bool operator<(const Layout& o) const { return axis != o.axis ? axis < o.axis : block < o.block; }
  static Layout channels(int block) { return {1, block}; }
  std::string str() const;  // "plain", "block1x16"
};

// What the lanes of a blocked buffer beyond the logical extent hold.
enum class PadLanes : uint8_t { None, Unspecified, Zero };

struct Buffer {
  enum class Storage : uint8_t {
    Input,     // `index`-th input of the model, the caller's memory, read only
    Output,    // `index`-th output, the caller's memory or an allocation of the host
    Arena,     // placed by the planner
    Constant,  // `index` into Program::constants
    View,      // of buffer `base`, `offset` elements in, with own dims and strides
    // Owned pointer + capacity, allocated at run time (Alloc). Moves into results and carried values, which get its
    // dims with it: a result's dim that is a symbol of its own is thereby defined.
    Dynamic,
    Handle,  // string tensor, sequence, map, optional: an object of the services library; `handle` says of what
  };
  std::string name;
  Elem elem = Elem::F32;
  Shape dims;
  Shape strides;  // in elements; empty: row-major without gaps
  Layout layout;
  PadLanes pad_lanes = PadLanes::None;
  // Per dim, elements before and after that belong to the buffer; may be empty.
  std::vector<std::pair<int64_t, int64_t>> halo;
  int64_t align = 64;  // bytes
  Storage storage = Storage::Arena;
  int64_t index = -1;             // Input, Output, Constant
  BufferId base = kNoBuffer;      // View
  Dim offset;                     // View, in elements
  std::string handle;             // Handle: "string[N]", "seq(f32)", ...
  BufferId alias_of = kNoBuffer;  // Output: the input that the caller may give the same memory (KV caches)

  // In elements. Row-major strides run over the dims with their halo.
  Shape effective_strides() const;
  // Elements of the whole extent, halo included, and how many of them lie before logical element 0.
  Dim extent() const;
  Dim lead() const;
};

// How the planner writes a constant for the kernel that reads it. First every dim i of the source is padded with zeros
// to a multiple of block[i] and split into (dims[i]/block[i], block[i]); the 2*rank dims so made are then permuted by
// `perm` (split dim 2*i is the outer part of i, 2*i + 1 the inner one; `perm` may leave out inner parts of extent 1,
// and an empty one keeps the order). Empty: as it is.
// Or, with `winograd` = 2 or 4, weights [O][I][2 or 3][2 or 3] of f32 become those of F(winograd, 3), transformed in
// double and rounded once (ir/winograd.h), as conv_winograd_f32 reads them.
struct Packing {
  std::vector<int64_t> block, perm;
  int winograd = 0;
  bool identity() const { return block.empty() && winograd == 0; }
  // Dims of the packed tensor: the permuted split dims, those of extent-1 inner parts (block 1) left out; one dim for
  // winograd's.
  std::vector<int64_t> packed_dims(const std::vector<int64_t>& dims) const;
  std::string str() const;
};

struct Constant {
  std::string name;
  Tensor source;
  Packing packing;
  std::string opaque;  // not empty: the text that this was parsed from gave only a hash; `source` holds zeros
};

// A buffer, or the place in it that the indices (I64, one per dim; legal inside nests only) point at.
struct Operand {
  BufferId buffer = kNoBuffer;
  std::vector<Expr> at;
};

struct Argument {
  std::string name;
  std::variant<Dim, double> value;
};

// Calls `kernel`, a C function of runtime_lib/kernels (names and rules: runtime_lib/kernels/README.md), with pointers
// to outs, inouts, ins, scratch in this order, then `arguments` (int64 and double/float as the kernel declares), then,
// when the operation is partitioned, the int64 range [begin, end) of the partition axis.
struct KernelCall {
  std::string kernel;
  std::vector<Operand> outs, inouts, ins;  // a `kNoBuffer` operand passes null (absent bias ...)
  std::vector<BufferId> scratch;           // arena buffers that live during this call only
  std::vector<Argument> arguments;
  bool may_fail = false;  // returns int32, 0 = ok
  // Makes values of sizes that nobody knows before: takes `void* (*allocate)(void* run, int64_t bytes), void* run`
  // last, which give memory until the run ends, or null. May fail; runs on one thread.
  bool run_memory = false;
  // Not empty: the symbol of a C function that the user links, which the kernel calls (runtime_lib/abi/custom_op.h). It
  // takes `frame, function, pointers to the operands, arguments`, the last two as arrays. May fail; runs on one thread.
  std::string function;
  // Set: threads that share the call meet in it, so often; not 0: all of them run it, even without a range. The kernel
  // takes `void (*meet)(void*), void* team` last, whose `team` is null where it runs on one thread or nobody meets.
  std::optional<Dim> meetings;
};

struct Stmt;
using Block = std::vector<Stmt>;

struct LoopVar {
  std::string name;
  Dim extent;  // runs over 0 .. extent - 1
};

enum class ReduceOp : uint8_t { Add, Mul, Min, Max, And, Or, ArgMin, ArgMax };  // Arg*: I64, first of equals; NaN wins

// Combines `value` over all values of `vars` (row-major order). For Add and Mul on floats the order is: lane l takes
// the elements with (position mod lanes) == l in order; then the lanes are combined as a binary tree (l with l +
// lanes/2, ...). Both printers write this order. An empty range gives the neutral element (Min/Max: +inf/-inf or the
// type's limit).
struct Reduce {
  std::string name;
  ReduceOp op = ReduceOp::Add;
  std::vector<LoopVar> vars;
  int lanes = 1;                // a power of two
  bool last_of_equals = false;  // Arg* only
  Expr value;
};

Elem reduced_type(const Reduce& reduce);  // I64 for Arg*, else the value's
const char* reduce_name(ReduceOp op);     // "add", "argmax" ...
bool reduce_from_name(std::string_view name, ReduceOp* op);

struct For {
  LoopVar var;
  Block body;
};
struct Let {
  std::string name;
  Expr value;
};
struct Store {
  BufferId buffer = kNoBuffer;
  std::vector<Expr> at;
  Expr value;
  Expr when;  // Bool; null: always
};

struct Stmt {
  std::variant<For, Let, Reduce, Store, KernelCall> node;
};

// A loop nest. When partitioned, the axis is the variable of its (single) outermost For; threads may then run the turns
// of that loop in any order and at the same time.
struct Nest {
  Block body;
};

// Defines Scalar `name`.
struct ScalarDef {
  struct DimOf {  // a run-time dim of a model input or dynamic buffer
    BufferId buffer;
    int64_t axis;
  };
  struct Element {  // reads an integer element: data-dependent
    BufferId buffer;
    Dim index;
  };
  std::string name;
  std::variant<Dim, DimOf, Element> value;
};

// Gives a Dynamic buffer its memory for its dims as they are now. Can fail.
struct Alloc {
  BufferId buffer = kNoBuffer;
};

struct Operation;
struct Region {
  std::vector<std::string> scalar_args;  // Loop: the turn's number
  std::vector<BufferId> args;            // Loop: the carried values
  std::vector<Operation> ops;
  std::vector<BufferId> yields;
};

// `condition`: a one-element Bool buffer. The yields of the branch taken become the results (moved when Dynamic or
// Handle).
struct If {
  BufferId condition = kNoBuffer;
  std::vector<BufferId> results;
  Region then_region, else_region;
};

// yields: [continue condition if has_condition], carried values, then scan values, appended along axis 0 turn by turn.
struct Loop {
  std::optional<Dim> trip_count;
  BufferId condition = kNoBuffer;        // initial condition; kNoBuffer: none, and none is yielded
  std::vector<BufferId> inits, results;  // carried inits; results: carried, then scans
  Region body;
};

// All threads wait; when one of them brings a failure, all leave the Program together.
struct Barrier {};

// The run fails with `message`, as an invalid argument, unless `value` >= 0. Stands in stages and regions.
struct Require {
  Dim value;
  std::string message;
};

struct Partition {
  std::string axis;  // a name for people; for nests the outermost loop's variable
  Dim extent;
  int64_t grain = 1;                        // ranges are multiples of this
  int64_t halo_before = 0, halo_after = 0;  // how far beyond its range an input is read
  Dim work;           // of the whole operation, in multiply-adds as fast as a GEMM's; 0: not stated
  int64_t parts = 0;  // no more threads than this have a part; 0: any number
};

struct Operation {
  std::variant<KernelCall, Nest, ScalarDef, Alloc, If, Loop, Barrier, Require> node;
  // How threads may share it: each runs a range of the axis, a multiple of grains. Absent: serial, on thread 0, as is
  // an operation of one grain or part (what is not worth sharing; plan/ decides).
  std::optional<Partition> partition;
  // Operands that may share one place: (written buffer, read buffer).
  std::vector<std::pair<BufferId, BufferId>> in_place;
  std::vector<std::string> origins;  // ONNX nodes, for `// from:` comments, profiles, errors
  std::string note;                  // why this form was chosen, for people
};

// Whether threads share the operation: its partition has more than one grain and part.
bool is_shared(const Operation& op);
// Whether threads meet within the operation, a shared call. They also meet before it, so that a failure is known by
// then and all of them come.
bool is_joint(const Operation& op);

// What a sequence or an optional holds: tensors of this type. Dims that are no constants may be anything.
struct HeldValues {
  bool optional = false, sequence = false;
  Elem elem = Elem::F32;
  std::optional<Shape> dims;  // nothing: of any rank
};

struct ProgramValue {  // a model input or output as the caller sees it
  std::string name;
  Elem elem = Elem::F32;
  std::vector<std::string> dim_names;  // symbol or "" per dim
  Shape dims;
  BufferId buffer = kNoBuffer;
  std::optional<HeldValues> held;  // a sequence or an optional, which `buffer` describes (runtime_lib/abi/sequence.h)
};

struct Program {
  std::string name = "main";
  std::vector<Buffer> buffers;
  std::vector<Constant> constants;
  std::vector<ProgramValue> inputs, outputs;
  std::vector<Operation> ops;
  std::map<std::string, std::string> metadata;
  // What symbols may be taken for where a choice is for speed only.
  std::map<std::string, int64_t> likely;

  BufferId add_buffer(Buffer b) {
    buffers.push_back(std::move(b));
    return static_cast<BufferId>(buffers.size() - 1);
  }
};

// Operations [begin, end) of the Program: Scalars, and what the run requires of them, after which memory is found for
// what has known dims by then. The first one (which may be empty) follows from the inputs alone and is computed before
// threads start; at each further one, all of them wait until it is done.
struct Stage {
  size_t begin = 0, end = 0;
};
std::vector<Stage> stages_of(const Program& program);
// The number of the stage at whose end all symbols of `dim` are known: `stage_of_symbol` of the last one.
using StageOfSymbol = std::map<std::string, size_t>;
StageOfSymbol stage_of_symbol(const Program& program);
size_t stage_of(const Dim& dim, const StageOfSymbol& known);
// The constant; else the value at the symbols' likely values.
int64_t likely_value(const Program& program, const Dim& dim);

// What an operation reads and writes, regions included, each buffer once, in order of appearance. A scratch buffer is
// written and read. A buffer that an operation writes partly keeps its other elements: it is live from its first write
// on.
struct Effects {
  std::vector<BufferId> reads, writes;
};
Effects effects_of(const Operation& op);

// Symbols that the operation needs to know, those of its buffers included; and loop variables.
void collect_symbols(const Program& program, const Operation& op, std::set<std::string>& out);

// Whether a kernel whose name begins so is called, in regions and nests too.
bool calls_kernel(const std::vector<Operation>& ops, std::string_view name);

// Functions that the user links, in regions too, and the first ONNX nodes that call them.
std::map<std::string, std::string> linked_functions(const std::vector<Operation>& ops);
// What the call runs, for people: the kernel, or the function that it calls for the user.
const std::string& callee(const KernelCall& call);

// Calls `visit` on every expression root of a nest (indices, values, conditions).
void for_each_expr(const Block& block, const std::function<void(const Expr&)>& visit);

// Calls `visit` on every load of an expression, once per node.
void for_each_load(const Expr& e, const std::function<void(const ExprNode&)>& visit);

// The buffer that holds the memory of `b`: follows views.
BufferId storage_root(const Program& program, BufferId b);
// Where element 0 of `b` lies after element 0 of its storage root, in bytes.
Dim view_offset_bytes(const Program& program, BufferId b);

}  // namespace onnxc
