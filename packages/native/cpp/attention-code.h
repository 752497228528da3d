// The tiles of attention for one instruction set; see each-instruction-set.h.

constexpr int64_t MR = COTANGENT_ROWS;
constexpr int64_t NV = COTANGENT_VECTORS;
/** Columns of a panel, as matrices that were transposed are packed. */
constexpr int64_t NR = NV * W;

typedef uint32_t Bits __attribute__((vector_size(W * 4), aligned(4), may_alias));
typedef uint16_t Halves __attribute__((vector_size(W * 2), aligned(2), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(W), aligned(1), may_alias));

/** e^x to 2 units in the last place for x up to 88; less than the least normal number is 0. NaN stays NaN. */
COTANGENT_INLINE Floats exp(Floats x) {
  const Floats least = all(-87.33654f), most = all(88.0f);
  const Floats magic = all(12582912.0f);
  const Floats y = choose(x < least, least, choose(x > most, most, x));
  // y = n ln 2 + r, |r| <= ln 2 / 2; n comes out in the low bits of t.
  const Floats t = fma(y, all(1.44269504f), magic);
  const Floats n = t - magic;
  Floats r = fma(n, all(-0.693359375f), y);
  r = fma(n, all(2.12194440e-4f), r);
  Floats p = all(1.9875691500e-4f);
  p = fma(p, r, all(1.3981999507e-3f));
  p = fma(p, r, all(8.3334519073e-3f));
  p = fma(p, r, all(4.1665795894e-2f));
  p = fma(p, r, all(1.6666665459e-1f));
  p = fma(p, r, all(5.0000001201e-1f));
  p = fma(p, r * r, r) + 1.0f;
  const Floats power = Floats((Ints(t) - Ints(magic) + 127) << 23);
  return choose(x < least, Floats{}, p * power);
}

/** C [rows, vectors * W] = or += A B, with all of C in registers. A is read by element: its rows are `lda` apart, or, if turned, its columns. */
template <int64_t rows, int64_t vectors, bool turned>
void block(int64_t depth, const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc, bool add) {
  Floats sums[rows][vectors];
  COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++)
    COTANGENT_UNROLL for (int64_t v = 0; v < vectors; v++) sums[r][v] = Floats{};
  for (int64_t k = 0; k < depth; k++) {
    Floats row[vectors];
    COTANGENT_UNROLL for (int64_t v = 0; v < vectors; v++) row[v] = load(b + k * ldb + v * W);
    COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++) {
      const Floats x = all(turned ? a[k * lda + r] : a[r * lda + k]);
      COTANGENT_UNROLL for (int64_t v = 0; v < vectors; v++) sums[r][v] = fma(x, row[v], sums[r][v]);
    }
  }
  COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++)
    COTANGENT_UNROLL for (int64_t v = 0; v < vectors; v++) {
      float *at = c + r * ldc + v * W;
      store(at, add ? load(at) + sums[r][v] : sums[r][v]);
    }
}

template <int64_t vectors, bool turned, int64_t rows = MR>
COTANGENT_INLINE void rowsOf(int64_t count, int64_t depth, const float *a, int64_t lda, const float *b, int64_t ldb, float *c,
                             int64_t ldc, bool add) {
  if constexpr (rows > 0) {
    if (count == rows) return block<rows, vectors, turned>(depth, a, lda, b, ldb, c, ldc, add);
    rowsOf<vectors, turned, rows - 1>(count, depth, a, lda, b, ldb, c, ldc, add);
  }
}

template <bool turned, int64_t vectors = NV>
COTANGENT_INLINE void panel(int64_t count, int64_t rows, int64_t depth, const float *a, int64_t lda, const float *b, int64_t ldb,
                            float *c, int64_t ldc, bool add) {
  if constexpr (vectors > 0) {
    if (count < vectors) return panel<turned, vectors - 1>(count, rows, depth, a, lda, b, ldb, c, ldc, add);
    for (int64_t r = 0; r < rows; r += MR) {
      const float *from = a + (turned ? r : r * lda);
      rowsOf<vectors, turned>(rows - r < MR ? rows - r : MR, depth, from, lda, b, ldb, c + r * ldc, ldc, add);
    }
  }
}

/** A matrix whose rows are `ld` apart within panels of NR columns, which are `panel` apart. */
struct Panels {
  const float *at;
  int64_t ld, panel;
};

/** C [rows, columns] = or += A B, for columns in whole vectors. */
template <bool turned>
void product(int64_t rows, int64_t columns, int64_t depth, const float *a, int64_t lda, Panels b, float *c, int64_t ldc, bool add) {
  for (int64_t n = 0; n < columns; n += NR) {
    const int64_t count = columns - n < NR ? (columns - n + W - 1) / W : NV;
    panel<turned>(count, rows, depth, a, lda, b.at + n / NR * b.panel, b.ld, c + n, ldc, add);
  }
}

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

/** Scales and masks scores of queries from `query` on and keys from `key` on; columns behind the last key are minus infinity. */
void mask(const Shared &s, const Matrix *m, int64_t query, int64_t rows, int64_t key, int64_t columns, float *scores, int64_t ld) {
  const float none = -__builtin_inff();
  const int64_t padded = (columns + W - 1) / W * W;
  for (int64_t r = 0; r < rows; r++) {
    float *row = scores + r * ld;
    for (int64_t c = 0; c < padded; c += W) store(row + c, load(row + c) * s.scale);
    if (m) {
      const uint8_t *from = m->at + ((query + r) * m->row + key * m->column) * sizeOf(m->type);
      const int64_t step = m->column;
      int64_t c = 0;
      switch (m->type) {
      case Type::boolean:
        if (step == 1)
          for (; c + W <= columns; c += W) {
            const Ints allowed = __builtin_convertvector(*reinterpret_cast<const Bytes *>(from + c), Ints) != 0;
            store(row + c, choose(allowed, load(row + c), all(none)));
          }
        for (; c < columns; c++)
          if (!from[c * step]) row[c] = none;
        break;
      case Type::f32:
        if (step == 1)
          for (; c + W <= columns; c += W) store(row + c, load(row + c) + load(reinterpret_cast<const float *>(from) + c));
        for (; c < columns; c++) row[c] += reinterpret_cast<const float *>(from)[c * step];
        break;
      case Type::bf16:
        for (; c < columns; c++) {
          const uint32_t bits = uint32_t(reinterpret_cast<const uint16_t *>(from)[c * step]) << 16;
          float value;
          __builtin_memcpy(&value, &bits, 4);
          row[c] += value;
        }
      }
    }
    int64_t c = columns;
    if (s.causal && query + r - key + 1 < c) c = query + r - key + 1 < 0 ? 0 : query + r - key + 1;
    for (; c < padded; c++) row[c] = none;
  }
}

COTANGENT_INLINE float largest(Floats x) {
  float most = x[0];
  for (int64_t i = 1; i < W; i++) most = x[i] > most ? x[i] : most;
  return most;
}

COTANGENT_INLINE float total(Floats x) {
  float sum = 0;
  for (int64_t i = 0; i < W; i++) sum += x[i];
  return sum;
}

void writeRow(const Matrix &to, int64_t row, const float *from, int64_t columns, float factor) {
  uint8_t *target = to.at + row * to.row * sizeOf(to.type);
  if (to.type == Type::f32) {
    auto *out = reinterpret_cast<float *>(target);
    int64_t c = 0;
    for (; c + W <= columns; c += W) store(out + c, load(from + c) * factor);
    for (; c < columns; c++) out[c] = from[c] * factor;
    return;
  }
  auto *out = reinterpret_cast<uint16_t *>(target);
  int64_t c = 0;
  for (; c + W <= columns; c += W) {
    const Floats value = load(from + c) * factor;
    const Bits bits = Bits(value);
    const Bits rounded = (value != value) ? (bits >> 16 | 0x40) : ((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    *reinterpret_cast<Halves *>(out + c) = __builtin_convertvector(rounded, Halves);
  }
  for (; c < columns; c++) {
    const float value = from[c] * factor;
    uint32_t bits;
    __builtin_memcpy(&bits, &value, 4);
    out[c] = value != value ? uint16_t(bits >> 16 | 0x40) : uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}

/** Rows as they are packed: in whole vectors. */
constexpr int64_t padded(int64_t n, int64_t to = W) { return (n + to - 1) / to * to; }

/** Takes pieces of a thread's scratch memory, or only counts them. */
struct Pieces {
  float *at;
  int64_t used = 0;
  float *take(int64_t count) {
    float *piece = at ? at + used : nullptr;
    used += padded(count, 16);
    return piece;
  }
};

struct ForwardScratch {
  float *rows, *keys, *values, *queries, *scores, *results, *most, *sums;
  int64_t floats;
  ForwardScratch(const Shared &s, float *at) {
    Pieces p{at};
    const int64_t d = padded(s.size), w = padded(s.width);
    rows = p.take(NR * d);
    keys = p.take(padded(s.keys, NR) * s.size);
    values = p.take(s.keys * w);
    queries = p.take(s.queryTile * d);
    scores = p.take(s.queryTile * s.keyTile);
    results = p.take(s.queryTile * w);
    most = p.take(s.queryTile);
    sums = p.take(s.queryTile);
    floats = p.used;
  }
};

/** The transpose of a matrix, in panels, by way of some of its rows at a time. */
void packTurnedMatrix(const Matrix &from, int64_t count, int64_t columns, float *room, float *to) {
  for (int64_t r = 0; r < count; r += NR) {
    const int64_t rows = count - r < NR ? count - r : NR;
    packTurned(packedRows(from, r, rows, columns, room), rows, columns, padded(columns), to + r * columns);
  }
}

void forward(const Shared &s, const Head &h, int64_t part, float *scratch, PackedHead &packed) {
  const ForwardScratch f(s, scratch);
  const int64_t d = padded(s.size), w = padded(s.width);
  if (packed.k != h.k.at || packed.v != h.v.at) {
    packTurnedMatrix(h.k, s.keys, s.size, f.rows, f.keys);
    packed = {h.k.at, h.v.at, packedRows(h.v, 0, s.keys, s.width, f.values)};
  }
  const float none = -__builtin_inff();
  const bool guarded = s.causal || h.hasMask;
  for (int64_t query = part * s.queryTile; query < s.queries; query += s.parts * s.queryTile) {
    const int64_t rows = s.queries - query < s.queryTile ? s.queries - query : s.queryTile;
    const float *queries = packedRows(h.q, query, rows, s.size, f.queries);
    for (int64_t r = 0; r < rows; r++) f.most[r] = none, f.sums[r] = 0;
    const int64_t keys = s.causal && query + rows < s.keys ? query + rows : s.keys;
    for (int64_t key = 0; key < keys; key += s.keyTile) {
      const int64_t columns = keys - key < s.keyTile ? keys - key : s.keyTile, wide = padded(columns);
      product<false>(rows, wide, s.size, queries, d, {f.keys + key * s.size, NR, s.size * NR}, f.scores, s.keyTile, false);
      const bool masked = h.hasMask || wide != columns || (s.causal && query < key + columns - 1);
      if (masked) mask(s, h.hasMask ? &h.mask : nullptr, query, rows, key, columns, f.scores, s.keyTile);
      const Floats factor = all(masked ? 1 : s.scale);
      for (int64_t r = 0; r < rows; r++) {
        float *row = f.scores + r * s.keyTile;
        Floats top = all(none);
        for (int64_t c = 0; c < wide; c += W) {
          const Floats x = load(row + c) * factor;
          top = choose(x > top, x, top);
        }
        const float before = f.most[r], found = largest(top), most = found > before ? found : before;
        // Where there is nothing but minus infinity so far, each weight is 0.
        const Floats offset = all(most == none ? 0 : -most);
        Floats sum{};
        for (int64_t c = 0; c < wide; c += W) {
          const Floats e = exp(fma(load(row + c), factor, offset));
          store(row + c, e);
          sum += e;
        }
        if (most > before && before > none) {
          const Floats less = exp(all(before - most));
          f.sums[r] *= less[0];
          for (int64_t c = 0; c < w; c += W) store(f.results + r * w + c, load(f.results + r * w + c) * less);
        }
        f.most[r] = most;
        f.sums[r] += total(sum);
      }
      product<false>(rows, w, columns, f.scores, s.keyTile, {packed.values + key * w, w, NR}, f.results, w, key > 0);
    }
    for (int64_t r = 0; r < rows; r++) {
      const bool empty = guarded && f.sums[r] == 0;
      if (empty) __builtin_memset(f.results + r * w, 0, size_t(w) * 4);
      writeRow(h.result, query + r, f.results + r * w, s.width, empty ? 0 : 1 / f.sums[r]);
      reinterpret_cast<float *>(h.logSums.at)[query + r] = empty ? -none : f.most[r] + __builtin_logf(f.sums[r]);
    }
  }
}

struct BackwardScratch {
  float *rows, *keys, *values, *keyRows, *queries, *gradients, *correction, *queryGradients, *weights, *slopes, *keyGradients, *valueGradients;
  int64_t floats;
  BackwardScratch(const Shared &s, float *at) {
    Pieces p{at};
    const int64_t d = padded(s.size), w = padded(s.width);
    rows = p.take(NR * w);
    keys = p.take(padded(s.keys, NR) * s.size);
    values = p.take(padded(s.keys, NR) * s.width);
    keyRows = p.take(s.keys * d);
    queries = p.take(s.queries * d);
    gradients = p.take(s.queries * w);
    correction = p.take(s.queries);
    queryGradients = p.take(s.queries * d);
    weights = p.take(s.queryTile * s.keyTile);
    slopes = p.take(s.queryTile * s.keyTile);
    keyGradients = p.take(s.keyTile * d);
    valueGradients = p.take(s.keyTile * w);
    floats = p.used;
  }
};

void backward(const Shared &s, const Head &h, int64_t part, float *scratch, float *partial) {
  const BackwardScratch f(s, scratch);
  const int64_t d = padded(s.size), w = padded(s.width);
  const float *keyRows = packedRows(h.k, 0, s.keys, s.size, f.keyRows);
  packTurned(keyRows, s.keys, s.size, d, f.keys);
  packTurnedMatrix(h.v, s.keys, s.width, f.rows, f.values);
  const float *queries = packedRows(h.q, 0, s.queries, s.size, f.queries);
  const float *gradients = packedRows(h.gradient, 0, s.queries, s.width, f.gradients);
  // What the gradients of all weights in a row have in common: their weighted mean.
  for (int64_t query = 0; query < s.queries; query++) {
    const float *result = packedRows(h.result, query, 1, s.width, f.rows);
    Floats sum{};
    for (int64_t c = 0; c < w; c += W) sum = fma(load(result + c), load(gradients + query * w + c), sum);
    f.correction[query] = total(sum);
  }
  float *queryGradients = partial ? partial : f.queryGradients;
  const int64_t firstKey = part * s.keyTile;
  if (partial || s.causal) __builtin_memset(queryGradients, 0, size_t(s.queries * d) * 4);
  const auto *logSums = reinterpret_cast<const float *>(h.logSums.at);
  for (int64_t key = firstKey; key < s.keys; key += s.parts * s.keyTile) {
    const int64_t columns = s.keys - key < s.keyTile ? s.keys - key : s.keyTile, wide = padded(columns);
    // Queries before the first of these keys do not see them.
    const int64_t firstQuery = s.causal ? key / s.queryTile * s.queryTile : 0;
    if (firstQuery >= s.queries) {
      __builtin_memset(f.keyGradients, 0, size_t(columns * d) * 4);
      __builtin_memset(f.valueGradients, 0, size_t(columns * w) * 4);
    }
    for (int64_t query = firstQuery; query < s.queries; query += s.queryTile) {
      const int64_t rows = s.queries - query < s.queryTile ? s.queries - query : s.queryTile;
      const float *q = queries + query * d, *g = gradients + query * w;
      product<false>(rows, wide, s.size, q, d, {f.keys + key * s.size, NR, s.size * NR}, f.weights, s.keyTile, false);
      const bool masked = h.hasMask || wide != columns || (s.causal && query < key + columns - 1);
      if (masked) mask(s, h.hasMask ? &h.mask : nullptr, query, rows, key, columns, f.weights, s.keyTile);
      product<false>(rows, wide, s.width, g, w, {f.values + key * s.width, NR, s.width * NR}, f.slopes, s.keyTile, false);
      const Floats factor = all(masked ? 1 : s.scale);
      for (int64_t r = 0; r < rows; r++) {
        const Floats offset = all(-logSums[query + r]), common = all(f.correction[query + r]);
        float *weights = f.weights + r * s.keyTile, *slopes = f.slopes + r * s.keyTile;
        for (int64_t c = 0; c < wide; c += W) {
          const Floats p = exp(fma(load(weights + c), factor, offset));
          store(weights + c, p);
          store(slopes + c, p * (load(slopes + c) - common));
        }
      }
      const bool isFurther = query > firstQuery;
      product<true>(columns, w, rows, f.weights, s.keyTile, {g, w, NR}, f.valueGradients, w, isFurther);
      product<true>(columns, d, rows, f.slopes, s.keyTile, {q, d, NR}, f.keyGradients, d, isFurther);
      const bool adds = partial || s.causal || key > firstKey;
      product<false>(rows, d, columns, f.slopes, s.keyTile, {keyRows + key * d, d, NR}, queryGradients + query * d, d, adds);
    }
    for (int64_t r = 0; r < columns; r++) {
      writeRow(h.keyGradient, key + r, f.keyGradients + r * d, s.size, s.scale);
      writeRow(h.valueGradient, key + r, f.valueGradients + r * w, s.width, 1);
    }
  }
  if (partial) return;
  for (int64_t query = 0; query < s.queries; query++) writeRow(h.queryGradient, query, queryGradients + query * d, s.size, s.scale);
}

/** Adds up what the parts of a head have found of the gradient of its queries, `stride` apart. */
void gather(const Shared &s, const Head &h, float *partials, int64_t stride) {
  const int64_t d = padded(s.size);
  for (int64_t query = 0; query < s.queries; query++) {
    float *row = partials + query * d;
    for (int64_t part = 1; part < s.parts; part++)
      for (int64_t c = 0; c < d; c += W) store(row + c, load(row + c) + load(row + part * stride + c));
    writeRow(h.queryGradient, query, row, s.size, s.scale);
  }
}

int64_t forwardFloats(const Shared &s) { return ForwardScratch(s, nullptr).floats; }
int64_t backwardFloats(const Shared &s) { return BackwardScratch(s, nullptr).floats; }
int64_t partialFloats(const Shared &s) { return padded(s.queries * padded(s.size), 16); }

const AttentionCode code = {forward, backward, gather, forwardFloats, backwardFloats, partialFloats, NR};
