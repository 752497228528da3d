#include "attention.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>

#include "threads.h"

namespace cotangent {

using attention::Head;
using attention::Matrix;
using attention::Shared;

namespace {

constexpr uint64_t kAlignment = 64;

// Tiles of scores and what they are made of stay in the inner caches.
constexpr int64_t kQueryTile = 66;
constexpr int64_t kForwardKeys = 256;
constexpr int64_t kBackwardKeys = 64;

/** The size of as few parts as there can be, none of which is larger than `most`. */
int64_t evenly(int64_t n, int64_t most) {
  const auto parts = (n + most - 1) / most;
  return (n + parts - 1) / parts;
}

/** Whether oneDNN may, and so this code, use instructions of AVX512-BF16. */
bool hasBfloat16() { return unsigned(dnnl::get_effective_cpu_isa()) & 0x80; }

/** Into how many parts to cut each head, so that all threads have about as much to do. */
int64_t partsFor(int64_t heads, int64_t threads, int64_t tiles) {
  int64_t parts = 1;
  while (parts < tiles && heads * parts % threads != 0 && heads * parts < 4 * threads) parts++;
  return parts;
}

} // namespace

std::unique_ptr<Attention> Attention::make(const AttentionDescription &d) {
  // What oneDNN has been told to leave alone is left alone here, too.
  const bool widest = unsigned(dnnl::get_effective_cpu_isa()) & 0x20;
  const auto *code = attention::fastestCode(widest);
  if (!code) return nullptr;
  // Queries, keys and values, and behind the gradient of the result; what is written is rounded from float32 either way.
  const bool halves = d.operands.size() > 3 && std::all_of(d.operands.begin(), d.operands.begin() + (d.backward ? 4 : 3),
                                                           [](const auto &o) { return o.type == attention::Type::bf16; });
  if (halves && code->bfloat16 && hasBfloat16()) code = code->bfloat16;
  std::unique_ptr<Attention> a(new Attention());
  a->code = code;
  a->batch = d.batch;
  for (const auto n : d.batch) a->heads *= n;
  a->isBackward = d.backward;
  a->threads = d.threads;
  auto &s = a->shared;
  s.queries = d.queries, s.keys = d.keys, s.size = d.size, s.width = d.width;
  s.scale = float(d.scale), s.causal = d.causal;
  // Even, as bfloat16 numbers are multiplied in pairs.
  s.queryTile = (evenly(s.queries, kQueryTile) + 1) / 2 * 2;
  const auto keys = (s.keys + code->keyStep - 1) / code->keyStep * code->keyStep;
  s.keyTile = std::min(d.backward ? kBackwardKeys : kForwardKeys, keys);
  const auto tiles = d.backward ? (s.keys + s.keyTile - 1) / s.keyTile : (s.queries + s.queryTile - 1) / s.queryTile;
  s.parts = partsFor(a->heads, d.threads, tiles);
  a->threadFloats = d.backward ? code->backwardFloats(s) : code->forwardFloats(s);
  a->partFloats = d.backward && s.parts > 1 ? code->partialFloats(s) : 0;

  static constexpr Matrix Head::*forwardOrder[] = {&Head::q, &Head::k, &Head::v, &Head::mask, &Head::result, &Head::logSums};
  static constexpr Matrix Head::*backwardOrder[] = {&Head::gradient, &Head::q,    &Head::k,             &Head::v,           &Head::result,
                                                    &Head::logSums,  &Head::mask, &Head::queryGradient, &Head::keyGradient, &Head::valueGradient};
  const auto rowsAndColumns = [&](Matrix Head::*m) -> std::pair<int64_t, int64_t> {
    if (m == &Head::mask) return {s.queries, s.keys};
    if (m == &Head::logSums) return {s.queries, 1};
    const bool ofKeys = m == &Head::k || m == &Head::v || m == &Head::keyGradient || m == &Head::valueGradient;
    const bool ofSize = m == &Head::q || m == &Head::k || m == &Head::queryGradient || m == &Head::keyGradient;
    return {ofKeys ? s.keys : s.queries, ofSize ? s.size : s.width};
  };
  const size_t count = d.backward ? std::size(backwardOrder) : std::size(forwardOrder);
  if (d.operands.size() != count) throw std::runtime_error("attention has another number of operands");
  for (size_t i = 0; i < count; i++) {
    const auto &o = d.operands[i];
    const auto m = d.backward ? backwardOrder[i] : forwardOrder[i];
    if (o.strides.empty() && m == &Head::mask) continue;
    if (o.strides.size() != d.batch.size() + 2) throw std::runtime_error("an operand of attention has another number of axes");
    a->hasMask = a->hasMask || m == &Head::mask;
    if (o.type == attention::Type::boolean && m != &Head::mask) throw std::runtime_error("only masks are bool");
    // Log-sums are float32, and what is written is dense: whoever describes it sees to that.
    const auto [rows, columns] = rowsAndColumns(m);
    uint64_t last = uint64_t(rows - 1) * uint64_t(o.strides[d.batch.size()]) + uint64_t(columns - 1) * uint64_t(o.strides.back());
    for (size_t axis = 0; axis < d.batch.size(); axis++) last += uint64_t(d.batch[axis] - 1) * uint64_t(o.strides[axis]);
    a->places.push_back({m, o.type, o.strides, a->words++, (last + 1) * uint64_t(attention::sizeOf(o.type))});
  }
  a->words++;
  return a;
}

size_t Attention::scratchBytes() const { return size_t(threadFloats * threads + partFloats * heads * shared.parts) * sizeof(float); }

Head Attention::headAt(int64_t index, const uint8_t *base, const uint32_t *addresses) const {
  Head head{};
  head.hasMask = hasMask;
  for (const auto &p : places) {
    int64_t offset = 0, rest = index;
    for (size_t axis = batch.size(); axis-- > 0; rest /= batch[axis]) offset += rest % batch[axis] * p.strides[axis];
    auto *at = const_cast<uint8_t *>(base) + addresses[p.word] + offset * attention::sizeOf(p.type);
    head.*p.matrix = {at, p.strides[batch.size()], p.strides[batch.size() + 1], p.type};
  }
  return head;
}

void Attention::run(const Heap &heap, uint32_t block, uint64_t bytes) {
  if (block % 8 != 0 || block + uint64_t(words) * 4 > bytes) throw std::runtime_error("the argument block is not on the heap");
  const auto *addresses = reinterpret_cast<const uint32_t *>(heap.base + block);
  for (const auto &p : places) {
    const uint64_t address = addresses[p.word];
    if (address % uint64_t(attention::sizeOf(p.type)) != 0 || address + p.extent > bytes)
      throw std::runtime_error("operand " + std::to_string(p.word) + " does not lie on the heap");
  }
  const uint64_t scratchAt = addresses[words - 1];
  if (scratchAt % kAlignment != 0 || scratchAt + scratchBytes() > bytes) throw std::runtime_error("the scratch memory does not lie on the heap");
  auto *scratch = reinterpret_cast<float *>(heap.base + scratchAt);
  auto *partials = scratch + threadFloats * threads;

  // Whoever is done takes the next part; those of a head come one after the other, so that keys stay packed.
  std::atomic<int64_t> next{0};
  const auto &s = shared;
  parallel(threads, [&](int thread) {
    auto *own = scratch + threadFloats * thread;
    attention::PackedHead packed;
    for (int64_t unit; (unit = next.fetch_add(1)) < heads * s.parts;) {
      const auto head = headAt(unit / s.parts, heap.base, addresses);
      if (isBackward) code->backward(s, head, unit % s.parts, own, partFloats ? partials + unit * partFloats : nullptr);
      else code->forward(s, head, unit % s.parts, own, packed);
    }
  });
  if (partFloats == 0) return;
  next = 0;
  parallel(threads, [&](int) {
    for (int64_t head; (head = next.fetch_add(1)) < heads;)
      code->gather(s, headAt(head, heap.base, addresses), partials + head * s.parts * partFloats, partFloats);
  });
}

} // namespace cotangent
