// What JavaScript sees. Each call either returns or throws a JavaScript error; no C++ exception gets past this file.
#include <node_api.h>

#include <exception>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "attention.h"
#include "convolution.h"
#include "few-rows.h"
#include "object-watcher.h"
#include "recurrent.h"
#include "routine.h"
#include "threads.h"

namespace {

using namespace cotangent;
using dnnl::memory;

/** A call of Node-API has failed and left a JavaScript exception, or will say why. */
struct Failed : std::runtime_error {
  using runtime_error::runtime_error;
};

void check(napi_status status, const char *what) {
  if (status != napi_ok) throw Failed(what);
}

/** Runs `body`, which gives a value; what it throws becomes a JavaScript error. */
template <typename Body> napi_value guarded(napi_env env, Body body) {
  std::string message;
  try {
    return body();
  } catch (const std::exception &error) {
    message = error.what();
  } catch (...) {
    message = "unknown error";
  }
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, nullptr, message.c_str());
  return nullptr;
}

/** Reads plain JavaScript objects. */
class Reader {
public:
  explicit Reader(napi_env env) : env(env) {}

  napi_value get(napi_value object, const char *key) const {
    napi_value value;
    check(napi_get_named_property(env, object, key, &value), key);
    return value;
  }
  bool has(napi_value value) const {
    napi_valuetype type;
    check(napi_typeof(env, value, &type), "typeof");
    return type != napi_undefined;
  }
  double number(napi_value value) const {
    double result;
    check(napi_get_value_double(env, value, &result), "a number is missing");
    return result;
  }
  bool flag(napi_value value) const {
    bool result;
    check(napi_get_value_bool(env, value, &result), "a boolean is missing");
    return result;
  }
  template <typename T> T oneOf(std::initializer_list<T> values, napi_value index) const {
    const double i = number(index);
    if (!(i >= 0 && i < double(values.size()))) throw Failed("no such kind");
    return values.begin()[size_t(i)];
  }
  uint32_t word(napi_value object, const char *key) const { return uint32_t(number(get(object, key))); }
  uint32_t length(napi_value array) const {
    uint32_t result;
    check(napi_get_array_length(env, array, &result), "a list is missing");
    return result;
  }
  napi_value at(napi_value array, uint32_t index) const {
    napi_value value;
    check(napi_get_element(env, array, index, &value), "element");
    return value;
  }
  memory::dims dims(napi_value array) const {
    memory::dims result(length(array));
    for (uint32_t i = 0; i < result.size(); i++) result[i] = memory::dim(number(at(array, i)));
    return result;
  }
  Tensor tensor(napi_value object) const {
    Tensor t;
    using type = memory::data_type;
    const auto dataType = [&](napi_value index) { return oneOf({type::f32, type::bf16, type::s8, type::u8, type::s32}, index); };
    t.type = dataType(get(object, "type"));
    const auto wantedType = get(object, "wantedType");
    if (has(wantedType)) t.wantedType = dataType(wantedType);
    t.dims = dims(get(object, "dims"));
    t.strides = dims(get(object, "strides"));
    if (t.dims.size() != t.strides.size()) throw Failed("dims and strides differ in length");
    for (size_t i = 0; i < t.dims.size(); i++)
      if (t.dims[i] < 1 || t.strides[i] < 0) throw Failed("dims must be positive, strides not negative");
    const auto wanted = get(object, "wanted");
    if (has(wanted)) t.wanted = dims(wanted);
    t.word = word(object, "word");
    return t;
  }
  PostOp postOp(napi_value object) const {
    PostOp op;
    using dnnl::algorithm;
    op.algorithm = oneOf({algorithm::binary_add, algorithm::binary_sub, algorithm::binary_mul,
                          algorithm::binary_div},
                         get(object, "algorithm"));
    op.operand = tensor(get(object, "operand"));
    const auto param = get(object, "param");
    if (has(param)) op.param = uint32_t(number(param));
    const auto value = get(object, "value");
    if (has(value)) op.value = float(number(value));
    return op;
  }
  Description description(napi_value object) const {
    Description d;
    using Kind = Description::Kind;
    d.kind = oneOf({Kind::matmul, Kind::conv, Kind::convGradInput, Kind::convGradWeight}, get(object, "kind"));
    d.src = tensor(get(object, "src"));
    d.weights = tensor(get(object, "weights"));
    d.dst = tensor(get(object, "dst"));
    const auto bias = get(object, "bias");
    if (has(bias)) d.bias = tensor(bias);
    const auto window = get(object, "window");
    if (has(window))
      d.window = {dims(get(window, "strides")), dims(get(window, "dilates")), dims(get(window, "before")), dims(get(window, "after"))};
    const auto ops = get(object, "postOps");
    for (uint32_t i = 0; i < length(ops); i++) d.postOps.push_back(postOp(at(ops, i)));
    d.words = word(object, "words");
    d.threads = int(number(get(object, "threads")));
    d.implementation = word(object, "implementation");
    const auto check = [&](const Tensor &t) {
      if (t.word + 1 >= d.words) throw Failed("an operand has no word");
    };
    check(d.src), check(d.weights), check(d.dst);
    if (d.bias) check(*d.bias);
    for (const auto &op : d.postOps) check(op.operand);
    return d;
  }
  AttentionDescription attention(napi_value object) const {
    AttentionDescription d;
    const auto sizes = [&](const char *key) {
      const auto read = dims(get(object, key));
      for (const auto n : read)
        if (n < 1) throw Failed("sizes must be positive");
      return std::vector<int64_t>(read.begin(), read.end());
    };
    d.backward = flag(get(object, "backward"));
    d.causal = flag(get(object, "causal"));
    d.scale = number(get(object, "scale"));
    d.batch = sizes("batch");
    const auto matrices = sizes("sizes");
    if (matrices.size() != 4) throw Failed("attention has four sizes");
    d.queries = matrices[0], d.keys = matrices[1], d.size = matrices[2], d.width = matrices[3];
    const auto operands = get(object, "operands");
    for (uint32_t i = 0; i < length(operands); i++) {
      AttentionDescription::Operand operand;
      const auto given = at(operands, i);
      if (has(given)) {
        using cotangent::attention::Type;
        operand.type = oneOf({Type::f32, Type::bf16, Type::boolean}, get(given, "type"));
        for (const auto stride : dims(get(given, "strides"))) {
          if (stride < 0) throw Failed("strides must not be negative");
          operand.strides.push_back(stride);
        }
      }
      d.operands.push_back(operand);
    }
    d.threads = int(number(get(object, "threads")));
    return d;
  }
  std::vector<ResultOperation> resultOperations(napi_value list) const {
    using result::Extent, result::Operator;
    std::vector<ResultOperation> operations;
    for (uint32_t i = 0; i < length(list); i++) {
      const auto given = at(list, i);
      ResultOperation op;
      op.op = oneOf({Operator::add, Operator::sub, Operator::mul, Operator::div, Operator::max, Operator::min}, get(given, "operator"));
      op.extent = oneOf({Extent::dense, Extent::column, Extent::one}, get(given, "extent"));
      const auto memory = get(given, "word"), param = get(given, "param"), value = get(given, "value");
      if (has(memory)) op.word = uint32_t(number(memory));
      if (has(param)) op.param = uint32_t(number(param));
      if (has(value)) op.value = float(number(value));
      if (!op.word && op.extent != Extent::one) throw Failed("a number is one");
      operations.push_back(op);
    }
    return operations;
  }
  ConvolutionDescription convolution(napi_value object) const {
    ConvolutionDescription d;
    auto &p = d.problem;
    const auto sizes = [&](const char *key, int64_t least, int64_t *to, size_t count) {
      const auto read = dims(get(object, key));
      if (read.size() != count) throw Failed("a list of sizes has another length");
      for (size_t i = 0; i < count; i++) {
        if (read[i] < least || read[i] >= int64_t(1) << 31) throw Failed("sizes must be positive, and below 2^31");
        to[i] = read[i];
      }
    };
    int64_t channels[3];
    sizes("channels", 1, channels, 3);
    p.batch = channels[0], p.channelsIn = channels[1], p.channelsOut = channels[2];
    sizes("in", 1, p.in, 3), sizes("out", 1, p.out, 3), sizes("kernel", 1, p.kernel, 3), sizes("stride", 1, p.stride, 3);
    sizes("before", 0, p.before, 3), sizes("dilation", 1, p.dilation, 3), sizes("steps", 0, p.step, 4);
    p.depthwise = flag(get(object, "depthwise"));
    if (p.depthwise && p.channelsIn != 1) throw Failed("a channel by itself has one channel");
    for (const auto *axes : {p.out, p.kernel})
      if (double(axes[0]) * double(axes[1]) * double(axes[2]) * double(p.batch) * double(p.channelsIn) * double(p.channelsOut) >= 0x1p60)
        throw Failed("a convolution of that size is not possible");
    d.operations = resultOperations(get(object, "operations"));
    d.x = word(object, "x"), d.weights = word(object, "weights"), d.y = word(object, "y");
    d.words = word(object, "words");
    d.threads = int(number(get(object, "threads")));
    const auto check = [&](uint32_t word) {
      if (uint64_t(word) + (p.depthwise ? 1 : 2) >= d.words) throw Failed("an operand has no word");
    };
    check(d.x), check(d.weights), check(d.y);
    for (const auto &op : d.operations)
      if (op.word) check(*op.word);
    return d;
  }
  FewRowsDescription fewRows(napi_value object) const {
    FewRowsDescription d;
    auto &p = d.problem;
    const auto numbers = [&](const char *key, int64_t least, size_t count) {
      const auto read = dims(get(object, key));
      if (read.size() != count) throw Failed("a list of sizes has another length");
      for (const auto n : read)
        if (n < least || n >= int64_t(1) << 31) throw Failed("sizes must be positive, and below 2^31");
      return read;
    };
    const auto sizes = numbers("sizes", 1, 3), x = numbers("x", 0, 2);
    p.rows = sizes[0], p.depth = sizes[1], p.columns = sizes[2];
    p.xRow = x[0], p.xColumn = x[1];
    p.yRow = word(object, "y");
    p.step = word(object, "step");
    p.turned = flag(get(object, "turned"));
    const auto words = get(object, "words");
    d.x = word(words, "x"), d.matrix = word(words, "matrix");
    if (d.x > 1 || d.matrix > 1) throw Failed("an operand has no word");
    d.bias = flag(get(object, "bias"));
    d.threads = int(number(get(object, "threads")));
    return d;
  }
  RecurrentDescription recurrent(napi_value object) const {
    RecurrentDescription d;
    using Cell = RecurrentDescription::Cell;
    d.cell = oneOf({Cell::lstm, Cell::gru, Cell::tanh, Cell::relu}, get(object, "cell"));
    d.gradient = flag(get(object, "gradient"));
    d.reverse = flag(get(object, "reverse"));
    const auto operands = get(object, "operands");
    for (uint32_t i = 0; i < length(operands); i++) d.operands.push_back(tensor(at(operands, i)));
    d.inputs = word(object, "inputs");
    d.threads = int(number(get(object, "threads")));
    return d;
  }
  std::unique_ptr<Prepared> prepared(napi_value object) const {
    const auto own = get(object, "attention");
    if (has(own)) return Attention::make(attention(own));
    const auto windows = get(object, "convolution");
    if (has(windows)) return Convolution::make(convolution(windows));
    const auto rows = get(object, "fewRows");
    if (has(rows)) return FewRows::make(fewRows(rows));
    const auto layer = get(object, "recurrent");
    if (has(layer)) return Recurrent::make(recurrent(layer));
    return Routine::make(description(object));
  }

private:
  napi_env env;
};

template <size_t N> void arguments(napi_env env, napi_callback_info info, napi_value (&args)[N]) {
  size_t count = N;
  check(napi_get_cb_info(env, info, &count, args, nullptr, nullptr), "arguments");
  if (count < N) throw Failed("too few arguments");
}

// Externals carry a tag, so that one of another kind is an error and not a wild pointer.
const napi_type_tag heapTag = {0x7f0b1c8e2a554d11, 0x9d3c6b7a8e1f4021};
const napi_type_tag watcherTag = {0x54c1e83f7a0d9b26, 0xd86a2f15c3e7940b};
const napi_type_tag routineTag = {0x3b8e5d2c9f714a66, 0xa1c4e7d09b3f5e82};

template <typename T> napi_value external(napi_env env, T *value, const napi_type_tag &tag, napi_finalize finalize) {
  napi_value result;
  check(napi_create_external(env, value, finalize, nullptr, &result), "external");
  check(napi_type_tag_object(env, result, &tag), "tag");
  return result;
}

template <typename T> T *unwrapped(napi_env env, napi_value value, const napi_type_tag &tag) {
  napi_valuetype type;
  check(napi_typeof(env, value, &type), "typeof");
  bool is = false;
  if (type == napi_external) check(napi_check_object_type_tag(env, value, &tag, &is), "tag");
  if (!is) throw Failed("not what this function works on");
  void *data;
  check(napi_get_value_external(env, value, &data), "external");
  return static_cast<T *>(data);
}

struct AttachedHeap : Heap {
  /** Keeps the memory alive. */
  napi_ref view = nullptr;
  std::shared_ptr<Team> team;
  uint32_t number = 0;
};

/** A team and the memory that it works on, which helpers hold, too, as the engine's threads. */
struct TeamOnHeap {
  std::shared_ptr<Team> team;
  Heap heap;
};

/** The teams of all engines in the process, by number: threads that help are told a number. */
class Teams {
public:
  static Teams &get() {
    static Teams all;
    return all;
  }
  uint32_t add(TeamOnHeap team) {
    const std::lock_guard<std::mutex> lock(mutex);
    teams[++last] = std::move(team);
    return last;
  }
  void remove(uint32_t number) {
    const std::lock_guard<std::mutex> lock(mutex);
    teams.erase(number);
  }
  std::optional<TeamOnHeap> find(uint32_t number) {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto found = teams.find(number);
    if (found == teams.end()) return {};
    return found->second;
  }

private:
  std::mutex mutex;
  std::unordered_map<uint32_t, TeamOnHeap> teams;
  uint32_t last = 0;
};

/** attach(view: Uint8Array): an external for `prepare`. */
napi_value attach(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    napi_value args[1];
    arguments(env, info, args);
    void *data;
    napi_typedarray_type type;
    size_t length;
    check(napi_get_typedarray_info(env, args[0], &type, &length, &data, nullptr, nullptr), "attach takes a Uint8Array");
    if (!data) throw Failed("this runtime does not say where the memory is");
    auto heap = std::make_unique<AttachedHeap>();
    heap->base = static_cast<uint8_t *>(data);
    check(napi_create_reference(env, args[0], 1, &heap->view), "reference");
    heap->team = std::make_shared<Team>();
    heap->number = Teams::get().add({heap->team, *heap});
    return external(env, heap.release(), heapTag, [](napi_env env, void *data, void *) {
      auto *heap = static_cast<AttachedHeap *>(data);
      napi_delete_reference(env, heap->view);
      Teams::get().remove(heap->number);
      delete heap;
    });
  });
}

/** What the external of a routine points to; empty after `release`. */
struct PreparedRoutine {
  std::unique_ptr<Prepared> routine;
};

/** prepare(description): an external for `run`, its scratch bytes, what may be packed, and what oneDNN calls the code; or undefined. */
napi_value prepare(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    napi_value args[1];
    arguments(env, info, args);
    auto routine = Reader(env).prepared(args[0]);
    napi_value result;
    if (!routine) {
      check(napi_get_undefined(env, &result), "undefined");
      return result;
    }
    check(napi_create_object(env, &result), "object");
    napi_value scratch, name;
    check(napi_create_double(env, double(routine->scratchBytes()), &scratch), "number");
    if (const auto packing = routine->packing()) {
      napi_value packed;
      check(napi_create_object(env, &packed), "object");
      const auto set = [&](const char *key, double number) {
        napi_value value;
        check(napi_create_double(env, number, &value), key);
        check(napi_set_named_property(env, packed, key, value), key);
      };
      set("input", packing->word), set("bytes", double(packing->bytes)), set("scratchBytes", double(packing->scratchBytes));
      check(napi_set_named_property(env, result, "packed", packed), "packed");
    }
    check(napi_create_string_utf8(env, routine->implementation().c_str(), NAPI_AUTO_LENGTH, &name), "string");
    const auto handle =
        external(env, new PreparedRoutine{std::move(routine)}, routineTag,
                 [](napi_env, void *data, void *) { delete static_cast<PreparedRoutine *>(data); });
    check(napi_set_named_property(env, result, "handle", handle), "handle");
    check(napi_set_named_property(env, result, "scratchBytes", scratch), "scratchBytes");
    check(napi_set_named_property(env, result, "implementation", name), "implementation");
    return result;
  });
}

/** release(routine): frees it now; the external itself waits for the garbage collector. */
napi_value release(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    napi_value args[1];
    arguments(env, info, args);
    unwrapped<PreparedRoutine>(env, args[0], routineTag)->routine.reset();
    return nullptr;
  });
}

/** pack(heap, routine, source, target, bytes): what the routine takes packed, from one address to another. */
napi_value pack(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    napi_value args[5];
    arguments(env, info, args);
    const auto *heap = unwrapped<AttachedHeap>(env, args[0], heapTag);
    auto &routine = unwrapped<PreparedRoutine>(env, args[1], routineTag)->routine;
    if (!routine) throw Failed("this routine was released");
    const Reader read(env);
    routine->pack(*heap, uint32_t(read.number(args[2])), uint32_t(read.number(args[3])), uint64_t(read.number(args[4])));
    return nullptr;
  });
}

/** team(heap): the number by which helpers know its team. */
napi_value team(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    napi_value args[1];
    arguments(env, info, args);
    napi_value result;
    check(napi_create_uint32(env, unwrapped<AttachedHeap>(env, args[0], heapTag)->number, &result), "number");
    return result;
  });
}

/**
 * run(heap, routine, block, bytes, session?, helpers?): bytes is the heap's size now. In a session, which counts up, threads may `assist`, of which so
 * many are on their way besides those that are there.
 */
napi_value run(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    napi_value args[6];
    size_t count = 6;
    check(napi_get_cb_info(env, info, &count, args, nullptr, nullptr), "arguments");
    if (count < 4) throw Failed("too few arguments");
    const Reader read(env);
    const auto *heap = unwrapped<AttachedHeap>(env, args[0], heapTag);
    std::optional<Session> session;
    if (count == 6) session.emplace(*heap->team, uint32_t(read.number(args[4])), unsigned(read.number(args[5])));
    auto &routine = unwrapped<PreparedRoutine>(env, args[1], routineTag)->routine;
    if (!routine) throw Failed("this routine was released");
    routine->run(*heap, uint32_t(read.number(args[2])), uint64_t(read.number(args[3])));
    return nullptr;
  });
}

/** assist(begin, end, thread, open, wait, team, session), as engines call code in their threads: see Team::assist; `open` is an address on the heap. */
napi_value assist(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    napi_value args[7];
    arguments(env, info, args);
    const Reader read(env);
    const auto found = Teams::get().find(uint32_t(read.number(args[5])));
    if (!found) return nullptr;
    const auto &open = *reinterpret_cast<const std::atomic<uint32_t> *>(found->heap.base + uint32_t(read.number(args[3])));
    found->team->assist(open, std::chrono::microseconds(int64_t(read.number(args[4]))), uint32_t(read.number(args[6])));
    return nullptr;
  });
}

/** watcher(): an external for `watch`, `forget` and `gone`. */
napi_value watcher(napi_env env, napi_callback_info) {
  return guarded(env, [&] {
    auto made = std::make_unique<ObjectWatcher>(env);
    return external(env, made.release(), watcherTag, [](napi_env, void *data, void *) { delete static_cast<ObjectWatcher *>(data); });
  });
}

/** watch(watcher, object): the number by which the object is known. */
napi_value watch(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    napi_value args[2], number;
    arguments(env, info, args);
    check(napi_create_uint32(env, unwrapped<ObjectWatcher>(env, args[0], watcherTag)->watch(args[1]), &number), "number");
    return number;
  });
}

/** forget(watcher, number): the object is not asked after any more. */
napi_value forget(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    napi_value args[2];
    arguments(env, info, args);
    unwrapped<ObjectWatcher>(env, args[0], watcherTag)->forget(uint32_t(Reader(env).number(args[1])));
    return nullptr;
  });
}

/** gone(watcher): numbers of the objects that nobody can reach any more; they are forgotten. */
napi_value gone(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    napi_value args[1], list;
    arguments(env, info, args);
    const auto numbers = unwrapped<ObjectWatcher>(env, args[0], watcherTag)->gone();
    check(napi_create_array_with_length(env, numbers.size(), &list), "array");
    for (uint32_t i = 0; i < numbers.size(); i++) {
      napi_value number;
      check(napi_create_uint32(env, numbers[i], &number), "number");
      check(napi_set_element(env, list, i, number), "element");
    }
    return list;
  });
}

const char *threadingOf(unsigned runtime) {
  switch (runtime) {
  case DNNL_RUNTIME_OMP: return "openmp";
  case DNNL_RUNTIME_TBB: return "tbb";
  case DNNL_RUNTIME_THREADPOOL: return "threadpool";
  default: return "sequential";
  }
}

const char *isaName(dnnl::cpu_isa isa) {
  // By number: releases differ in the names that they have.
  switch (unsigned(isa)) {
  case 0x1: return "SSE4.1";
  case 0x3: return "AVX";
  case 0x7: return "AVX2";
  case 0xf:
  case 0x407: return "AVX2-VNNI";
  case 0x1f: return "AVX2-VNNI-2";
  case 0x27: return "AVX-512";
  case 0x67: return "AVX-512-VNNI";
  case 0xe7: return "AVX-512-BF16";
  case 0x1ef: return "AVX-512-FP16";
  case 0x3e7:
  case 0xfef: return "AMX";
  case 0x1fef: return "AMX-FP16";
  default: return "";
  }
}

/** info(): version, threading and instruction set of the oneDNN that is loaded. */
napi_value libraryInfo(napi_env env, napi_callback_info) {
  return guarded(env, [&] {
    const auto *version = dnnl::version();
    napi_value result;
    check(napi_create_object(env, &result), "object");
    const auto text = [&](const char *key, const std::string &value) {
      napi_value string;
      check(napi_create_string_utf8(env, value.c_str(), value.size(), &string), key);
      check(napi_set_named_property(env, result, key, string), key);
    };
    text("version",
         std::to_string(version->major) + "." + std::to_string(version->minor) + "." + std::to_string(version->patch));
    text("threading", threadingOf(version->cpu_runtime));
    const auto isa = dnnl::get_effective_cpu_isa();
    const std::string name = isaName(isa);
    text("instructionSet", name.empty() ? std::to_string(unsigned(isa)) : name);
    napi_value adjustable;
    check(napi_get_boolean(env, openmp::adjustable(), &adjustable), "boolean");
    check(napi_set_named_property(env, result, "threadsAdjustable", adjustable), "threadsAdjustable");
    napi_value shared;
    check(napi_get_boolean(env, openmp::serves(), &shared), "boolean");
    check(napi_set_named_property(env, result, "threadsShared", shared), "threadsShared");
    return result;
  });
}

/** Changes with what `prepare` and `run` take; binding.ts has the same. */
constexpr uint32_t protocol = 10;

} // namespace

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      {"attach", nullptr, attach, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"prepare", nullptr, prepare, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"release", nullptr, release, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"team", nullptr, team, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"assist", nullptr, assist, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"pack", nullptr, pack, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"run", nullptr, run, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"watcher", nullptr, watcher, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"watch", nullptr, watch, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"forget", nullptr, forget, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"gone", nullptr, gone, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"info", nullptr, libraryInfo, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  // Routines are kept ready by whoever asks for them; what oneDNN keeps besides is for those that share primitives.
  dnnl::set_primitive_cache_capacity(128);
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
  napi_value number;
  if (napi_create_uint32(env, protocol, &number) == napi_ok) napi_set_named_property(env, exports, "protocol", number);
  return exports;
}
