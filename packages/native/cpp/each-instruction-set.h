// Includes the file COTANGENT_CODE once for each instruction set of this architecture, within a namespace of its own and with the compiler told what it may
// use. It defines a `const Code code`; `fastestOf` gives that of the best one. To be included within the namespace that has `Code`, behind <immintrin.h> or
// <arm_neon.h>, which vector-headers.h includes.
//   COTANGENT_LANES   float32 numbers of a vector
//   COTANGENT_ROWS    rows of C that a product holds in registers
//   COTANGENT_VECTORS vectors of each such row

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
#include "vector-code.h"
#include COTANGENT_CODE
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
#include "vector-code.h"
#include COTANGENT_CODE
}
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

/** The best that this machine has, null if it has none. `widest`: vectors of 512 bits, too. */
inline const Code *fastestOf(bool widest) {
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
#include "vector-code.h"
#include COTANGENT_CODE
}

inline const Code *fastestOf(bool) { return &neon::code; }

#else

inline const Code *fastestOf(bool) { return nullptr; }

#endif
