// Products with few rows for one instruction set; see each-instruction-set.h. Memory is the limit: the matrix streams by once.

/** Rows of the matrix that stream by at a time while the sums stay in the cache. */
constexpr int64_t kGroup = 8;

/** sums += `group` rows of the matrix times their numbers of X. While several rows of X are served, those behind them are fetched; one is no reason for a core to wait. */
template <int64_t group, bool one>
COTANGENT_INLINE void addRows(const Problem &p, const float *x, const float *matrix, int64_t columns, float *sums, int64_t stride) {
  const int64_t count = one ? 1 : p.rows;
  float factors[kMostRows][group];
  for (int64_t r = 0; r < count; r++)
    for (int64_t i = 0; i < group; i++) factors[r][i] = x[r * p.xRow + i * p.xColumn];
  Floats first[group];
  COTANGENT_UNROLL for (int64_t i = 0; i < group; i++) first[i] = all(factors[0][i]);
  int64_t column = 0;
  for (; column + W <= columns; column += W) {
    Floats rows[group];
    COTANGENT_UNROLL for (int64_t i = 0; i < group; i++) {
      if (!one) __builtin_prefetch(matrix + (i + group) * p.step + column);
      rows[i] = load(matrix + i * p.step + column);
    }
    for (int64_t r = 0; r < count; r++) {
      float *at = sums + r * stride + column;
      // Two chains, as each addition waits for the one before it.
      Floats even = load(at), odd{};
      COTANGENT_UNROLL for (int64_t i = 0; i < group; i++) {
        const Floats factor = one ? first[i] : all(factors[r][i]);
        if (i % 2 == 0) even = fma(factor, rows[i], even);
        else odd = fma(factor, rows[i], odd);
      }
      store(at, even + odd);
    }
  }
  for (; column < columns; column++)
    for (int64_t r = 0; r < count; r++)
      for (int64_t i = 0; i < group; i++) sums[r * stride + column] += factors[r][i] * matrix[i * p.step + column];
}

template <bool one>
void rowsTimesRows(const Problem &p, const float *x, const float *matrix, int64_t from, int64_t to, int64_t first, int64_t last, float *sums,
                   int64_t stride) {
  const int64_t columns = last - first;
  for (int64_t r = 0; r < p.rows; r++)
    for (int64_t column = 0; column < columns; column++) sums[r * stride + column] = 0;
  int64_t row = from;
  for (; row + kGroup <= to; row += kGroup) addRows<kGroup, one>(p, x + row * p.xColumn, matrix + row * p.step + first, columns, sums, stride);
  for (; row < to; row++) addRows<1, one>(p, x + row * p.xColumn, matrix + row * p.step + first, columns, sums, stride);
}

void rows(const Problem &p, const float *x, const float *matrix, int64_t from, int64_t to, int64_t first, int64_t last, float *sums, int64_t stride) {
  (p.rows == 1 ? rowsTimesRows<true> : rowsTimesRows<false>)(p, x, matrix, from, to, first, last, sums, stride);
}

COTANGENT_INLINE float sumOf(Floats x) {
  float sum = 0;
  COTANGENT_UNROLL for (int64_t i = 0; i < W; i++) sum += x[i];
  return sum;
}

template <int64_t rows, int64_t count>
COTANGENT_INLINE void dots(const Problem &p, const float *x, const float *matrix, int64_t column, const float *bias, float *y) {
  Floats sums[rows][count];
  COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++)
    COTANGENT_UNROLL for (int64_t c = 0; c < count; c++) sums[r][c] = Floats{};
  const float *from = matrix + column * p.step;
  int64_t k = 0;
  for (; k + W <= p.depth; k += W) {
    Floats columns[count];
    COTANGENT_UNROLL for (int64_t c = 0; c < count; c++) {
      if (rows > 1) __builtin_prefetch(from + (c + count) * p.step + k);
      columns[c] = load(from + c * p.step + k);
    }
    COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++) {
      const Floats factor = load(x + r * p.depth + k);
      COTANGENT_UNROLL for (int64_t c = 0; c < count; c++) sums[r][c] = fma(factor, columns[c], sums[r][c]);
    }
  }
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < count; c++) {
      float sum = sumOf(sums[r][c]);
      for (int64_t i = k; i < p.depth; i++) sum += x[r * p.depth + i] * from[c * p.step + i];
      y[r * p.yRow + column + c] = bias ? sum + bias[column + c] : sum;
    }
}

template <int64_t rows>
void rowTimesColumns(const Problem &p, const float *x, const float *matrix, int64_t first, int64_t last, const float *bias, float *y) {
  // As many streams as there are registers for their sums.
  constexpr int64_t registers = W == 8 ? 16 : 32;
  constexpr int64_t count = rows == 1 ? 8 : rows * 4 + 5 <= registers ? 4 : 2;
  int64_t column = first;
  for (; column + count <= last; column += count) dots<rows, count>(p, x, matrix, column, bias, y);
  for (; column < last; column++) dots<rows, 1>(p, x, matrix, column, bias, y);
}

void rowsTimesColumns(const Problem &p, const float *x, const float *matrix, int64_t first, int64_t last, const float *bias, float *y) {
  static constexpr decltype(&rowTimesColumns<1>) of[kMostRows] = {rowTimesColumns<1>, rowTimesColumns<2>, rowTimesColumns<3>, rowTimesColumns<4>,
                                                                  rowTimesColumns<5>, rowTimesColumns<6>, rowTimesColumns<7>, rowTimesColumns<8>};
  of[p.rows - 1](p, x, matrix, first, last, bias, y);
}

const Code code = {rows, rowsTimesColumns};
