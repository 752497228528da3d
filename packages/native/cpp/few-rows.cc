#include "few-rows.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>

#include "threads.h"

namespace cotangent {

using fewRows::Problem;

namespace {

constexpr int64_t kAlignment = 64;
/** Columns of a row-wise matrix from which on each unit gets some of them: shorter pieces of rows are not read at memory's full speed. */
constexpr int64_t kWide = 4096;
/** Columns whose sums stay in the cache nearest to the core. */
constexpr int64_t kStrip = 2048;
/** Units a thread, so that one that comes late gets fewer. */
constexpr int64_t kUnits = 3;

int64_t share(int64_t total, int64_t unit, int64_t units) { return total * unit / units; }

} // namespace

std::unique_ptr<FewRows> FewRows::make(const FewRowsDescription &d) {
  const auto *code = fewRows::fastestCode();
  const auto &p = d.problem;
  if (!code || p.rows < 1 || p.rows > fewRows::kMostRows) return nullptr;
  std::unique_ptr<FewRows> r(new FewRows());
  r->code = code;
  r->d = d;
  r->deep = !p.turned && p.columns < kWide;
  const int64_t most = d.threads <= 1 ? 1 : d.threads * kUnits;
  if (p.turned) r->units = std::clamp<int64_t>(p.columns / 16, 1, most);
  else if (r->deep) r->units = std::clamp<int64_t>(p.depth / 16, 1, most);
  else r->units = (p.columns + kStrip - 1) / kStrip;
  // Rows of sums start on cache lines of their own.
  r->stride = ((r->deep ? p.columns : kStrip) + 15) / 16 * 16;
  return r;
}

size_t FewRows::scratchBytes() const {
  const auto &p = d.problem;
  const int64_t floats = p.turned ? p.rows * p.depth : (deep ? units : std::max(1, d.threads)) * p.rows * stride;
  return size_t(floats) * sizeof(float);
}

void FewRows::deepUnits(const float *x, const float *matrix, const float *bias, float *y, float *scratch) const {
  const auto &p = d.problem;
  std::atomic<int64_t> next{0};
  parallel(d.threads, [&](int) {
    for (int64_t unit; (unit = next.fetch_add(1)) < units;)
      code->rows(p, x, matrix, share(p.depth, unit, units), share(p.depth, unit + 1, units), 0, p.columns, scratch + unit * p.rows * stride, stride);
  });
  for (int64_t r = 0; r < p.rows; r++)
    for (int64_t column = 0; column < p.columns; column++) {
      float sum = 0;
      for (int64_t unit = 0; unit < units; unit++) sum += scratch[(unit * p.rows + r) * stride + column];
      y[r * p.yRow + column] = bias ? sum + bias[column] : sum;
    }
}

void FewRows::wideUnits(const float *x, const float *matrix, const float *bias, float *y, float *scratch) const {
  const auto &p = d.problem;
  std::atomic<int64_t> next{0};
  parallel(d.threads, [&](int thread) {
    auto *sums = scratch + thread * p.rows * stride;
    for (int64_t unit; (unit = next.fetch_add(1)) < units;) {
      const int64_t first = unit * kStrip, last = std::min(first + kStrip, p.columns);
      code->rows(p, x, matrix, 0, p.depth, first, last, sums, stride);
      for (int64_t r = 0; r < p.rows; r++)
        for (int64_t column = first; column < last; column++) {
          const float sum = sums[r * stride + column - first];
          y[r * p.yRow + column] = bias ? sum + bias[column] : sum;
        }
    }
  });
}

void FewRows::run(const Heap &heap, uint32_t block, uint64_t bytes) {
  const auto &p = d.problem;
  const uint32_t words = d.bias ? 5 : 4;
  if (block % 8 != 0 || block + uint64_t(words) * 4 > bytes) throw std::runtime_error("the argument block is not on the heap");
  const auto *addresses = reinterpret_cast<const uint32_t *>(heap.base + block);
  const auto operand = [&](uint32_t word, int64_t last) {
    const uint64_t address = addresses[word];
    if (address % sizeof(float) != 0 || address + uint64_t(last + 1) * sizeof(float) > bytes)
      throw std::runtime_error("operand " + std::to_string(word) + " does not lie on the heap");
    return reinterpret_cast<float *>(heap.base + address);
  };
  const auto *x = operand(d.x, (p.rows - 1) * p.xRow + (p.depth - 1) * p.xColumn);
  const auto *matrix = operand(d.matrix, p.turned ? (p.columns - 1) * p.step + p.depth - 1 : (p.depth - 1) * p.step + p.columns - 1);
  const auto *bias = d.bias ? operand(2, p.columns - 1) : nullptr;
  auto *y = operand(words - 2, (p.rows - 1) * p.yRow + p.columns - 1);
  const uint64_t scratchAt = addresses[words - 1];
  if (scratchAt % kAlignment != 0 || scratchAt + scratchBytes() > bytes) throw std::runtime_error("the scratch memory does not lie on the heap");
  auto *scratch = reinterpret_cast<float *>(heap.base + scratchAt);

  if (!p.turned) return deep ? deepUnits(x, matrix, bias, y, scratch) : wideUnits(x, matrix, bias, y, scratch);
  for (int64_t r = 0; r < p.rows; r++)
    for (int64_t k = 0; k < p.depth; k++) scratch[r * p.depth + k] = x[r * p.xRow + k * p.xColumn];
  std::atomic<int64_t> next{0};
  parallel(d.threads, [&](int) {
    for (int64_t unit; (unit = next.fetch_add(1)) < units;)
      code->columns(p, scratch, matrix, share(p.columns, unit, units), share(p.columns, unit + 1, units), bias, y);
  });
}

} // namespace cotangent
