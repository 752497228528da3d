// The few places where the interfaces of oneDNN 2.x and 3.x differ.
#pragma once

#include <dnnl.hpp>

namespace cotangent::onednn {

using dnnl::algorithm;
using dnnl::engine;
using dnnl::memory;
using dnnl::primitive_attr;
using dims = memory::dims;

struct Window {
  dims strides, dilates, before, after;
};

/** The one that comes so many places behind oneDNN's first choice; empty where there is none. */
template <typename Desc> Desc behind(Desc first, uint32_t places) {
  for (; first && places > 0; places--)
    if (!first.next_impl()) return {};
  return first;
}

#if DNNL_VERSION_MAJOR >= 3

inline dnnl::matmul::primitive_desc matmul(const engine &e, const memory::desc &src, const memory::desc &weights,
                                           const memory::desc *bias, const memory::desc &dst, const primitive_attr &attr,
                                           uint32_t implementation = 0) {
  return behind(bias ? dnnl::matmul::primitive_desc(e, src, weights, *bias, dst, attr, true)
                     : dnnl::matmul::primitive_desc(e, src, weights, dst, attr, true),
                implementation);
}

inline dnnl::convolution_forward::primitive_desc convolution(const engine &e, const memory::desc &src, const memory::desc &weights,
                                                             const memory::desc *bias, const memory::desc &dst, const Window &w,
                                                             const primitive_attr &attr, uint32_t implementation = 0) {
  const auto kind = dnnl::prop_kind::forward_training;
  const auto direct = algorithm::convolution_direct;
  return behind(bias ? dnnl::convolution_forward::primitive_desc(e, kind, direct, src, weights, *bias, dst, w.strides, w.dilates, w.before,
                                                                 w.after, attr, true)
                     : dnnl::convolution_forward::primitive_desc(e, kind, direct, src, weights, dst, w.strides, w.dilates, w.before, w.after,
                                                                 attr, true),
                implementation);
}

inline dnnl::convolution_backward_data::primitive_desc convolutionGradInput(const engine &e, const memory::desc &src,
                                                                            const memory::desc &weights, const memory::desc &dst,
                                                                            const Window &w, const primitive_attr &attr,
                                                                            uint32_t implementation = 0) {
  const auto hint = convolution(e, src, weights, nullptr, dst, w, attr);
  if (!hint) return {};
  return behind(dnnl::convolution_backward_data::primitive_desc(e, algorithm::convolution_direct, src, weights, dst, w.strides, w.dilates,
                                                                w.before, w.after, hint, attr, true),
                implementation);
}

inline dnnl::convolution_backward_weights::primitive_desc convolutionGradWeight(const engine &e, const memory::desc &src,
                                                                                const memory::desc &weights, const memory::desc &dst,
                                                                                const Window &w, const primitive_attr &attr,
                                                                                uint32_t implementation = 0) {
  const auto hint = convolution(e, src, weights, nullptr, dst, w, attr);
  if (!hint) return {};
  return behind(dnnl::convolution_backward_weights::primitive_desc(e, algorithm::convolution_direct, src, weights, dst, w.strides, w.dilates,
                                                                   w.before, w.after, hint, attr, true),
                implementation);
}

#else

inline dnnl::matmul::primitive_desc matmul(const engine &e, const memory::desc &src, const memory::desc &weights,
                                           const memory::desc *bias, const memory::desc &dst, const primitive_attr &attr,
                                           uint32_t implementation = 0) {
  const auto desc = bias ? dnnl::matmul::desc(src, weights, *bias, dst) : dnnl::matmul::desc(src, weights, dst);
  return behind(dnnl::matmul::primitive_desc(desc, attr, e, true),
                implementation);
}

inline dnnl::convolution_forward::primitive_desc convolution(const engine &e, const memory::desc &src, const memory::desc &weights,
                                                             const memory::desc *bias, const memory::desc &dst, const Window &w,
                                                             const primitive_attr &attr, uint32_t implementation = 0) {
  const auto kind = dnnl::prop_kind::forward_training;
  const auto direct = algorithm::convolution_direct;
  using desc = dnnl::convolution_forward::desc;
  return behind(dnnl::convolution_forward::primitive_desc(
             bias ? desc(kind, direct, src, weights, *bias, dst, w.strides, w.dilates, w.before, w.after)
                  : desc(kind, direct, src, weights, dst, w.strides, w.dilates, w.before, w.after),
             attr, e, true),
                implementation);
}

inline dnnl::convolution_backward_data::primitive_desc convolutionGradInput(const engine &e, const memory::desc &src,
                                                                            const memory::desc &weights, const memory::desc &dst,
                                                                            const Window &w, const primitive_attr &attr,
                                                                            uint32_t implementation = 0) {
  const auto hint = convolution(e, src, weights, nullptr, dst, w, attr);
  if (!hint) return {};
  return behind(dnnl::convolution_backward_data::primitive_desc(
      {algorithm::convolution_direct, src, weights, dst, w.strides, w.dilates, w.before, w.after}, attr, e, hint, true),
                implementation);
}

inline dnnl::convolution_backward_weights::primitive_desc convolutionGradWeight(const engine &e, const memory::desc &src,
                                                                                const memory::desc &weights, const memory::desc &dst,
                                                                                const Window &w, const primitive_attr &attr,
                                                                                uint32_t implementation = 0) {
  const auto hint = convolution(e, src, weights, nullptr, dst, w, attr);
  if (!hint) return {};
  return behind(dnnl::convolution_backward_weights::primitive_desc(
      {algorithm::convolution_direct, src, weights, dst, w.strides, w.dilates, w.before, w.after}, attr, e, hint, true),
                implementation);
}

#endif

} // namespace cotangent::onednn
