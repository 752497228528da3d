// The tiles of attention for one instruction set; see each-instruction-set.h.

#include "attention-products.h"

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

template <typename N> struct ForwardScratch {
  float *rows, *keys, *values, *queries, *scores, *results, *most, *sums;
  int64_t floats;
  ForwardScratch(const Shared &s, float *at) {
    Pieces p{at};
    const int64_t w = padded(s.width);
    rows = p.take(NR * N::step(s.size));
    keys = p.take(padded(s.keys, NR) * N::words(s.size));
    values = p.take(N::words(s.keys) * w);
    queries = p.take(s.queryTile * N::step(s.size));
    scores = p.take(s.queryTile * s.keyTile);
    results = p.take(s.queryTile * w);
    most = p.take(s.queryTile);
    sums = p.take(s.queryTile);
    floats = p.used;
  }
};

template <typename N> void forward(const Shared &s, const Head &h, int64_t part, float *scratch, PackedHead &packed) {
  const ForwardScratch<N> f(s, scratch);
  const int64_t depth = N::words(s.size), d = N::step(s.size), w = padded(s.width);
  if (packed.k != h.k.at || packed.v != h.v.at) {
    packTurnedMatrix<N>(h.k, s.keys, s.size, f.rows, f.keys);
    packed = {h.k.at, h.v.at, N::deep(h.v, s.keys, s.width, nullptr, f.values)};
  }
  const float none = -__builtin_inff();
  const bool guarded = s.causal || h.hasMask;
  for (int64_t query = part * s.queryTile; query < s.queries; query += s.parts * s.queryTile) {
    const int64_t rows = s.queries - query < s.queryTile ? s.queries - query : s.queryTile;
    const float *queries = N::rows(h.q, query, rows, s.size, f.queries);
    for (int64_t r = 0; r < rows; r++) f.most[r] = none, f.sums[r] = 0;
    const int64_t keys = s.causal && query + rows < s.keys ? query + rows : s.keys;
    for (int64_t key = 0; key < keys; key += s.keyTile) {
      const int64_t columns = keys - key < s.keyTile ? keys - key : s.keyTile, wide = padded(columns);
      product<N, false>(rows, wide, depth, queries, d, {f.keys + key * depth, NR, depth * NR}, f.scores, s.keyTile, false);
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
      N::acrossTile(f.scores, rows, wide, s.keyTile);
      product<N, false>(rows, w, N::words(columns), f.scores, s.keyTile, {packed.values + N::words(key) * w, w, NR}, f.results, w, key > 0);
    }
    for (int64_t r = 0; r < rows; r++) {
      const bool empty = guarded && f.sums[r] == 0;
      if (empty) __builtin_memset(f.results + r * w, 0, size_t(w) * 4);
      writeRow(h.result, query + r, f.results + r * w, s.width, empty ? 0 : 1 / f.sums[r]);
      reinterpret_cast<float *>(h.logSums.at)[query + r] = empty ? -none : f.most[r] + __builtin_logf(f.sums[r]);
    }
  }
}

template <typename N> struct BackwardScratch {
  float *rows, *keys, *values, *keyRows, *deepKeys, *queries, *deepQueries, *gradients, *deepGradients, *correction, *queryGradients, *weights, *slopes, *turned, *keyGradients, *valueGradients;
  int64_t floats;
  BackwardScratch(const Shared &s, float *at) {
    Pieces p{at};
    const int64_t d = padded(s.size), w = padded(s.width);
    rows = p.take(NR * w);
    keys = p.take(padded(s.keys, NR) * N::words(s.size));
    values = p.take(padded(s.keys, NR) * N::words(s.width));
    keyRows = p.take(s.keys * N::step(s.size));
    queries = p.take(s.queries * N::step(s.size));
    gradients = p.take(s.queries * N::step(s.width));
    // Where they are others than the rows.
    const auto deep = [&](int64_t count, int64_t columns) { return N::packsDeep ? p.take(N::words(count) * padded(columns)) : nullptr; };
    deepKeys = deep(s.keys, s.size);
    deepQueries = deep(s.queries, s.size);
    deepGradients = deep(s.queries, s.width);
    turned = deep(s.queryTile, s.keyTile);
    correction = p.take(s.queries);
    queryGradients = p.take(s.queries * d);
    weights = p.take(s.queryTile * s.keyTile);
    slopes = p.take(s.queryTile * s.keyTile);
    keyGradients = p.take(s.keyTile * d);
    valueGradients = p.take(s.keyTile * w);
    floats = p.used;
  }
};

template <typename N> void backward(const Shared &s, const Head &h, int64_t part, float *scratch, float *partial) {
  const BackwardScratch<N> f(s, scratch);
  const int64_t d = padded(s.size), w = padded(s.width), size = N::words(s.size), width = N::words(s.width);
  const float *keyRows = N::rows(h.k, 0, s.keys, s.size, f.keyRows);
  packTurned(keyRows, s.keys, size, N::step(s.size), f.keys);
  packTurnedMatrix<N>(h.v, s.keys, s.width, f.rows, f.values);
  const float *queries = N::rows(h.q, 0, s.queries, s.size, f.queries);
  const float *gradients = N::rows(h.gradient, 0, s.queries, s.width, f.gradients);
  const float *deepKeys = N::deep(h.k, s.keys, s.size, keyRows, f.deepKeys);
  const float *deepQueries = N::deep(h.q, s.queries, s.size, queries, f.deepQueries);
  const float *deepGradients = N::deep(h.gradient, s.queries, s.width, gradients, f.deepGradients);
  // What the gradients of all weights in a row have in common: their weighted mean.
  for (int64_t query = 0; query < s.queries; query++) {
    const float *result = packedRows(h.result, query, 1, s.width, f.rows), *gradient = packedRows(h.gradient, query, 1, s.width, f.rows + w);
    Floats sum{};
    for (int64_t c = 0; c < w; c += W) sum = fma(load(result + c), load(gradient + c), sum);
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
      const float *q = queries + query * N::step(s.size), *g = gradients + query * N::step(s.width);
      product<N, false>(rows, wide, size, q, N::step(s.size), {f.keys + key * size, NR, size * NR}, f.weights, s.keyTile, false);
      const bool masked = h.hasMask || wide != columns || (s.causal && query < key + columns - 1);
      if (masked) mask(s, h.hasMask ? &h.mask : nullptr, query, rows, key, columns, f.weights, s.keyTile);
      product<N, false>(rows, wide, width, g, N::step(s.width), {f.values + key * width, NR, width * NR}, f.slopes, s.keyTile, false);
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
      const int64_t deepRows = N::words(rows);
      const float *weights = N::downTile(f.weights, rows, wide, s.keyTile, f.turned);
      product<N, true>(columns, w, deepRows, weights, s.keyTile, {deepGradients + N::words(query) * w, w, NR}, f.valueGradients, w, isFurther);
      const float *slopes = N::downTile(f.slopes, rows, wide, s.keyTile, f.turned);
      product<N, true>(columns, d, deepRows, slopes, s.keyTile, {deepQueries + N::words(query) * d, d, NR}, f.keyGradients, d, isFurther);
      const bool adds = partial || s.causal || key > firstKey;
      N::acrossTile(f.slopes, rows, wide, s.keyTile);
      product<N, false>(rows, d, N::words(columns), f.slopes, s.keyTile, {deepKeys + N::words(key) * d, d, NR}, queryGradients + query * d, d, adds);
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

template <typename N> int64_t forwardFloats(const Shared &s) { return ForwardScratch<N>(s, nullptr).floats; }
template <typename N> int64_t backwardFloats(const Shared &s) { return BackwardScratch<N>(s, nullptr).floats; }
int64_t partialFloats(const Shared &s) { return padded(s.queries * padded(s.size), 16); }

template <typename N> constexpr AttentionCode codeOf(const AttentionCode *bfloat16) {
  return {forward<N>, backward<N>, gather, forwardFloats<N>, backwardFloats<N>, partialFloats, NR, bfloat16};
}

#if COTANGENT_LANES == 16
const AttentionCode pairs = codeOf<Pairs>(nullptr);
const AttentionCode code = codeOf<Singles>(&pairs);
#else
const AttentionCode code = codeOf<Singles>(nullptr);
#endif
