// What is done to sums on their way to memory, for one instruction set; see each-instruction-set.h.

using result::Extent, result::Operator, result::Target;

/** The first `count` numbers, then zeros. */
COTANGENT_INLINE Floats loadSome(const float *p, int64_t count) {
  if (count >= W) return load(p);
#if COTANGENT_LANES == 16
  return Floats(_mm512_maskz_loadu_ps(__mmask16((1u << count) - 1), p));
#else
  float some[W] = {};
  for (int64_t i = 0; i < count; i++) some[i] = p[i];
  return load(some);
#endif
}

COTANGENT_INLINE void storeSome(float *p, Floats x, int64_t count) {
  if (count >= W) return store(p, x);
#if COTANGENT_LANES == 16
  _mm512_mask_storeu_ps(p, __mmask16((1u << count) - 1), __m512(x));
#else
  float some[W];
  store(some, x);
  for (int64_t i = 0; i < count; i++) p[i] = some[i];
#endif
}

#define COTANGENT_EACH(expression) \
  if (extent == Extent::dense) { \
    COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++) { \
      const float *at = operand + offset + r * step; \
      const Floats y = x[r], o = whole ? load(at) : loadSome(at, columns); \
      x[r] = expression; \
    } \
  } else { \
    const Floats o = extent == Extent::one ? all(*operand) : whole ? load(operand + column) : loadSome(operand + column, columns); \
    COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++) { \
      const Floats y = x[r]; \
      x[r] = expression; \
    } \
  } \
  break;

/**
 * Sums of `rows` rows and one vector of columns, all of it or only `columns`, with what is done to them, to memory. `offset`: of the first
 * one in the result.
 */
template <int64_t rows, bool whole>
void finish(const float *sums, int64_t width, int64_t columns, int64_t column, int64_t offset, int64_t step, const Target &to) {
  Floats x[rows];
  COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++) x[r] = load(sums + r * width);
  for (int64_t i = 0; i < to.operationCount; i++) {
    const auto &[op, extent, operand] = to.operations[i];
    switch (op) {
    case Operator::add: COTANGENT_EACH(y + o)
    case Operator::sub: COTANGENT_EACH(y - o)
    case Operator::mul: COTANGENT_EACH(y * o)
    case Operator::div: COTANGENT_EACH(y / o)
    case Operator::max: COTANGENT_EACH(choose(y <= o, o, y))
    case Operator::min: COTANGENT_EACH(choose(y >= o, o, y))
    }
  }
  COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++)
    if (whole) store(to.y + offset + r * step, x[r]);
    else storeSome(to.y + offset + r * step, x[r], columns);
}

#undef COTANGENT_EACH

/** What `finish` does to sums that are still in registers, for results that are `usual`: the last vector has `some` columns. */
template <int64_t rows, int64_t vectors>
COTANGENT_INLINE void conclude(Floats (&x)[rows][vectors], int64_t some, int64_t column, int64_t offset, int64_t step, const Target &to) {
  // A copy: what is stored might be it, as far as compilers know.
  const auto [bias, residual, low, high, bounded] = *to.usual;
  float *y = to.y + offset;
  COTANGENT_UNROLL for (int64_t v = 0; v < vectors; v++) {
    const int64_t count = v < vectors - 1 ? W : some;
    if (bias) {
      const Floats b = loadSome(bias + column + v * W, count);
      COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++) x[r][v] += b;
    }
    if (residual) {
      COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++) x[r][v] += loadSome(residual + offset + r * step + v * W, count);
    }
    if (bounded) {
      const Floats least = all(low), most = all(high);
      COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++) {
        x[r][v] = choose(x[r][v] <= least, least, x[r][v]);
        x[r][v] = choose(x[r][v] >= most, most, x[r][v]);
      }
    }
    COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++) storeSome(y + r * step + v * W, x[r][v], count);
  }
}

/** The first `count` of up to `rows` rows of sums, and all their `columns`. */
template <int64_t rows>
COTANGENT_INLINE void finishRows(int64_t count, const float *sums, int64_t width, int64_t columns, int64_t column, int64_t offset, int64_t step,
                                 const Target &to) {
  if constexpr (rows > 0) {
    if (count < rows) return finishRows<rows - 1>(count, sums, width, columns, column, offset, step, to);
    int64_t c = 0;
    for (; c + W <= columns; c += W) finish<rows, true>(sums + c, width, W, column + c, offset + c, step, to);
    if (c < columns) finish<rows, false>(sums + c, width, columns - c, column + c, offset + c, step, to);
  }
}
