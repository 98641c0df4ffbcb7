// Doubles to correctly rounded float32: a quick test that all is well, and a second look where it is not.
// Included by kernel.inl.hpp only.

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

// evaluate errs in relation to its result, by 4e-16 at most; that is 1.6e-16 absolute.
Bound evaluated_bound(double angle) { return {angle * kAngleLoss, 0x1p-50}; }

// A step errs by 0.6e-16, and a turn by sqrt(2) times what it turns and by at most 1.4e-16 of rounding. An anchor is
// turned once, and then again into a row.
Bound turned_bound(double angle) { return {8.5e-16 + angle * kAngleLoss, 0.0}; }

// What is known of the rounding of some rows' pieces.
struct Doubt {
    std::uint32_t window;
#if defined(__AVX512F__)
    __mmask16 clear = 0xffff;  // lanes without a tie so far: one instruction where a minimum takes two
#else
    u32s closest = ~u32s{};  // least distance to a tie so far, in the upper 29 bits
#endif
    u32s common = ~u32s{};  // bits common to all float32 results so far

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

    bool any() const {
        const u32s all = common & Bound::kAtLeast;
#if defined(__AVX512F__)
        return (clear & _mm512_cmpeq_epi32_mask((__m512i)all, (__m512i)(Bound::kAtLeast + u32s{}))) != 0xffff;
#else
        return posenc::any((u32s)(all != Bound::kAtLeast) | (u32s)(closest <= 16 * window - 1));
#endif
    }
};

f32s round_f32(f64s a, f64s b, Doubt& doubt) {
    const f32s rounded = join(__builtin_convertvector(a, f32h), __builtin_convertvector(b, f32h));
    doubt.note(a, b, rounded);
    return rounded;
}

f64s magnitude(f64s y) { return (f64s)((i64s)y & INT64_MAX); }

// Looks again at a piece of one row, whose doubles are y = a cos + sign b sin: where y rounds differently within its
// bound, exact_f32 decides. `cos` is null for an evaluated row, y = a.
[[gnu::noinline]] void repair(float* row, std::size_t count, const Table& table, double position, std::size_t first,
                              const Bound& bound, const double* a, const double* b, const double* cos,
                              const double* sin, double sign) {
    for (std::size_t j = 0; j < count; j += kLanes) {
        f64s y = load<f64s>(a + j);
        if (cos != nullptr) {
            y = y * load<f64s>(cos + j) + sign * load<f64s>(b + j) * load<f64s>(sin + j);
        }
        const f64s error = magnitude(y) * bound.relative + bound.absolute;
        const f32h low = __builtin_convertvector(y - error, f32h), high = __builtin_convertvector(y + error, f32h);
        if (!any((u32s)join(low, high) ^ (u32s)join(high, low))) {
            continue;
        }
        for (std::size_t i = 0; i < kLanes && first + j + i < table.columns; ++i) {
            if (low[i] != high[i]) {
                row[j + i] = exact_f32(table, position, table.source[first + j + i]);
            }
        }
    }
}

// The same for a piece in registers: only here does it need an address.
template <std::size_t vectors, class... Rest>
[[gnu::always_inline]] inline void repair(f32s (&values)[vectors], const Rest&... rest) {
    alignas(64) float row[vectors * 2 * kLanes];
    for (std::size_t v = 0; v < vectors; ++v) {
        store(row + v * 2 * kLanes, values[v]);
    }
    repair(row, vectors * 2 * kLanes, rest...);
    for (std::size_t v = 0; v < vectors; ++v) {
        values[v] = load<f32s>(row + v * 2 * kLanes);
    }
}

}  // namespace
}  // namespace posenc
