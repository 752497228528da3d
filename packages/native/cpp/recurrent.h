#pragma once

#include "routine.h"

namespace cotangent {

/** A recurrent layer over a sequence, or its gradient; engine/routine.ts says what the operands are. */
struct RecurrentDescription {
  enum class Cell { lstm, gru, tanh, relu } cell{};
  bool gradient = false;
  bool reverse = false;
  /** Inputs, then outputs, in the routine's order, which is that of the words of a block. Units are side by side in memory. */
  std::vector<Tensor> operands;
  uint32_t inputs = 0;
  int threads = 1;
};

/**
 * Products by oneDNN with weights that are packed once a run, gates by code of our own. Rows of the batch do not see each other, so each
 * thread goes through the sequence with rows of its own, and none waits for another before the end.
 */
class Recurrent : public Prepared {
public:
  /** Null where oneDNN has no fast product for it. @throws std::runtime_error when operands do not fit together. */
  static std::unique_ptr<Prepared> make(const RecurrentDescription &);

  size_t scratchBytes() const override { return scratch; }
  std::string implementation() const override { return name; }
  void run(const Heap &, uint32_t block, uint64_t bytes) override;

private:
  using Cell = RecurrentDescription::Cell;
  /** Rows of the batch that one thread works on. */
  struct Rows {
    int64_t first, count;
    dnnl::primitive product;
    dnnl::memory from, result, scratchpad;
    dnnl::stream stream;
    /** Bytes from the start of the scratch memory. */
    size_t resultAt, besideAt, scratchpadAt;
  };
  struct Step {
    int64_t t, before, after;
  };

  Recurrent() = default;
  void check() const;
  Step step(int64_t i) const;
  /** Address of a number of an operand. */
  float *at(uint32_t operand, int64_t index) const { return addresses[operand] + index; }
  void multiply(const Rows &, float *from, float *result) const;
  void forward(const Rows &) const;
  void backward(const Rows &) const;

  RecurrentDescription d;
  int64_t time = 0, batch = 0, size = 0, gates = 0, states = 0, kept = 0;
  bool keeps = false, signalsWait = false;
  std::string name;
  size_t scratch = 0;
  std::vector<Rows> parts;
  dnnl::memory given, packed, bias, packScratchpad;
  dnnl::primitive pack;
  size_t packedAt = 0, packScratchpadAt = 0;
  std::vector<uint64_t> extents;
  /** Of this run. */
  std::vector<float *> addresses;
  uint8_t *scratchMemory = nullptr;
};

} // namespace cotangent
