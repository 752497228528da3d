// Products of a few rows with a matrix, as they make one token after the other: each of its numbers is read once, so they are as fast as memory is.
#pragma once

#include "few-rows-tiles.h"
#include "routine.h"

namespace cotangent {

struct FewRowsDescription {
  fewRows::Problem problem{};
  /** Which of a block's first two words hold the addresses of X and of the matrix; then come the bias, if there is one, Y and the scratch memory. */
  uint32_t x = 0, matrix = 1;
  bool bias = false;
  int threads = 1;
};

class FewRows : public Prepared {
public:
  /** Null where this machine has no code for it. */
  static std::unique_ptr<FewRows> make(const FewRowsDescription &);

  size_t scratchBytes() const override;
  std::string implementation() const override { return "few rows"; }
  void run(const Heap &, uint32_t block, uint64_t bytes) override;

private:
  void deepUnits(const float *x, const float *matrix, const float *bias, float *y, float *scratch) const;
  void wideUnits(const float *x, const float *matrix, const float *bias, float *y, float *scratch) const;

  const fewRows::Code *code = nullptr;
  FewRowsDescription d;
  /** Whether each unit has all columns and some rows of the matrix, so that sums are added up in the end. */
  bool deep = false;
  int64_t units = 1, stride = 0;
};

} // namespace cotangent
