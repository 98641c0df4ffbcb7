// The 16-bit formats, float16 (IEEE binary16) and bfloat16 (the upper half of a float32), to and from vectors of
// float32. Included by kernel.inl.hpp only. Rounding is to nearest even. NaNs are quiet ones whose last 16 bits are
// zero, like all that arithmetic makes of widened numbers.

namespace posenc {
namespace {

struct f16 {
    std::uint16_t bits;
};
struct bf16 {
    std::uint16_t bits;
};

template <class A, class B>
constexpr bool kSame = false;
template <class A>
constexpr bool kSame<A, A> = true;
template <class E>
constexpr bool kNarrow = kSame<E, f16> || kSame<E, bf16>;

[[maybe_unused]] u32s select(u32s mask, u32s a, u32s b) { return (a & mask) | (b & ~mask); }

f32s widen(const float* from) { return load<f32s>(from); }

f32s widen(const bf16* from) {
#if defined(__AVX512BW__)
    const __m512i order = (__m512i)(lane_numbers() << 16);  // each number as the upper half of a lane
    return (f32s)_mm512_maskz_permutexvar_epi16(0xaaaaaaaa, order, _mm512_castsi256_si512((__m256i)load<u16h>(from)));
#else
    return (f32s)(__builtin_convertvector(load<u16h>(from), u32s) << 16);
#endif
}

f32s widen(const f16* from) {
#if defined(__AVX512F__)
    return (f32s)_mm512_maskz_cvtph_ps(0xffff, (__m256i)load<u16h>(from));
#elif defined(__F16C__)
    return (f32s)_mm256_cvtph_ps((__m128i)load<u16h>(from));
#elif defined(__aarch64__)
    return (f32s)vcvt_f32_f16((float16x4_t)load<u16h>(from));
#else
    constexpr std::uint32_t kInfinity = 0x7c00u << 13, kRebias = 112u << 23;
    const u32s half = __builtin_convertvector(load<u16h>(from), u32s);
    const u32s magnitude = (half & 0x7fff) << 13, sign = (half & 0x8000) << 16;
    const u32s normal = magnitude + kRebias;
    const f32s smallest = (f32s)(kRebias + (1u << 23) + u32s{});  // 2^-14
    const u32s subnormal = (u32s)((f32s)(normal + (1u << 23)) - smallest);
    const u32s quiet = select((u32s)(magnitude > kInfinity), (1u << 22) + u32s{}, u32s{});
    const u32s infinite = (normal + kRebias) | quiet;
    const u32s finite = select((u32s)(magnitude < (1u << 23)), subnormal, normal);
    return (f32s)(select((u32s)(magnitude >= kInfinity), infinite, finite) | sign);
#endif
}

void narrow(float* to, f32s value) { store(to, value); }

// The upper halves of all lanes.
void store_upper_halves(bf16* to, u32s bits) { store(to, __builtin_convertvector(bits >> 16, u16h)); }

void store_upper_halves(bf16* to, u32s a, u32s b) {
#if defined(__AVX512BW__)
    const __m512i order = (__m512i)(lane_numbers() * 0x40004 + 0x30001);  // words 1, 3, 5, ...
    store(to, _mm512_permutex2var_epi16((__m512i)a, order, (__m512i)b));
#else
    store_upper_halves(to, a);
    store_upper_halves(to + 2 * kLanes, b);
#endif
}

u32s rounded_to_bf16(f32s value) {
    const u32s bits = (u32s)value;
    return bits + 0x7fff + ((bits >> 16) & 1);
}

void narrow(bf16* to, f32s value) { store_upper_halves(to, rounded_to_bf16(value)); }

void narrow(f16* to, f32s value) {
#if defined(__AVX512F__)
    store(to, (u16h)_mm512_maskz_cvtps_ph(0xffff, (__m512)value, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
    store(to, (u16h)_mm256_cvtps_ph((__m256)value, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__aarch64__)
    store(to, (u16h)vcvt_f16_f32((float32x4_t)value));
#else
    constexpr std::uint32_t kRebias = 112u << 23, kOverflow = 143u << 23, kHalf = 126u << 23;
    const u32s bits = (u32s)value, magnitude = bits & 0x7fffffff, sign = (bits >> 16) & 0x8000;
    const u32s normal = (magnitude - kRebias + 0xfff + ((bits >> 13) & 1)) >> 13;
    // Adding 1/2 puts a subnormal's last bit where float32 rounds.
    const u32s subnormal = (u32s)((f32s)magnitude + (f32s)(kHalf + u32s{})) - kHalf;
    const u32s nan = 0x7e00 | ((magnitude >> 13) & 0x3ff);
    const u32s infinite = select((u32s)(magnitude > 0x7f800000), nan, 0x7c00 + u32s{});
    const u32s finite = select((u32s)(magnitude < kRebias + (1u << 23)), subnormal, normal);
    store(to, __builtin_convertvector(select((u32s)(magnitude >= kOverflow), infinite, finite) | sign, u16h));
#endif
}

// Several vectors at once.
template <class E, std::size_t vectors>
[[gnu::always_inline]] inline void narrow(E* to, const f32s (&values)[vectors]) {
    for (std::size_t v = 0; v < vectors; ++v) {
        narrow(to + v * 2 * kLanes, values[v]);
    }
}

template <std::size_t vectors>
[[gnu::always_inline]] inline void store_upper_halves(bf16* to, const u32s (&bits)[vectors]) {
    std::size_t v = 0;
    for (; v + 2 <= vectors; v += 2) {
        store_upper_halves(to + v * 2 * kLanes, bits[v], bits[v + 1]);
    }
    if (v < vectors) {
        store_upper_halves(to + v * 2 * kLanes, bits[v]);
    }
}

template <std::size_t vectors>
[[gnu::always_inline]] inline void narrow(bf16* to, const f32s (&values)[vectors]) {
    u32s bits[vectors];
    for (std::size_t v = 0; v < vectors; ++v) {
        bits[v] = rounded_to_bf16(values[v]);
    }
    store_upper_halves(to, bits);
}

// The same for finite numbers that are no ties.
template <class E, std::size_t vectors>
[[gnu::always_inline]] inline void narrow_certain(E* to, const f32s (&values)[vectors]) {
    narrow(to, values);
}

template <std::size_t vectors>
[[gnu::always_inline]] inline void narrow_certain(bf16* to, const f32s (&values)[vectors]) {
    u32s bits[vectors];
    for (std::size_t v = 0; v < vectors; ++v) {
        bits[v] = (u32s)values[v] + 0x8000;
    }
    store_upper_halves(to, bits);
}

// The same past the caches, to addresses that are multiples of a register's size.
template <class E, std::size_t vectors>
[[gnu::always_inline]] inline void stream_certain(E* to, const f32s (&values)[vectors]) {
    if constexpr (kSame<E, float>) {
        for (std::size_t v = 0; v < vectors; ++v) {
            stream(to + v * 2 * kLanes, (u32s)values[v]);
        }
    } else {
        alignas(64) E narrowed[vectors * 2 * kLanes];
        narrow_certain(narrowed, values);
        for (std::size_t v = 0; v < vectors; v += 2) {
            stream(to + v * 2 * kLanes, load<u32s>(narrowed + v * 2 * kLanes));
        }
    }
}

}  // namespace
}  // namespace posenc
