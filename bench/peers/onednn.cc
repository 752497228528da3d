// oneDNN without anything around it: makes the case that its arguments name, then reads numbers of runs and answers each with the seconds that they took.
//   THREADS matmul f32|bf16|s8 M K N
//   version
//   THREADS forward|input-gradient|weight-gradient f32|u8 batch size channelsIn channelsOut kernel stride
// Bytes are multiplied by s8, to s32. Activations have channels last; weights of convolutions lie in oneDNN's own layout, and no reorder is counted.
#include <chrono>
#include <cstring>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "../../packages/native/cpp/onednn.h"

using dnnl::memory;
using tag = memory::format_tag;
using Type = memory::data_type;

namespace {

const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
dnnl::stream stream(engine);

struct Case {
  dnnl::primitive primitive;
  std::unordered_map<int, memory> args;
};

/** Numbers between -1 and 1, bytes whatever they are: a machine that multiplies zeros may run at a higher clock. */
memory filled(const memory::desc &desc) {
  memory made(desc, engine);
  std::minstd_rand random;
  const size_t size = memory::data_type_size(desc.data_type()), count = desc.get_size() / size;
  for (size_t i = 0; i < count; i++) {
    auto *at = static_cast<char *>(made.get_data_handle()) + i * size;
    const float value = float(random()) / float(std::minstd_rand::max() / 2) - 1;
    // The upper half of a float32 number is it as bfloat16.
    if (size == 2) std::memcpy(at, reinterpret_cast<const char *>(&value) + 2, size);
    else if (desc.data_type() == Type::f32) std::memcpy(at, &value, size);
    else *at = char(random());
  }
  return made;
}

bool isByte(Type type) { return type == Type::s8 || type == Type::u8; }
Type weightsType(Type type) { return isByte(type) ? Type::s8 : type; }
Type resultType(Type type) { return isByte(type) ? Type::s32 : type; }

Case matmul(Type type, const std::vector<memory::dim> &sizes) {
  const auto m = sizes.at(0), k = sizes.at(1), n = sizes.at(2);
  const auto pd = cotangent::onednn::matmul(engine, {{m, k}, type, tag::ab}, {{k, n}, weightsType(type), tag::ab}, nullptr,
                                            {{m, n}, resultType(type), tag::ab}, {});
  return {dnnl::matmul(pd),
          {{DNNL_ARG_SRC, filled(pd.src_desc())}, {DNNL_ARG_WEIGHTS, filled(pd.weights_desc())}, {DNNL_ARG_DST, filled(pd.dst_desc())}}};
}

Case convolution(const std::string &part, Type type, const std::vector<memory::dim> &sizes) {
  const auto batch = sizes.at(0), size = sizes.at(1), channelsIn = sizes.at(2), channelsOut = sizes.at(3), kernel = sizes.at(4), stride = sizes.at(5);
  const auto padding = kernel / 2, out = (size + 2 * padding - kernel) / stride + 1;
  const memory::desc src({batch, channelsIn, size, size}, type, tag::nhwc);
  const memory::desc dst({batch, channelsOut, out, out}, resultType(type), tag::nhwc);
  const memory::desc weights({channelsOut, channelsIn, kernel, kernel}, weightsType(type), tag::any);
  const cotangent::onednn::Window w{{stride, stride}, {0, 0}, {padding, padding}, {padding, padding}};
  if (part == "forward") {
    const auto pd = cotangent::onednn::convolution(engine, src, weights, nullptr, dst, w, {});
    return {dnnl::convolution_forward(pd),
            {{DNNL_ARG_SRC, filled(src)}, {DNNL_ARG_WEIGHTS, filled(pd.weights_desc())}, {DNNL_ARG_DST, filled(dst)}}};
  }
  if (part == "input-gradient") {
    const auto pd = cotangent::onednn::convolutionGradInput(engine, src, weights, dst, w, {});
    return {dnnl::convolution_backward_data(pd),
            {{DNNL_ARG_DIFF_DST, filled(dst)}, {DNNL_ARG_WEIGHTS, filled(pd.weights_desc())}, {DNNL_ARG_DIFF_SRC, filled(src)}}};
  }
  const auto pd = cotangent::onednn::convolutionGradWeight(engine, src, weights, dst, w, {});
  return {dnnl::convolution_backward_weights(pd),
          {{DNNL_ARG_SRC, filled(src)}, {DNNL_ARG_DIFF_DST, filled(dst)}, {DNNL_ARG_DIFF_WEIGHTS, filled(pd.diff_weights_desc())}}};
}

} // namespace

int main(int argc, char **argv) {
  const std::vector<std::string> given(argv + 1, argv + argc);
  if (given.at(0) == "version") {
    const auto *version = dnnl::version();
    std::cout << version->major << '.' << version->minor << '.' << version->patch << std::endl;
    return 0;
  }
#ifdef _OPENMP
  omp_set_num_threads(std::stoi(given.at(0)));
#endif
  const std::string part = given.at(1), name = given.at(2);
  const auto type = name == "bf16" ? Type::bf16 : name == "s8" ? Type::s8 : name == "u8" ? Type::u8 : Type::f32;
  std::vector<memory::dim> sizes;
  for (size_t i = 3; i < given.size(); i++) sizes.push_back(std::stoll(given[i]));
  const auto made = part == "matmul" ? matmul(type, sizes) : convolution(part, type, sizes);
  using clock = std::chrono::steady_clock;
  for (int64_t runs; std::cin >> runs;) {
    const auto start = clock::now();
    for (int64_t i = 0; i < runs; i++) {
      made.primitive.execute(stream, made.args);
      stream.wait();
    }
    std::cout << std::chrono::duration<double>(clock::now() - start).count() << std::endl;
  }
}
