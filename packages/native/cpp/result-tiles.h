// What is done to the results of products and convolutions before they are stored.
#pragma once

#include <cstdint>

namespace cotangent::result {

/** What is done to a result before it is stored; the result is on the left. NaN stays NaN. */
enum class Operator { add, sub, mul, div, max, min };

/** How an operand goes with the result: element by element, one number a column (a channel), or one number. */
enum class Extent { dense, column, one };

struct Operation {
  Operator op;
  Extent extent;
  const float *operand;
};

/** What most results need, so that it is done in registers: numbers a column and a tensor are added, if they are there, then it is bounded. */
struct Usual {
  const float *bias = nullptr, *residual = nullptr;
  float low, high;
  bool bounded = false;
};

/** Where results go. */
struct Target {
  float *y;
  const Operation *operations;
  int64_t operationCount;
  /** The operations, if they are such. */
  const Usual *usual;
};

} // namespace cotangent::result
