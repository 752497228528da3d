// Convolutions of each channel by itself, within convolution-code.h.
//
// A tile is some pixels of a row times one vector of channels. Their windows overlap, so each number of the input is read once a row of the window and
// goes to all sums that want it.

/** The taps of a window that see the input along one axis. */
struct Taps {
  int64_t low, high;
};

Taps tapsAt(const Problem &p, int axis, int64_t at) {
  const int64_t start = at * p.stride[axis] - p.before[axis];
  const int64_t low = start < 0 ? ceilOf(-start, p.dilation[axis]) : 0, seen = start < p.in[axis] ? ceilOf(p.in[axis] - start, p.dilation[axis]) : 0;
  const int64_t high = seen < p.kernel[axis] ? seen : p.kernel[axis];
  return {low < high ? low : high, high};
}

/** A row of the result: where the windows of its first pixel begin, which may be outside, and which of their rows are inside. */
struct Row {
  const float *x;
  Taps planes, lines;
};

/** Columns of the input that the windows of `rows` pixels see. */
constexpr int64_t columnsOf(int64_t rows, int64_t width, int64_t stride) { return (rows - 1) * stride + width; }
/** The widest windows, and the farthest apart, that `slide` has code for. */
constexpr int64_t kWidth = 5, kStride = 2;

/** A row of a tile's windows: where its columns lie, and its weights. */
struct Line {
  const float *columns[columnsOf(kTile, kWidth, kStride)], *weights;
};

/** A tile of `rows` windows that are `width` wide and `stride` apart, all whole vectors of it. */
template <int64_t width, int64_t stride, int64_t rows>
void slide(const Line *lines, int64_t count, int64_t channels, int64_t offset, float *scratch, const Operands &to) {
  constexpr int64_t columns = columnsOf(rows, width, stride);
  for (int64_t c = 0; c + W <= channels; c += W) {
    Floats sums[rows][1] = {};
    for (const Line *line = lines; line < lines + count; line++) {
      Floats factor[width];
      COTANGENT_UNROLL for (int64_t w = 0; w < width; w++) factor[w] = load(line->weights + w * channels + c);
      COTANGENT_UNROLL for (int64_t column = 0; column < columns; column++) {
        const Floats x = load(line->columns[column] + c);
        COTANGENT_UNROLL for (int64_t w = 0; w < width; w++) {
          const int64_t r = (column - w) / stride;
          if (column >= w && (column - w) % stride == 0 && r < rows) sums[r][0] = fma(x, factor[w], sums[r][0]);
        }
      }
    }
    if (to.usual) {
      conclude(sums, W, c, offset + c, channels, to);
      continue;
    }
    COTANGENT_UNROLL for (int64_t r = 0; r < rows; r++) store(scratch + r * W, sums[r][0]);
    finish<rows, true>(scratch, W, W, c, offset + c, channels, to);
  }
}

using Slide = void (*)(const Line *, int64_t, int64_t, int64_t, float *, const Operands &);

template <int64_t width, int64_t stride, int64_t rows = kTile> Slide slideOf(int64_t count) {
  if constexpr (rows == 0) return nullptr;
  else return count == rows ? slide<width, stride, rows> : slideOf<width, stride, rows - 1>(count);
}

/** Null where windows are of an unusual shape, or do not overlap. */
Slide slideFor(const Problem &p, int64_t rows) {
  const int64_t width = p.kernel[2], stride = p.stride[2];
  if (p.dilation[2] != 1 || p.kernel[0] * p.kernel[1] > kLines) return nullptr;
  if (width == 3) return stride == 1 ? slideOf<3, 1>(rows) : stride == 2 ? slideOf<3, 2>(rows) : nullptr;
  if (width == 5) return stride == 1 ? slideOf<5, 1>(rows) : stride == 2 ? slideOf<5, 2>(rows) : nullptr;
  return nullptr;
}

/** The rows of the windows of a tile, which begin at pixel `first`; returns how many are inside. `zeros`: as many as there are channels. */
int64_t linesOf(const Problem &p, const Row &row, int64_t first, int64_t rows, const float *weights, const float *zeros, Line *lines) {
  const int64_t start = first * p.stride[2], low = p.before[2] - start, high = low + p.in[2], count = columnsOf(rows, p.kernel[2], p.stride[2]);
  Line *line = lines;
  for (int64_t d = row.planes.low; d < row.planes.high; d++)
    for (int64_t h = row.lines.low; h < row.lines.high; h++, line++) {
      const float *from = row.x + d * p.dilation[0] * p.step[1] + h * p.dilation[1] * p.step[2] + start * p.step[3];
      for (int64_t column = 0; column < count; column++)
        line->columns[column] = column >= low && column < high ? from + column * p.step[3] : zeros;
      line->weights = weights + (d * p.kernel[1] + h) * p.kernel[2] * p.channelsOut;
    }
  return line - lines;
}

/** sums [W] of one window, any at all, of `count` channels. */
void window(const Problem &p, const Row &row, int64_t at, const float *weights, int64_t channel, int64_t count, float *out) {
  const auto taps = tapsAt(p, 2, at);
  Floats sum{};
  for (int64_t d = row.planes.low; d < row.planes.high; d++)
    for (int64_t h = row.lines.low; h < row.lines.high; h++) {
      const float *from = row.x + d * p.dilation[0] * p.step[1] + h * p.dilation[1] * p.step[2] + at * p.stride[2] * p.step[3] + channel;
      const float *factors = weights + (d * p.kernel[1] + h) * p.kernel[2] * p.channelsOut + channel;
      for (int64_t w = taps.low; w < taps.high; w++)
        sum = fma(loadSome(from + w * p.dilation[2] * p.step[3], count), loadSome(factors + w * p.channelsOut, count), sum);
    }
  store(out, sum);
}

/** A row of the result. */
void depthwise(const Problem &p, const Operands &o, int64_t unit, float *scratch) {
  const int64_t length = p.out[2], channels = p.channelsOut;
  float *sums = scratch, *zeros = sums + kTile * W;
  for (int64_t i = 0; i < channels; i++) zeros[i] = 0;
  const auto pixel = pixelAt(p, unit * length);
  Row row{o.x + pixel.picture * p.step[0] - p.before[2] * p.step[3], tapsAt(p, 0, pixel.at[0]), tapsAt(p, 1, pixel.at[1])};
  for (int axis = 0; axis < 2; axis++) row.x += (pixel.at[axis] * p.stride[axis] - p.before[axis]) * p.step[axis + 1];
  Line lines[kLines];
  const int64_t tiles = ceilOf(length, kTile);
  for (int64_t tile = 0; tile < tiles; tile++) {
    const int64_t first = partOf(length, tile, tiles), rows = partOf(length, tile + 1, tiles) - first, offset = (unit * length + first) * channels;
    const auto code = slideFor(p, rows);
    if (code) code(lines, linesOf(p, row, first, rows, o.weights, zeros, lines), channels, offset, sums, o);
    for (int64_t c = code ? channels / W * W : 0; c < channels; c += W) {
      for (int64_t r = 0; r < rows; r++) window(p, row, first + r, o.weights, c, channels - c, sums + r * W);
      finishRows<MR>(rows, sums, W, channels - c < W ? channels - c : W, c, offset + c, channels, o);
    }
  }
}
