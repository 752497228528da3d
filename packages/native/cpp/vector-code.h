// Vectors of float32 numbers for one instruction set; see each-instruction-set.h. There is no include guard: each has its own.
//   COTANGENT_LANES   float32 numbers of a vector

constexpr int64_t W = COTANGENT_LANES;

typedef float Floats __attribute__((vector_size(W * 4), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(W * 4), aligned(4), may_alias));

COTANGENT_INLINE Floats load(const float *p) { return *reinterpret_cast<const Floats *>(p); }
COTANGENT_INLINE void store(float *p, Floats x) { *reinterpret_cast<Floats *>(p) = x; }
COTANGENT_INLINE Floats all(float x) { return x - Floats{}; }
COTANGENT_INLINE Floats choose(Ints condition, Floats yes, Floats no) { return condition ? yes : no; }

COTANGENT_INLINE Floats fma(Floats a, Floats b, Floats c) {
#if COTANGENT_LANES == 16
  return Floats(_mm512_fmadd_ps(__m512(a), __m512(b), __m512(c)));
#elif COTANGENT_LANES == 8
  return Floats(_mm256_fmadd_ps(__m256(a), __m256(b), __m256(c)));
#else
  return Floats(vfmaq_f32(float32x4_t(c), float32x4_t(a), float32x4_t(b)));
#endif
}
