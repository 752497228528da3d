#include "convolution.h"

#include <stdexcept>

#include "ranges.h"
#include "threads.h"

namespace cotangent {

namespace {

constexpr uint64_t kAlignment = 64;

size_t aligned(uint64_t floats) { return size_t((floats * sizeof(float) + kAlignment - 1) / kAlignment * kAlignment); }

} // namespace

std::unique_ptr<Convolution> Convolution::make(const ConvolutionDescription &d) {
  // What oneDNN has been told to leave alone is left alone here, too.
  const bool widest = unsigned(dnnl::get_effective_cpu_isa()) & 0x20;
  const auto *code = convolution::fastestCode(widest);
  if (!code) return nullptr;
  std::unique_ptr<Convolution> c(new Convolution());
  c->code = code;
  c->description = d;
  const auto &p = d.problem;
  c->plan = code->plan(p, d.threads);
  c->resultFloats = uint64_t(c->plan.pixels) * uint64_t(p.channelsOut);
  c->weightFloats = uint64_t(c->plan.taps) * uint64_t(p.channelsIn) * uint64_t(p.channelsOut);
  c->inputFloats = uint64_t(p.batch - 1) * uint64_t(p.step[0]) + uint64_t(p.depthwise ? p.channelsOut : p.channelsIn);
  for (int axis = 0; axis < 3; axis++) c->inputFloats += uint64_t(p.in[axis] - 1) * uint64_t(p.step[axis + 1]);
  c->paramCount = paramCountOf(d.operations);
  return c;
}

size_t Convolution::threadBytes() const { return aligned(uint64_t(plan.scratchFloats)); }

size_t Convolution::scratchBytes() const {
  return threadBytes() * size_t(description.threads) + (plan.inPlace ? 0 : aligned(uint64_t(plan.packedFloats)));
}

std::optional<Prepared::Packing> Convolution::packing() const {
  if (plan.packedFloats == 0) return {};
  return Packing{description.weights, aligned(uint64_t(plan.packedFloats)), threadBytes() * size_t(description.threads)};
}

void Convolution::packAll(const float *weights, float *to) const {
  Ranges ranges(plan.panels, description.threads);
  parallel(description.threads, [&](int thread) {
    ranges.run(thread, [&](int64_t panel) { code->pack(description.problem, plan, weights, panel, to); });
  });
}

void Convolution::pack(const Heap &heap, uint32_t source, uint32_t target, uint64_t bytes) {
  if (plan.packedFloats == 0) return Prepared::pack(heap, source, target, bytes);
  if (source % sizeof(float) != 0 || source + weightFloats * sizeof(float) > bytes) throw std::runtime_error("the weights do not lie on the heap");
  if (target % kAlignment != 0 || target + aligned(uint64_t(plan.packedFloats)) > bytes)
    throw std::runtime_error("the packed weights do not lie on the heap");
  packAll(reinterpret_cast<const float *>(heap.base + source), reinterpret_cast<float *>(heap.base + target));
}

void Convolution::run(const Heap &heap, uint32_t block, uint64_t bytes) {
  const auto &d = description;
  const uint64_t paramsAt = (uint64_t(d.words) * 4 + 7) / 8 * 8;
  if (block % 8 != 0 || block + paramsAt + uint64_t(paramCount) * 8 > bytes) throw std::runtime_error("the argument block is not on the heap");
  const auto *addresses = reinterpret_cast<const uint32_t *>(heap.base + block);
  const auto *params = reinterpret_cast<const double *>(heap.base + block + paramsAt);
  const auto operand = [&](uint32_t word, uint64_t floats) {
    const uint64_t address = addresses[word];
    if (address % sizeof(float) != 0 || address + floats * sizeof(float) > bytes)
      throw std::runtime_error("operand " + std::to_string(word) + " does not lie on the heap");
    return reinterpret_cast<float *>(heap.base + address);
  };
  const float *x = operand(d.x, inputFloats), *weights = operand(d.weights, weightFloats);
  float *y = operand(d.y, resultFloats);

  const ResultOperations operations(d.operations, params, y, resultFloats, uint64_t(d.problem.channelsOut), operand);

  const bool packable = plan.packedFloats > 0;
  const uint64_t packedAt = packable ? addresses[d.words - 1] : 0, scratchAt = addresses[d.words - (packable ? 2 : 1)];
  const bool packs = packable && packedAt == 0 && !plan.inPlace;
  const auto threadsBytes = threadBytes() * size_t(d.threads);
  if (scratchAt % kAlignment != 0 || scratchAt + (packs ? scratchBytes() : threadsBytes) > bytes)
    throw std::runtime_error("the scratch memory does not lie on the heap");
  if (packedAt % kAlignment != 0 || (packedAt != 0 && packedAt + aligned(uint64_t(plan.packedFloats)) > bytes))
    throw std::runtime_error("the packed weights do not lie on the heap");
  auto *scratch = heap.base + scratchAt;
  const float *packed = packedAt ? reinterpret_cast<const float *>(heap.base + packedAt) : nullptr;
  if (packs) {
    auto *own = reinterpret_cast<float *>(scratch + threadsBytes);
    packAll(weights, own);
    packed = own;
  }

  const convolution::Operands operands{operations.target(y), x, weights, packed};
  Ranges ranges(plan.units, d.threads);
  parallel(d.threads, [&](int thread) {
    auto *own = reinterpret_cast<float *>(scratch + threadBytes() * size_t(thread));
    ranges.run(thread, [&](int64_t unit) { code->unit(d.problem, plan, operands, unit, own); });
  });
}

} // namespace cotangent
