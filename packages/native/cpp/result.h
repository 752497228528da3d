// The operations with a result that a description asks for, and where their operands lie in one run.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "result-tiles.h"

namespace cotangent {

struct ResultOperation {
  result::Operator op{};
  result::Extent extent{};
  /** The operand is in memory, or it is this param of a run, or else this number. */
  std::optional<uint32_t> word, param;
  float value = 0;
};

/** Params of a run that the operations need, which come behind the words of a block as float64 numbers. */
uint32_t paramCountOf(const std::vector<ResultOperation> &);

/** The operations of one run. */
class ResultOperations {
public:
  /**
   * @param y The result, dense where an operand is.
   * @param operand (word, floats): the address of that operand, which was checked.
   */
  template <typename Operand>
  ResultOperations(const std::vector<ResultOperation> &described, const double *params, float *y, uint64_t resultFloats, uint64_t columns,
                   const Operand &operand)
      : numbers(described.size()) {
    for (size_t i = 0; i < described.size(); i++) {
      const auto &op = described[i];
      numbers[i] = op.param ? float(params[*op.param]) : op.value;
      const float *at = &numbers[i];
      if (op.word) {
        const uint64_t floats = op.extent == result::Extent::dense ? resultFloats : op.extent == result::Extent::column ? columns : 1;
        at = apart(operand(*op.word, floats), floats, op.extent, y, resultFloats);
      }
      operations.push_back({op.op, op.extent, at});
    }
    find();
  }
  ResultOperations(const ResultOperations &) = delete;
  ResultOperations &operator=(const ResultOperations &) = delete;

  result::Target target(float *y) const { return {y, operations.data(), int64_t(operations.size()), usual ? &*usual : nullptr}; }

private:
  const float *apart(const float *at, uint64_t floats, result::Extent, const float *y, uint64_t resultFloats);
  void find();

  std::vector<result::Operation> operations;
  std::vector<float> numbers;
  std::vector<std::unique_ptr<float[]>> copies;
  std::optional<result::Usual> usual;
};

} // namespace cotangent
