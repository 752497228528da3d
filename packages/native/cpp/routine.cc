#include "routine.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "signals.h"
#include "threads.h"

namespace cotangent {

using dnnl::memory;
using Kind = Description::Kind;

namespace {

constexpr size_t kAlignment = 64;
constexpr int64_t kDeep = std::numeric_limits<int64_t>::max();

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

/** Streams belong to one thread. */
dnnl::stream &stream() {
  thread_local dnnl::stream own(cpu());
  return own;
}

memory::desc givenDesc(const Tensor &t) { return memory::desc(t.dims, t.type, t.strides); }

memory::desc workDesc(const Tensor &t) {
  const auto type = t.wantedType.value_or(t.type);
  if (t.wanted && t.wanted->empty()) return memory::desc(t.dims, type, memory::format_tag::any);
  return memory::desc(t.dims, type, t.wanted.value_or(t.strides));
}

dnnl::primitive_attr attributes(const Description &d) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops ops;
  for (const auto &op : d.postOps) ops.append_binary(op.algorithm, givenDesc(op.operand));
  attr.set_post_ops(ops);
  return attr;
}

} // namespace

bool isReference(const std::string &implementation) {
  return implementation.rfind("ref", 0) == 0 || implementation.rfind("simple", 0) == 0;
}

const dnnl::engine &cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

memory Routine::operand(const Tensor &t, bool mayAlias) {
  const auto desc = givenDesc(t);
  memory made(desc, cpu(), DNNL_MEMORY_NONE);
  uint64_t last = 0;
  for (size_t axis = 0; axis < t.dims.size(); axis++) last += uint64_t(t.dims[axis] - 1) * uint64_t(t.strides[axis]);
  const uint64_t size = memory::data_type_size(t.type);
  operands.push_back({made, t.word, (last + 1) * size, size, mayAlias});
  return made;
}

memory Routine::number(const PostOp &op) {
  auto value = std::make_unique<float>(op.value.value_or(0));
  memory made(givenDesc(op.operand), cpu(), value.get());
  if (op.param) paramCount = std::max(paramCount, *op.param + 1);
  numbers.push_back({made, std::move(value), op.param});
  return made;
}

memory Routine::temporary(const memory::desc &desc) {
  memory made(desc, cpu(), DNNL_MEMORY_NONE);
  temporaries.push_back({made, scratch});
  scratch += aligned(desc.get_size());
  return made;
}

void Routine::addStep(const dnnl::primitive &primitive, std::initializer_list<std::pair<int, memory>> args) {
  Step step{primitive, {}};
  for (const auto &[arg, value] : args)
    if (value) step.args.push_back({arg, value.get()});
  steps.push_back(std::move(step));
}

void Routine::addReorder(const memory &from, const memory &to) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::reorder::primitive_desc desc(cpu(), from.get_desc(), cpu(), to.get_desc(), attr);
  const auto pad = desc.scratchpad_desc();
  const auto scratchpad = pad.get_size() > 0 ? temporary(pad) : memory();
  addStep(dnnl::reorder(desc), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, scratchpad}});
}

std::unique_ptr<Routine> Routine::make(const Description &d) {
  const ThreadLimit limit(d.threads);
  try {
    return build(d);
  } catch (const dnnl::error &) {
    // A size or layout that oneDNN can't have: whoever asked has code of its own for it.
    return nullptr;
  }
}

std::unique_ptr<Routine> Routine::build(const Description &d) {
  std::unique_ptr<Routine> r(new Routine());
  r->threads = d.threads;
  r->words = d.words;

  const auto attr = attributes(d);
  const auto src = workDesc(d.src), weights = workDesc(d.weights), dst = workDesc(d.dst);
  const auto bias = d.bias ? givenDesc(*d.bias) : memory::desc();
  const auto *biasDesc = d.bias ? &bias : nullptr;

  // What the primitive works on; equal to what is given where no reorder is needed.
  memory::desc srcUsed, weightsUsed, dstUsed, scratchpadUsed;
  dnnl::primitive primitive;
  const auto use = [&](const auto &desc) -> bool {
    if (!desc) return false;
    r->name = desc.impl_info_str();
    if (isReference(r->name)) return false;
    scratchpadUsed = desc.scratchpad_desc();
    const bool floats = d.src.wantedType.value_or(d.src.type) == memory::data_type::f32;
    r->signalsWait = signalsWouldHarm(r->name, floats ? d.kind == Kind::matmul ? d.src.dims.back() : kDeep : 0);
    return true;
  };
  switch (d.kind) {
  case Kind::matmul: {
    const auto desc = onednn::matmul(cpu(), src, weights, biasDesc, dst, attr, d.implementation);
    if (!use(desc)) return nullptr;
    srcUsed = desc.src_desc(), weightsUsed = desc.weights_desc(), dstUsed = desc.dst_desc();
    primitive = dnnl::matmul(desc);
    break;
  }
  case Kind::conv: {
    const auto desc = onednn::convolution(cpu(), src, weights, biasDesc, dst, d.window, attr, d.implementation);
    if (!use(desc)) return nullptr;
    srcUsed = desc.src_desc(), weightsUsed = desc.weights_desc(), dstUsed = desc.dst_desc();
    primitive = dnnl::convolution_forward(desc);
    break;
  }
  case Kind::convGradInput: {
    const auto desc = onednn::convolutionGradInput(cpu(), src, weights, dst, d.window, attr, d.implementation);
    if (!use(desc)) return nullptr;
    srcUsed = desc.diff_src_desc(), weightsUsed = desc.weights_desc(), dstUsed = desc.diff_dst_desc();
    primitive = dnnl::convolution_backward_data(desc);
    break;
  }
  case Kind::convGradWeight: {
    const auto desc = onednn::convolutionGradWeight(cpu(), src, weights, dst, d.window, attr, d.implementation);
    if (!use(desc)) return nullptr;
    srcUsed = desc.src_desc(), weightsUsed = desc.diff_weights_desc(), dstUsed = desc.diff_dst_desc();
    primitive = dnnl::convolution_backward_weights(desc);
    break;
  }
  }

  const auto scratchpad = scratchpadUsed.get_size() > 0 ? r->temporary(scratchpadUsed) : memory();
  const auto given = [&](const Tensor &t) { return r->operand(t); };
  // An input in the layout that the primitive works on.
  const auto input = [&](const Tensor &t, const memory::desc &used) {
    const auto own = given(t);
    if (own.get_desc() == used) return own;
    const auto packed = r->temporary(used);
    r->addReorder(own, packed);
    return packed;
  };
  memory result, worked;
  const auto output = [&](const Tensor &t, const memory::desc &used) {
    result = given(t);
    r->resultWord = t.word;
    worked = result.get_desc() == used ? result : r->temporary(used);
    return worked;
  };

  switch (d.kind) {
  case Kind::matmul:
  case Kind::conv: {
    const auto s = input(d.src, srcUsed), w = input(d.weights, weightsUsed);
    const auto b = d.bias ? given(*d.bias) : memory();
    const auto y = output(d.dst, dstUsed);
    r->addStep(primitive, {{DNNL_ARG_SRC, s}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_BIAS, b}, {DNNL_ARG_DST, y}, {DNNL_ARG_SCRATCHPAD, scratchpad}});
    for (size_t i = 0; i < d.postOps.size(); i++) {
      const auto &op = d.postOps[i];
      const auto value = op.param || op.value ? r->number(op) : r->operand(op.operand, true);
      r->steps.back().args.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(int(i)) | DNNL_ARG_SRC_1, value.get()});
    }
    break;
  }
  case Kind::convGradInput: {
    const auto y = input(d.dst, dstUsed), w = input(d.weights, weightsUsed);
    const auto x = output(d.src, srcUsed);
    r->addStep(primitive, {{DNNL_ARG_DIFF_DST, y}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DIFF_SRC, x}, {DNNL_ARG_SCRATCHPAD, scratchpad}});
    break;
  }
  case Kind::convGradWeight: {
    const auto x = input(d.src, srcUsed), y = input(d.dst, dstUsed);
    const auto w = output(d.weights, weightsUsed);
    r->addStep(primitive, {{DNNL_ARG_SRC, x}, {DNNL_ARG_DIFF_DST, y}, {DNNL_ARG_DIFF_WEIGHTS, w}, {DNNL_ARG_SCRATCHPAD, scratchpad}});
    break;
  }
  }
  if (worked.get() != result.get()) r->addReorder(worked, result);
  return r;
}

void Routine::run(const Heap &heap, uint32_t block, uint64_t bytes) {
  const uint64_t paramsAt = (uint64_t(words) * 4 + 7) / 8 * 8;
  const uint64_t blockBytes = paramsAt + uint64_t(paramCount) * 8;
  if (block % 8 != 0 || block + blockBytes > bytes) throw std::runtime_error("the argument block is not on the heap");
  const auto *addresses = reinterpret_cast<const uint32_t *>(heap.base + block);
  uint64_t resultFrom = 0, resultTo = 0;
  for (auto &o : operands) {
    const uint64_t address = addresses[o.word];
    if (address % o.alignment != 0 || address + o.extent > bytes)
      throw std::runtime_error("operand " + std::to_string(o.word) + " does not lie on the heap");
    if (o.word == resultWord) resultFrom = address, resultTo = address + o.extent;
    o.memory.set_data_handle(heap.base + address);
  }
  const auto *params = reinterpret_cast<const double *>(heap.base + block + paramsAt);
  for (auto &n : numbers)
    if (n.param) *n.value = float(params[*n.param]);
  const uint64_t scratchAt = addresses[words - 1];
  if (scratch > 0 && (scratchAt % kAlignment != 0 || scratchAt + scratch > bytes))
    throw std::runtime_error("the scratch memory does not lie on the heap");
  for (auto &t : temporaries) t.memory.set_data_handle(heap.base + scratchAt + t.offset);

  // Some primitives collect sums in the result, so an operand of a post-op that lies there is read from a copy.
  std::vector<std::unique_ptr<uint8_t[]>> copies;
  for (auto &o : operands) {
    const uint64_t address = addresses[o.word];
    if (!o.mayAlias || address >= resultTo || address + o.extent <= resultFrom) continue;
    copies.emplace_back(new uint8_t[o.extent]);
    std::memcpy(copies.back().get(), heap.base + address, o.extent);
    o.memory.set_data_handle(copies.back().get());
  }

  const ThreadLimit limit(threads);
  const SignalsWait signals(signalsWait);
  for (const auto &step : steps) {
    const auto status = dnnl_primitive_execute(step.primitive.get(), stream().get(), int(step.args.size()), step.args.data());
    if (status != dnnl_success) throw std::runtime_error("oneDNN could not run " + name + " (status " + std::to_string(status) + ")");
  }
  stream().wait();
}

} // namespace cotangent
