// Products of attention's tiles for one instruction set, and how their operands are packed; see each-instruction-set.h.

constexpr int64_t MR = COTANGENT_ROWS;
constexpr int64_t NV = COTANGENT_VECTORS;
/** Columns of a panel, as matrices that were transposed are packed. */
constexpr int64_t NR = NV * W;

typedef uint32_t Bits __attribute__((vector_size(W * 4), aligned(4), may_alias));
typedef uint16_t Halves __attribute__((vector_size(W * 2), aligned(2), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(W), aligned(1), may_alias));

/** Rows as they are packed: in whole vectors. */
constexpr int64_t padded(int64_t n, int64_t to = W) { return (n + to - 1) / to * to; }

/** Rows of a matrix anywhere, densely as float32 numbers, with zeros up to `width`. */
void packRows(const Matrix &from, int64_t first, int64_t count, int64_t columns, float *to, int64_t width) {
  for (int64_t r = 0; r < count; r++, to += width) {
    const uint8_t *source = from.at + (first + r) * from.row * sizeOf(from.type);
    int64_t c = 0;
    if (from.type == Type::f32) {
      const auto *row = reinterpret_cast<const float *>(source);
      if (from.column == 1)
        for (; c + W <= columns; c += W) store(to + c, load(row + c));
      for (; c < columns; c++) to[c] = row[c * from.column];
    } else {
      const auto *row = reinterpret_cast<const uint16_t *>(source);
      if (from.column == 1)
        for (; c + W <= columns; c += W) {
          const Ints bits = __builtin_convertvector(*reinterpret_cast<const Halves *>(row + c), Ints) << 16;
          store(to + c, Floats(bits));
        }
      for (; c < columns; c++) {
        const uint32_t bits = uint32_t(row[c * from.column]) << 16;
        float value;
        __builtin_memcpy(&value, &bits, 4);
        to[c] = value;
      }
    }
    for (; c < width; c++) to[c] = 0;
  }
}

/** The same, which may be where they lie already. */
const float *packedRows(const Matrix &from, int64_t first, int64_t count, int64_t columns, float *room) {
  if (from.type == Type::f32 && from.column == 1 && from.row == columns && columns % W == 0)
    return reinterpret_cast<const float *>(from.at) + first * columns;
  packRows(from, first, count, columns, room, (columns + W - 1) / W * W);
  return room;
}

#ifdef __clang__
#define COTANGENT_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define COTANGENT_SHUFFLE(a, b, ...) Floats(__builtin_shuffle(Ints(a), Ints(b), Ints{__VA_ARGS__}))
#endif

/** Swaps blocks of `half` rows and columns beside the diagonal. */
template <int half, int... lane> COTANGENT_INLINE void swapBlocks(Floats (&x)[W], std::integer_sequence<int, lane...>) {
  COTANGENT_UNROLL for (int64_t i = 0; i < W; i++) {
    if (i & half) continue;
    const Floats a = x[i], b = x[i + half];
    x[i] = COTANGENT_SHUFFLE(a, b, ((lane & half) ? int(W) + lane - half : lane)...);
    x[i + half] = COTANGENT_SHUFFLE(a, b, ((lane & half) ? int(W) + lane : lane + half)...);
  }
}

#undef COTANGENT_SHUFFLE

/** Transposes [W, W] elements; rows of the result are `ld` apart, `count` of them. */
void transpose(const float *from, int64_t width, float *to, int64_t ld, int64_t count) {
  using Lanes = std::make_integer_sequence<int, int(W)>;
  Floats x[W];
  COTANGENT_UNROLL for (int64_t i = 0; i < W; i++) x[i] = load(from + i * width);
  if constexpr (W > 8) swapBlocks<8>(x, Lanes());
  if constexpr (W > 4) swapBlocks<4>(x, Lanes());
  swapBlocks<2>(x, Lanes());
  swapBlocks<1>(x, Lanes());
  COTANGENT_UNROLL for (int64_t i = 0; i < W; i++)
    if (i < count) store(to + i * ld, x[i]);
}

/** The transpose of packed rows [count, width], of which `columns` are meant, in panels [columns, NR] of its columns, with zeros behind the last. */
void packTurned(const float *rows, int64_t count, int64_t columns, int64_t width, float *to) {
  alignas(64) float last[W * W];
  for (int64_t r = 0; r < count; r += W) {
    float *target = to + r / NR * columns * NR + r % NR;
    for (int64_t c = 0; c < columns; c += W) {
      const float *from = rows + r * width + c;
      int64_t step = width;
      if (count - r < W) {
        for (int64_t i = 0; i < W; i++) store(last + i * W, r + i < count ? load(from + i * width) : Floats{});
        from = last, step = W;
      }
      transpose(from, step, target + c * NR, NR, columns - c < W ? columns - c : W);
    }
  }
}

/** float32 numbers, each of which is a word. */
struct Singles {
  /** Whether rows that themselves lie along the depth are packed in another way. */
  static constexpr bool packsDeep = false;
  static constexpr int64_t words(int64_t n) { return n; }
  /** Words from one packed row to the next. */
  static constexpr int64_t step(int64_t n) { return padded(n); }
  static COTANGENT_INLINE Floats everywhere(const float *p) { return all(*p); }
  static COTANGENT_INLINE Floats multiplyAdd(Floats a, Floats b, Floats c) { return fma(a, b, c); }
  /** Rows whose numbers lie along the depth of a product. */
  static const float *rows(const Matrix &from, int64_t first, int64_t count, int64_t columns, float *room) {
    return packedRows(from, first, count, columns, room);
  }
  /** All rows of a matrix, which themselves lie along the depth; `rows` has them already, if it is not null. */
  static const float *deep(const Matrix &from, int64_t count, int64_t columns, const float *rows, float *room) {
    return rows ? rows : packedRows(from, 0, count, columns, room);
  }
  /** A tile of float32 numbers whose columns lie along the depth, in place. */
  static void acrossTile(float *, int64_t, int64_t, int64_t) {}
  /** A tile whose rows lie along it; in `room`, where it is not there already. */
  static const float *downTile(const float *tile, int64_t, int64_t, int64_t, float *) { return tile; }
};

#if COTANGENT_LANES == 16

/** bfloat16 numbers, two of which are a word, one behind the other along the depth of a product. Instructions of AVX512-BF16 are written out: this code is for all that have AVX-512. */
struct Pairs {
  static constexpr bool packsDeep = true;
  static constexpr int64_t words(int64_t n) { return (n + 1) / 2; }
  static constexpr int64_t step(int64_t n) { return padded(words(n)); }
  static COTANGENT_INLINE Floats everywhere(const float *p) { return Floats(_mm512_set1_epi32(*reinterpret_cast<const Word *>(p))); }
  static COTANGENT_INLINE Floats multiplyAdd(Floats a, Floats b, Floats c) {
    __m512 sum = __m512(c);
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(__m512(a)), "v"(__m512(b)));
    return Floats(sum);
  }

  static const float *rows(const Matrix &from, int64_t first, int64_t count, int64_t columns, float *room) {
    auto *to = reinterpret_cast<uint16_t *>(room);
    for (int64_t r = 0; r < count; r++, to += 2 * step(columns)) {
      const auto *row = reinterpret_cast<const uint16_t *>(from.at) + (first + r) * from.row;
      if (from.column == 1) __builtin_memcpy(to, row, size_t(columns) * 2);
      else
        for (int64_t c = 0; c < columns; c++) to[c] = row[c * from.column];
      __builtin_memset(to + columns, 0, size_t(2 * step(columns) - columns) * 2);
    }
    return room;
  }
  static const float *deep(const Matrix &from, int64_t count, int64_t columns, const float *, float *room) {
    float *to = room;
    for (int64_t r = 0; r < count; r += 2, to += padded(columns)) {
      const auto *row = reinterpret_cast<const uint16_t *>(from.at) + r * from.row, *next = row + from.row;
      const bool both = r + 1 < count;
      int64_t c = 0;
      if (from.column == 1)
        for (; c + W <= columns; c += W) put(to + c, read(row + c), both ? read(next + c) : Bits{});
      auto *words = reinterpret_cast<Word *>(to);
      for (; c < columns; c++) words[c] = Word(row[c * from.column] | uint32_t(both ? next[c * from.column] : 0) << 16);
      for (; c < padded(columns); c++) words[c] = 0;
    }
    return room;
  }

  static void acrossTile(float *tile, int64_t rows, int64_t columns, int64_t ld) {
    for (int64_t r = 0; r < rows; r++, tile += ld)
      for (int64_t c = 0; c < columns; c += 2 * W) {
        const Floats low = load(tile + c), high = c + W < columns ? load(tile + c + W) : Floats{};
        __m512 both;
        asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(both) : "v"(__m512(low)), "v"(__m512(high)));
        store(tile + c / 2, Floats(both));
      }
  }
  static const float *downTile(const float *tile, int64_t rows, int64_t columns, int64_t ld, float *room) {
    for (int64_t r = 0; r < rows; r += 2)
      for (int64_t c = 0; c < columns; c += W) {
        const float *at = tile + r * ld + c;
        put(room + r / 2 * ld + c, rounded(load(at)), r + 1 < rows ? rounded(load(at + ld)) : Bits{});
      }
    return room;
  }

private:
  typedef int32_t Word __attribute__((may_alias));
  static COTANGENT_INLINE Bits read(const uint16_t *p) { return __builtin_convertvector(*reinterpret_cast<const Halves *>(p), Bits); }
  static COTANGENT_INLINE Bits rounded(Floats x) {
    __m256i half;
    asm("vcvtneps2bf16 %1, %0" : "=v"(half) : "v"(__m512(x)));
    return __builtin_convertvector(Halves(half), Bits);
  }
  static COTANGENT_INLINE void put(float *to, Bits first, Bits second) { store(to, Floats(first | second << 16)); }
};

#endif

/** C [rows, vectors * W] = or += A B, with all of C in registers; `depth` in words of N. A is read by word: its rows are `lda` apart, or, if turned, its columns. */
template <typename N, int64_t rows, int64_t vectors, bool turned>
void block(int64_t depth, const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc, bool add) {
  Floats sums[rows][vectors];
  COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++)
    COTANGENT_UNROLL for (int64_t v = 0; v < vectors; v++) sums[r][v] = Floats{};
  for (int64_t k = 0; k < depth; k++) {
    Floats row[vectors];
    COTANGENT_UNROLL for (int64_t v = 0; v < vectors; v++) row[v] = load(b + k * ldb + v * W);
    COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++) {
      const Floats x = N::everywhere(turned ? a + k * lda + r : a + r * lda + k);
      COTANGENT_UNROLL for (int64_t v = 0; v < vectors; v++) sums[r][v] = N::multiplyAdd(x, row[v], sums[r][v]);
    }
  }
  COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++)
    COTANGENT_UNROLL for (int64_t v = 0; v < vectors; v++) {
      float *at = c + r * ldc + v * W;
      store(at, add ? load(at) + sums[r][v] : sums[r][v]);
    }
}

template <typename N, int64_t vectors, bool turned, int64_t rows = MR>
COTANGENT_INLINE void rowsOf(int64_t count, int64_t depth, const float *a, int64_t lda, const float *b, int64_t ldb, float *c,
                             int64_t ldc, bool add) {
  if constexpr (rows > 0) {
    if (count == rows) return block<N, rows, vectors, turned>(depth, a, lda, b, ldb, c, ldc, add);
    rowsOf<N, vectors, turned, rows - 1>(count, depth, a, lda, b, ldb, c, ldc, add);
  }
}

template <typename N, bool turned, int64_t vectors = NV>
COTANGENT_INLINE void panel(int64_t count, int64_t rows, int64_t depth, const float *a, int64_t lda, const float *b, int64_t ldb,
                            float *c, int64_t ldc, bool add) {
  if constexpr (vectors > 0) {
    if (count < vectors) return panel<N, turned, vectors - 1>(count, rows, depth, a, lda, b, ldb, c, ldc, add);
    for (int64_t r = 0; r < rows; r += MR) {
      const float *from = a + (turned ? r : r * lda);
      rowsOf<N, vectors, turned>(rows - r < MR ? rows - r : MR, depth, from, lda, b, ldb, c + r * ldc, ldc, add);
    }
  }
}

/** A matrix whose rows are `ld` apart within panels of NR columns, which are `panel` apart. */
struct Panels {
  const float *at;
  int64_t ld, panel;
};

/** C [rows, columns] = or += A B, for columns in whole vectors. */
template <typename N, bool turned>
void product(int64_t rows, int64_t columns, int64_t depth, const float *a, int64_t lda, Panels b, float *c, int64_t ldc, bool add) {
  for (int64_t n = 0; n < columns; n += NR) {
    const int64_t count = columns - n < NR ? (columns - n + W - 1) / W : NV;
    panel<N, turned>(count, rows, depth, a, lda, b.at + n / NR * b.panel, b.ld, c + n, ldc, add);
  }
}

/** The transpose of a matrix in words of N, in panels, by way of some of its rows at a time. */
template <typename N> void packTurnedMatrix(const Matrix &from, int64_t count, int64_t columns, float *room, float *to) {
  for (int64_t r = 0; r < count; r += NR) {
    const int64_t rows = count - r < NR ? count - r : NR;
    packTurned(N::rows(from, r, rows, columns, room), rows, N::words(columns), N::step(columns), to + r * N::words(columns));
  }
}
