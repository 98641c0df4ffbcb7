// Compiler vectors of whatever width this ISA level has, and the few operations that compiler vectors lack.
// Included by kernel.inl.hpp only. No mathematics.
#include <cstddef>
#include <cstdint>
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// Marks a loop whose instructions tools/mca.py reads. Tied to the loop's counter: a volatile one would keep the state
// of the loop in memory.
#if defined(POSENC_MCA)
#define POSENC_MCA_LOOP(counter) asm("# LLVM-MCA-LOOP" : "+r"(counter))
#else
#define POSENC_MCA_LOOP(counter) static_cast<void>(0)
#endif

namespace posenc {
namespace {

#if defined(__AVX512F__)
constexpr std::size_t kLanes = 8;
#elif defined(__AVX2__)
constexpr std::size_t kLanes = 4;
#else
constexpr std::size_t kLanes = 2;
#endif

constexpr std::size_t kVector = 2 * kLanes;  // float32 lanes of a register
constexpr std::size_t kStrip = 2 * kVector;  // columns of a strip: four registers of doubles

using f64s = double __attribute__((vector_size(kLanes * 8)));
using i64s = std::int64_t __attribute__((vector_size(kLanes * 8)));
using u64s = std::uint64_t __attribute__((vector_size(kLanes * 8)));
using f32h = float __attribute__((vector_size(kLanes * 4)));  // half a register: what f64s converts to
using f32s = float __attribute__((vector_size(kLanes * 8)));
using u32s = std::uint32_t __attribute__((vector_size(kLanes * 8)));
using i32s = std::int32_t __attribute__((vector_size(kLanes * 8)));
using i32h = std::int32_t __attribute__((vector_size(kLanes * 4)));
using u16h = std::uint16_t __attribute__((vector_size(kLanes * 4)));  // as many lanes as f32s

template <class V, class T>
V load(const T* source) {
    V value;
    __builtin_memcpy(&value, source, sizeof value);
    return value;
}

template <class V, class T>
void store(T* target, V value) {
    __builtin_memcpy(target, &value, sizeof value);
}

template <class T>
void copy(T* to, const T* from, std::size_t count) {
    for (std::size_t j = 0; j < count; ++j) {
        to[j] = from[j];
    }
}

double absolute(double x) { return x < 0.0 ? -x : x; }
std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }

template <std::size_t value>
struct Constant {
    constexpr operator std::size_t() const { return value; }
};

[[maybe_unused]] u32s lane_numbers() {
    u32s lane{};
    for (std::size_t i = 0; i < 2 * kLanes; ++i) {
        lane[i] = static_cast<std::uint32_t>(i);
    }
    return lane;
}

#if defined(__AVX512F__)
constexpr bool kFused = true;
f64s fused(f64s a, f64s b, f64s c) { return (f64s)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
f32s join(f32h a, f32h b) { return (f32s)_mm512_insertf32x8(_mm512_castps256_ps512((__m256)a), (__m256)b, 1); }
bool any(u32s mask) { return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0; }
void stream(void* target, u32s value) { _mm512_stream_si512(static_cast<__m512i*>(target), (__m512i)value); }
#elif defined(__AVX2__)
constexpr bool kFused = true;
f64s fused(f64s a, f64s b, f64s c) { return (f64s)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
f32s join(f32h a, f32h b) { return (f32s)_mm256_insertf128_ps(_mm256_castps128_ps256((__m128)a), (__m128)b, 1); }
bool any(u32s mask) { return _mm256_testz_si256((__m256i)mask, (__m256i)mask) == 0; }
void stream(void* target, u32s value) { _mm256_stream_si256(static_cast<__m256i*>(target), (__m256i)value); }
#elif defined(__SSE2__)
constexpr bool kFused = false;
f64s fused(f64s a, f64s b, f64s c) { return a * b + c; }
f32s join(f32h a, f32h b) { return __builtin_shufflevector(a, b, 0, 1, 2, 3); }
bool any(u32s mask) { return _mm_movemask_epi8(_mm_cmpeq_epi32((__m128i)mask, _mm_setzero_si128())) != 0xffff; }
void stream(void* target, u32s value) { _mm_stream_si128(static_cast<__m128i*>(target), (__m128i)value); }
#else
constexpr bool kFused = true;
f64s fused(f64s a, f64s b, f64s c) { return (f64s)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
f32s join(f32h a, f32h b) { return __builtin_shufflevector(a, b, 0, 1, 2, 3); }
bool any(u32s mask) { return vmaxvq_u32((uint32x4_t)mask) != 0; }
void stream(void* target, u32s value) { __builtin_memcpy(target, &value, sizeof value); }
#endif

void stream(void* target, std::uint32_t value) {
#if defined(__SSE2__)
    _mm_stream_si32(static_cast<int*>(target), static_cast<int>(value));
#else
    __builtin_memcpy(target, &value, sizeof value);
#endif
}

void stream_fence() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

#if defined(__AVX512F__)
#define POSENC_LANES(pattern8, pattern4, pattern2) pattern8
#elif defined(__AVX2__)
#define POSENC_LANES(pattern8, pattern4, pattern2) pattern4
#else
#define POSENC_LANES(pattern8, pattern4, pattern2) pattern2
#endif
#define POSENC_LIST(...) __VA_ARGS__

f64s weave_low(f64s a, f64s b) {  // a0 b0 a1 b1 ...
    return __builtin_shufflevector(
        a, b, POSENC_LANES(POSENC_LIST(0, 8, 1, 9, 2, 10, 3, 11), POSENC_LIST(0, 4, 1, 5), POSENC_LIST(0, 2)));
}

f64s weave_high(f64s a, f64s b) {
    return __builtin_shufflevector(
        a, b, POSENC_LANES(POSENC_LIST(4, 12, 5, 13, 6, 14, 7, 15), POSENC_LIST(2, 6, 3, 7), POSENC_LIST(1, 3)));
}

f32s weave(f32h a, f32h b) {
#if defined(__AVX512F__)
    const __m512i order = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    return (f32s)_mm512_permutex2var_ps(_mm512_castps256_ps512((__m256)a), order, _mm512_castps256_ps512((__m256)b));
#else
    return __builtin_shufflevector(a, b, POSENC_LANES(, POSENC_LIST(0, 4, 1, 5, 2, 6, 3, 7), POSENC_LIST(0, 2, 1, 3)));
#endif
}

f32s weave(f32s halves) {
    return __builtin_shufflevector(halves, halves,
                                   POSENC_LANES(POSENC_LIST(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15),
                                                POSENC_LIST(0, 4, 1, 5, 2, 6, 3, 7), POSENC_LIST(0, 2, 1, 3)));
}

// ---- masks: a bit of each float32 lane, or its sign -----------------------------------------------------------------

#if defined(__AVX512F__)
using Mask = __mmask16;
Mask every_lane() { return 0xffff; }
bool all(Mask mask) { return mask == 0xffff; }
// The lanes of `mask` in which `value` has one of `bits`.
Mask with_bits(Mask mask, u32s value, u32s bits) {
    return _mm512_mask_test_epi32_mask(mask, (__m512i)value, (__m512i)bits);
}
// The lanes of `mask` in which a and b are at least `floor` in magnitude.
Mask at_least(Mask mask, f32s a, f32s b, f32s floor) {
    const __m512 least = _mm512_range_ps((__m512)a, (__m512)b, 0b1010);  // the smaller magnitude
    return _mm512_mask_cmp_ps_mask(mask, least, (__m512)floor, _CMP_GE_OQ);
}
#else
using Mask = u32s;
Mask every_lane() { return ~u32s{}; }
#if defined(__AVX2__)
bool all(Mask mask) { return _mm256_testc_ps((__m256)mask, (__m256)~u32s{}) != 0; }
#else
bool all(Mask mask) { return !any(~mask & 0x80000000); }
#endif
Mask with_bits(Mask mask, u32s value, u32s bits) { return mask & (u32s)((value & bits) != 0); }
Mask at_least(Mask mask, f32s a, f32s b, f32s floor) {
    const u32s x = (u32s)a & 0x7fffffff, y = (u32s)b & 0x7fffffff;  // which are ordered as the numbers are
    return mask & (((u32s)floor - 1) - (x < y ? x : y));
}
#endif

// The first `count` of the lanes: they are read, or written, and no others.
#if defined(__AVX512F__)
f32s load_some(const float* from, std::size_t count) {
    return (f32s)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from);
}
void store_some(float* to, f32s value, std::size_t count) {
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), (__m512)value);
}
#elif defined(__AVX2__)
f32s load_some(const float* from, std::size_t count) {
    const u32s lanes = (u32s)(lane_numbers() < static_cast<std::uint32_t>(count));
    return (f32s)_mm256_maskload_ps(from, (__m256i)lanes);
}
void store_some(float* to, f32s value, std::size_t count) {
    const u32s lanes = (u32s)(lane_numbers() < static_cast<std::uint32_t>(count));
    _mm256_maskstore_ps(to, (__m256i)lanes, (__m256)value);
}
#else
f32s load_some(const float* from, std::size_t count) {
    f32s value{};
    for (std::size_t i = 0; i < count; ++i) {
        value[i] = from[i];
    }
    return value;
}
void store_some(float* to, f32s value, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        to[i] = value[i];
    }
}
#endif

// table[i % 16] of every lane, i being the last bits of a double.
f64s lookup(const double* table, f64s index) {
#if defined(__AVX512F__)
    return (f64s)_mm512_permutex2var_pd(_mm512_loadu_pd(table), (__m512i)index, _mm512_loadu_pd(table + 8));
#else
    f64s found{};
    for (std::size_t i = 0; i < kLanes; ++i) {
        found[i] = table[((u64s)index)[i] % 16];
    }
    return found;
#endif
}

u32s low_words(f64s a, f64s b) {  // the low halves of all lanes
    return __builtin_shufflevector((u32s)a, (u32s)b,
                                   POSENC_LANES(POSENC_LIST(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30),
                                                POSENC_LIST(0, 2, 4, 6, 8, 10, 12, 14), POSENC_LIST(0, 2, 4, 6)));
}

// A register of float32 from two of doubles, and how far each double is from a tie: the bits that rounding drops, less
// half of the last bit kept, at the top of a signed lane.
struct Narrowed {
    f32s value;
    i32s rest;
};
[[maybe_unused]] Narrowed narrow_both(f64s a, f64s b) {
    const f32s value = join(__builtin_convertvector(a, f32h), __builtin_convertvector(b, f32h));
    return {value, (i32s)((low_words(a, b) - (1U << 28)) << 3)};
}

// The same of doubles that are rearranged so. Ties go away from zero, and of doubles below 2^-126 in magnitude only
// zeros are right.
#if defined(__AVX512F__)
// One integer addition rounds and carries; a float32 then is the double's first two bits and what follows the next
// three. Conversions (vcvtpd2ps) and the shuffles they need take a third more of the ports. Shuffles do not leave
// 128-bit lanes, hence the order.
void rearrange(f64s& a, f64s& b) {
    const f64s low = __builtin_shufflevector(a, b, 0, 1, 4, 5, 8, 9, 12, 13);
    b = __builtin_shufflevector(a, b, 2, 3, 6, 7, 10, 11, 14, 15);
    a = low;
}
void arrange(f64s& a, f64s& b) {  // undoes it
    const f64s low = __builtin_shufflevector(a, b, 0, 1, 8, 9, 2, 3, 10, 11);
    b = __builtin_shufflevector(a, b, 4, 5, 12, 13, 6, 7, 14, 15);
    a = low;
}
Narrowed narrow_rearranged(f64s a, f64s b) {
    const __m512 x = (__m512)((u64s)a + (1U << 28)), y = (__m512)((u64s)b + (1U << 28));
    const __m512i high = (__m512i)_mm512_shuffle_ps(x, y, 0xdd), low = (__m512i)_mm512_shuffle_ps(x, y, 0x88);
    const __m512i first_bits = _mm512_set1_epi32(static_cast<int>(0xc0000000));
    const __m512i value = _mm512_ternarylogic_epi32(_mm512_shldi_epi32(high, low, 3), high, first_bits, 0xd8);
    return {(f32s)value, (i32s)((u32s)low << 3)};
}
#else
void rearrange(f64s&, f64s&) {}
void arrange(f64s&, f64s&) {}
Narrowed narrow_rearranged(f64s a, f64s b) { return narrow_both(a, b); }
#endif

f64s least(f64s a, f64s b) { return a < b ? a : b; }

f64s choose(i64s mask, f64s a, f64s b) { return (f64s)(((i64s)a & mask) | ((i64s)b & ~mask)); }

f64s magnitude(f64s y) { return (f64s)((i64s)y & INT64_MAX); }

// a * b + c. Fused where float32 is made: the rounding test makes its bits independent of that. Float64 results have
// no such test and are never fused.
template <bool fuse>
f64s multiply_add(f64s a, f64s b, f64s c) {
    if constexpr (fuse && kFused) {
        return fused(a, b, c);
    } else {
        return a * b + c;
    }
}

// a * b - product, exactly: one fused operation, or Dekker's splitting. Both give the same bits.
f64s product_error(f64s a, f64s b, f64s product) {
    if constexpr (kFused) {
        return fused(a, b, -product);
    } else {
        const f64s a_large = a * 0x1.0000002p27, b_large = b * 0x1.0000002p27;
        const f64s a_high = a_large - (a_large - a), b_high = b_large - (b_large - b);
        const f64s a_low = a - a_high, b_low = b - b_high;
        return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    }
}

}  // namespace
}  // namespace posenc
