// What the code for each instruction set has in common.
#pragma once

#include <cstdint>

namespace cotangent::fewRows {

/** Rows that one pass over the matrix serves. */
constexpr int64_t kMostRows = 8;

/** Y [rows, columns] = X [rows, depth] times a matrix of float32 numbers, of which either rows or columns are contiguous. Steps are in elements. */
struct Problem {
  int64_t rows, depth, columns;
  int64_t xRow, xColumn, yRow;
  /** From one contiguous row to the next, or, if `turned`, from one contiguous column to the next. */
  int64_t step;
  bool turned;
};

struct Code {
  /** sums [rows, stride] = rows `from` to `to` - 1 of the matrix times these columns of X, for the matrix's columns `first` to `last` - 1. */
  void (*rows)(const Problem &, const float *x, const float *matrix, int64_t from, int64_t to, int64_t first, int64_t last, float *sums, int64_t stride);
  /** The results of columns `first` to `last` - 1 of a turned matrix; X is dense. `bias` may be null. */
  void (*columns)(const Problem &, const float *x, const float *matrix, int64_t first, int64_t last, const float *bias, float *y);
};

/** The best that this machine has, null if it has none. */
const Code *fastestCode();

} // namespace cotangent::fewRows
