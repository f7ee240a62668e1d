// Text -> Program: operations, regions and the statements of nests.
#include "compiler/ir/program_parse_operations.h"

#include "compiler/ir/number_text.h"

namespace onnxc {
namespace {
constexpr int kMaxDepth = 200;
}  // namespace

OperationParser::OperationParser(Cursor& cursor, const Program& program,
                                 const std::unordered_map<std::string, uint32_t>& buffers)
    : cursor_(cursor), buffers_(buffers) {
  scope_.buffer = [this](Cursor&) { return buffer(); };
  scope_.elem_of = [&program](BufferId b) { return program.buffers[b].elem; };
}

// ---- names ----

Result<BufferId> OperationParser::buffer() {
  if (!cursor_.at(Token::Kind::Percent)) return cursor_.expected("%name");
  const auto found = buffers_.find(cursor_.peek().text);
  if (found == buffers_.end()) return cursor_.error("no buffer is called '" + cursor_.peek().text + "'");
  cursor_.next();
  return BufferId{found->second};
}

Result<BufferId> OperationParser::buffer_or_null() {
  if (cursor_.take_name("null")) return BufferId{kNoBuffer};
  return buffer();
}

Result<std::vector<BufferId>> OperationParser::buffer_list() {
  std::vector<BufferId> out;
  ONNXC_TRY(cursor_.expect_punct("("));
  while (!cursor_.at_punct(")")) {
    if (!out.empty()) ONNXC_TRY(cursor_.expect_punct(","));
    ONNXC_ASSIGN(const BufferId b, buffer_or_null());
    out.push_back(b);
  }
  cursor_.next();
  return out;
}

Result<std::string> OperationParser::name(std::string_view what) {
  if (!cursor_.at(Token::Kind::Name) && !cursor_.at(Token::Kind::String)) return cursor_.expected(what);
  return cursor_.next().text;
}

Result<int64_t> OperationParser::parenthesised_integer() {
  ONNXC_TRY(cursor_.expect_punct("("));
  ONNXC_ASSIGN(const int64_t value, cursor_.expect_integer());
  ONNXC_TRY(cursor_.expect_punct(")"));
  return value;
}

// ---- operations ----

Result<std::vector<Operation>> OperationParser::list() {
  std::vector<Operation> ops;
  while (!cursor_.at_name("yield") && !cursor_.at_punct("}")) {
    ONNXC_ASSIGN(Operation op, operation());
    ops.push_back(std::move(op));
  }
  return ops;
}

Result<Operation> OperationParser::operation() {
  Operation op;
  if (cursor_.take_name("call")) {
    ONNXC_ASSIGN(op.node, call());
  } else if (cursor_.take_name("scalar")) {
    ONNXC_ASSIGN(op.node, scalar());
  } else if (cursor_.take_name("alloc")) {
    ONNXC_ASSIGN(const BufferId b, buffer());
    op.node = Alloc{b};
  } else if (cursor_.take_name("barrier")) {
    op.node = Barrier{};
  } else if (cursor_.take_name("require")) {
    Require require;
    ONNXC_ASSIGN(require.value, parse_dim(cursor_));
    ONNXC_TRY(cursor_.expect_punct(","));
    ONNXC_ASSIGN(require.message, cursor_.expect(Token::Kind::String, "a message in quotes"));
    op.node = std::move(require);
  } else if (cursor_.take_name("nest")) {
    ONNXC_TRY(tail(op));
    ONNXC_ASSIGN(Block body, block());
    op.node = Nest{std::move(body)};
    return op;
  } else if (cursor_.take_name("if")) {
    ONNXC_TRY(branch(op));
    return op;
  } else if (cursor_.take_name("loop")) {
    ONNXC_TRY(loop(op));
    return op;
  } else {
    return cursor_.expected("an operation");
  }
  ONNXC_TRY(tail(op));
  return op;
}

Status OperationParser::tail(Operation& op) {
  if (cursor_.take_name("partition")) ONNXC_TRY(partition(op));
  if (cursor_.take_name("in_place")) ONNXC_TRY(in_place(op));
  if (cursor_.take_name("from")) ONNXC_TRY(origins(op));
  if (cursor_.take_name("note")) {
    ONNXC_TRY(cursor_.expect_punct("("));
    ONNXC_ASSIGN(op.note, cursor_.expect(Token::Kind::String, "a remark in quotes"));
    ONNXC_TRY(cursor_.expect_punct(")"));
  }
  return ok();
}

Status OperationParser::partition(Operation& op) {
  Partition p;
  ONNXC_TRY(cursor_.expect_punct("("));
  ONNXC_ASSIGN(p.axis, name("the axis"));
  ONNXC_TRY(cursor_.expect_punct(","));
  ONNXC_ASSIGN(p.extent, parse_dim(cursor_));
  while (cursor_.take_punct(",")) {
    if (cursor_.take_name("grain")) {
      ONNXC_TRY(cursor_.expect_punct("="));
      ONNXC_ASSIGN(p.grain, cursor_.expect_integer());
    } else if (cursor_.take_name("parts")) {
      ONNXC_TRY(cursor_.expect_punct("="));
      ONNXC_ASSIGN(p.parts, cursor_.expect_integer());
    } else if (cursor_.take_name("work")) {
      ONNXC_TRY(cursor_.expect_punct("="));
      ONNXC_ASSIGN(p.work, parse_dim(cursor_));
    } else {
      ONNXC_TRY(cursor_.expect_name("halo"));
      ONNXC_TRY(cursor_.expect_punct("="));
      ONNXC_TRY(cursor_.expect_punct("("));
      ONNXC_ASSIGN(p.halo_before, cursor_.expect_integer());
      ONNXC_TRY(cursor_.expect_punct(","));
      ONNXC_ASSIGN(p.halo_after, cursor_.expect_integer());
      ONNXC_TRY(cursor_.expect_punct(")"));
    }
  }
  op.partition = std::move(p);
  return cursor_.expect_punct(")");
}

Status OperationParser::in_place(Operation& op) {
  ONNXC_TRY(cursor_.expect_punct("("));
  do {
    ONNXC_ASSIGN(const BufferId written, buffer());
    ONNXC_TRY(cursor_.expect_punct("<"));
    ONNXC_TRY(cursor_.expect_punct("-"));
    ONNXC_ASSIGN(const BufferId read, buffer());
    op.in_place.emplace_back(written, read);
  } while (cursor_.take_punct(","));
  return cursor_.expect_punct(")");
}

Status OperationParser::origins(Operation& op) {
  ONNXC_TRY(cursor_.expect_punct("("));
  do {
    ONNXC_ASSIGN(std::string origin, cursor_.expect(Token::Kind::String, "a node's name in quotes"));
    op.origins.push_back(std::move(origin));
  } while (cursor_.take_punct(","));
  return cursor_.expect_punct(")");
}

Result<KernelCall> OperationParser::call() {
  KernelCall call;
  ONNXC_ASSIGN(call.kernel, name("a kernel's name"));
  ONNXC_TRY(cursor_.expect_punct("("));
  for (bool first = true; !cursor_.at_punct(")"); first = false) {
    if (!first) ONNXC_TRY(cursor_.expect_punct(","));
    ONNXC_TRY(operand(call));
  }
  cursor_.next();
  if (cursor_.take_punct("{")) {
    while (!cursor_.at_punct("}")) {
      if (!call.arguments.empty()) ONNXC_TRY(cursor_.expect_punct(","));
      ONNXC_ASSIGN(Argument a, argument());
      call.arguments.push_back(std::move(a));
    }
    cursor_.next();
  }
  if (cursor_.take_name("meetings")) {
    ONNXC_TRY(cursor_.expect_punct("("));
    ONNXC_ASSIGN(call.meetings, parse_dim(cursor_));
    ONNXC_TRY(cursor_.expect_punct(")"));
  }
  call.run_memory = cursor_.take_name("run_memory");
  if (cursor_.take_name("function")) {
    ONNXC_TRY(cursor_.expect_punct("("));
    ONNXC_ASSIGN(call.function, name("a function's name"));
    ONNXC_TRY(cursor_.expect_punct(")"));
  }
  call.may_fail = cursor_.take_name("may_fail");
  return call;
}

Status OperationParser::operand(KernelCall& call) {
  if (cursor_.take_name("scratch")) {
    ONNXC_ASSIGN(const BufferId b, buffer());
    call.scratch.push_back(b);
    return ok();
  }
  std::vector<Operand>* list = nullptr;
  if (cursor_.take_name("out"))
    list = &call.outs;
  else if (cursor_.take_name("inout"))
    list = &call.inouts;
  else if (cursor_.take_name("in"))
    list = &call.ins;
  else
    return cursor_.expected("in, out, inout or scratch");
  Operand o;
  ONNXC_ASSIGN(o.buffer, buffer_or_null());
  if (cursor_.at_punct("[")) {
    ONNXC_ASSIGN(o.at, parse_index_list(cursor_, scope_));
  }
  list->push_back(std::move(o));
  return ok();
}

// A number with a point or an exponent, or float(inf), is a double; anything else a Dim.
Result<Argument> OperationParser::argument() {
  Argument a;
  ONNXC_ASSIGN(a.name, name("an argument's name"));
  ONNXC_TRY(cursor_.expect_punct("="));
  const Token& token = cursor_.peek(cursor_.at_punct("-") ? 1 : 0);
  const bool is_double = token.kind == Token::Kind::Number && token.text.find_first_of(".e") != std::string::npos;
  const bool wrapped = cursor_.at_name("float") && cursor_.at_punct("(", 1);
  if (!is_double && !wrapped) {
    ONNXC_ASSIGN(a.value, parse_dim(cursor_));
    return a;
  }
  if (wrapped) cursor_.next(), cursor_.next();
  ONNXC_ASSIGN(a.value, parse_float(cursor_, false));
  if (wrapped) ONNXC_TRY(cursor_.expect_punct(")"));
  return a;
}

Result<ScalarDef> OperationParser::scalar() {
  ScalarDef def;
  ONNXC_ASSIGN(def.name, name("a scalar's name"));
  ONNXC_TRY(cursor_.expect_punct("="));
  const bool is_dim = cursor_.at_name("dim") && cursor_.at_punct("(", 1);
  const bool is_element = cursor_.at_name("element") && cursor_.at_punct("(", 1);
  if (!is_dim && !is_element) {
    ONNXC_ASSIGN(def.value, parse_dim(cursor_));
    return def;
  }
  cursor_.next(), cursor_.next();
  ONNXC_ASSIGN(const BufferId b, buffer());
  ONNXC_TRY(cursor_.expect_punct(","));
  if (is_dim) {
    ONNXC_ASSIGN(const int64_t axis, cursor_.expect_integer());
    def.value = ScalarDef::DimOf{b, axis};
  } else {
    ONNXC_ASSIGN(Dim index, parse_dim(cursor_));
    def.value = ScalarDef::Element{b, std::move(index)};
  }
  ONNXC_TRY(cursor_.expect_punct(")"));
  return def;
}

// ---- regions ----

Result<Region> OperationParser::region() {
  if (++depth_ > kMaxDepth) return cursor_.error("too deeply nested");
  Region region;
  ONNXC_TRY(cursor_.expect_punct("{"));
  ONNXC_ASSIGN(region.ops, list());
  ONNXC_TRY(cursor_.expect_name("yield"));
  ONNXC_ASSIGN(region.yields, buffer_list());
  ONNXC_TRY(cursor_.expect_punct("}"));
  --depth_;
  return region;
}

Status OperationParser::branch(Operation& op) {
  If node;
  ONNXC_ASSIGN(node.condition, buffer_or_null());
  ONNXC_TRY(cursor_.expect_punct("->"));
  ONNXC_ASSIGN(node.results, buffer_list());
  ONNXC_TRY(tail(op));
  ONNXC_ASSIGN(node.then_region, region());
  ONNXC_TRY(cursor_.expect_name("else"));
  ONNXC_ASSIGN(node.else_region, region());
  op.node = std::move(node);
  return ok();
}

Status OperationParser::carried(Loop& loop) {
  ONNXC_TRY(cursor_.expect_name("carried"));
  ONNXC_TRY(cursor_.expect_punct("("));
  while (!cursor_.at_punct(")")) {
    if (!loop.inits.empty()) ONNXC_TRY(cursor_.expect_punct(","));
    ONNXC_ASSIGN(const BufferId argument, buffer_or_null());
    ONNXC_TRY(cursor_.expect_punct("="));
    ONNXC_ASSIGN(const BufferId init, buffer_or_null());
    loop.body.args.push_back(argument);
    loop.inits.push_back(init);
  }
  cursor_.next();
  return ok();
}

Status OperationParser::loop(Operation& op) {
  Loop node;
  std::vector<std::string> scalar_args;
  ONNXC_TRY(cursor_.expect_punct("("));
  while (!cursor_.at_punct(")")) {
    if (!scalar_args.empty()) ONNXC_TRY(cursor_.expect_punct(","));
    ONNXC_ASSIGN(std::string argument, name("a scalar's name"));
    scalar_args.push_back(std::move(argument));
  }
  cursor_.next();
  if (cursor_.take_name("trip")) {
    ONNXC_TRY(cursor_.expect_punct("("));
    ONNXC_ASSIGN(node.trip_count, parse_dim(cursor_));
    ONNXC_TRY(cursor_.expect_punct(")"));
  }
  if (cursor_.take_name("while")) {
    ONNXC_TRY(cursor_.expect_punct("("));
    ONNXC_ASSIGN(node.condition, buffer());
    ONNXC_TRY(cursor_.expect_punct(")"));
  }
  ONNXC_TRY(carried(node));
  ONNXC_TRY(cursor_.expect_punct("->"));
  ONNXC_ASSIGN(node.results, buffer_list());
  ONNXC_TRY(tail(op));
  ONNXC_ASSIGN(Region body, region());
  body.args = std::move(node.body.args);
  body.scalar_args = std::move(scalar_args);
  node.body = std::move(body);
  op.node = std::move(node);
  return ok();
}

// ---- statements ----

Result<Block> OperationParser::block() {
  if (++depth_ > kMaxDepth) return cursor_.error("too deeply nested");
  const std::map<std::string, Elem> outer = scope_.lets;
  Block out;
  ONNXC_TRY(cursor_.expect_punct("{"));
  while (!cursor_.at_punct("}")) {
    ONNXC_ASSIGN(Stmt s, statement());
    out.push_back(std::move(s));
  }
  cursor_.next();
  scope_.lets = outer;
  --depth_;
  return out;
}

Result<Stmt> OperationParser::statement() {
  Stmt s;
  if (cursor_.take_name("for")) {
    ONNXC_ASSIGN(s.node, for_statement());
  } else if (cursor_.take_name("let")) {
    ONNXC_ASSIGN(s.node, let_statement());
  } else if (cursor_.take_name("reduce")) {
    ONNXC_ASSIGN(s.node, reduce_statement());
  } else if (cursor_.take_name("store")) {
    ONNXC_ASSIGN(s.node, store_statement());
  } else if (cursor_.take_name("call")) {
    ONNXC_ASSIGN(s.node, call());
  } else {
    return cursor_.expected("for, let, reduce, store or call");
  }
  return s;
}

Result<LoopVar> OperationParser::loop_var() {
  LoopVar var;
  ONNXC_ASSIGN(var.name, name("a loop variable"));
  ONNXC_TRY(cursor_.expect_name("in"));
  ONNXC_ASSIGN(var.extent, parse_dim(cursor_));
  return var;
}

Result<For> OperationParser::for_statement() {
  For loop;
  ONNXC_ASSIGN(loop.var, loop_var());
  ONNXC_ASSIGN(loop.body, block());
  return loop;
}

Result<Let> OperationParser::let_statement() {
  Let let;
  ONNXC_ASSIGN(let.name, name("a name"));
  ONNXC_TRY(cursor_.expect_punct("="));
  ONNXC_ASSIGN(let.value, parse_expr(cursor_, scope_));
  scope_.lets[let.name] = let.value->type;
  return let;
}

Result<Reduce> OperationParser::reduce_statement() {
  Reduce reduce;
  ONNXC_ASSIGN(reduce.name, name("a name"));
  ONNXC_TRY(cursor_.expect_punct("="));
  if (!cursor_.at(Token::Kind::Name) || !reduce_from_name(cursor_.peek().text, &reduce.op))
    return cursor_.expected("add, mul, min, max, and, or, argmin or argmax");
  cursor_.next();
  if (cursor_.take_name("lanes")) {
    ONNXC_ASSIGN(const int64_t lanes, parenthesised_integer());
    reduce.lanes = static_cast<int>(lanes);
  }
  reduce.last_of_equals = cursor_.take_name("last");
  ONNXC_TRY(cursor_.expect_name("over"));
  ONNXC_TRY(cursor_.expect_punct("("));
  while (!cursor_.at_punct(")")) {
    if (!reduce.vars.empty()) ONNXC_TRY(cursor_.expect_punct(","));
    ONNXC_ASSIGN(LoopVar var, loop_var());
    reduce.vars.push_back(std::move(var));
  }
  cursor_.next();
  ONNXC_TRY(cursor_.expect_punct(":"));
  ONNXC_ASSIGN(reduce.value, parse_expr(cursor_, scope_));
  scope_.lets[reduce.name] = reduced_type(reduce);
  return reduce;
}

Result<Store> OperationParser::store_statement() {
  Store store;
  ONNXC_ASSIGN(store.buffer, buffer());
  ONNXC_ASSIGN(store.at, parse_index_list(cursor_, scope_));
  ONNXC_TRY(cursor_.expect_punct("="));
  ONNXC_ASSIGN(store.value, parse_expr(cursor_, scope_));
  if (cursor_.take_name("when")) {
    ONNXC_ASSIGN(store.when, parse_expr(cursor_, scope_));
  }
  return store;
}

}  // namespace onnxc
