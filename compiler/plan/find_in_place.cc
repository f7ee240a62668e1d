// Compares index lists as text: equal text is equal place. Tested in tests/unit/plan_test.cc.
#include "compiler/plan/find_in_place.h"

#include <algorithm>
#include <map>
#include <set>

#include "compiler/ir/expr_text.h"

namespace onnxc {
namespace {

using Values = std::map<std::string, Dim>;

// The variables of loops with one turn, which some indices name and others spell 0.
Values single_turns(const std::vector<const LoopVar*>& loops) {
  Values zeros;
  for (const LoopVar* loop : loops)
    if (loop->extent.constant() == 1) zeros[loop->name] = Dim(0);
  return zeros;
}

std::string indices_text(std::vector<Expr> at, const Values& zeros) {
  for (Expr& index : at)
    if (index->op == ExprOp::Index) index = expr::index(index->dim.substitute(zeros));
  return index_list_text(at, [](BufferId b) { return "%" + std::to_string(b); });
}

// The one store of a nest into a buffer, and where it stands.
struct Site {
  const Store* store = nullptr;
  const Block* block = nullptr;
  size_t position = 0;
  std::vector<const LoopVar*> loops;
  int count = 0;
};

struct LoadSite {
  const Block* block;
  size_t position;
  std::string indices;
};

// All stores and loads of a nest. Kernel calls inside a nest reach memory in ways that are not seen here: what they
// name is out.
class Survey {
 public:
  explicit Survey(const Block& body) { visit(body); }

  std::map<BufferId, Site> stores;
  std::map<BufferId, std::vector<LoadSite>> loads;
  std::set<BufferId> called;

 private:
  void visit(const Block& block) {
    for (size_t i = 0; i < block.size(); ++i) {
      const Stmt& s = block[i];
      if (const auto* loop = std::get_if<For>(&s.node)) {
        loops_.push_back(&loop->var);
        visit(loop->body);
        loops_.pop_back();
        continue;
      }
      if (const auto* store = std::get_if<Store>(&s.node)) {
        Site& site = stores[store->buffer];
        site = {store, &block, i, loops_, site.count + 1};
      }
      if (const auto* call = std::get_if<KernelCall>(&s.node))
        for (const auto* list : {&call->outs, &call->inouts, &call->ins})
          for (const Operand& o : *list) called.insert(o.buffer);
      const Values zeros = single_turns(loops_);
      for_each_expr({s}, [&](const Expr& e) {
        for_each_load(e, [&](const ExprNode& load) {
          loads[load.buffer].push_back({&block, i, indices_text(load.args, zeros)});
        });
      });
    }
  }

  std::vector<const LoopVar*> loops_;
};

bool names_every_loop(const Site& site) {
  return std::all_of(site.loops.begin(), site.loops.end(), [&](const LoopVar* loop) {
    if (loop->extent.constant() == 1) return true;
    return std::any_of(site.store->at.begin(), site.store->at.end(), [&](const Expr& index) {
      return index->op == ExprOp::Index && index->dim.as_symbol() == loop->name;
    });
  });
}

bool reads_before(const Site& site, const std::vector<LoadSite>& loads) {
  const std::string indices = indices_text(site.store->at, single_turns(site.loops));
  return std::all_of(loads.begin(), loads.end(), [&](const LoadSite& load) {
    return load.block == site.block && load.position <= site.position && load.indices == indices;
  });
}

void find_in_nest(const Program& program, const Nest& nest, Operation& op) {
  const Survey survey(nest.body);
  for (const auto& [written, site] : survey.stores) {
    if (site.count != 1 || site.store->when || survey.called.contains(written) || !names_every_loop(site)) continue;
    const Buffer& to = program.buffers[written];
    for (const auto& [read, loads] : survey.loads) {
      const Buffer& from = program.buffers[read];
      if (read == written || survey.called.contains(read) || survey.stores.contains(read)) continue;
      if (elem_size(to.elem) != elem_size(from.elem) || to.effective_strides() != from.effective_strides()) continue;
      const std::pair<BufferId, BufferId> pair(written, read);
      const bool declared = std::find(op.in_place.begin(), op.in_place.end(), pair) != op.in_place.end();
      if (!declared && reads_before(site, loads)) op.in_place.push_back(pair);
    }
  }
}

void find_in_list(const Program& program, std::vector<Operation>& ops) {
  for (Operation& op : ops) {
    if (const auto* nest = std::get_if<Nest>(&op.node)) find_in_nest(program, *nest, op);
    if (auto* branch = std::get_if<If>(&op.node)) {
      find_in_list(program, branch->then_region.ops);
      find_in_list(program, branch->else_region.ops);
    }
    if (auto* loop = std::get_if<Loop>(&op.node)) find_in_list(program, loop->body.ops);
  }
}

}  // namespace

void find_in_place(Program& program) {
  std::vector<Operation> ops = std::move(program.ops);
  find_in_list(program, ops);
  program.ops = std::move(ops);
}

}  // namespace onnxc
