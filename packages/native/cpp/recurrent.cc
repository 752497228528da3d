#include "recurrent.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <stdexcept>

#include "gates.h"
#include "signals.h"
#include "threads.h"

namespace cotangent {

using dnnl::memory;

namespace {

constexpr size_t kAlignment = 64;

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

memory::desc matrix(int64_t rows, int64_t columns) { return {{rows, columns}, memory::data_type::f32, memory::dims{columns, 1}}; }

void fit(bool holds) {
  if (!holds) throw std::runtime_error("operands of a recurrent layer do not fit together");
}

void execute(const dnnl::primitive &primitive, const dnnl::stream &stream, std::initializer_list<std::pair<int, memory>> args) {
  std::array<dnnl_exec_arg_t, 5> list;
  int count = 0;
  for (const auto &[arg, value] : args)
    if (value) list[size_t(count++)] = {arg, value.get()};
  const auto status = dnnl_primitive_execute(primitive.get(), stream.get(), count, list.data());
  if (status != dnnl_success) throw std::runtime_error("oneDNN could not run a recurrent layer (status " + std::to_string(status) + ")");
}

} // namespace

std::unique_ptr<Prepared> Recurrent::make(const RecurrentDescription &description) {
  std::unique_ptr<Recurrent> r(new Recurrent());
  auto &d = r->d = description;
  r->gates = d.cell == Cell::lstm ? 4 : d.cell == Cell::gru ? 3 : 1;
  r->states = d.cell == Cell::lstm ? 2 : 1;
  r->kept = d.cell == Cell::lstm || d.cell == Cell::gru ? 4 : 0;
  fit(d.operands.size() > d.inputs && d.inputs > uint32_t(2 * d.gradient));
  const auto &shape = d.operands[d.gradient ? d.inputs : 0].dims;
  fit(shape.size() == 4 && shape[2] == r->gates);
  r->time = shape[0], r->batch = shape[1], r->size = shape[3];
  r->check();
  for (const auto &t : d.operands) {
    uint64_t last = 0;
    for (size_t axis = 0; axis < t.dims.size(); axis++) last += uint64_t(t.dims[axis] - 1) * uint64_t(t.strides[axis]);
    r->extents.push_back((last + 1) * sizeof(float));
  }
  r->addresses.resize(d.operands.size());
  r->keeps = !d.gradient && d.operands.size() > d.inputs + size_t(r->states);

  const int64_t width = r->gates * r->size;
  const auto &w = d.operands[d.gradient ? size_t(r->states) : 1];
  // The gradient goes through the product the other way.
  const auto givenDesc = d.gradient ? memory::desc({width, r->size}, memory::data_type::f32, {w.strides[1], w.strides[0]})
                                    : memory::desc({r->size, width}, memory::data_type::f32, w.strides);
  const bool hasBias = !d.gradient && d.inputs > uint32_t(2 + r->states);
  const auto biasDesc = hasBias ? matrix(1, width) : memory::desc();
  const auto [inner, outer] = d.gradient ? std::pair(width, r->size) : std::pair(r->size, width);
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  auto &scratch = r->scratch;
  const auto room = [&](size_t bytes) {
    const size_t at = scratch;
    scratch += aligned(bytes);
    return at;
  };
  const ThreadLimit limit(1);
  try {
    memory::desc weights({inner, outer}, memory::data_type::f32, memory::format_tag::any);
    const int64_t threads = std::max<int64_t>(1, std::min<int64_t>(d.threads, r->batch));
    for (int64_t i = 0, first = 0; i < threads; i++) {
      const int64_t count = r->batch / threads + (i < r->batch % threads);
      const auto from = matrix(count, inner), result = matrix(count, outer);
      const auto desc = onednn::matmul(cpu(), from, weights, hasBias ? &biasDesc : nullptr, result, attr);
      if (!desc) return nullptr;
      r->name = desc.impl_info_str();
      if (isReference(r->name)) return nullptr;
      r->signalsWait = r->signalsWait || signalsWouldHarm(r->name, inner);
      weights = desc.weights_desc();
      const auto pad = desc.scratchpad_desc();
      r->parts.push_back({first, count, dnnl::matmul(desc), memory(from, cpu(), DNNL_MEMORY_NONE), memory(result, cpu(), DNNL_MEMORY_NONE),
                          pad.get_size() > 0 ? memory(pad, cpu(), DNNL_MEMORY_NONE) : memory(), dnnl::stream(cpu()),
                          room(size_t(count * outer) * sizeof(float)), room(size_t(count * 4 * r->size) * sizeof(float)), room(pad.get_size())});
      first += count;
    }
    r->given = memory(givenDesc, cpu(), DNNL_MEMORY_NONE);
    r->packed = memory(weights, cpu(), DNNL_MEMORY_NONE);
    r->packedAt = room(weights.get_size());
    const dnnl::reorder::primitive_desc pack(cpu(), givenDesc, cpu(), weights, attr);
    r->pack = dnnl::reorder(pack);
    const auto pad = pack.scratchpad_desc();
    if (pad.get_size() > 0) r->packScratchpad = memory(pad, cpu(), DNNL_MEMORY_NONE), r->packScratchpadAt = room(pad.get_size());
    if (hasBias) r->bias = memory(biasDesc, cpu(), DNNL_MEMORY_NONE);
  } catch (const dnnl::error &) {
    return nullptr;
  }
  return r;
}

void Recurrent::check() const {
  const auto is = [&](size_t operand, memory::dims dims, bool dense = true) {
    fit(operand < d.operands.size());
    const auto &t = d.operands[operand];
    fit(t.type == memory::data_type::f32 && t.dims == dims && t.word == operand);
    int64_t step = 1;
    for (size_t axis = dims.size(); dense && axis-- > 0; step *= dims[axis]) fit(t.strides[axis] == step || dims[axis] == 1);
  };
  const memory::dims share{time, batch, gates, size}, whole{time + 1, batch, size}, first{batch, size}, saved{time, batch, kept, size};
  const memory::dims weights{size, gates * size};
  const size_t count = size_t(states);
  size_t i = 0;
  if (d.gradient) {
    for (size_t s = 0; s < count; s++) is(i++, whole);
    is(i++, weights, false);
    for (size_t s = 0; s < count; s++) is(i++, whole);
    if (kept) is(i++, saved);
    fit(i == d.inputs);
    is(i++, share);
    for (size_t s = 0; s < count; s++) is(i++, first);
    if (d.cell == Cell::gru) is(i++, share);
  } else {
    is(i++, share, false);
    fit(size == 1 || d.operands[0].strides[3] == 1);
    is(i++, weights, false);
    for (size_t s = 0; s < count; s++) is(i++, first);
    if (i < d.inputs) is(i++, {gates * size});
    fit(i == d.inputs);
    for (size_t s = 0; s < count; s++) is(i++, whole);
    if (i < d.operands.size()) is(i++, saved);
  }
  fit(i == d.operands.size());
}

Recurrent::Step Recurrent::step(int64_t i) const {
  const int64_t t = d.reverse ? time - 1 - i : i;
  return {t, t + d.reverse, t + !d.reverse};
}

void Recurrent::multiply(const Rows &rows, float *from, float *result) const {
  rows.from.set_data_handle(from);
  rows.result.set_data_handle(result);
  execute(rows.product, rows.stream,
          {{DNNL_ARG_SRC, rows.from},
           {DNNL_ARG_WEIGHTS, packed},
           {DNNL_ARG_BIAS, bias},
           {DNNL_ARG_DST, rows.result},
           {DNNL_ARG_SCRATCHPAD, rows.scratchpad}});
}

void Recurrent::forward(const Rows &rows) const {
  const int64_t rowsBefore = rows.first * size, all = batch * size, width = gates * size;
  const auto output = d.inputs;
  const auto hidden = [&](int64_t position) { return at(output, position * all); };
  const auto cells = [&](int64_t position) { return at(output + 1, position * all); };
  auto *raw = reinterpret_cast<float *>(scratchMemory + rows.resultAt);
  const auto &strides = d.operands[0].strides;
  const int64_t start = step(0).before;
  for (int64_t s = 0; s < states; s++) {
    const auto from = uint32_t(2 + s);
    std::memcpy(at(output + uint32_t(s), start * all + rowsBefore), at(from, rowsBefore), size_t(rows.count * size) * sizeof(float));
  }
  for (int64_t i = 0; i < time; i++) {
    const auto [t, before, after] = step(i);
    multiply(rows, hidden(before) + rowsBefore, raw);
    for (int64_t b = 0; b < rows.count; b++) {
      const int64_t row = rows.first + b, unit = row * size;
      const float *share[4];
      for (int64_t g = 0; g < gates; g++) share[g] = at(0, t * strides[0] + row * strides[1] + g * strides[2]);
      float *own = raw + b * width;
      float *saved = keeps ? at(output + uint32_t(states), (t * batch + row) * kept * size)
                           : reinterpret_cast<float *>(scratchMemory + rows.besideAt) + b * 4 * size;
      switch (d.cell) {
      case Cell::lstm:
        gates::lstm(size, share, own, cells(before) + unit, hidden(after) + unit, cells(after) + unit, saved);
        break;
      case Cell::gru:
        gates::gru(size, share, own, hidden(before) + unit, hidden(after) + unit, saved);
        break;
      case Cell::tanh:
        gates::tanh(size, share[0], own, hidden(after) + unit);
        break;
      case Cell::relu:
        gates::relu(size, share[0], own, hidden(after) + unit);
      }
    }
  }
}

void Recurrent::backward(const Rows &rows) const {
  const int64_t all = batch * size, width = gates * size;
  const auto above = [&](int64_t s, int64_t position, int64_t row) { return at(uint32_t(s), position * all + row * size); };
  const auto state = [&](int64_t s, int64_t position, int64_t row) { return at(uint32_t(states + 1 + s), position * all + row * size); };
  const auto madeAt = [&](uint32_t output, int64_t t, int64_t row) { return at(d.inputs + output, (t * batch + row) * width); };
  auto *carry = reinterpret_cast<float *>(scratchMemory + rows.resultAt);
  auto *beside = reinterpret_cast<float *>(scratchMemory + rows.besideAt);
  std::fill_n(carry, rows.count * size, 0.0f);
  std::fill_n(beside, rows.count * size, 0.0f);
  for (int64_t i = time; i-- > 0;) {
    const auto [t, before, after] = step(i);
    for (int64_t b = 0; b < rows.count; b++) {
      const int64_t row = rows.first + b;
      const gates::Arriving arriving{above(0, after, row), carry + b * size};
      const float *saved = kept ? at(uint32_t(2 * states + 1), (t * batch + row) * kept * size) : nullptr;
      float *made = madeAt(0, t, row), *own = beside + b * size;
      switch (d.cell) {
      case Cell::lstm:
        gates::lstmGrad(size, arriving, above(1, after, row), state(1, after, row), state(1, before, row), saved, made, own);
        break;
      case Cell::gru:
        gates::gruGrad(size, arriving, state(0, before, row), saved, made, madeAt(2, t, row), own);
        break;
      case Cell::tanh:
        gates::tanhGrad(size, arriving, state(0, after, row), made);
        break;
      case Cell::relu:
        gates::reluGrad(size, arriving, state(0, after, row), made);
      }
    }
    multiply(rows, madeAt(0, t, rows.first), carry);
  }
  const int64_t first = step(0).before, units = rows.count * size;
  float *gradient = at(d.inputs + 1, rows.first * size);
  gates::add(units, above(0, first, rows.first), carry, gradient);
  if (d.cell == Cell::gru) gates::add(units, gradient, beside, gradient);
  if (d.cell == Cell::lstm) gates::add(units, above(1, first, rows.first), beside, at(d.inputs + 2, rows.first * size));
}

void Recurrent::run(const Heap &heap, uint32_t block, uint64_t bytes) {
  const size_t words = d.operands.size() + 1;
  if (block % 8 != 0 || block + words * 4 > bytes) throw std::runtime_error("the argument block is not on the heap");
  const auto *given = reinterpret_cast<const uint32_t *>(heap.base + block);
  for (size_t i = 0; i < d.operands.size(); i++) {
    const uint64_t address = given[i];
    if (address % sizeof(float) != 0 || address + extents[i] > bytes)
      throw std::runtime_error("operand " + std::to_string(i) + " does not lie on the heap");
    addresses[i] = reinterpret_cast<float *>(heap.base + address);
  }
  const uint64_t scratchAt = given[words - 1];
  if (scratchAt % kAlignment != 0 || scratchAt + scratch > bytes) throw std::runtime_error("the scratch memory does not lie on the heap");
  scratchMemory = heap.base + scratchAt;

  this->given.set_data_handle(addresses[d.gradient ? size_t(states) : 1]);
  packed.set_data_handle(scratchMemory + packedAt);
  if (bias) bias.set_data_handle(addresses[size_t(2 + states)]);
  if (packScratchpad) packScratchpad.set_data_handle(scratchMemory + packScratchpadAt);
  {
    const ThreadLimit limit(d.threads);
    const SignalsWait signals(signalsWait);
    const auto &stream = parts[0].stream;
    execute(pack, stream, {{DNNL_ARG_FROM, this->given}, {DNNL_ARG_TO, packed}, {DNNL_ARG_SCRATCHPAD, packScratchpad}});
    dnnl::stream(stream).wait();
  }

  std::vector<std::exception_ptr> failures(parts.size());
  std::atomic<size_t> next{0};
  parallel(int(parts.size()), [&](int) {
    const ThreadLimit limit(1);
    const SignalsWait signals(signalsWait);
    for (size_t part; (part = next.fetch_add(1)) < parts.size();) {
      try {
        const auto &rows = parts[part];
        if (rows.scratchpad) rows.scratchpad.set_data_handle(scratchMemory + rows.scratchpadAt);
        d.gradient ? backward(rows) : forward(rows);
      } catch (...) {
        failures[part] = std::current_exception();
      }
    }
  });
  for (const auto &failure : failures)
    if (failure) std::rethrow_exception(failure);
}

} // namespace cotangent
