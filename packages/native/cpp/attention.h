// Attention without a matrix of weights in memory: tiles of scores live in the cache, and the gradient makes them again from the
// logarithm of each row's sum. Dao, "FlashAttention-2", arXiv:2307.08691; the running maximum is that of Milakov and Gimelshein, arXiv:1805.02867.
#pragma once

#include <vector>

#include "attention-tiles.h"
#include "routine.h"

namespace cotangent {

struct AttentionDescription {
  struct Operand {
    attention::Type type{};
    /** Of the batch axes, then of rows and columns, in elements. */
    std::vector<int64_t> strides;
  };
  bool backward = false, causal = false;
  std::vector<int64_t> batch;
  int64_t queries = 0, keys = 0, size = 0, width = 0;
  double scale = 1;
  /** Forward: q, k, v, mask, result, logSums. Backward: gradient, q, k, v, result, logSums, mask, and the gradients of q, k and v. No mask: without strides. */
  std::vector<Operand> operands;
  int threads = 1;
};

class Attention : public Prepared {
public:
  /** Null where this machine has no code for it. */
  static std::unique_ptr<Attention> make(const AttentionDescription &);

  size_t scratchBytes() const override;
  std::string implementation() const override { return "tiles"; }
  void run(const Heap &, uint32_t block, uint64_t bytes) override;

private:
  struct Place {
    attention::Matrix attention::Head::*matrix;
    attention::Type type;
    std::vector<int64_t> strides;
    uint32_t word;
    uint64_t extent;
  };

  attention::Head headAt(int64_t index, const uint8_t *base, const uint32_t *addresses) const;

  const attention::AttentionCode *code = nullptr;
  attention::Shared shared{};
  std::vector<int64_t> batch;
  std::vector<Place> places;
  int64_t heads = 1, threadFloats = 0, partFloats = 0;
  uint32_t words = 0;
  int threads = 1;
  bool isBackward = false, hasMask = false;
};

} // namespace cotangent
