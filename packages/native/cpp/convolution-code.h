// Convolutions for one instruction set; see each-instruction-set.h.
//
// A tile is some pixels of the result times some vectors of channels, with all sums in registers. Where the input of each pixel lies is looked up in a
// table of addresses, one a tap, which for taps beyond the edge is that of zeros: no patches in memory (Dukhan, "The Indirect Convolution Algorithm",
// arXiv:1907.02129). Weights lie in panels, as wide as a tile, so they are read in order.

#include "result-code.h"

constexpr int64_t NV = COTANGENT_VECTORS;

/** Pixels of a tile, by the number of its vectors: as many sums as registers hold, and enough to hide how long an addition takes. */
constexpr int64_t rowsFor(int64_t vectors) {
  if (COTANGENT_LANES == 8) return vectors == 1 ? 8 : 6;
  return vectors == 1 ? 10 : vectors == 4 ? 6 : 8;
}
/** The most of them. */
constexpr int64_t MR = 10;

/** Rows of the weights, `step` apart, and what will be read next: a line of that is fetched for each of them. */
struct Rows {
  const float *at;
  int64_t step;
  const float *ahead;
  int64_t aheadStep;
};

/** Where a tile goes: its first channel of `columns`, and its first element in the result, whose pixels are `step` apart. */
struct Place {
  int64_t columns, column, offset, step;
  const Operands *operands;
};

/** sums [rows, vectors * W] = or += the rows of `run` numbers that `table` points to times rows [from, to) of the weights; with a place they are done and go there. */
template <int64_t rows, int64_t vectors>
void multiply(const float *const *table, int64_t run, int64_t from, int64_t to, const Rows &weights, float *out, bool add, const Place *place) {
  Floats sums[rows][vectors];
  COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++)
    COTANGENT_UNROLL for (int64_t v = 0; v < vectors; v++) sums[r][v] = add ? load(out + (r * vectors + v) * W) : Floats{};
  const int64_t step = weights.step, aheadStep = weights.aheadStep;
  const float *b = weights.at + from * step, *ahead = weights.ahead;
  table += from / run * MR;
  int64_t start = from % run;
  for (int64_t k = from; k < to; table += MR, start = 0) {
    const int64_t count = run - start < to - k ? run - start : to - k;
    const float *a[rows];
    COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++) a[r] = table[r] + start;
    for (int64_t i = 0; i < count; i++, b += step, ahead += aheadStep) {
      __builtin_prefetch(ahead, 0, 2);
      Floats row[vectors];
      COTANGENT_UNROLL for (int64_t v = 0; v < vectors; v++) row[v] = load(b + v * W);
      COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++) {
        const Floats x = all(a[r][i]);
        COTANGENT_UNROLL for (int64_t v = 0; v < vectors; v++) sums[r][v] = fma(x, row[v], sums[r][v]);
      }
    }
    k += count;
  }
  if (place) return conclude(sums, place->columns - (vectors - 1) * W, place->column, place->offset, place->step, *place->operands);
  COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++)
    COTANGENT_UNROLL for (int64_t v = 0; v < vectors; v++) store(out + (r * vectors + v) * W, sums[r][v]);
}

using Multiply = void (*)(const float *const *, int64_t, int64_t, int64_t, const Rows &, float *, bool, const Place *);

template <int64_t vectors, int64_t rows> Multiply multiplyOf(int64_t count) {
  if constexpr (rows == 0) return nullptr;
  else return count == rows ? multiply<rows, vectors> : multiplyOf<vectors, rows - 1>(count);
}

template <int64_t vectors = NV> Multiply multiplyFor(int64_t count, int64_t rows) {
  if constexpr (vectors == 0) return nullptr;
  else return count == vectors ? multiplyOf<vectors, rowsFor(vectors)>(rows) : multiplyFor<vectors - 1>(count, rows);
}

/** Of a thread's own cache. */
constexpr int64_t kInnerBytes = 384 << 10;
constexpr int64_t kLeastChunk = 64;
constexpr int64_t kPackedPixels = 256;
/** Units a thread at least, so that one that comes late gets fewer. */
constexpr int64_t kUnits = 3;
/** Numbers of a run up to which taps are joined: of few channels, whose loops would be short. */
constexpr int64_t kJoined = 64;
/** Of a depthwise tile: its pixels, and rows of its windows. */
constexpr int64_t kTile = 8, kLines = 25;

int64_t ceilOf(int64_t n, int64_t by) { return (n + by - 1) / by; }
/** Where part `i` of `parts` begins, as even as can be. */
int64_t partOf(int64_t n, int64_t i, int64_t parts) { return n / parts * i + (n % parts < i ? n % parts : i); }

/** How finely pixels and panels have to be cut for the caches, and what is the most. */
struct Cuts {
  int64_t chunks, groups, mostChunks;
};

/** Cuts pixels and panels into units that keep all threads busy, at the least cost of starting units and finding pixels' input again for each group. */
void divide(Plan &q, int threads, const Cuts &least) {
  // In multiply-adds of one vector: of finding a pixel's input for each run, of a unit.
  constexpr int64_t kFind = 24, kStart = 1000;
  const int64_t wanted = threads == 1 ? 1 : threads * kUnits;
  int64_t best = 0;
  for (int64_t groups = least.groups; groups <= q.panels; groups++) {
    int64_t chunks = ceilOf(wanted, groups);
    if (chunks < least.chunks) chunks = least.chunks;
    if (chunks > least.mostChunks) chunks = least.mostChunks;
    for (int64_t more = 0; more < threads && chunks + more <= least.mostChunks; more++) {
      const int64_t units = (chunks + more) * groups, pixels = ceilOf(q.pixels, chunks + more);
      const int64_t unit = pixels * (kFind * q.runs + q.depth * ceilOf(q.panels, groups) * ceilOf(q.vectors, q.panels)) + kStart;
      const int64_t time = unit * ceilOf(units, threads);
      if (best != 0 && time >= best) continue;
      best = time, q.chunks = chunks + more, q.groups = groups;
    }
  }
}

Plan plan(const Problem &p, int threads) {
  Plan q{};
  q.pixels = p.batch * p.out[0] * p.out[1] * p.out[2];
  q.taps = p.kernel[0] * p.kernel[1] * p.kernel[2];
  q.vectors = ceilOf(p.channelsOut, W);
  // Without panels of their own, weights are as fast where few tiles read them.
  q.inPlace = p.depthwise || (q.pixels < kPackedPixels && p.channelsOut % W == 0);
  if (p.depthwise) {
    q.units = p.batch * p.out[0] * p.out[1];
    q.scratchFloats = kTile * W + p.channelsOut;
    return q;
  }
  const bool joins = p.dilation[2] == 1 && p.step[3] == p.channelsIn && p.channelsIn * p.kernel[2] <= kJoined;
  q.joined = joins ? p.kernel[2] : 1;
  q.runs = q.taps / q.joined;
  q.depth = q.taps * p.channelsIn;
  q.packedFloats = q.depth * q.vectors * W;
  q.panels = ceilOf(q.vectors, NV);
  const int64_t width = (q.vectors < NV ? q.vectors : NV) * W, rows = rowsFor(width / W);
  const int64_t blocks = ceilOf(q.depth * width * 4, kInnerBytes);
  q.block = ceilOf(q.depth, blocks);
  // Weights of a group stay in the inner caches, and the input of a chunk besides.
  int64_t group = blocks > 1 ? 1 : kInnerBytes / (q.depth * width * 4);
  if (group > q.panels) group = q.panels;
  int64_t chunk = (kInnerBytes / 2) / (p.channelsIn * (q.taps > 1 ? 3 : 1) * 4);
  if (chunk < kLeastChunk) chunk = kLeastChunk;
  divide(q, threads, {ceilOf(q.pixels, chunk), ceilOf(q.panels, group), ceilOf(q.pixels, rows)});
  q.chunk = ceilOf(q.pixels, q.chunks);
  q.units = q.chunks * q.groups;
  // Zeros, the table, lines, copied runs, sums: of a tile, or of all pixels where there is more than one block.
  const int64_t run = ceilOf(q.joined * p.channelsIn, W) * W;
  q.scratchFloats = run + q.runs * (MR + 1) * 2 + (q.joined > 1 ? MR * q.runs * run : 0) + (blocks > 1 ? q.chunk + MR : MR) * width;
  return q;
}

void pack(const Problem &p, const Plan &q, const float *weights, int64_t panel, float *to) {
  const int64_t first = partOf(q.vectors, panel, q.panels), vectors = partOf(q.vectors, panel + 1, q.panels) - first;
  to += q.depth * first * W;
  for (int64_t k = 0; k < q.depth; k++)
    for (int64_t v = 0; v < vectors; v++, to += W) {
      const int64_t column = (first + v) * W;
      store(to, loadSome(weights + k * p.channelsOut + column, p.channelsOut - column));
    }
}

/** An output pixel: which picture, and where in it. */
struct Pixel {
  int64_t picture, at[3];
};

Pixel pixelAt(const Problem &p, int64_t index) {
  Pixel pixel;
  for (int axis = 2; axis >= 0; axis--) {
    pixel.at[axis] = index % p.out[axis];
    index /= p.out[axis];
  }
  pixel.picture = index;
  return pixel;
}

/** Which pixels of a row of the result have windows that lie within the row of the input: [first, last). */
struct Inside {
  int64_t first, last;
};

Inside insideOf(const Problem &p) {
  const int64_t reach = p.in[2] - (p.kernel[2] - 1) * p.dilation[2] + p.before[2], out = p.out[2];
  const int64_t first = ceilOf(p.before[2], p.stride[2]), last = reach > 0 ? ceilOf(reach, p.stride[2]) : 0;
  return {first < out ? first : out, last < out ? last : out};
}

/** Walks over pixels of the result and points to where their input lies, a row of the result at a time. */
class Walk {
public:
  /** `lines`: room for where the rows lie that a window sees. */
  Walk(const Problem &p, const Plan &q, const float *x, const float *zeros, const float **lines)
      : p(p), q(q), x(x), zeros(zeros), lines(lines), lineCount(p.kernel[0] * p.kernel[1]), runsOfLine(p.kernel[2] / q.joined),
        inside(insideOf(p)) {}

  void start(int64_t index) {
    pixel = pixelAt(p, index);
    findLines();
  }

  /** The runs of the next `rows` pixels. `copies`: room for joined taps of which some are beyond the edge. */
  COTANGENT_INLINE void point(int64_t rows, const float **table, float *copies) {
    for (int64_t r = 0; r < rows;) {
      const int64_t c = pixel.at[2];
      int64_t count = 1;
      if (c >= inside.first && c < inside.last) {
        count = inside.last - c < rows - r ? inside.last - c : rows - r;
        pointInside(count, table + r);
      } else pointAtEdge(table + r, copies + r * q.runs * q.joined * p.channelsIn);
      r += count;
      pixel.at[2] += count;
      if (pixel.at[2] == p.out[2]) nextRow();
    }
  }

private:
  /** Where the rows lie that a window of this row sees; null for those beyond the edge. */
  void findLines() {
    const float **line = lines;
    for (int64_t d = 0; d < p.kernel[0]; d++) {
      const int64_t z = pixel.at[0] * p.stride[0] - p.before[0] + d * p.dilation[0];
      for (int64_t h = 0; h < p.kernel[1]; h++) {
        const int64_t y = pixel.at[1] * p.stride[1] - p.before[1] + h * p.dilation[1];
        const bool seen = z >= 0 && z < p.in[0] && y >= 0 && y < p.in[1];
        *line++ = seen ? x + pixel.picture * p.step[0] + z * p.step[1] + y * p.step[2] : nullptr;
      }
    }
  }

  void nextRow() {
    pixel.at[2] = 0;
    if (++pixel.at[1] == p.out[1]) {
      pixel.at[1] = 0;
      if (++pixel.at[0] == p.out[0]) {
        pixel.at[0] = 0;
        // There is nothing behind the last one.
        if (++pixel.picture == p.batch) return;
      }
    }
    findLines();
  }

  COTANGENT_INLINE void pointInside(int64_t count, const float **table) {
    const int64_t first = (pixel.at[2] * p.stride[2] - p.before[2]) * p.step[3], tapStep = p.dilation[2] * p.step[3];
    for (int64_t i = 0; i < lineCount; i++) {
      const bool seen = lines[i] != nullptr;
      const float *window = seen ? lines[i] + first : zeros;
      const int64_t step = seen ? p.stride[2] * p.step[3] : 0, next = seen ? tapStep : 0;
      for (int64_t run = 0; run < runsOfLine; run++, table += MR, window += next)
        for (int64_t r = 0; r < count; r++) table[r] = window + r * step;
    }
  }

  COTANGENT_INLINE void pointAtEdge(const float **table, float *copies) {
    const int64_t first = pixel.at[2] * p.stride[2] - p.before[2], channels = p.channelsIn;
    const auto within = [&](int64_t c) { return c >= 0 && c < p.in[2]; };
    for (int64_t i = 0; i < lineCount; i++) {
      const float *line = lines[i];
      if (q.joined > 1) {
        *table = line ? copies : zeros;
        table += MR;
        for (int64_t w = 0; line && w < q.joined; w++)
          for (int64_t k = 0; k < channels; k++) *copies++ = within(first + w) ? line[(first + w) * channels + k] : 0;
        continue;
      }
      for (int64_t w = 0; w < p.kernel[2]; w++, table += MR) {
        const int64_t c = first + w * p.dilation[2];
        *table = line && within(c) ? line + c * p.step[3] : zeros;
      }
    }
  }

  const Problem &p;
  const Plan &q;
  const float *x, *zeros, **lines;
  int64_t lineCount, runsOfLine;
  Inside inside;
  Pixel pixel{};
};

void product(const Problem &p, const Plan &q, const Operands &o, int64_t unit, float *scratch) {
  const int64_t part = unit / q.groups, group = unit % q.groups;
  const int64_t firstPanel = partOf(q.panels, group, q.groups), lastPanel = partOf(q.panels, group + 1, q.groups);
  const int64_t first = partOf(q.pixels, part, q.chunks), count = partOf(q.pixels, part + 1, q.chunks) - first;
  const int64_t run = q.joined * p.channelsIn, runFloats = ceilOf(run, W) * W;
  float *zeros = scratch;
  auto **table = reinterpret_cast<const float **>(zeros + runFloats), **lines = table + q.runs * MR;
  float *copies = reinterpret_cast<float *>(lines + q.runs);
  float *sums = copies + (q.joined > 1 ? MR * q.runs * runFloats : 0);
  for (int64_t i = 0; i < run; i++) zeros[i] = 0;
  Walk walk(p, q, o.x, zeros, lines);
  // Weights that this thread will probably read next come while it multiplies.
  const auto panelAt = [&](int64_t panel) { return o.packed + q.depth * partOf(q.vectors, panel, q.panels) * W; };
  const int64_t nextGroup = unit + 1 < q.units ? (unit + 1) % q.groups : group;
  const float *ahead = o.packed, *behind = o.packed;
  if (o.packed && nextGroup != group) {
    ahead = panelAt(partOf(q.panels, nextGroup, q.groups));
    behind = panelAt(partOf(q.panels, nextGroup + 1, q.groups));
  }
  const int64_t most = rowsFor(partOf(q.vectors, 1, q.panels)), tiles = ceilOf(count, most);
  for (int64_t from = 0; from < q.depth; from += q.block) {
    const int64_t to = from + q.block < q.depth ? from + q.block : q.depth;
    walk.start(first);
    for (int64_t tile = 0; tile < tiles; tile++) {
      const int64_t start = partOf(count, tile, tiles), rows = partOf(count, tile + 1, tiles) - start;
      walk.point(rows, table, copies);
      for (int64_t panel = firstPanel; panel < lastPanel; panel++) {
        const int64_t vector = partOf(q.vectors, panel, q.panels), vectors = partOf(q.vectors, panel + 1, q.panels) - vector;
        const int64_t column = vector * W, width = vectors * W;
        const int64_t columns = p.channelsOut - column < width ? p.channelsOut - column : width;
        float *own = q.block < q.depth ? sums + start * width : sums;
        const bool fetches = behind - ahead >= (to - from) * W;
        const int64_t aheadStep = fetches ? W : 0;
        const Rows weights = o.packed ? Rows{o.packed + q.depth * column, width, ahead, aheadStep} : Rows{o.weights + column, p.channelsOut, o.weights, 0};
        const Place place{columns, column, (first + start) * p.channelsOut + column, p.channelsOut, &o};
        const bool done = to == q.depth && o.usual;
        multiplyFor(vectors, rows)(table, run, from, to, weights, own, from > 0, done ? &place : nullptr);
        ahead += aheadStep * (to - from);
        if (to == q.depth && !done) finishRows<MR>(rows, own, width, columns, column, place.offset, place.step, o);
      }
    }
  }
}

#include "depthwise-code.h"

void unit(const Problem &p, const Plan &q, const Operands &o, int64_t unit, float *scratch) {
  if (p.depthwise) depthwise(p, o, unit, scratch);
  else product(p, q, o, unit, scratch);
}

const Code code = {plan, pack, unit};
