// What the code for each instruction set has in common.
#pragma once

#include <cstdint>

namespace cotangent::attention {

enum class Type { f32, bf16, boolean };

constexpr int64_t sizeOf(Type type) { return type == Type::f32 ? 4 : type == Type::bf16 ? 2 : 1; }

/** One matrix on the heap: the byte address of its first element, and steps in elements. */
struct Matrix {
  uint8_t *at;
  int64_t row, column;
  Type type;
};

/** What all heads have in common. */
struct Shared {
  int64_t queries, keys, size, width;
  /** Queries and keys that are dealt with at a time. */
  int64_t queryTile, keyTile;
  /** Into how many parts the tiles of a head are dealt out. */
  int64_t parts;
  float scale;
  bool causal;
};

/** One attention: queries, keys and values of one place in the batch. Which of them there are depends on the direction. */
struct Head {
  Matrix q, k, v, mask, result, logSums, gradient, queryGradient, keyGradient, valueGradient;
  bool hasMask;
};

/** The keys and values that scratch memory holds ready, and where the latter are. */
struct PackedHead {
  const uint8_t *k = nullptr, *v = nullptr;
  const float *values = nullptr;
};

struct AttentionCode {
  /** The results of every so many tiles of queries. */
  void (*forward)(const Shared &, const Head &, int64_t part, float *scratch, PackedHead &packed);
  /** The gradients of every so many tiles of keys and values; those of the queries as a sum in `partial`, if there is one, else as a whole. */
  void (*backward)(const Shared &, const Head &, int64_t part, float *scratch, float *partial);
  /** The gradient of the queries from `partial`s so many numbers apart. */
  void (*gather)(const Shared &, const Head &, float *partials, int64_t stride);
  /** How many numbers a thread needs as scratch memory, and a part for its sum. */
  int64_t (*forwardFloats)(const Shared &);
  int64_t (*backwardFloats)(const Shared &);
  int64_t (*partialFloats)(const Shared &);
  /** `keyTile` is a multiple of this. */
  int64_t keyStep;
  /** Where all matrices are bfloat16 and the machine multiplies these; null where there is no such code. */
  const AttentionCode *bfloat16;
};

/** The best that this machine has, null if it has none. `widest`: vectors of 512 bits, too. */
const AttentionCode *fastestCode(bool widest);

} // namespace cotangent::attention
