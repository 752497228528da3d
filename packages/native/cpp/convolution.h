// Convolutions of float32 numbers with all that is done to their result, in code of the addon's own: oneDNN's activations turn NaN into numbers,
// and weights that stay as they are can be kept packed.
#pragma once

#include <vector>

#include "convolution-tiles.h"
#include "result.h"
#include "routine.h"

namespace cotangent {

struct ConvolutionDescription {
  convolution::Problem problem{};
  std::vector<ResultOperation> operations;
  /** Which words of a block hold the addresses. */
  uint32_t x = 0, weights = 0, y = 0;
  /** Of a block: addresses of all operands, of the scratch memory, and, unless it is depthwise, of the packed weights or 0. Params come behind, as float64 numbers. */
  uint32_t words = 0;
  int threads = 1;
};

class Convolution : public Prepared {
public:
  /** Null where this machine has no code for it. */
  static std::unique_ptr<Convolution> make(const ConvolutionDescription &);

  size_t scratchBytes() const override;
  std::optional<Packing> packing() const override;
  std::string implementation() const override { return "tiles"; }
  void run(const Heap &, uint32_t block, uint64_t bytes) override;
  void pack(const Heap &, uint32_t source, uint32_t target, uint64_t bytes) override;

private:
  void packAll(const float *weights, float *to) const;
  size_t threadBytes() const;

  ConvolutionDescription description;
  const convolution::Code *code = nullptr;
  convolution::Plan plan{};
  uint64_t inputFloats = 0, weightFloats = 0, resultFloats = 0;
  uint32_t paramCount = 0;
};

} // namespace cotangent
