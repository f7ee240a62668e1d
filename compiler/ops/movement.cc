// Operators that move elements by index arithmetic known at compile time: Transpose, Concat, Split, Slice, Expand,
// Tile, Pad (onnx/docs/Operators.md). They are index expressions, fused into their readers. Tested by
// tests/conformance.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "compiler/ops/axes.h"
#include "compiler/ops/indexing.h"
#include "compiler/ops/short_list.h"

namespace onnxc {
using indexing::contents_of;
using indexing::named_by;

namespace {

using expr::binary;

bool is_one(const Dim& d) { return d.is_const() && d.value() == 1; }
Expr at_dim(Dim d) { return expr::index(std::move(d)); }

// Where the part [begin, begin + extent) of `axis` lies in one piece of a tensor of dims `x` in `layout`: its offset in
// elements.
std::optional<Dim> contiguous_part(const Shape& x, Layout layout, size_t axis, const Dim& begin, const Dim& extent) {
  for (size_t d = 0; d < axis; ++d)
    if (!is_one(x[d])) return std::nullopt;
  if (layout.plain()) return begin * product(x, axis + 1, x.size());
  const Dim& channels = x[layout.axis];
  const Dim block(layout.block);
  if (static_cast<int>(axis) > layout.axis || !channels.is_const()) return std::nullopt;
  if (static_cast<int>(axis) < layout.axis) {
    const Dim whole = Dim::ceil_div(channels, block) * block;
    return begin * product(x, axis + 1, layout.axis) * whole * product(x, layout.axis + 1, x.size());
  }
  const Dim end = begin + extent;
  if (!begin.is_const() || !end.is_const() || begin.value() % layout.block != 0) return std::nullopt;
  if (end.value() % layout.block != 0 && end != channels) return std::nullopt;
  return begin * product(x, axis + 1, x.size());
}

// ---- Channels on the blocked layout

// `extent` channels of `in` from `from` on, which become those of `out` from `to` on.
struct ChannelCopy {
  BufferId out;
  int64_t to;
  BufferId in;
  int64_t from, extent;
};

// How many channels move together to or from channel `at`: a block, or the largest part of one that divides it.
int64_t channel_chunk(int64_t at, int64_t block) { return std::gcd(block, at); }

// Fewer move faster through the plain layout.
bool moves_in_chunks(int64_t at, int64_t block) {
  constexpr int64_t kLeast = 4;
  return channel_chunk(at, block) >= kLeast;
}

// In whole chunks: what lies behind `extent` in the last one moves along, so `out` ends there or is written later.
Operation copy_channels(LowerContext& c, const ChannelCopy& copy, int64_t block) {
  const int64_t chunk = channel_chunk(std::gcd(copy.to, copy.from), block), chunks = block / chunk;
  Shape loops = c.program().buffers[copy.in].dims;
  loops[1] = Dim((copy.extent + chunk - 1) / chunk);
  loops.back() = Dim(chunk);
  return make_nest(c, loops, [&](std::span<const Expr> idx) {
    const auto place = [&](int64_t first) {
      std::vector<Expr> at(idx.begin(), idx.end());
      const Dim which = idx[1]->dim + Dim(first / chunk);
      at[1] = at_dim(Dim::floor_div(which, chunks));
      at.back() = at_dim(Dim::mod(which, chunks) * Dim(chunk) + idx.back()->dim);
      return at;
    };
    Block b;
    b.push_back(Stmt{Store{copy.out, place(copy.to), expr::load(copy.in, c.in_elem(0), place(copy.from)), nullptr}});
    return b;
  });
}

// ---- Transpose

Result<std::vector<int64_t>> permutation(const Node& n, size_t rank) {
  std::vector<int64_t> perm = n.attr_ints("perm");
  if (perm.empty())
    for (size_t i = rank; i-- > 0;) perm.push_back(static_cast<int64_t>(i));
  std::vector<bool> seen(rank, false);
  bool good = perm.size() == rank;
  for (size_t i = 0; good && i < rank; ++i) {
    good = perm[i] >= 0 && perm[i] < static_cast<int64_t>(rank) && !seen[perm[i]];
    if (good) seen[perm[i]] = true;
  }
  if (!good)
    return Error(ErrorKind::InvalidModel, "perm is no permutation of " + std::to_string(rank) + " axes", n.where());
  return perm;
}
Status infer_transpose(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  ONNXC_ASSIGN(const auto perm, permutation(c.node, c.shape(0).size()));
  Shape out;
  for (int64_t p : perm) out.push_back(c.shape(0)[p]);
  c.set(0, c.elem(0), std::move(out));
  return ok();
}
Result<Expr> compute_transpose(ComputeContext& c, std::span<const Expr> idx) {
  ONNXC_ASSIGN(const auto perm, permutation(c.node(), idx.size()));
  std::vector<Expr> at(idx.size());
  for (size_t i = 0; i < idx.size(); ++i) at[perm[i]] = idx[i];
  return c.load(0, at);
}
// The transposition as one of matrices, [batches][rows][columns], the axes of one element left out.
struct Matrices {
  Dim batches, rows, columns;
};
std::optional<Matrices> as_matrices(const Shape& x, const std::vector<int64_t>& perm) {
  std::vector<std::pair<int64_t, Dim>> runs;  // of input axes that stay neighbours: the first one, elements
  int64_t expected = -1;
  for (const int64_t p : perm) {
    if (is_one(x[p])) continue;
    if (p == expected)
      runs.back().second = runs.back().second * x[p];
    else
      runs.push_back({p, x[p]});
    for (expected = p + 1; expected < static_cast<int64_t>(x.size()) && is_one(x[expected]);) ++expected;
  }
  if (runs.size() == 2) runs.insert(runs.begin(), {-1, Dim(1)});
  if (runs.size() != 3 || runs[0].first > runs[2].first || runs[2].first > runs[1].first) return std::nullopt;
  return Matrices{runs[0].second, runs[2].second, runs[1].second};
}

// By tiles in registers, where both sides of a matrix are at least as long as those of the smallest.
Result<bool> store_transpose(LowerContext& c, Layout layout) {
  constexpr int64_t kTile = 4;
  const Shape& x = c.in_shape(0);
  ONNXC_ASSIGN(const auto perm, permutation(c.node(), x.size()));
  const auto m = as_matrices(x, perm);
  auto is_short = [](const Dim& d) { return d.is_const() && d.value() < kTile; };
  if (!layout.plain() || c.in_elem(0) != Elem::F32 || c.channel_block() < kTile || !m) return false;
  if (is_short(m->rows) || is_short(m->columns)) return false;
  ONNXC_ASSIGN(const BufferId in, c.in(0));
  if (!c.program().buffers[in].strides.empty()) return false;
  c.emit(transpose(in, c.out(0), m->batches, m->rows, m->columns));
  return true;
}

// ---- Concat

Status infer_concat(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  Shape out;
  bool known = true;
  for (size_t i = 0; i < c.node.num_inputs(); ++i) {
    if (!c.has_input(i)) return c.invalid("input " + std::to_string(i) + " is missing");
    if (c.elem(i) != c.elem(0)) return c.invalid("the inputs have different element types");
    known &= c.has_shape(i);
  }
  if (!known) return c.set_unranked(0, c.elem(0)), ok();
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", 0), c.shape(0).size()));
  out = c.shape(0);
  for (size_t i = 1; i < c.node.num_inputs(); ++i) {
    const Shape& s = c.shape(i);
    if (s.size() != out.size()) return c.invalid("inputs 0 and " + std::to_string(i) + " have different ranks");
    for (size_t d = 0; d < s.size(); ++d) {
      if (static_cast<int64_t>(d) == axis)
        out[d] = out[d] + s[d];
      else if (out[d].is_const() && s[d].is_const() && out[d] != s[d])
        return c.invalid("inputs 0 and " + std::to_string(i) + " differ in axis " + std::to_string(d) + ": " +
                         shape_str(c.shape(0)) + " and " + shape_str(s));
      else if (s[d].is_const())
        out[d] = s[d];
    }
  }
  for (size_t i = 0; i < c.node.num_inputs(); ++i)
    for (size_t d = 0; d < out.size(); ++d)
      if (static_cast<int64_t>(d) != axis)
        ONNXC_TRY(c.require_equal(c.shape(i)[d], out[d], "the inputs differ in axis " + std::to_string(d)));
  c.set(0, c.elem(0), out);
  if (out.size() != 1) return ok();
  Contents all;
  for (size_t i = 0; i < c.node.num_inputs(); ++i) {
    const auto& part = c.in_contents(i);
    if (!part) return ok();
    all.insert(all.end(), part->begin(), part->end());
  }
  c.contents[0] = std::move(all);
  return ok();
}

// The number that every element of every input but the first is, if there is one.
std::optional<double> constant_rest(const LowerContext& c) {
  std::optional<double> number;
  for (size_t i = 1; i < c.node().num_inputs(); ++i) {
    const Tensor* t = c.constant(i);
    if (!t) return std::nullopt;
    for (int64_t k = 0; k < t->numel(); ++k) {
      const double value = t->float_at(k);
      if (number && (*number != value || std::signbit(*number) != std::signbit(value))) return std::nullopt;
      number = value;
    }
  }
  return number;
}

// Channels that are all one number behind blocked ones, as exporters write a Pad of channels: stays blocked.
Status lower_channel_padding(LowerContext& c, Layout layout, double number) {
  ONNXC_ASSIGN(const BufferId in, c.in(0, layout));
  const BufferId out = c.out(0, layout);
  const Dim &channels = c.in_shape(0)[1], blocks = c.program().buffers[in].dims[1];
  const Elem elem = c.in_elem(0);
  c.emit(make_nest(c, c.program().buffers[out].dims, [&](std::span<const Expr> idx) {
    std::vector<Expr> from(idx.begin(), idx.end());
    from[1] = at_dim(Dim::min(idx[1]->dim, blocks - Dim(1)));
    const Expr inside =
        expr::binary(ExprOp::Lt, at_dim(idx[1]->dim * Dim(layout.block) + idx.back()->dim), at_dim(channels));
    const Expr value =
        expr::select(inside, expr::load(in, elem, from), expr::constant(expr::arithmetic_type(elem), number));
    Block b;
    b.push_back(Stmt{Store{out, {idx.begin(), idx.end()}, value, nullptr}});
    return b;
  }));
  return ok();
}

// Inputs whose part of the output is one piece are computed right there. The others: one nest each, which writes its
// part and takes in its producer; on the blocked layout when all inputs lie so.
Status lower_concat(LowerContext& c) {
  const size_t rank = c.out_shape().size();
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", 0), rank));
  const Layout layout = Layout::channels(c.channel_block());
  bool blocked = rank >= 3 && axis != 0 && c.channel_block() > 1;
  if (blocked && axis == 1 && c.layout_of(0) == layout && is_float(c.in_elem(0)) && !c.constant(0))
    if (const auto number = constant_rest(c)) return lower_channel_padding(c, layout, *number);
  int64_t channels = 0;  // before input i
  for (size_t i = 0; i < c.node().num_inputs(); ++i) {
    const Dim& extent = c.in_shape(i)[axis];
    blocked = blocked && c.layout_of(i) == layout && (axis != 1 || extent.is_const());
    if (!blocked || axis != 1) continue;
    blocked = moves_in_chunks(channels, layout.block);
    channels += extent.value();
  }
  const BufferId out = c.out(0, blocked ? layout : Layout{});
  Dim offset(0);
  for (size_t i = 0; i < c.node().num_inputs(); ++i) {
    const Dim extent = c.in_shape(i)[axis], begin = offset;
    if (extent.is_const() && extent.value() == 0) continue;
    BufferId in = kNoBuffer;
    Shape dims = c.in_shape(i);
    if (blocked) {
      ONNXC_ASSIGN(in, c.in(i, layout));
      dims = c.program().buffers[in].dims;
    }
    const Layout lies = blocked ? layout : Layout{};
    const auto at = contiguous_part(c.out_shape(), lies, static_cast<size_t>(axis), begin, extent);
    offset = offset + extent;
    if (at && c.is_stored(i) && c.layout_of(i) != lies) ONNXC_TRY(c.in(i, lies));  // is brought there right away
    if (at && c.place_in(i, lies, out, *at)) continue;
    if (blocked && axis == 1) {
      c.emit(copy_channels(c, {out, begin.value(), in, 0, extent.value()}, layout.block));
      continue;
    }
    c.emit(make_nest(c, dims, [&](std::span<const Expr> idx) {
      std::vector<Expr> to(idx.begin(), idx.end());
      to[axis] = at_dim(idx[axis]->dim + begin);
      const Expr value = blocked ? expr::load(in, c.in_elem(i), {idx.begin(), idx.end()}) : c.load(i, idx);
      Block b;
      b.push_back(Stmt{Store{out, std::move(to), value, nullptr}});
      return b;
    }));
  }
  return ok();
}

// ---- Split

Status upgrade_split_12(Graph& g, Node& n) {
  indexing::attribute_to_input(g, n, "split", 1);
  return ok();
}
// Extents of the parts along the axis.
Result<std::vector<Dim>> split_parts(const Node& n, const Dim& extent) {
  const size_t parts = n.num_outputs();
  std::vector<Dim> out;
  if (const auto sizes = contents_of(n.input(1))) {
    if (sizes->size() != parts)
      return Error(ErrorKind::InvalidModel,
                   "split has " + std::to_string(sizes->size()) + " entries for " + std::to_string(parts) + " outputs",
                   n.where());
    Dim total(0);
    for (const Dim& size : *sizes) {
      ONNXC_TRY(require_non_negative(n, size, "a part has a negative size"));
      total = total + size;
    }
    ONNXC_TRY(require_equal(n, total, extent, "the parts do not add up to the axis"));
    return *sizes;
  }
  if (n.input(1))
    return Error(ErrorKind::Unsupported, "the sizes of the parts are computed at run time", n.where(),
                 "make them constant");
  const Dim each = Dim::ceil_div(extent, Dim(static_cast<int64_t>(parts)));
  for (size_t i = 0; i + 1 < parts; ++i) out.push_back(each);
  out.push_back(extent - each * Dim(static_cast<int64_t>(parts) - 1));
  return out;
}
Status infer_split(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  for (size_t o = 0; o < c.node.num_outputs(); ++o) c.set_unranked(o, c.elem(0));
  if (!c.has_shape(0)) return ok();
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node, c.node.attr_int("axis", 0), c.shape(0).size()));
  ONNXC_TRY(c.settle_length(1, c.node.num_outputs()));
  ONNXC_ASSIGN(const auto parts, split_parts(c.node, c.shape(0)[axis]));
  const auto& in = c.in_contents(0);
  int64_t begin = 0;
  for (size_t o = 0; o < parts.size(); ++o) {
    Shape s = c.shape(0);
    s[axis] = parts[o];
    c.set(o, c.elem(0), std::move(s));
    const bool known = in && c.shape(0).size() == 1 && parts[o].is_const() && begin >= 0;
    if (!known || begin + parts[o].value() > static_cast<int64_t>(in->size())) {
      begin = -1;
      continue;
    }
    c.contents[o] = Contents(in->begin() + begin, in->begin() + begin + parts[o].value());
    begin += parts[o].value();
  }
  return ok();
}
Result<Expr> compute_split(ComputeContext& c, std::span<const Expr> idx) {
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", 0), idx.size()));
  ONNXC_ASSIGN(const auto parts, split_parts(c.node(), c.in_shape(0)[axis]));
  Dim offset(0);
  for (size_t o = 0; o < c.output; ++o) offset = offset + parts[o];
  std::vector<Expr> at(idx.begin(), idx.end());
  at[axis] = binary(ExprOp::Add, idx[axis], at_dim(offset));
  return c.load(0, at);
}

// Parts of the channels that are no views (of several images, or of blocks that are cut): copied on the blocked layout.
Result<bool> copy_channel_parts(LowerContext& c, Layout layout, const std::vector<Dim>& parts) {
  std::vector<int64_t> begins{0};
  for (const Dim& part : parts) {
    if (!part.is_const() || !moves_in_chunks(begins.back(), layout.block)) return false;
    begins.push_back(begins.back() + part.value());
  }
  ONNXC_ASSIGN(const BufferId in, c.in(0, layout));
  for (size_t o = 0; o < parts.size(); ++o)
    if (c.node().output(o))
      c.emit(copy_channels(c, {c.out(o, layout), 0, in, begins[o], parts[o].value()}, layout.block));
  return true;
}

Result<bool> view_split(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  if (!c.is_stored(0)) return false;
  const Layout layout = c.layout_of(0);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", 0), x.size()));
  ONNXC_ASSIGN(const auto parts, split_parts(c.node(), x[axis]));
  std::vector<Dim> offsets;
  Dim begin(0);
  for (const Dim& part : parts) {
    const auto at = contiguous_part(x, layout, static_cast<size_t>(axis), begin, part);
    if (!at) return layout.plain() || axis != 1 ? Result<bool>(false) : copy_channel_parts(c, layout, parts);
    offsets.push_back(*at);
    begin = begin + part;
  }
  ONNXC_ASSIGN(const BufferId in, c.in(0, layout));
  for (size_t o = 0; o < parts.size(); ++o)
    if (c.node().output(o)) c.out_view(o, in, offsets[o], {}, layout);
  return true;
}

// ---- Slice

Status upgrade_slice_9(Graph& g, Node& n) {
  const char* const names[] = {"starts", "ends", "axes"};
  for (size_t i = 0; i < 3; ++i) {
    if (!n.has(names[i])) continue;
    const auto v = n.attr_ints(names[i]);
    n.set_input(i + 1, g.add_constant(Tensor::i64({static_cast<int64_t>(v.size())}, v)));
    n.attrs.erase(names[i]);
  }
  return ok();
}
struct Range {
  Dim start, extent, step;
};

bool has_ranges_of_free_number(const Node& n) {
  if (!n.input(0)->type.shape) return false;
  for (size_t i = 1; i < n.num_inputs(); ++i)
    if (has_free_length(n.input(i))) return true;
  return false;
}

Status settle_ranges(Graph& g, Node& n) {
  GraphWriter writer(g, n);
  const size_t rank = n.input(0)->type.shape->size();
  Value* const starts = n.input(1);
  for (size_t i = 2; i < n.num_inputs(); ++i)
    if (n.input(i) && n.input(i)->type.shape)
      ONNXC_TRY(require_equal(n, numel(*starts->type.shape), numel(*n.input(i)->type.shape),
                              "starts, ends, axes and steps have different lengths"));
  Value* const axes = n.input(3) ? short_list(writer, n.input(3), rank, {.fill = kNoAxis})
                                 : short_list(writer, starts, rank, {.fill = kNoAxis, .positions = true});
  for (size_t i : {1, 2}) n.set_input(i, short_list(writer, n.input(i), rank, {}));
  if (n.input(4)) n.set_input(4, short_list(writer, n.input(4), rank, {.fill = 1}));
  n.set_input(3, axes);
  return ok();
}

constexpr int64_t kAnyPlace = int64_t{1} << 60;  // beyond all axes

// Where a walk from or to `place` begins or ends: negative places count from the end; then they are clamped to the
// axis. Walking backwards, an empty axis begins (and ends) at -1.
Dim slice_bound(const Dim& place, const Dim& extent, const Dim& backwards, bool is_end) {
  Dim high = extent - backwards;
  Dim low = backwards == Dim(0) ? Dim(0) : Dim::min(is_end ? Dim(0) - backwards : Dim(0), high);
  if (place.is_const() && place.value() < -kAnyPlace) return low;
  if (place.is_const() && place.value() > kAnyPlace) return high;
  if (place == extent) return high;
  const Dim from_front = place.known_non_negative() ? place : place + Dim::less(place, 0) * extent;
  return Dim::max(low, Dim::min(from_front, high));
}

// Per axis; nothing when it is not known how many starts, ends, axes and steps there are.
Result<std::optional<std::vector<Range>>> slice_ranges(const Node& n, const Shape& x) {
  using Found = std::optional<std::vector<Range>>;
  const auto starts = contents_of(n.input(1)), ends = contents_of(n.input(2));
  auto axes = contents_of(n.input(3)), steps = contents_of(n.input(4));
  if (!starts || !ends || (n.input(3) && !axes) || (n.input(4) && !steps)) return Found();
  if (!steps) steps = Contents(starts->size(), Dim(1));
  if (!axes) {
    axes.emplace();
    for (size_t i = 0; i < starts->size(); ++i) axes->emplace_back(static_cast<int64_t>(i));
  }
  if (starts->size() != ends->size() || axes->size() != starts->size() || steps->size() != starts->size())
    return Error(ErrorKind::InvalidModel, "starts, ends, axes and steps have different lengths", n.where());
  ONNXC_ASSIGN(const auto named, named_by(n, *axes, x.size()));
  std::vector<Range> out;
  for (size_t d = 0; d < x.size(); ++d) {
    Range range{Dim(0), Dim(0), Dim(0)};
    Dim others(1);  // 1 where no entry names the axis
    for (size_t i = 0; i < starts->size(); ++i) {
      const Dim &here = named[d][i], &step = (*steps)[i];
      if (here == Dim(0)) continue;
      if (step == Dim(0)) return Error(ErrorKind::InvalidModel, "a step is 0", n.where());
      const Dim backwards = Dim::less(step, 0), sign = Dim::less(0, step) - backwards;
      const Dim begin = slice_bound((*starts)[i], x[d], backwards, false);
      const Dim end = slice_bound((*ends)[i], x[d], backwards, true);
      const Dim count = Dim::ceil_div((end - begin) * sign, Dim::max(Dim::max(step, Dim(0) - step), 1));
      range.start = range.start + here * begin;
      range.extent = range.extent + here * Dim::max(count, Dim(0));
      range.step = range.step + here * step;
      others = others - here;
    }
    ONNXC_TRY(require_non_negative(n, others, "axis " + std::to_string(d) + " is named twice"));
    range.extent = range.extent + others * x[d];
    range.step = range.step + others;
    out.push_back(range);
  }
  return Found(out);
}
Status infer_slice(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  for (size_t i = 1; i < c.node.num_inputs(); ++i) (void)c.in_contents(i);
  ONNXC_ASSIGN(const auto ranges, slice_ranges(c.node, c.shape(0)));
  Shape out;
  for (size_t d = 0; d < c.shape(0).size(); ++d)
    out.push_back(ranges ? (*ranges)[d].extent : c.unknown("d" + std::to_string(d)));
  const bool short_list =
      out.size() == 1 && ranges && (*ranges)[0].start.is_const() && out[0].is_const() && (*ranges)[0].step.is_const();
  if (const auto& in = c.in_contents(0); in && short_list) {
    Contents part;
    const Range& r = (*ranges)[0];
    for (int64_t i = 0; i < out[0].value(); ++i)
      part.push_back((*in)[static_cast<size_t>(r.start.value() + i * r.step.value())]);
    c.contents[0] = std::move(part);
  }
  c.set(0, c.elem(0), std::move(out));
  return ok();
}
Result<Expr> compute_slice(ComputeContext& c, std::span<const Expr> idx) {
  ONNXC_ASSIGN(const auto ranges, slice_ranges(c.node(), c.in_shape(0)));
  if (!ranges)
    return Error(ErrorKind::Unsupported, "the bounds are computed at run time", c.node().where(), "make them constant");
  std::vector<Expr> at;
  for (size_t d = 0; d < idx.size(); ++d) {
    const Range& r = (*ranges)[d];
    Expr i = r.step == Dim(1) ? idx[d] : binary(ExprOp::Mul, idx[d], at_dim(r.step));
    at.push_back(r.start == Dim(0) ? i : binary(ExprOp::Add, i, at_dim(r.start)));
  }
  return c.load(0, at);
}

Result<bool> view_slice(LowerContext& c) {
  const Shape& x = c.in_shape(0);
  if (!c.is_stored(0)) return false;
  ONNXC_ASSIGN(const auto ranges, slice_ranges(c.node(), x));
  if (!ranges) return false;
  std::optional<size_t> axis;  // the one that is cut
  for (size_t d = 0; d < x.size(); ++d) {
    if ((*ranges)[d].start == Dim(0) && (*ranges)[d].extent == x[d] && (*ranges)[d].step == Dim(1)) continue;
    if (axis || (*ranges)[d].step != Dim(1)) return false;
    axis = d;
  }
  if (!axis) return false;
  const Layout layout = c.layout_of(0);
  const Range& range = (*ranges)[*axis];
  const auto at = contiguous_part(x, layout, *axis, range.start, range.extent);
  const bool copied = !at && !layout.plain() && *axis == 1 && range.start.is_const() && range.extent.is_const() &&
                      moves_in_chunks(range.start.value(), layout.block);
  if (!at && !copied) return false;
  ONNXC_ASSIGN(const BufferId in, c.in(0, layout));
  if (at)
    c.out_view(0, in, *at, {}, layout);
  else
    c.emit(copy_channels(c, {c.out(0, layout), 0, in, range.start.value(), range.extent.value()}, layout.block));
  return true;
}

// ---- Expand, Tile

Status infer_expand(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("input and shape are needed");
  const auto declared = c.declared_rank(0);
  if (declared && c.has_shape(0) && *declared > c.shape(0).size()) ONNXC_TRY(c.settle_length(1, *declared));
  const auto& wanted = c.in_contents(1);
  if (!wanted || !c.has_shape(0)) {
    std::optional<size_t> rank;
    if (c.has_shape(0) && c.has_shape(1) && c.shape(1).size() == 1) {
      const Dim& length = c.shape(1)[0];
      if (length.is_const() && length.value() <= 16)
        rank = std::max(c.shape(0).size(), static_cast<size_t>(length.value()));
      else if (declared == c.shape(0).size())
        rank = declared;  // settle_shape makes the dims known
    }
    if (!rank) return c.set_unranked(0, c.elem(0)), ok();
    Shape out;
    for (size_t d = 0; d < *rank; ++d) out.push_back(c.unknown("d" + std::to_string(d)));
    return c.set(0, c.elem(0), std::move(out)), ok();
  }
  auto out = broadcast(c.shape(0), *wanted);
  if (!out.ok()) return c.invalid(shape_str(c.shape(0)) + " does not expand to " + shape_str(*wanted));
  const auto& in = c.in_contents(0);
  if (in && in->size() == 1 && out->size() == 1 && (*out)[0].is_const() &&
      (*out)[0].value() <= static_cast<int64_t>(kMaxContents))
    c.contents[0] = Contents(static_cast<size_t>((*out)[0].value()), (*in)[0]);
  c.set(0, c.elem(0), std::move(out).value());
  return ok();
}
bool has_shape_of_free_length(const Node& n) {
  return n.input(0)->type.shape && n.output()->type.shape && has_free_length(n.input(1));
}
Status settle_shape(Graph& g, Node& n) {
  GraphWriter writer(g, n);
  n.set_input(1, short_list(writer, n.input(1), n.input(0)->type.shape->size(), {.fill = 1, .at_end = true}));
  return ok();
}
Result<Expr> compute_expand(ComputeContext& c, std::span<const Expr> idx) { return c.load_broadcast(0, idx); }

Status infer_tile(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("input and repeats are needed");
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  ONNXC_TRY(c.settle_length(1, c.shape(0).size()));
  const auto& repeats = c.in_contents(1);
  if (repeats && repeats->size() != c.shape(0).size())
    return c.invalid("repeats has " + std::to_string(repeats->size()) + " entries for a rank of " +
                     std::to_string(c.shape(0).size()));
  Shape out;
  for (size_t d = 0; d < c.shape(0).size(); ++d)
    out.push_back(repeats ? c.shape(0)[d] * (*repeats)[d] : c.unknown("d" + std::to_string(d)));
  c.set(0, c.elem(0), std::move(out));
  return ok();
}
Result<Expr> compute_tile(ComputeContext& c, std::span<const Expr> idx) {
  std::vector<Expr> at;
  for (size_t d = 0; d < idx.size(); ++d) {
    const Dim& extent = c.in_shape(0)[d];
    if (is_one(extent))
      at.push_back(at_dim(Dim(0)));
    else if (extent == c.out_shape()[d])
      at.push_back(idx[d]);
    else
      at.push_back(binary(ExprOp::Mod, idx[d], at_dim(extent)));
  }
  return c.load(0, at);
}

// ---- Pad

Value* pad_value(Graph& g, Node& n) { return g.add_constant(Tensor::f32({}, {n.attr_float("value", 0)})); }
Status upgrade_pad_10(Graph& g, Node& n) {
  const auto pads = n.attr_ints("pads");
  n.set_input(1, g.add_constant(Tensor::i64({static_cast<int64_t>(pads.size())}, pads)));
  if (n.attr_float("value", 0) != 0) n.set_input(2, pad_value(g, n));
  n.attrs.erase("pads");
  n.attrs.erase("value");
  return ok();
}
struct Pads {
  std::vector<Dim> begin, end;
};
Result<std::optional<Pads>> pads_of(const Node& n, size_t rank) {
  const auto pads = contents_of(n.input(1));
  auto axes = contents_of(n.input(3));
  if (!pads || (n.input(3) && !axes)) return std::optional<Pads>();
  if (!axes) {
    axes.emplace();
    for (size_t d = 0; d < rank; ++d) axes->emplace_back(static_cast<int64_t>(d));
  }
  const size_t count = axes->size();
  if (pads->size() != 2 * count)
    return Error(ErrorKind::InvalidModel,
                 "pads has " + std::to_string(pads->size()) + " entries, not " + std::to_string(2 * count), n.where());
  Pads out{std::vector<Dim>(rank, Dim(0)), std::vector<Dim>(rank, Dim(0))};
  ONNXC_ASSIGN(const auto named, named_by(n, *axes, rank));
  for (size_t d = 0; d < rank; ++d)
    for (size_t i = 0; i < count; ++i) {
      out.begin[d] = out.begin[d] + named[d][i] * (*pads)[i];
      out.end[d] = out.end[d] + named[d][i] * (*pads)[i + count];
    }
  return std::optional(out);
}
Status infer_pad(InferContext& c) {
  if (!c.has_input(0) || !c.has_input(1)) return c.invalid("input and pads are needed");
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  const bool has_axes = c.has_input(3) && c.has_shape(3) && c.shape(3).size() == 1;
  if (!c.has_input(3)) ONNXC_TRY(c.settle_length(1, 2 * c.shape(0).size()));
  if (has_axes && c.shape(3)[0].is_const())
    ONNXC_TRY(c.settle_length(1, 2 * static_cast<size_t>(c.shape(3)[0].value())));
  (void)c.in_contents(1);
  (void)c.in_contents(3);
  ONNXC_ASSIGN(const auto pads, pads_of(c.node, c.shape(0).size()));
  Shape out;
  for (size_t d = 0; d < c.shape(0).size(); ++d)
    out.push_back(pads ? c.shape(0)[d] + pads->begin[d] + pads->end[d] : c.unknown("d" + std::to_string(d)));
  c.set(0, c.elem(0), std::move(out));
  return ok();
}
bool has_axes_of_free_number(const Node& n) {
  return n.input(0)->type.shape && has_free_length(n.input(1)) && has_free_length(n.input(3));
}
Status settle_pads(Graph& g, Node& n) {
  GraphWriter writer(g, n);
  const size_t rank = n.input(0)->type.shape->size();
  ONNXC_TRY(require_equal(n, (*n.input(1)->type.shape)[0], (*n.input(3)->type.shape)[0] * Dim(2),
                          "the number of pads is not twice the number of axes"));
  const Node* halves = writer.node("Split", {n.input(1)}, {{"axis", int64_t{0}}}, 2);
  n.set_input(
      1, writer.add("Concat",
                    {short_list(writer, halves->output(0), rank, {}), short_list(writer, halves->output(1), rank, {})},
                    {{"axis", int64_t{0}}}));
  n.set_input(3, short_list(writer, n.input(3), rank, {.fill = kNoAxis}));
  return ok();
}
Result<Expr> compute_pad(ComputeContext& c, std::span<const Expr> idx) {
  const Shape& x = c.in_shape(0);
  ONNXC_ASSIGN(const auto pads, pads_of(c.node(), x.size()));
  if (!pads)
    return Error(ErrorKind::Unsupported, "the pads are computed at run time", c.node().where(), "make them constant");
  const std::string mode = c.node().attr_string("mode", "constant");
  std::vector<Expr> at;
  Expr inside;
  for (size_t d = 0; d < x.size(); ++d) {
    const Dim last = x[d] - Dim(1);
    Expr p = pads->begin[d] == Dim(0) ? idx[d] : binary(ExprOp::Sub, idx[d], at_dim(pads->begin[d]));
    const bool untouched = pads->begin[d] == Dim(0) && pads->end[d] == Dim(0);
    auto clamp = [&](const Expr& e) {
      return binary(ExprOp::Max, at_dim(Dim(0)), binary(ExprOp::Min, e, at_dim(last)));
    };
    if (untouched) {
      at.push_back(p);
    } else if (mode == "constant") {
      Expr here = binary(ExprOp::And, binary(ExprOp::Ge, p, at_dim(Dim(0))), binary(ExprOp::Le, p, at_dim(last)));
      inside = inside ? binary(ExprOp::And, inside, here) : here;
      at.push_back(clamp(p));
    } else if (mode == "edge") {
      at.push_back(clamp(p));
    } else if (mode == "wrap") {
      at.push_back(binary(ExprOp::Mod, p, at_dim(x[d])));
    } else if (mode == "reflect") {  // a mirror at both ends, without repeating the edge
      if (is_one(x[d]))
        at.push_back(at_dim(Dim(0)));
      else {
        const Dim period = last * Dim(2);
        Expr m = binary(ExprOp::Mod, p, at_dim(period));
        at.push_back(binary(ExprOp::Min, m, binary(ExprOp::Sub, at_dim(period), m)));
      }
    } else {
      return Error(ErrorKind::InvalidModel, "unknown mode \"" + mode + "\"", c.node().where());
    }
  }
  Expr value = c.load(0, at);
  if (!inside) return value;
  Expr fill = is_float(value->type) ? expr::constant(value->type, 0) : expr::int_constant(value->type, 0);
  if (c.has_input(2)) {
    const std::vector<Expr> zero(c.in_shape(2).size(), at_dim(Dim(0)));
    fill = expr::cast(c.load(2, zero), value->type);
  }
  return expr::select(inside, value, fill);
}

OpDef move(std::string_view name, InferFn infer, ComputeFn compute, std::vector<Upgrade> upgrades = {}) {
  OpDef d;
  d.name = name;
  d.infer = infer;
  d.compute = compute;
  d.upgrades = std::move(upgrades);
  return d;
}

}  // namespace

OP(Transpose) = [] {
  OpDef d = move("Transpose", infer_transpose, compute_transpose);
  d.store = store_transpose;
  return d;
}();
OP(Concat) = [] {
  OpDef d = move("Concat", infer_concat, nullptr);
  d.lower = lower_concat;
  d.layout = LayoutBehaviour::Mapped;
  return d;
}();
OP(Split) = [] {
  OpDef d = move("Split", infer_split, compute_split, {{12, upgrade_split_12}});
  d.view = view_split;
  return d;
}();
OP(Slice) = [] {
  OpDef d = move("Slice", infer_slice, compute_slice, {{9, upgrade_slice_9}});
  d.decompose = settle_ranges;
  d.decompose_if = has_ranges_of_free_number;
  d.view = view_slice;
  return d;
}();
OP(Expand) = [] {
  OpDef d = move("Expand", infer_expand, compute_expand);
  d.decompose = settle_shape;
  d.decompose_if = has_shape_of_free_length;
  return d;
}();
OP(Tile) = move("Tile", infer_tile, compute_tile);
OP(Pad) = [] {
  OpDef d = move("Pad", infer_pad, compute_pad, {{10, upgrade_pad_10}});
  d.decompose = settle_pads;
  d.decompose_if = has_axes_of_free_number;
  return d;
}();

}  // namespace onnxc
