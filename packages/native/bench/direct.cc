// oneDNN without anything around it: reads one case a line, answers with the seconds of its fastest run.
//   matmul f32|bf16|s8|u8 M K N
//   conv|convGradInput|convGradWeight f32|bf16|s8|u8 batch size channelsIn channelsOut kernel stride
// Bytes (s8, u8) are multiplied by s8, to s32; there are no gradients of these. Activations have channels last; weights lie in oneDNN's own layout, and no reorder is counted.
#include <chrono>
#include <cstring>
#include <iostream>
#include <sstream>

#include <omp.h>

#include "../cpp/onednn.h"

using dnnl::memory;
using tag = memory::format_tag;

namespace {

const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
dnnl::stream stream(engine);

memory filled(const memory::desc &desc) {
  memory made(desc, engine);
  std::memset(made.get_data_handle(), 0, desc.get_size());
  return made;
}

double fastest(const dnnl::primitive &primitive, const std::unordered_map<int, memory> &args) {
  using clock = std::chrono::steady_clock;
  double best = 1e9;
  const auto start = clock::now();
  for (int run = 0; run < 3 || clock::now() - start < std::chrono::milliseconds(150); run++) {
    const auto begin = clock::now();
    primitive.execute(stream, args);
    stream.wait();
    best = std::min(best, std::chrono::duration<double>(clock::now() - begin).count());
  }
  return best;
}

bool isByte(memory::data_type type) { return type == memory::data_type::s8 || type == memory::data_type::u8; }

memory::data_type weightsType(memory::data_type type) { return isByte(type) ? memory::data_type::s8 : type; }

double matmul(memory::data_type type, std::istream &in) {
  memory::dim m, k, n;
  in >> m >> k >> n;
  const auto pd = cotangent::onednn::matmul(engine, {{m, k}, type, tag::ab}, {{k, n}, weightsType(type), tag::ab}, nullptr,
                                            {{m, n}, isByte(type) ? memory::data_type::s32 : memory::data_type::f32, tag::ab}, {});
  return fastest(dnnl::matmul(pd), {{DNNL_ARG_SRC, filled(pd.src_desc())},
                                    {DNNL_ARG_WEIGHTS, filled(pd.weights_desc())},
                                    {DNNL_ARG_DST, filled(pd.dst_desc())}});
}

double conv(const std::string &kind, memory::data_type type, std::istream &in) {
  memory::dim batch, size, channelsIn, channelsOut, kernel, stride;
  in >> batch >> size >> channelsIn >> channelsOut >> kernel >> stride;
  const auto padding = kernel / 2, out = (size + 2 * padding - kernel) / stride + 1;
  const memory::desc src({batch, channelsIn, size, size}, type, tag::nhwc);
  const memory::desc dst({batch, channelsOut, out, out}, isByte(type) ? memory::data_type::s32 : type, tag::nhwc);
  const memory::desc weights({channelsOut, channelsIn, kernel, kernel}, weightsType(type), tag::any);
  const cotangent::onednn::Window w{{stride, stride}, {0, 0}, {padding, padding}, {padding, padding}};
  if (kind == "conv") {
    const auto pd = cotangent::onednn::convolution(engine, src, weights, nullptr, dst, w, {});
    return fastest(dnnl::convolution_forward(pd), {{DNNL_ARG_SRC, filled(src)},
                                                   {DNNL_ARG_WEIGHTS, filled(pd.weights_desc())},
                                                   {DNNL_ARG_DST, filled(dst)}});
  }
  if (kind == "convGradInput") {
    const auto pd = cotangent::onednn::convolutionGradInput(engine, src, weights, dst, w, {});
    return fastest(dnnl::convolution_backward_data(pd), {{DNNL_ARG_DIFF_DST, filled(dst)},
                                                         {DNNL_ARG_WEIGHTS, filled(pd.weights_desc())},
                                                         {DNNL_ARG_DIFF_SRC, filled(src)}});
  }
  const auto pd = cotangent::onednn::convolutionGradWeight(engine, src, weights, dst, w, {});
  return fastest(dnnl::convolution_backward_weights(pd), {{DNNL_ARG_SRC, filled(src)},
                                                          {DNNL_ARG_DIFF_DST, filled(dst)},
                                                          {DNNL_ARG_DIFF_WEIGHTS, filled(pd.diff_weights_desc())}});
}

} // namespace

int main(int, char **argv) {
  omp_set_num_threads(std::stoi(argv[1]));
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    std::string kind, type;
    in >> kind >> type;
    const auto dtype = type == "bf16" ? memory::data_type::bf16
                       : type == "s8" ? memory::data_type::s8
                       : type == "u8" ? memory::data_type::u8
                                      : memory::data_type::f32;
    std::cout << (kind == "matmul" ? matmul(dtype, in) : conv(kind, dtype, in)) << std::endl;
  }
}
