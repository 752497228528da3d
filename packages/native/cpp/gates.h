#pragma once

#include <cstdint>

// The gates of one row of a recurrent layer behind its product, `n` units: gates are `n` numbers apart.
namespace cotangent::gates {

/** `kept` receives the gates as activated. */
void lstm(int64_t n, const float *const *share, const float *raw, const float *before, float *hidden, float *cell, float *kept);
/** `kept` receives the gates as activated and the candidate's share of the state. */
void gru(int64_t n, const float *const *share, const float *raw, const float *before, float *hidden, float *kept);
void tanh(int64_t n, const float *share, const float *raw, float *hidden);
void relu(int64_t n, const float *share, const float *raw, float *hidden);

/** Where gradients arrive: from outside, and from the step that was read afterwards. */
struct Arriving {
  const float *above, *carry;
};

/** `beside` is what comes back to the cell, and receives what goes back. */
void lstmGrad(int64_t n, Arriving hidden, const float *aboveCell, const float *after, const float *before, const float *kept, float *made,
              float *beside);
/** `beside` is what comes back to the hidden state besides the product, and receives what goes back. */
void gruGrad(int64_t n, Arriving hidden, const float *before, const float *kept, float *made, float *madeOfInput, float *beside);
void tanhGrad(int64_t n, Arriving hidden, const float *after, float *made);
void reluGrad(int64_t n, Arriving hidden, const float *after, float *made);
void add(int64_t n, const float *a, const float *b, float *sum);

} // namespace cotangent::gates
