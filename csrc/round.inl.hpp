// Doubles to vectors of float32 that narrow to the correctly rounded float32, float16 or bfloat16: a quick test that
// all is well, and a second look where it is not. Included by kernel.inl.hpp only.

namespace posenc {
namespace {

// How far the doubles of a row can be from the truth.
struct Bound {
    double absolute;
    double relative;

    // The quick test looks at the 29 bits that float32 drops. Results smaller than 2^-15 are always looked at again;
    // for larger ones the error is at most this many units of the last place, and only a tie within it is in doubt.
    std::uint32_t window() const {
        const double units = absolute * 0x1p67 + relative * 0x1p53;
        std::uint32_t window = 16;
        while (window < units && window < kTie) {
            window *= 2;
        }
        return window;
    }

    static constexpr std::uint32_t kTie = 1u << 28;
    static constexpr std::uint32_t kAtLeast = 0x38000000;  // exponent bits common to 2^-15 <= |y| < 2
};

// What is lost of an angle counted in quarter turns, in relation to it; with room for two turns.
constexpr double kAngleLoss = 0x1p-103;

// docs/accuracy.md, sections 4 and 5.
Bound evaluated_bound(double angle) { return {angle * kAngleLoss, 0x1p-50}; }
Bound quick_bound(double angle) { return {angle < kNear ? angle * kAngleLoss : 0x1p-50, 0x1p-43}; }

// A step errs by 0.6e-16, and a turn by sqrt(2) times what it turns and by at most 1.4e-16 of rounding. An anchor is
// turned once, and then again into a row. A factor that is not 1 is rounded once more, in the anchor.
Bound turned_bound(double angle, double amplitude) {
    return {(amplitude == 1.0 ? 8.5e-16 : 1e-15) + angle * kAngleLoss, 0.0};
}

u32s lanes_from(std::size_t count) { return (u32s)(lane_numbers() >= static_cast<std::uint32_t>(count)); }

// What is known of the rounding of a piece: about float32 from the bits it drops, about 16 bits from their ties.
template <class E>
struct Doubt;

template <>
struct Doubt<float> {
    std::uint32_t window;
#if defined(__AVX512F__)
    __mmask16 clear = 0xffff;  // lanes without a tie so far: one instruction where a minimum takes two
#else
    u32s closest = ~u32s{};  // least distance to a tie so far, in the upper 29 bits
#endif
    u32s common = ~u32s{};  // bits common to all float32 results so far

    explicit Doubt(const Bound& bound) : window(bound.window()) {}

    void note(f64s a, f64s b, f32s rounded) {
        const u32s distance = low_words(a, b) - (Bound::kTie - window);
#if defined(__AVX512F__)
        const u32s outside = (0x1fffffff & ~(2 * window - 1)) + u32s{};
        clear = _mm512_mask_test_epi32_mask(clear, (__m512i)distance, (__m512i)outside);
#else
        closest = (distance << 3) < closest ? (distance << 3) : closest;
#endif
        common &= (u32s)rounded;
    }

    // Of a piece of one vector: the lanes that are not meant. What is in them is no tie.
    void ignore_from(std::size_t count) { common |= lanes_from(count); }

    bool any() const {
        const u32s all = common & Bound::kAtLeast;
#if defined(__AVX512F__)
        return (clear & _mm512_cmpeq_epi32_mask((__m512i)all, (__m512i)(Bound::kAtLeast + u32s{}))) != 0xffff;
#else
        return posenc::any((u32s)(all != Bound::kAtLeast) | (u32s)(closest <= 16 * window - 1));
#endif
    }
};

// A number rounded to float32 narrows as the number itself, unless it became a tie of the narrow format. These bits of
// a tie are zero; float16 drops one more where it is subnormal.
template <class E>
constexpr std::uint32_t kTieBits = 0xfff;
template <>
constexpr std::uint32_t kTieBits<bf16> = 0x7fff;

template <class E>
struct Doubt {
#if defined(__AVX512F__)
    __mmask16 clear;  // lanes without a tie so far
#else
    u32s clear;
#endif
    u32s common = ~u32s{};

    explicit Doubt(const Bound& bound) {
        clear = bound.absolute < 0x1p-42 ? static_cast<decltype(clear)>(~decltype(clear){}) : decltype(clear){};
    }

    void note(f64s, f64s, f32s rounded) {
#if defined(__AVX512F__)
        clear = _mm512_mask_test_epi32_mask(clear, (__m512i)rounded, (__m512i)(kTieBits<E> + u32s{}));
#else
        clear &= (u32s)(((u32s)rounded & kTieBits<E>) != 0);
#endif
        common &= (u32s)rounded;
    }

    void ignore_from(std::size_t count) {
        const u32s ignored = lanes_from(count);
        common |= ignored;
#if defined(__AVX512F__)
        clear = (__mmask16)(clear | _mm512_movepi32_mask((__m512i)ignored));
#else
        clear |= ignored;
#endif
    }

    bool any() const {
        const u32s small = (u32s)((common & Bound::kAtLeast) != Bound::kAtLeast);
#if defined(__AVX512F__)
        return clear != 0xffff || posenc::any(small);
#else
        return posenc::any(small | ~clear);
#endif
    }
};

template <class E>
f32s round_f32(f64s a, f64s b, Doubt<E>& doubt) {
    const f32s rounded = join(__builtin_convertvector(a, f32h), __builtin_convertvector(b, f32h));
    doubt.note(a, b, rounded);
    return rounded;
}

f64s magnitude(f64s y) { return (f64s)((i64s)y & INT64_MAX); }

// Rounded toward zero, the last bit set where that lost something: what rounds to any shorter format as y does.
f32h round_to_odd(f64s y) {
    const f32h nearest = __builtin_convertvector(y, f32h);
    const f64s back = __builtin_convertvector(nearest, f64s);
    const i32h inexact = __builtin_convertvector((i64s)(back != y), i32h);
    const i32h too_large = __builtin_convertvector((i64s)(magnitude(back) > magnitude(y)), i32h);
    return (f32h)(((i32h)nearest + too_large) | (inexact & 1));
}

// Half of the smallest number of a narrow format: what is no larger narrows to 0, which has no sign.
constexpr float half_of_smallest(f16) { return 0x1p-25f; }
constexpr float half_of_smallest(bf16) { return 0x1p-134f; }

// What narrows to the rounded number; a 0 is a positive one.
f32h rounded(f64s y, float) { return __builtin_convertvector(y, f32h) + 0.0f; }
template <class E>
f32h rounded(f64s y, E) {
    const f32h odd = round_to_odd(y);
    const i32h large = (i32h)(odd > half_of_smallest(E{})) | (i32h)(odd < -half_of_smallest(E{}));
    return (f32h)((i32h)odd & large);
}

float exact(const Table& table, double position, std::int32_t source, float) {
    return static_cast<float>(exact_odd(table, position, source)) + 0.0f;
}

template <class E>
float exact(const Table& table, double position, std::int32_t source, E) {
    // By way of the narrow format itself: narrow_certain wants no ties.
    const f64s odd = exact_odd(table, position, source) + f64s{};
    E narrowed[2 * kLanes];
    narrow(narrowed, join(round_to_odd(odd), round_to_odd(odd)));
    return widen(narrowed)[0] + 0.0f;
}

// Looks again at a piece of one row, whose doubles are y = a cos + sign b sin: where y rounds differently within its
// bound, 100 bits decide. `cos` is null for an evaluated row, y = a.
template <class E>
[[gnu::noinline]] void repair(float* row, std::size_t count, const Table& table, double position, std::size_t first,
                              const Bound& bound, const double* a, const double* b, const double* cos,
                              const double* sin, double sign) {
    for (std::size_t j = 0; j < count; j += kLanes) {
        f64s y = load<f64s>(a + j);
        i64s is_zero{};  // a column of zeros: a sine and its derivative are never both zero
        if (cos != nullptr) {
            is_zero = (i64s)(y == 0.0) & (i64s)(load<f64s>(b + j) == 0.0);
            y = y * load<f64s>(cos + j) + sign * load<f64s>(b + j) * load<f64s>(sin + j);
        }
        const f64s error = (f64s)((i64s)(magnitude(y) * bound.relative + bound.absolute) & ~is_zero);
        const f32h low = rounded(y - error, E{}), high = rounded(y + error, E{});
        store(row + j, high);
        if (!any((u32s)join(low, high) ^ (u32s)join(high, low))) {
            continue;
        }
        for (std::size_t i = 0; i < kLanes && first + j + i < table.columns; ++i) {
            if (low[i] != high[i]) {
                row[j + i] = exact(table, position, table.source[first + j + i], E{});
            }
        }
    }
}

// The same for a piece in registers: only here does it need an address.
template <class E, std::size_t vectors, class... Rest>
[[gnu::always_inline]] inline void repair(f32s (&values)[vectors], const Rest&... rest) {
    alignas(64) float row[vectors * 2 * kLanes];
    repair<E>(row, vectors * 2 * kLanes, rest...);
    for (std::size_t v = 0; v < vectors; ++v) {
        values[v] = load<f32s>(row + v * 2 * kLanes);
    }
}

}  // namespace
}  // namespace posenc
