#include "compiler/emit/llvm/nest_function.h"

#include <algorithm>
#include <set>

#include "compiler/emit/llvm/nest_emitter.h"

namespace onnxc::emit {

namespace {

// The buffers of a nest that begin at one address, and whether another of the nest's places may overlap them.
struct Spot {
  std::vector<BufferId> roots;
  bool written = false;
  bool may_alias = false;
};

struct Range {
  int64_t begin = 0, end = 0;
};

std::optional<Range> arena_range(const Plan& plan, BufferId root) {
  const Place& place = plan.places[root];
  if (place.kind != Place::Kind::Arena) return std::nullopt;
  const auto begin = (place.offset - place.lead).constant(), bytes = place.bytes.constant();
  if (!begin || !bytes) return Range{0, INT64_MAX};
  return Range{*begin, *begin + *bytes};
}

bool same_place(const Plan& plan, BufferId a, BufferId b) {
  if (a == b) return true;
  const Place &x = plan.places[a], &y = plan.places[b];
  return x.kind == Place::Kind::Arena && y.kind == Place::Kind::Arena && x.stage == y.stage && x.offset == y.offset;
}

bool may_overlap(const Plan& plan, BufferId a, BufferId b) {
  // Where only a run knows the places, what an operation reaches lies apart: all of it lives then.
  if (!has_fixed_places(plan) && plan.places[a].kind == Place::Kind::Arena && plan.places[b].kind == Place::Kind::Arena)
    return plan.places[a].stage == plan.places[b].stage &&
           plan.places[a].offset - plan.places[a].lead == plan.places[b].offset - plan.places[b].lead;
  const auto x = arena_range(plan, a), y = arena_range(plan, b);
  if (x && y) return x->begin < y->end && y->begin < x->end;
  const Buffer &first = plan.program.buffers[a], &second = plan.program.buffers[b];
  return first.alias_of == b || second.alias_of == a;
}

std::vector<Spot> find_spots(const Plan& plan, const Operation& op) {
  const Effects effects = effects_of(op);
  std::set<BufferId> written;
  std::vector<BufferId> roots;
  auto add = [&](BufferId id, bool is_written) {
    const BufferId root = storage_root(plan.program, id);
    if (is_written) written.insert(root);
    if (std::find(roots.begin(), roots.end(), root) == roots.end()) roots.push_back(root);
  };
  for (BufferId id : effects.writes) add(id, true);
  for (BufferId id : effects.reads) add(id, false);
  std::vector<Spot> spots;
  for (BufferId root : roots) {
    auto spot =
        std::find_if(spots.begin(), spots.end(), [&](const Spot& s) { return same_place(plan, s.roots[0], root); });
    if (spot == spots.end()) spot = spots.insert(spots.end(), Spot{});
    spot->roots.push_back(root);
    spot->written |= written.contains(root);
  }
  for (Spot& a : spots)
    for (const Spot& b : spots)
      if (&a != &b && (a.written || b.written))
        for (BufferId x : a.roots)
          for (BufferId y : b.roots) a.may_alias |= may_overlap(plan, x, y);
  return spots;
}

}  // namespace

void emit_nest_call(EmitContext& context, CallEmitter& calls, const Nest& nest, const Operation& op,
                    const std::string& name, const Share* share, llvm::IRBuilder<>& at, const Scope& outer) {
  const std::vector<Spot> spots = find_spots(context.plan, op);
  std::vector<llvm::Type*> types(spots.size(), at.getPtrTy());
  std::vector<llvm::Value*> args;
  for (const Spot& spot : spots) {
    const auto pointer = outer.pointers.find(spot.roots[0]);
    if (pointer == outer.pointers.end())
      return context.fail(ErrorKind::Internal, "buffer '" + context.buffer(spot.roots[0]).name + "' has no place");
    args.push_back(pointer->second);
  }
  for (const auto& [symbol, value] : outer.symbols) {
    types.push_back(at.getInt64Ty());
    args.push_back(value.value);
  }
  if (share)
    for (llvm::Value* bound : {share->begin, share->end}) {
      types.push_back(at.getInt64Ty());
      args.push_back(bound);
    }
  auto* function = llvm::Function::Create(llvm::FunctionType::get(at.getVoidTy(), types, false),
                                          llvm::GlobalValue::InternalLinkage, name, context.module);
  function->addFnAttr(llvm::Attribute::NoInline);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  context.set_target_attributes(*function);

  Scope scope;
  unsigned parameter = 0;
  for (const Spot& spot : spots) {
    llvm::Argument* pointer = function->getArg(parameter);
    pointer->setName(context.buffer(spot.roots[0]).name);
    for (BufferId root : spot.roots) scope.pointers[root] = pointer;
    if (!spot.may_alias) function->addParamAttr(parameter, llvm::Attribute::NoAlias);
    function->addParamAttr(parameter++, llvm::Attribute::NonNull);
  }
  for (const auto& [symbol, value] : outer.symbols)
    scope.symbols[symbol] = {function->getArg(parameter++), value.non_negative};
  llvm::IRBuilder<> inside(llvm::BasicBlock::Create(context.llvm(), "entry", function));
  NestEmitter emitter(context, calls, inside, scope);
  if (share)
    emitter.emit_share(nest.body, {function->getArg(parameter), function->getArg(parameter + 1)});
  else
    emitter.emit(nest.body);
  inside.CreateRetVoid();
  at.CreateCall(function, args);
}

}  // namespace onnxc::emit
