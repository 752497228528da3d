// What the code for each instruction set has in common.
#pragma once

#include "result-tiles.h"

namespace cotangent::convolution {

/** float32 numbers, channels last and contiguous; weights `[kernel, channelsIn, channelsOut]` and the result are dense. There are always three spatial axes. */
struct Problem {
  int64_t batch, channelsIn, channelsOut;
  int64_t in[3], out[3], kernel[3], stride[3], before[3], dilation[3];
  /** Of the input, in elements: pictures, planes, rows, pixels. */
  int64_t step[4];
  /** Each channel by itself; `channelsIn` is 1 then. */
  bool depthwise;
};

/** Addresses of one run. `packed`: the weights as `pack` writes them, if somebody did. */
struct Operands : result::Target {
  const float *x, *weights, *packed;
};

/** How the work is cut into units, and what they need. */
struct Plan {
  /** Of the result; of a window; rows of the weights as a matrix. */
  int64_t pixels, taps, depth;
  /** Taps that lie one behind the other in memory and are read as one run of numbers; how many such runs a window has. */
  int64_t joined, runs;
  /** Of the result's channels, and the panels that they make. */
  int64_t vectors, panels;
  /** The pixels are cut into chunks of up to so many, the panels into groups. */
  int64_t chunk, chunks, groups, units;
  /** Rows of the weights that are dealt with at a time. */
  int64_t block;
  /** Of a thread. */
  int64_t scratchFloats;
  int64_t packedFloats;
  /** Whether packing the weights for one run does not pay. */
  bool inPlace;
};

struct Code {
  Plan (*plan)(const Problem &, int threads);
  /** One panel of the weights. */
  void (*pack)(const Problem &, const Plan &, const float *weights, int64_t panel, float *to);
  void (*unit)(const Problem &, const Plan &, const Operands &, int64_t unit, float *scratch);
};

/** The best that this machine has, null if it has none. `widest`: vectors of 512 bits, too. */
const Code *fastestCode(bool widest);

} // namespace cotangent::convolution
