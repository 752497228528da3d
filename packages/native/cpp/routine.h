#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "onednn.h"

namespace cotangent {

/** Memory of an engine: it may grow, but its start stays. Whoever owns the routines keeps it alive. */
struct Heap {
  uint8_t *base = nullptr;
};

/** A tensor on the heap; dims in oneDNN's order of axes, strides in elements. */
struct Tensor {
  dnnl::memory::data_type type{};
  dnnl::memory::dims dims, strides;
  /** The layout that the primitive is to work on, where it is another one; empty: oneDNN's choice. */
  std::optional<dnnl::memory::dims> wanted;
  /** What the primitive is to work on, where it is another type. */
  std::optional<dnnl::memory::data_type> wantedType;
  /** Which word of a run's block holds its address. */
  uint32_t word = 0;
};

/** An operation with the result on its left. */
struct PostOp {
  dnnl::algorithm algorithm{};
  Tensor operand;
  /** The operand is not on the heap: it is one number, this param of a run, or this value. */
  std::optional<uint32_t> param;
  std::optional<float> value;
};

struct Description {
  enum class Kind { matmul, conv, convGradInput, convGradWeight } kind{};
  /** Named as in the forward direction; gradients are where the values of that name are forward. */
  Tensor src, weights, dst;
  std::optional<Tensor> bias;
  onednn::Window window;
  std::vector<PostOp> postOps;
  /** Words of a block: addresses of all operands, then that of the scratch memory. Params come behind, as float64 numbers. */
  uint32_t words = 0;
  int threads = 1;
  /** How many of oneDNN's implementations to pass over, of those that it has for this, best first in its own view. */
  uint32_t implementation = 0;
};

/** Code that computes one routine of the engine in place on its heap. */
class Prepared {
public:
  virtual ~Prepared() = default;
  virtual size_t scratchBytes() const = 0;
  virtual std::string implementation() const = 0;
  /** An operand that may be given packed as well: its word, and the bytes of that and of the scratch memory that is needed then. */
  struct Packing {
    uint32_t word;
    size_t bytes, scratchBytes;
  };
  virtual std::optional<Packing> packing() const { return {}; }
  /** Packs that operand, from one address on the heap to another. */
  virtual void pack(const Heap &, uint32_t, uint32_t, uint64_t) { throw std::runtime_error("nothing of this routine is packed"); }
  /** @throws std::runtime_error when an address at `block` does not lie in the heap's `bytes` bytes with all of its tensor. */
  virtual void run(const Heap &, uint32_t block, uint64_t bytes) = 0;
};

/** Primitives and reorders of oneDNN. */
class Routine : public Prepared {
public:
  /** Null where oneDNN has nothing for it, or only its reference code, which is slow. */
  static std::unique_ptr<Routine> make(const Description &);

  size_t scratchBytes() const override { return scratch; }
  std::string implementation() const override { return name; }
  void run(const Heap &, uint32_t block, uint64_t bytes) override;

private:
  struct Operand {
    dnnl::memory memory;
    uint32_t word;
    /** Bytes from the address to the last byte and beyond. */
    uint64_t extent;
    uint64_t alignment;
    /** Read by a post-op: it may lie on the result, which is written before it is read then. */
    bool mayAlias;
  };
  struct Temporary {
    dnnl::memory memory;
    size_t offset;
  };
  /** A number of its own, which a param of the run may set. */
  struct Number {
    dnnl::memory memory;
    std::unique_ptr<float> value;
    std::optional<uint32_t> param;
  };
  /** Its arguments are those of the lists above, which keep them alive. */
  struct Step {
    dnnl::primitive primitive;
    std::vector<dnnl_exec_arg_t> args;
  };

  Routine() = default;
  static std::unique_ptr<Routine> build(const Description &);
  dnnl::memory operand(const Tensor &, bool mayAlias = false);
  dnnl::memory number(const PostOp &);
  dnnl::memory temporary(const dnnl::memory::desc &);
  void addStep(const dnnl::primitive &, std::initializer_list<std::pair<int, dnnl::memory>>);
  void addReorder(const dnnl::memory &from, const dnnl::memory &to);

  std::vector<Operand> operands;
  std::vector<Temporary> temporaries;
  std::vector<Number> numbers;
  std::vector<Step> steps;
  std::string name;
  uint32_t words = 0;
  uint32_t resultWord = 0;
  uint32_t paramCount = 0;
  size_t scratch = 0;
  int threads = 1;
  bool signalsWait = false;
};

/** The one CPU engine of the process. */
const dnnl::engine &cpu();

/** Whether oneDNN says that this code of its is the slow one. */
bool isReference(const std::string &implementation);

} // namespace cotangent
