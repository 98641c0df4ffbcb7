// From doubles to float32 values that narrow to the correctly rounded float32, float16 or bfloat16: Ziv's strategy.
// Included by kernel.inl.hpp only. The bounds are derived in docs/accuracy.md.
//
//   RoundingTest  accepts a register of results by the bits that rounding drops: no arithmetic, but a fixed window
//   settle        what fails it: y - e and y + e round alike, or the element is evaluated again (relative 2^-50), or
//                 exact.cpp decides

namespace posenc {
namespace {

constexpr double kEvaluateError = 0x1p-50;    // of evaluate and multiplication by the amplitude, relative to the result
constexpr double kLarge = 0x1p127;            // stands in lanes of no column: it passes every rounding test
constexpr double kAngleError = 0x1p-103;      // relative to the angle in quarter turns: frequencies count to 2^-106
constexpr double kNever = __builtin_nan("");  // a limit that nothing reaches, infinity included

// Whether rounding is certain, for results that are at least `floor` in magnitude. Of float32, `window` is how many
// units of the double's last place may lie between a result and the true value; at least W units from a tie, the true
// value is on the same side of it. Since a unit is at least 2^-53 of the result, W units are at least W 2^-53 of it:
// errors, of which a part is relative and one absolute, stay below that from `floor_of` on.
template <class E>
struct RoundingTest;

template <>
struct RoundingTest<float> {
    static constexpr std::uint32_t kDropped = 0x1fffffff, kTie = 0x10000000;
    static constexpr double kSmallest = 0x1p-126;  // below it, float32 drops more bits
    std::uint32_t window;                          // W, a power of two

    double floor_of(double error, double relative) const { return error * (1.0 / (window * 0x1p-53 - relative)); }
    Mask certain(Mask mask, f64s a, f64s b, f32s) const {
        return with_bits(mask, low_words(a, b) - (kTie - window), (kDropped & ~(2 * window - 1)) + u32s{});
    }

    // The same for an error e that is absolute, at any magnitude: the distance from a tie in units, times the result,
    // is at least limit_of(e). A unit is at least 2^-53 of the result. A product that is too large for a float32 is
    // infinite, and reaches every limit up to kMostLimit.
    static double limit_of(double error) { return error * 0x1p56; }
    static constexpr double kMostLimit = 0x1p127;
    static constexpr double kSmallestLimit = kSmallest * 0x1p31;
    static Mask certain_at_all(Mask mask, f32s) { return mask; }
    static f32s measure(const Narrowed& y) { return __builtin_convertvector(y.rest, f32s) * y.value; }
};

// A float32 that is no tie of the narrow format narrows as the true value does, if the error of the double is below
// half a unit of float32's last place, as 2^-25 of the result is.
template <class E>
struct RoundingTest {
    static constexpr std::uint32_t kTie = kSame<E, f16> ? 0x1000 : 0x8000;
    // Of float16 numbers below 2^-14, ties have the same last bits zero and others too; what is below 2^-24 may be 0.
    static constexpr double kSmallest = kSame<E, f16> ? 0x1p-24 : 0x1p-126;
    std::uint32_t window;  // not used

    static double floor_of(double error, double relative) { return error * (1.0 / (0x1p-25 - relative)); }
    static double limit_of(double error) { return floor_of(error, 0.0); }
    static constexpr double kSmallestLimit = kSmallest, kMostLimit = 0x1p127;
    static Mask certain_at_all(Mask mask, f32s rounded) { return certain(mask, f64s{}, f64s{}, rounded); }
    static f32s measure(const Narrowed& y) { return y.value; }
    static Mask certain(Mask mask, f64s, f64s, f32s rounded) {
        const Mask no_tie = with_bits(mask, (u32s)rounded ^ kTie, (2 * kTie - 1) + u32s{});
        if constexpr (kSame<E, f16>) {
            return at_least(no_tie, rounded, rounded, 0x1p-14F + f32s{}) |
                   with_bits(mask, (u32s)rounded, (kTie - 1) + u32s{});
        }
        return no_tie;
    }
};

// The results a and b in float32.
f32s convert(f64s a, f64s b) { return join(__builtin_convertvector(a, f32h), __builtin_convertvector(b, f32h)); }

// Rounded toward zero, the last bit set where that lost something: what rounds to any shorter format as y does.
f32h round_to_odd(f64s y) {
    const f32h nearest = __builtin_convertvector(y, f32h);
    const f64s back = __builtin_convertvector(nearest, f64s);
    const i32h inexact = __builtin_convertvector((i64s)(back != y), i32h);
    const i32h too_large = __builtin_convertvector((i64s)(magnitude(back) > magnitude(y)), i32h);
    return (f32h)(((i32h)nearest + too_large) | (inexact & 1));
}

// Half of the smallest number of a narrow format: what is no larger narrows to 0, which has no sign.
constexpr float half_of_smallest(f16) { return 0x1p-25F; }
constexpr float half_of_smallest(bf16) { return 0x1p-134F; }

// What narrows to the rounded number; a 0 is a positive one.
f32h rounded(f64s y, float) { return __builtin_convertvector(y, f32h) + 0.0F; }
template <class E>
f32h rounded(f64s y, E) {
    const f32h odd = round_to_odd(y);
    const i32h large = (i32h)(odd > half_of_smallest(E{})) | (i32h)(odd < -half_of_smallest(E{}));
    return (f32h)((i32h)odd & large);
}

template <class E>
f32s round_both(f64s a, f64s b, E format) {
    return join(rounded(a, format), rounded(b, format));
}

// The values in the format itself: an exact result may be a tie, which narrow_certain does not round to even.
f32s untied(f32s values, float) { return values; }
template <class E>
f32s untied(f32s values, E) {
    E narrowed[kVector];
    narrow(narrowed, values);
    return widen(narrowed);
}

// Whether the doubles a and b of a register round alike whatever is true within their errors; `value` is one of the two
// results. The lanes in which they differ are in `differ`.
template <class E>
bool settles(f64s a, f64s b, f64s a_error, f64s b_error, E format, f32s& value, u32s& differ) {
    value = untied(round_both(a + a_error, b + b_error, format), format);
    differ = (u32s)(untied(round_both(a - a_error, b - b_error, format), format) != value);
    return !any(differ);
}

// The number that narrows to the correctly rounded one.
float exact(const Table& table, double position, std::int32_t source, float) {
    return static_cast<float>(exact_odd(table, position, source)) + 0.0F;
}

template <class E>
float exact(const Table& table, double position, std::int32_t source, E) {
    // By way of the narrow format itself: narrow_certain wants no ties.
    const f64s odd = exact_odd(table, position, source) + f64s{};
    E narrowed[2 * kLanes];
    narrow(narrowed, join(round_to_odd(odd), round_to_odd(odd)));
    return widen(narrowed)[0] + 0.0F;
}

// Lanes of which `count` are wanted: columns column, column + 1, ... at `position`, where columns past the last one are
// the first ones of the next row, one position on; or one column, at position, position + 1 ...
struct Place {
    const Table& table;
    double position;
    std::size_t column, count;
    bool down;
};

// As many lanes as a register of doubles has, evaluated again one by one; their error bounds.
struct Evaluated {
    f64s value, error;
};

inline Evaluated evaluate_lanes(const Place& place, std::int32_t (&source)[kLanes], double (&position)[kLanes]) {
    const Table& table = place.table;
    f64s p{}, w{}, w_low{}, weight{};
    i64s cosine{};
    std::size_t column = place.column % table.columns;
    double at = place.position + static_cast<double>(place.column / table.columns);
    for (std::size_t i = 0; i < kLanes; ++i) {
        source[i] = table.source[column];
        position[i] = at;
        if (source[i] >= 0) {
            const auto k = static_cast<std::size_t>(source[i]) / 2;
            p[i] = at;
            w[i] = table.frequency[0][k];
            w_low[i] = table.frequency[1][k];
            cosine[i] = -(source[i] & 1);
            weight[i] = table.amplitude;
        }
        if (place.down || ++column == table.columns) {
            column = place.down ? column : 0;
            at += 1.0;
        }
    }
    const Angle angle = evaluate<true>(p, w, w_low);
    const f64s value = (f64s)(((u64s)angle.cos & (u64s)cosine) | ((u64s)angle.sin & ~(u64s)cosine)) * weight;
    // A frequency without a second word is exact: so is the product of it and the position, to two doubles.
    const f64s lost = (f64s)((u64s)(magnitude(p * w) * kAngleError) & (u64s)(w_low != 0.0));
    return {value, magnitude(value) * kEvaluateError + lost * magnitude(weight)};
}

// Rounds the doubles y of a register of float32, which err by `error` at most.
template <class E>
[[gnu::noinline]] void settle(Place place, const double* y, const double* error, float* result) {
    f32s value;
    u32s differ;
    settles(load<f64s>(y), load<f64s>(y + kLanes), load<f64s>(error), load<f64s>(error + kLanes), E{}, value, differ);
    store(result, value);
    for (std::size_t half = 0; half < kVector; half += kLanes) {
        std::uint32_t among = 0;
        for (std::size_t i = 0; i < kLanes; ++i) {
            among |= half + i < place.count ? differ[half + i] : 0;
        }
        if (among != 0) {
            std::int32_t source[kLanes];
            double position[kLanes];
            const Evaluated again = evaluate_lanes(place, source, position);
            f32s sure;
            u32s unsure;
            settles(again.value, again.value, again.error, again.error, E{}, sure, unsure);
            for (std::size_t i = 0; i < kLanes && half + i < place.count; ++i) {
                if (differ[half + i] != 0) {
                    result[half + i] = unsure[i] == 0 ? sure[i] : exact(place.table, position[i], source[i], E{});
                }
            }
        }
        if (place.down) {
            place.position += static_cast<double>(kLanes);
        } else {
            place.column += kLanes;
        }
    }
}

}  // namespace
}  // namespace posenc
