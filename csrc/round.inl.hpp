// Doubles to correctly rounded float32: a quick test that all is well, and a second look where it is not.
// Included by kernel.inl.hpp only.

namespace posenc {
namespace {

// How far a double made here can be from the truth. evaluate errs by at most 1.6e-16, a step by 0.6e-16, and a turn by
// sqrt(2) times what it turns and by at most 1.4e-16 of rounding. An anchor is turned once and then again into a row:
// 8.5e-16 in all. In relation to the terms that are added, |a cos| + |b sin|, the same chain stays below kBound; on top
// of that comes what the angle itself lacks, kAngleBound of its size.
constexpr double kBound = 0x1p-48;
constexpr double kAngleBound = 0x1p-104;

// The quick test looks at the 29 bits that float32 drops. Results smaller than 2^-15 are always looked at again; for
// larger ones the error is at most `window` units of the last place (2^-67 or more), and only a tie within it is in
// doubt.
constexpr std::uint32_t kTie = 1u << 28;
constexpr std::uint32_t kAtLeast = 0x38000000;  // exponent bits common to 2^-15 <= |y| < 2
constexpr std::uint32_t kTurnedWindow = 1u << 17;  // 2^17 2^-67 = 8.9e-16. Every window is a power of two.

// An evaluated row errs in relation to its own size: 16 units, and what is lost of a large angle.
std::uint32_t evaluated_window(double angle) {
    std::uint32_t window = 16;
    while (window < kTurnedWindow && window < 16.0 + angle * (kAngleBound * 0x1p67)) {
        window *= 2;
    }
    return window;
}

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
        const u32s distance = low_words(a, b) - (kTie - window);
#if defined(__AVX512F__)
        const u32s outside = (0x1fffffff & ~(2 * window - 1)) + u32s{};
        clear = _mm512_mask_test_epi32_mask(clear, (__m512i)distance, (__m512i)outside);
#else
        closest = (distance << 3) < closest ? (distance << 3) : closest;
#endif
        common &= (u32s)rounded;
    }

    bool any() const {
        const u32s all = common & kAtLeast;
#if defined(__AVX512F__)
        return (clear & _mm512_cmpeq_epi32_mask((__m512i)all, (__m512i)(kAtLeast + u32s{}))) != 0xffff;
#else
        return posenc::any((u32s)(all != kAtLeast) | (u32s)(closest < (2 * window << 3)));
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
                              const double* a, const double* b, const double* cos, const double* sin, double sign) {
    const double angle_bound = table.largest * kAngleBound * (position < 0 ? -position : position);
    for (std::size_t j = 0; j < count; j += kLanes) {
        f64s y = load<f64s>(a + j);
        f64s terms = magnitude(y);
        if (cos != nullptr) {
            const f64s x = y * load<f64s>(cos + j), d = sign * load<f64s>(b + j) * load<f64s>(sin + j);
            y = x + d;
            terms = magnitude(x) + magnitude(d);
        }
        const f64s bound = terms * kBound + angle_bound;
        const f32h low = __builtin_convertvector(y - bound, f32h), high = __builtin_convertvector(y + bound, f32h);
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
