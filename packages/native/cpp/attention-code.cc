// The code of attention for each instruction set of this architecture.
#include <cstdint>
#include <utility>

#include "attention-tiles.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define COTANGENT_INLINE __attribute__((always_inline)) inline
#ifdef __clang__
#define COTANGENT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define COTANGENT_UNROLL _Pragma("GCC unroll 16")
#endif

namespace cotangent::attention {

#if defined(__x86_64__)

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma,avx2,prefer-vector-width=512")
#endif
#define COTANGENT_LANES 16
#define COTANGENT_ROWS 6
#define COTANGENT_VECTORS 4
namespace avx512 {
#include "attention-code.h"
}
#undef COTANGENT_LANES
#undef COTANGENT_ROWS
#undef COTANGENT_VECTORS
#ifdef __clang__
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define COTANGENT_LANES 8
#define COTANGENT_ROWS 6
#define COTANGENT_VECTORS 2
namespace avx2 {
#include "attention-code.h"
}
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const AttentionCode *fastestCode(bool widest) {
  __builtin_cpu_init();
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
  if (wide && widest) return &avx512::code;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2::code : nullptr;
}

#elif defined(__aarch64__)

#define COTANGENT_LANES 4
#define COTANGENT_ROWS 6
#define COTANGENT_VECTORS 4
namespace neon {
#include "attention-code.h"
}

const AttentionCode *fastestCode(bool) { return &neon::code; }

#else

const AttentionCode *fastestCode(bool) { return nullptr; }

#endif

} // namespace cotangent::attention
