// The mathematics of the compiled backend, written once and compiled once per ISA level by kernel_<isa>.cpp.
// Not a header to share: everything lives in an anonymous namespace, because a template or inline function compiled
// with two sets of flags would leave one weak copy, and an old CPU would run the new one's instructions. For the same
// reason it includes nothing of the standard library beyond integer types.
//
// How a row comes about:
//   evaluate   sin and cos of one position at every frequency, in double (error < 2e-16)
//   rotate     rows p + r and p - r from an anchor row p: sin and cos of a +- b share their four products
//   round_f32  double -> float32, noticing every value too close to a rounding boundary to be sure
//   repair     those, about one block in twenty, are looked at again; one element in a million is computed to 100 bits
// so that the float32 result is the correctly rounded one whichever way it was computed.
#include <cstddef>
#include <cstdint>
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "kernel.hpp"

namespace posenc {
namespace {

#if defined(__AVX512F__)
constexpr std::size_t kLanes = 8;
#elif defined(__AVX2__)
constexpr std::size_t kLanes = 4;
#else
constexpr std::size_t kLanes = 2;
#endif

using f64s = double __attribute__((vector_size(kLanes * 8)));
using i64s = std::int64_t __attribute__((vector_size(kLanes * 8)));
using f32h = float __attribute__((vector_size(kLanes * 4)));  // half a register: what f64s converts to
using f32s = float __attribute__((vector_size(kLanes * 8)));
using u32s = std::uint32_t __attribute__((vector_size(kLanes * 8)));

template <class T>
using Vector __attribute__((vector_size(kLanes * 8))) = T;

constexpr std::size_t kBlock = 64;  // columns made, checked and written at a time; they stay in the first-level cache

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

// ---- the few operations that compiler vectors lack ------------------------------------------------------------------

#if defined(__AVX512F__)
constexpr bool kFused = true;
f64s fused(f64s a, f64s b, f64s c) { return (f64s)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
f32s join(f32h a, f32h b) { return (f32s)_mm512_insertf32x8(_mm512_castps256_ps512((__m256)a), (__m256)b, 1); }
bool any(u32s mask) { return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0; }
void stream(float* target, f32s value) { _mm512_stream_ps(target, (__m512)value); }
#elif defined(__AVX2__)
constexpr bool kFused = true;
f64s fused(f64s a, f64s b, f64s c) { return (f64s)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
f32s join(f32h a, f32h b) { return (f32s)_mm256_insertf128_ps(_mm256_castps128_ps256((__m128)a), (__m128)b, 1); }
bool any(u32s mask) { return _mm256_testz_si256((__m256i)mask, (__m256i)mask) == 0; }
void stream(float* target, f32s value) { _mm256_stream_ps(target, (__m256)value); }
#elif defined(__SSE2__)
constexpr bool kFused = false;
f64s fused(f64s a, f64s b, f64s c) { return a * b + c; }
f32s join(f32h a, f32h b) { return __builtin_shufflevector(a, b, 0, 1, 2, 3); }
bool any(u32s mask) { return _mm_movemask_epi8(_mm_cmpeq_epi32((__m128i)mask, _mm_setzero_si128())) != 0xffff; }
void stream(float* target, f32s value) { _mm_stream_ps(target, (__m128)value); }
#else
constexpr bool kFused = true;
f64s fused(f64s a, f64s b, f64s c) { return (f64s)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
f32s join(f32h a, f32h b) { return __builtin_shufflevector(a, b, 0, 1, 2, 3); }
bool any(u32s mask) { return vmaxvq_u32((uint32x4_t)mask) != 0; }
void stream(float* target, f32s value) { store(target, value); }
#endif

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
    return __builtin_shufflevector(a, b, POSENC_LANES(POSENC_LIST(0, 8, 1, 9, 2, 10, 3, 11), POSENC_LIST(0, 4, 1, 5),
                                                      POSENC_LIST(0, 2)));
}

f64s weave_high(f64s a, f64s b) {
    return __builtin_shufflevector(a, b, POSENC_LANES(POSENC_LIST(4, 12, 5, 13, 6, 14, 7, 15),
                                                      POSENC_LIST(2, 6, 3, 7), POSENC_LIST(1, 3)));
}

u32s low_words(f64s a, f64s b) {  // the low halves of all lanes, in whatever order is one instruction
    return __builtin_shufflevector(
        (u32s)a, (u32s)b,
        POSENC_LANES(POSENC_LIST(0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30),
                     POSENC_LIST(0, 2, 8, 10, 4, 6, 12, 14), POSENC_LIST(0, 2, 4, 6)));
}

// a * b + c. Fused where float32 is made: the check in round_f32 makes its bits independent of that. Float64 results
// have no such check and are never fused.
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

// ---- sin and cos of one position ------------------------------------------------------------------------------------

// sin(pi/2 f) = f pi/2 + f (kHalfPiLow + f^2 kSine(f^2)) and cos(pi/2 f) = 1 + f^2 kCosine(f^2) for |f| <= 1/2.
// Minimax polynomials, error 8e-18 and 2e-19; the same constants stand in python/posenc/_formula.py.
constexpr double kHalfPi = 0x1.921fb54442d18p+0, kHalfPiLow = 0x1.1a62633145c07p-54;
constexpr double kSine[] = {-0x1.4abbce625be4fp-1,  0x1.466bc67759a74p-4,   -0x1.32d2cce40f1b9p-8,
                            0x1.507830eb89329p-13, -0x1.e3015b8c137e7p-19, 0x1.e43f0379f9b5cp-25};
constexpr double kCosine[] = {-0x1.3bd3cc9be45dep+0, 0x1.03c1f081b5ac3p-2,   -0x1.55d3c7e3cb985p-6, 0x1.e1f50687729d1p-11,
                              -0x1.a6d1efcb6c960p-16, 0x1.f9cedc2e2b86ep-22, -0x1.b32f42e57faddp-28};

template <bool fuse, std::size_t count>
f64s polynomial(const double (&coefficient)[count], f64s z) {
    f64s sum = coefficient[count - 1] + f64s{};
    for (std::size_t i = count - 1; i-- > 0;) {
        sum = multiply_add<fuse>(sum, z, coefficient[i] + f64s{});
    }
    return sum;
}

// trig[2k], trig[2k + 1] = sin, cos of position * w_k, for every k. Absolute error: below 2e-16, and below 4e-16 near
// 2^53, where the angle itself is only known to 2^-53 quarter turns.
template <bool fuse>
void evaluate(const Table& table, double position, double* trig) {
    constexpr double kInteger = 0x1.8p52;        // adding and subtracting it rounds to a whole number
    constexpr double kManyTurns = 0x1.8p79;      // the same, to a multiple of 2^27 quarter turns
    const f64s p = position + 0.0 + f64s{};      // + 0.0: a negative zero is the position zero
    for (std::size_t k = 0; k < table.padded_frequencies; k += kLanes) {
        const f64s w = load<f64s>(table.frequency[0] + k);
        const f64s w_low = load<f64s>(table.frequency[1] + k);
        const f64s product = p * w;
        const f64s low = multiply_add<fuse>(p, w_low, product_error(p, w, product));
        const f64s angle = product - ((product + kManyTurns) - kManyTurns);
        const f64s whole = angle + kInteger;
        const f64s part = angle - (whole - kInteger);
        const f64s sum = part + low;             // near 2^53 the low part is itself up to a quarter turn
        const f64s back = sum - part;
        const f64s error = (part - (sum - back)) + (low - back);
        const f64s carry = sum + kInteger;
        const f64s f = (sum - (carry - kInteger)) + error;

        const f64s z = f * f;
        const f64s tail = multiply_add<fuse>(z, polynomial<fuse>(kSine, z), kHalfPiLow + f64s{});
        const f64s sine = multiply_add<fuse>(f, tail, f * kHalfPi);
        const f64s cosine = multiply_add<fuse>(z, polynomial<fuse>(kCosine, z), 1.0 + f64s{});

        const i64s quadrant = (i64s)whole + (i64s)carry;
        const i64s odd = -(quadrant & 1);
        const i64s s = ((i64s)sine & ~odd) | ((i64s)cosine & odd);
        const i64s c = ((i64s)cosine & ~odd) | ((i64s)sine & odd);
        const f64s sin = (f64s)(s ^ ((quadrant & 2) << 62));
        const f64s cos = (f64s)(c ^ (((quadrant + 1) & 2) << 62));
        store(trig + 2 * k, weave_low(sin, cos));
        store(trig + 2 * k + kLanes, weave_high(sin, cos));
    }
}

// ---- doubles to correctly rounded float32 ---------------------------------------------------------------------------

// How far a double made here can be from the truth. evaluate errs by less than 1.8e-16; turning an anchor adds the
// step's error and two roundings, and so does turning that into a row: 1.3e-15 in all. In relation to the terms that
// are added, |a cos| + |b sin|, the same chain stays below kBound; on top of that comes what the angle itself lacks,
// kAngleBound of its size.
constexpr double kBound = 0x1p-48;
constexpr double kAngleBound = 0x1p-104;

// The quick test looks at the 29 bits that float32 drops. Results smaller than 2^-15 are always looked at again; for
// larger ones the error is at most `window` units of the last place (2^-67 or more), and only a tie within it is in
// doubt.
constexpr std::uint32_t kTie = 1u << 28;
constexpr std::uint32_t kAtLeast = 0x38000000;  // exponent bits common to 2^-15 <= |y| < 2
constexpr std::uint32_t kRotatedWindow = 1u << 18;  // a power of two, as every window: 1.3e-15 < 2^18 2^-67

// An evaluated row errs in relation to its own size: 16 units, and what is lost of a large angle.
std::uint32_t evaluated_window(double angle) {
    std::uint32_t window = 16;
    while (window < kRotatedWindow && window < 16.0 + angle * (kAngleBound * 0x1p67)) {
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

    bool any() const { return any(*this, *this); }

    static bool any(const Doubt& a, const Doubt& b) {
        const u32s all = a.common & b.common & kAtLeast;
#if defined(__AVX512F__)
        return ((a.clear & b.clear) & _mm512_cmpeq_epi32_mask((__m512i)all, (__m512i)(kAtLeast + u32s{}))) != 0xffff;
#else
        const u32s nearest = a.closest < b.closest ? a.closest : b.closest;
        return posenc::any((u32s)(all != kAtLeast) | (u32s)(nearest < (2 * a.window << 3)));
#endif
    }
};

f32s round_f32(f64s a, f64s b, Doubt& doubt) {
    const f32s rounded = join(__builtin_convertvector(a, f32h), __builtin_convertvector(b, f32h));
    doubt.note(a, b, rounded);
    return rounded;
}

f64s magnitude(f64s y) { return (f64s)((i64s)y & INT64_MAX); }

// Looks again at columns [first, first + count) of one row, whose doubles are y = a cos + b sin: where y rounds
// differently within its bound, exact_f32 decides. `cos` is null for an evaluated row, y = a.
[[gnu::noinline]] void repair(const Table& table, double position, std::size_t first, std::size_t count,
                              const double* a, const double* b, const double* cos, const double* sin, double sign,
                              float* row) {
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

// ---- rows -----------------------------------------------------------------------------------------------------------

// A row in column order and its derivative by the angle: what turning it needs.
struct Anchor {
    double* value;
    double* derivative;
};

struct Workspace {
    double* trig;  // what evaluate writes
    Anchor evaluated, turned;
    void* tile;  // rows that several sequences share, or that are converted on their way out
};

Workspace divide(const Table& table, double* memory) {
    double* row = memory + table.padded_trig;
    const std::size_t size = table.padded_columns;
    return {memory, {row, row + size}, {row + 2 * size, row + 3 * size}, row + 4 * size};
}

double position_of(const Rows& rows, std::size_t i) {
    return rows.position != nullptr ? rows.position[i] : rows.start + static_cast<double>(rows.first + i);
}

// Whether every position is one more than the one before, exactly. Fractional starts are rounded row by row.
bool is_run(const Rows& rows) {
    return rows.position == nullptr && static_cast<double>(static_cast<std::int64_t>(rows.start)) == rows.start;
}

// `count` of these rows, from the one at `first`.
Rows part_of(const Rows& rows, std::size_t first, std::size_t count) {
    return {rows.position != nullptr ? rows.position + first : nullptr, rows.start, rows.first + first, count};
}

std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }

template <std::size_t value>
struct Constant {
    constexpr operator std::size_t() const { return value; }
};

// The row at `position`, padded with ones: harmless to turn, never in doubt.
template <bool fuse>
const double* evaluated_row(const Table& table, double position, const Workspace& work) {
    evaluate<fuse>(table, position, work.trig);
    double* value = work.trig;
    if (!table.identity) {
        value = work.evaluated.value;
        for (std::size_t j = 0; j < table.columns; ++j) {
            value[j] = work.trig[table.source[j]];
        }
    }
    for (std::size_t j = 0; j < kPadding; ++j) {
        value[table.columns + j] = 1.0;
    }
    return value;
}

// The same with its derivative: d sin = cos, d cos = -sin; padded with zeros.
void evaluate_anchor(const Table& table, double position, const Workspace& work) {
    evaluate<true>(table, position, work.trig);
    const Anchor& anchor = work.evaluated;
    for (std::size_t j = 0; j < table.columns; ++j) {
        const std::int32_t source = table.source[j];
        const double other = work.trig[source ^ 1];
        anchor.value[j] = work.trig[source];
        anchor.derivative[j] = (source & 1) != 0 ? -other : other;
    }
    for (std::size_t j = 0; j < kPadding; ++j) {
        anchor.value[table.columns + j] = 1.0;
        anchor.derivative[table.columns + j] = 0.0;
    }
}

// The anchor |step| tiles before or after `from`.
void turn_anchor(const Table& table, const Anchor& from, std::ptrdiff_t step, const Anchor& to) {
    const auto index = static_cast<std::size_t>(step < 0 ? -step : step) - 1;
    const double* cos = table.tile_cos + index * table.padded_columns;
    const double* sin = table.tile_sin + index * table.padded_columns;
    const double sign = step < 0 ? -1.0 : 1.0;
    for (std::size_t j = 0; j < table.padded_columns; j += kLanes) {
        const f64s c = load<f64s>(cos + j), s = sign * load<f64s>(sin + j);
        const f64s value = load<f64s>(from.value + j), derivative = load<f64s>(from.derivative + j);
        store(to.value + j, multiply_add<true>(derivative, s, value * c));
        store(to.derivative + j, multiply_add<true>(-value, s, derivative * c));
    }
}

// Makes the float32 rows of a run or of a list of positions and hands them to `write` in pieces of at most kBlock
// columns: write(row, column, values, count). `lead` is the width of a row's first piece, so that the others can start
// on a cache line.
//
// A list is evaluated row by row. A run is cut into tiles of 2R + 1 rows; rows of a tile are made in pairs, outward
// from the anchor in its middle; and the anchors of 2S + 1 tiles are turned from one that was evaluated.
template <class Write>
struct Maker {
    const Table& table;
    const Rows& rows;
    const Workspace& work;
    const Write& write;
    std::size_t lead;

    void make() const {
        const std::size_t height = 2 * table.reach + 1;
        const bool run = is_run(rows);
        for (std::size_t i = 0; i < rows.count;) {
            if (!run) {
                const double position = position_of(rows, i);
                plain_row(i, position, evaluated_row<true>(table, position, work), evaluated_window(angle(position)));
                ++i;
            } else if (rows.count - i < height) {
                tile(i, rows.count - i, work.evaluated, true);
                i = rows.count;
            } else {
                const std::size_t tiles = smaller((rows.count - i) / height, 2 * table.tile_reach + 1);
                evaluate_anchor(table, position_of(rows, i + tiles / 2 * height + table.reach), work);
                for (std::size_t t = 0; t < tiles; ++t, i += height) {
                    const auto step = static_cast<std::ptrdiff_t>(t) - static_cast<std::ptrdiff_t>(tiles / 2);
                    if (step != 0) {
                        turn_anchor(table, work.evaluated, step, work.turned);
                    }
                    tile(i, height, step != 0 ? work.turned : work.evaluated, false);
                }
            }
        }
    }

private:
    double angle(double position) const { return table.largest * (position < 0.0 ? -position : position); }

    void tile(std::size_t first, std::size_t count, const Anchor& anchor, bool fresh) const {
        const std::size_t half = count / 2, centre = first + half;
        const double position = position_of(rows, centre);
        if (fresh) {
            evaluate_anchor(table, position, work);
        }
        plain_row(centre, position, anchor.value, kRotatedWindow);
        for (std::size_t r = 1; r <= half; ++r) {
            row_pair(centre, r, first + count, position, anchor);
        }
    }

    // Calls piece(column, count) for every piece of a row. The usual count is a constant, which unrolls the loops.
    template <class Piece>
    void pieces(const Piece& piece) const {
        std::size_t j = 0;
        if (lead < kBlock) {
            piece(j, smaller(lead, table.columns));
            j = lead;
        }
        for (; j + kBlock <= table.columns; j += kBlock) {
            piece(j, Constant<kBlock>{});
        }
        if (j < table.columns) {
            piece(j, table.columns - j);
        }
    }

    void plain_row(std::size_t row, double position, const double* value, std::uint32_t window) const {
        alignas(64) float values[kBlock];
        pieces([&](std::size_t j, auto count) {
            Doubt doubt{window};
            for (std::size_t c = 0; c < count; c += 2 * kLanes) {
                const double* y = value + j + c;
                store(values + c, round_f32(load<f64s>(y), load<f64s>(y + kLanes), doubt));
            }
            if (__builtin_expect(doubt.any(), 0)) {
                repair(table, position, j, count, value + j, nullptr, nullptr, nullptr, 0.0, values);
            }
            write(row, j, values, count);
        });
    }

    // Rows centre + r, unless it is `end`, and centre - r.
    void row_pair(std::size_t centre, std::size_t r, std::size_t end, double position, const Anchor& anchor) const {
        alignas(64) float up[kBlock], down[kBlock];
        const double* const row_cos = table.row_cos + (r - 1) * table.padded_columns;
        const double* const row_sin = table.row_sin + (r - 1) * table.padded_columns;
        const auto distance = static_cast<double>(r);
        const bool has_up = centre + r < end;
        pieces([&](std::size_t j, auto count) {
            const double *const value = anchor.value + j, *const derivative = anchor.derivative + j;
            const double *const cos = row_cos + j, *const sin = row_sin + j;
            write.prefetch(centre, r, j, count);
            Doubt up_doubt{kRotatedWindow}, down_doubt{kRotatedWindow};
            for (std::size_t c = 0; c < count; c += 2 * kLanes) {
                const f64s x0 = load<f64s>(value + c) * load<f64s>(cos + c);
                const f64s x1 = load<f64s>(value + c + kLanes) * load<f64s>(cos + c + kLanes);
                const f64s d0 = load<f64s>(derivative + c), d1 = load<f64s>(derivative + c + kLanes);
                const f64s s0 = load<f64s>(sin + c), s1 = load<f64s>(sin + c + kLanes);
                store(up + c, round_f32(multiply_add<true>(d0, s0, x0), multiply_add<true>(d1, s1, x1), up_doubt));
                store(down + c, round_f32(multiply_add<true>(-d0, s0, x0), multiply_add<true>(-d1, s1, x1), down_doubt));
            }
            if (__builtin_expect(Doubt::any(up_doubt, down_doubt), 0)) {
                if (up_doubt.any()) {
                    repair(table, position + distance, j, count, value, derivative, cos, sin, 1.0, up);
                }
                if (down_doubt.any()) {
                    repair(table, position - distance, j, count, value, derivative, cos, sin, -1.0, down);
                }
            }
            if (has_up) {
                write(centre + r, j, up, count);
            }
            write(centre - r, j, down, count);
        });
    }
};

template <class Write>
void make_f32(const Table& table, const Rows& rows, std::size_t lead, const Workspace& work, const Write& write) {
    Maker<Write>{table, rows, work, write, lead}.make();
}

// ---- writing --------------------------------------------------------------------------------------------------------

// Whole vectors, then the rest. These pieces are too short for memcpy to pay.
template <class T>
void fill_contiguous(T* target, const T* values, std::size_t count) {
    using V = Vector<T>;
    constexpr std::size_t step = sizeof(V) / sizeof(T);
    std::size_t j = 0;
    for (; j + step <= count; j += step) {
        store(target + j, load<V>(values + j));
    }
    if (count % step != 0) {
        for (; j < count; ++j) {
            target[j] = values[j];
        }
    }
}

template <bool scaled, class T>
void add_contiguous(T* target, const T* values, std::size_t count, T scale) {
    using V = Vector<T>;
    constexpr std::size_t step = sizeof(V) / sizeof(T);
    std::size_t j = 0;
    for (; j + step <= count; j += step) {
        const V old = load<V>(target + j);
        store(target + j, (scaled ? old * scale : old) + load<V>(values + j));
    }
    if (count % step != 0) {
        for (; j < count; ++j) {
            target[j] = (scaled ? target[j] * scale : target[j]) + values[j];
        }
    }
}

template <class T>
void add_contiguous(T* target, const T* values, std::size_t count, T scale) {
    if (scale == T{1}) {
        add_contiguous<false>(target, values, count, scale);
    } else {
        add_contiguous<true>(target, values, count, scale);
    }
}

template <class T>
void write_strided(char* target, std::ptrdiff_t stride, const T* values, std::size_t count, const Target& how) {
    const T scale = static_cast<T>(how.scale);
    for (std::size_t j = 0; j < count; ++j, target += stride) {
        T value = values[j];
        if (how.operation == Operation::add) {
            T old;
            __builtin_memcpy(&old, target, sizeof old);
            value = (scale == T{1} ? old : old * scale) + value;
        }
        __builtin_memcpy(target, &value, sizeof value);
    }
}

template <class T>
bool contiguous_rows(const Target& target) {
    auto address = static_cast<std::uintptr_t>(target.row_stride);
    for (std::size_t s = 0; s < target.sequences; ++s) {
        address |= reinterpret_cast<std::uintptr_t>(target.sequence[s]);
    }
    return target.column_stride == sizeof(T) && address % alignof(T) == 0;
}

// Writes `count` ready rows, the first of which is row `first` of the target, to every sequence.
template <class T>
void write_tile(const Table& table, const Target& target, bool contiguous, std::size_t first, std::size_t count,
                const T* tile) {
    for (std::size_t s = 0; s < target.sequences; ++s) {
        char* row = target.sequence[s] + static_cast<std::ptrdiff_t>(first) * target.row_stride;
        for (std::size_t i = 0; i < count; ++i, row += target.row_stride) {
            const T* values = tile + i * table.columns;
            if (!contiguous) {
                write_strided(row, target.column_stride, values, table.columns, target);
            } else if (target.operation == Operation::fill) {
                fill_contiguous(reinterpret_cast<T*>(row), values, table.columns);
            } else {
                add_contiguous(reinterpret_cast<T*>(row), values, table.columns, static_cast<T>(target.scale));
            }
        }
    }
}

// The three ways of a piece into its row.
struct Fill {
    char* target;
    std::ptrdiff_t stride;
    Fill(char* to, std::ptrdiff_t row_stride) : target(to), stride(row_stride) {}
    float* at(std::size_t row, std::size_t column) const {
        return reinterpret_cast<float*>(target + static_cast<std::ptrdiff_t>(row) * stride) + column;
    }
    void prefetch(std::size_t, std::size_t, std::size_t, std::size_t) const {}
    template <class Count>
    void operator()(std::size_t row, std::size_t column, const float* values, Count count) const {
        fill_contiguous(at(row, column), values, count);
    }
};

struct Stream : Fill {
    using Fill::Fill;
    template <class Count>
    void operator()(std::size_t row, std::size_t column, const float* values, Count count) const {
        float* to = at(row, column);
        std::size_t j = 0;
        if (reinterpret_cast<std::uintptr_t>(to) % 64 == 0) {
            for (; j + 16 <= count; j += 16) {
                for (std::size_t i = 0; i < 16; i += 2 * kLanes) {
                    stream(to + j + i, load<f32s>(values + j + i));
                }
            }
        }
        fill_contiguous(to + j, values + j, count - j);
    }
};

struct Add : Fill {
    static constexpr std::size_t kAhead = 9;
    std::size_t rows;
    float scale;
    Add(char* to, std::ptrdiff_t row_stride, std::size_t row_count, float x_scale)
        : Fill(to, row_stride), rows(row_count), scale(x_scale) {}
    template <class Count>
    void operator()(std::size_t row, std::size_t column, const float* values, Count count) const {
        add_contiguous(at(row, column), values, count, scale);
    }
    // Rows a tile or so further on, in both directions: hardware does not foresee the way outward from an anchor.
    void prefetch(std::size_t centre, std::size_t r, std::size_t column, std::size_t count) const {
        const std::size_t later = centre + kAhead;
        if (later + r < rows) {
            for (std::size_t j = 0; j < count; j += 16) {
                __builtin_prefetch(at(later + r, column + j), 0, 3);
                __builtin_prefetch(at(later - r, column + j), 0, 3);
            }
        }
    }
};

void run_f32(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const bool contiguous = contiguous_rows<float>(target);
    if (contiguous && target.sequences == 1) {
        char* to = target.sequence[0];
        if (target.operation == Operation::add) {
            make_f32(table, rows, kBlock, work, Add(to, target.row_stride, rows.count, static_cast<float>(target.scale)));
        } else if (target.stream && target.row_stride % 64 == 0) {
            const std::size_t lead = (64 - reinterpret_cast<std::uintptr_t>(to) % 64) % 64 / sizeof(float);
            make_f32(table, rows, lead == 0 ? kBlock : lead, work, Stream(to, target.row_stride));
            stream_fence();
        } else {
            make_f32(table, rows, kBlock, work, Fill(to, target.row_stride));
        }
        return;
    }
    auto* tile = static_cast<float*>(work.tile);
    const Fill into_tile(static_cast<char*>(work.tile), static_cast<std::ptrdiff_t>(table.columns * sizeof(float)));
    for (std::size_t i = 0; i < rows.count;) {
        const std::size_t count = smaller(table.shared_rows, rows.count - i);
        make_f32(table, part_of(rows, i, count), kBlock, work, into_tile);
        write_tile(table, target, contiguous, i, count, tile);
        i += count;
    }
}

void run_f64(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const bool contiguous = contiguous_rows<double>(target);
    auto* tile = static_cast<double*>(work.tile);
    const std::size_t height = target.sequences == 1 ? 1 : table.shared_rows;
    for (std::size_t i = 0; i < rows.count;) {
        const std::size_t count = smaller(height, rows.count - i);
        for (std::size_t r = 0; r < count; ++r) {
            const double* values = evaluated_row<false>(table, position_of(rows, i + r), work);
            fill_contiguous(tile + r * table.columns, values, table.columns);
        }
        write_tile(table, target, contiguous, i, count, tile);
        i += count;
    }
}

void run(const Table& table, const Rows& rows, const Target& target, double* workspace) noexcept {
    const Workspace work = divide(table, workspace);
    if (target.element == Element::f32) {
        run_f32(table, rows, target, work);
    } else {
        run_f64(table, rows, target, work);
    }
}

}  // namespace
}  // namespace posenc
