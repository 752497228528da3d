#include "result.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace cotangent {

using result::Extent;
using result::Operator;

uint32_t paramCountOf(const std::vector<ResultOperation> &operations) {
  uint32_t count = 0;
  for (const auto &op : operations)
    if (op.param) count = std::max(count, *op.param + 1);
  return count;
}

/** What lies where the result goes is read before it is written only if it is read there and then: else it is copied. */
const float *ResultOperations::apart(const float *at, uint64_t floats, Extent extent, const float *y, uint64_t resultFloats) {
  if (at >= y + resultFloats || at + floats <= y || (extent == Extent::dense && at == y)) return at;
  copies.emplace_back(new float[floats]);
  std::memcpy(copies.back().get(), at, floats * sizeof(float));
  return copies.back().get();
}

/** Operations in the order that `Usual` does them in, each at most once; nothing for others. */
void ResultOperations::find() {
  result::Usual found{nullptr, nullptr, -INFINITY, INFINITY, false};
  auto op = operations.begin();
  const auto next = [&](Operator operation, Extent extent) {
    return op != operations.end() && op->op == operation && op->extent == extent ? (op++)->operand : nullptr;
  };
  found.bias = next(Operator::add, Extent::column);
  found.residual = next(Operator::add, Extent::dense);
  if (const auto *low = next(Operator::max, Extent::one)) found.low = *low, found.bounded = true;
  if (const auto *high = next(Operator::min, Extent::one)) found.high = *high, found.bounded = true;
  if (op == operations.end()) usual = found;
}

} // namespace cotangent
