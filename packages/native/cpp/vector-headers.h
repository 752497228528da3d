// What vector-code.h needs.
#pragma once

#include <cstdint>

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
