#include "gates.h"

#include <cstring>

// Loops that compilers make vector code of: for the instructions of this machine, where the loader can choose among several versions.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && (!defined(__clang__) || __clang_major__ >= 14)
#define COTANGENT_VERSIONS __attribute__((target_clones("avx512f", "arch=haswell", "default")))
#else
#define COTANGENT_VERSIONS
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3,fp-contract=fast,no-trapping-math,no-math-errno")
#endif
/** What a pass of the loop behind it writes no other one reads. */
#ifdef __clang__
#define COTANGENT_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define COTANGENT_INDEPENDENT _Pragma("GCC ivdep")
#endif
#define COTANGENT_INLINE inline __attribute__((always_inline))

namespace cotangent::gates {

namespace {

COTANGENT_INLINE uint32_t bitsOf(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

COTANGENT_INLINE float fromBits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

/** e^x within 2 units in the last place where neither overflows nor underflows; there the last value before. NaN stays NaN. */
COTANGENT_INLINE float exponential(float x) {
  const float low = -87.0f, high = 88.0f;
  x = x < low ? low : x;
  x = x > high ? high : x;
  // Adding 1.5 * 2^23 rounds to a whole number, which is then in the low bits.
  const float shifted = x * 1.44269504f + 12582912.0f;
  const float whole = shifted - 12582912.0f;
  const float r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float value = p * (r * r) + r + 1.0f;
  return value * fromBits((bitsOf(shifted) + 127u) << 23);
}

COTANGENT_INLINE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

COTANGENT_INLINE float tangent(float x) {
  // Near 0, where the quotient would lose digits, a polynomial. Cephes.
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float small = p * z * x + x;
  const float large = 1.0f - 2.0f / (1.0f + exponential(2.0f * x));
  return z < 0.390625f ? small : large;
}

COTANGENT_INLINE float slopeOfTangent(float y) { return (1.0f - y) * (1.0f + y); }
COTANGENT_INLINE float slopeOfSigmoid(float y) { return y * (1.0f - y); }

} // namespace

COTANGENT_VERSIONS
void lstm(int64_t n, const float *const *share, const float *raw, const float *before, float *hidden, float *cell, float *kept) {
  const float *x0 = share[0], *x1 = share[1], *x2 = share[2], *x3 = share[3];
  COTANGENT_INDEPENDENT
  for (int64_t k = 0; k < n; k++) {
    const float i = sigmoid(x0[k] + raw[k]), f = sigmoid(x1[k] + raw[n + k]);
    const float candidate = tangent(x2[k] + raw[2 * n + k]), o = sigmoid(x3[k] + raw[3 * n + k]);
    const float next = f * before[k] + i * candidate;
    cell[k] = next;
    hidden[k] = o * tangent(next);
    kept[k] = i;
    kept[n + k] = f;
    kept[2 * n + k] = candidate;
    kept[3 * n + k] = o;
  }
}

COTANGENT_VERSIONS
void gru(int64_t n, const float *const *share, const float *raw, const float *before, float *hidden, float *kept) {
  const float *x0 = share[0], *x1 = share[1], *x2 = share[2];
  COTANGENT_INDEPENDENT
  for (int64_t k = 0; k < n; k++) {
    const float r = sigmoid(x0[k] + raw[k]), u = sigmoid(x1[k] + raw[n + k]), fromState = raw[2 * n + k];
    const float candidate = tangent(x2[k] + r * fromState);
    hidden[k] = (1.0f - u) * candidate + u * before[k];
    kept[k] = r;
    kept[n + k] = u;
    kept[2 * n + k] = candidate;
    kept[3 * n + k] = fromState;
  }
}

COTANGENT_VERSIONS
void tanh(int64_t n, const float *share, const float *raw, float *hidden) {
  COTANGENT_INDEPENDENT
  for (int64_t k = 0; k < n; k++) hidden[k] = tangent(share[k] + raw[k]);
}

COTANGENT_VERSIONS
void relu(int64_t n, const float *share, const float *raw, float *hidden) {
  COTANGENT_INDEPENDENT
  for (int64_t k = 0; k < n; k++) {
    const float x = share[k] + raw[k];
    hidden[k] = x < 0.0f ? 0.0f : x;
  }
}

COTANGENT_VERSIONS
void lstmGrad(int64_t n, Arriving hidden, const float *aboveCell, const float *after, const float *before, const float *kept, float *made,
              float *beside) {
  COTANGENT_INDEPENDENT
  for (int64_t k = 0; k < n; k++) {
    const float g = hidden.above[k] + hidden.carry[k];
    const float i = kept[k], f = kept[n + k], candidate = kept[2 * n + k], o = kept[3 * n + k];
    const float squashed = tangent(after[k]);
    const float ofCell = aboveCell[k] + beside[k] + g * o * slopeOfTangent(squashed);
    made[k] = ofCell * candidate * slopeOfSigmoid(i);
    made[n + k] = ofCell * before[k] * slopeOfSigmoid(f);
    made[2 * n + k] = ofCell * i * slopeOfTangent(candidate);
    made[3 * n + k] = g * squashed * slopeOfSigmoid(o);
    beside[k] = ofCell * f;
  }
}

COTANGENT_VERSIONS
void gruGrad(int64_t n, Arriving hidden, const float *before, const float *kept, float *made, float *madeOfInput, float *beside) {
  COTANGENT_INDEPENDENT
  for (int64_t k = 0; k < n; k++) {
    const float g = hidden.above[k] + hidden.carry[k] + beside[k];
    const float r = kept[k], u = kept[n + k], candidate = kept[2 * n + k], fromState = kept[3 * n + k];
    const float ofCandidate = g * (1.0f - u) * slopeOfTangent(candidate);
    const float ofReset = ofCandidate * fromState * slopeOfSigmoid(r), ofUpdate = g * (before[k] - candidate) * slopeOfSigmoid(u);
    made[k] = madeOfInput[k] = ofReset;
    made[n + k] = madeOfInput[n + k] = ofUpdate;
    made[2 * n + k] = ofCandidate * r;
    madeOfInput[2 * n + k] = ofCandidate;
    beside[k] = g * u;
  }
}

COTANGENT_VERSIONS
void tanhGrad(int64_t n, Arriving hidden, const float *after, float *made) {
  COTANGENT_INDEPENDENT
  for (int64_t k = 0; k < n; k++) made[k] = (hidden.above[k] + hidden.carry[k]) * slopeOfTangent(after[k]);
}

COTANGENT_VERSIONS
void reluGrad(int64_t n, Arriving hidden, const float *after, float *made) {
  COTANGENT_INDEPENDENT
  for (int64_t k = 0; k < n; k++) {
    const float g = hidden.above[k] + hidden.carry[k];
    made[k] = after[k] > 0.0f ? g : 0.0f;
  }
}

COTANGENT_VERSIONS
void add(int64_t n, const float *a, const float *b, float *sum) {
  COTANGENT_INDEPENDENT
  for (int64_t k = 0; k < n; k++) sum[k] = a[k] + b[k];
}

} // namespace cotangent::gates
