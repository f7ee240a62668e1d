// Records every use as an event, then widens ranges over loops, inner ones first.
#include "compiler/plan/liveness.h"

#include <algorithm>

namespace onnxc {
namespace {

class Walk {
 public:
  explicit Walk(const Program& program) : program_(program), events_(program.buffers.size()) {}

  Liveness run() {
    visit_all(program_.ops);
    Liveness out;
    out.ranges.resize(program_.buffers.size());
    for (size_t b = 0; b < events_.size(); ++b) out.ranges[b] = range_of(events_[b]);
    for (size_t b = 0; b < events_.size(); ++b) {
      const BufferId root = storage_root(program_, static_cast<BufferId>(b));
      if (root < out.ranges.size()) out.ranges[b] = out.ranges[root];
    }
    out.operations = std::move(operations_);
    return out;
  }

 private:
  struct Event {
    int64_t at;
    bool write;
    int64_t after_loop;  // the loop that has ended when this happens, or -1
  };
  struct Interval {
    int64_t begin, end;
  };

  void touch(BufferId b, int64_t at, bool write, int64_t after_loop = -1) {
    const BufferId root = b == kNoBuffer ? kNoBuffer : storage_root(program_, b);
    if (root < events_.size()) events_[root].push_back({at, write, after_loop});
  }
  void touch_all(const std::vector<BufferId>& buffers, int64_t at, bool write, int64_t after_loop = -1) {
    for (BufferId b : buffers) touch(b, at, write, after_loop);
  }
  int64_t now() const { return static_cast<int64_t>(operations_.size()) - 1; }

  void visit_all(const std::vector<Operation>& ops) {
    for (const Operation& op : ops) visit(op);
  }

  void visit(const Operation& op) {
    operations_.push_back(&op);
    const int64_t at = now();
    if (const auto* branch = std::get_if<If>(&op.node)) return visit_if(*branch, at);
    if (const auto* loop = std::get_if<Loop>(&op.node)) return visit_loop(*loop, at);
    const Effects effects = effects_of(op);
    // Writes first: what an operation both writes and reads in its own place (scratch) is born there.
    const bool reads_own = std::holds_alternative<Nest>(op.node);
    if (reads_own) touch_all(effects.reads, at, false);
    touch_all(effects.writes, at, true);
    if (!reads_own) touch_all(effects.reads, at, false);
  }

  void visit_if(const If& branch, int64_t at) {
    touch(branch.condition, at, false);
    for (const Region* region : {&branch.then_region, &branch.else_region}) {
      visit_all(region->ops);
      operations_.push_back(operations_[static_cast<size_t>(at)]);  // the branch's end
      touch_all(region->yields, now(), false);
      touch_all(branch.results, now(), true);
    }
  }

  void visit_loop(const Loop& loop, int64_t at) {
    touch(loop.condition, at, false);
    touch_all(loop.inits, at, false);
    touch_all(loop.body.args, at, true);
    // Scan results grow turn by turn; carried ones are written at the end.
    for (size_t i = loop.inits.size(); i < loop.results.size(); ++i) touch(loop.results[i], at, true);
    visit_all(loop.body.ops);
    operations_.push_back(operations_[static_cast<size_t>(at)]);  // the turn's end
    touch_all(loop.body.yields, now(), false);
    touch_all(loop.body.args, now(), false);
    touch_all(loop.results, now(), true, static_cast<int64_t>(loops_.size()));
    loops_.push_back({at, now()});  // inner loops come before the ones around them
  }

  LiveRange range_of(const std::vector<Event>& events) const {
    if (events.empty()) return {};
    LiveRange range{events.front().at, events.front().at};
    for (const Event& e : events) {
      range.first = std::min(range.first, e.at);
      range.last = std::max(range.last, e.at);
    }
    for (size_t i = 0; i < loops_.size(); ++i) widen(events, static_cast<int64_t>(i), range);
    return range;
  }

  void widen(const std::vector<Event>& events, int64_t index, LiveRange& range) const {
    const Interval loop = loops_[static_cast<size_t>(index)];
    const Event* first_inside = nullptr;
    bool any_outside = false;
    for (const Event& e : events) {
      const bool inside = e.at > loop.begin && e.at <= loop.end && e.after_loop != index;
      if (inside && !first_inside) first_inside = &e;
      any_outside |= !inside;
    }
    if (!first_inside || (!any_outside && first_inside->write)) return;
    range.first = std::min(range.first, loop.begin);
    range.last = std::max(range.last, loop.end);
  }

  const Program& program_;
  std::vector<std::vector<Event>> events_;  // per root, in order of position
  std::vector<Interval> loops_;
  std::vector<const Operation*> operations_;
};

}  // namespace

Liveness compute_liveness(const Program& program) { return Walk(program).run(); }

}  // namespace onnxc
