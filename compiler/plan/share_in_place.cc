// Groups grow pair by pair, in the order of the operations. Tested in tests/unit/plan_test.cc.
#include "compiler/plan/share_in_place.h"

#include <algorithm>
#include <numeric>

namespace onnxc {
namespace {

class Sharing {
 public:
  Sharing(const Program& program, const Liveness& liveness) : program_(program), liveness_(liveness) {
    leader_.resize(program.buffers.size());
    std::iota(leader_.begin(), leader_.end(), BufferId{0});
    members_.resize(leader_.size());
    for (BufferId b = 0; b < leader_.size(); ++b) members_[b] = {b};
  }

  void share(const Operation& op, int64_t at, BufferId written, BufferId read) {
    const BufferId w = storage_root(program_, written), r = storage_root(program_, read);
    if (!same_place_possible(written, read, w, r)) return;
    if (liveness_.ranges[w].first != at || liveness_.ranges[r].last != at) return;
    if (count_uses(op, r) != 1 || leader_[w] == leader_[r]) return;
    if (groups_collide(leader_[w], leader_[r], w, r)) return;
    merge(leader_[w], leader_[r]);
  }

  std::vector<BufferId> take() { return std::move(leader_); }

 private:
  bool same_place_possible(BufferId written, BufferId read, BufferId w, BufferId r) const {
    if (w == r || w >= leader_.size() || r >= leader_.size()) return false;
    const Buffer &to = program_.buffers[w], &from = program_.buffers[r];
    if (to.storage != Buffer::Storage::Arena || from.storage != Buffer::Storage::Arena) return false;
    const auto to_size = static_cast<int64_t>(elem_size(program_.buffers[written].elem));
    const auto from_size = static_cast<int64_t>(elem_size(program_.buffers[read].elem));
    if (to_size != from_size || to.align > from.align) return false;
    const Dim to_start =
        view_offset_bytes(program_, written) + to.lead() * Dim(static_cast<int64_t>(elem_size(to.elem)));
    const Dim from_start =
        view_offset_bytes(program_, read) + from.lead() * Dim(static_cast<int64_t>(elem_size(from.elem)));
    if (to_start != from_start) return false;
    const Dim to_bytes = to.extent() * Dim(static_cast<int64_t>(elem_size(to.elem)));
    const Dim from_bytes = from.extent() * Dim(static_cast<int64_t>(elem_size(from.elem)));
    return to_bytes == from_bytes ||
           (to_bytes.is_const() && from_bytes.is_const() && to_bytes.value() <= from_bytes.value());
  }

  // How many operands of the operation reach buffer `root`; loads of a nest through one buffer count once.
  int count_uses(const Operation& op, BufferId root) const {
    int uses = 0;
    const auto count = [&](BufferId b) { uses += b != kNoBuffer && storage_root(program_, b) == root; };
    if (const auto* call = std::get_if<KernelCall>(&op.node)) {
      for (const auto* operands : {&call->outs, &call->inouts, &call->ins})
        for (const Operand& operand : *operands) count(operand.buffer);
      for (BufferId b : call->scratch) count(b);
      return uses;
    }
    const Effects effects = effects_of(op);
    for (BufferId b : effects.reads) count(b);
    for (BufferId b : effects.writes) count(b);
    return uses;
  }

  // Whether two members, other than the pair itself, live at the same time.
  bool groups_collide(BufferId a, BufferId b, BufferId w, BufferId r) const {
    for (BufferId x : members_[a])
      for (BufferId y : members_[b]) {
        const bool is_pair = (x == w && y == r) || (x == r && y == w);
        if (!is_pair && liveness_.ranges[x].overlaps(liveness_.ranges[y])) return true;
      }
    return false;
  }

  void merge(BufferId a, BufferId b) {
    for (BufferId x : members_[a]) leader_[x] = b;
    members_[b].insert(members_[b].end(), members_[a].begin(), members_[a].end());
    members_[a].clear();
  }

  const Program& program_;
  const Liveness& liveness_;
  std::vector<BufferId> leader_;
  std::vector<std::vector<BufferId>> members_;
};

}  // namespace

std::vector<BufferId> share_in_place(const Program& program, const Liveness& liveness) {
  Sharing sharing(program, liveness);
  for (size_t at = 0; at < liveness.operations.size(); ++at) {
    const Operation& op = *liveness.operations[at];
    for (const auto& [written, read] : op.in_place) sharing.share(op, static_cast<int64_t>(at), written, read);
  }
  return sharing.take();
}

}  // namespace onnxc
