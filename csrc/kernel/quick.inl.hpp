// One position at every frequency, as evaluate, in fewer operations and with fewer digits: docs/accuracy.md, section 5,
// says how many. Included by kernel.inl.hpp only. Needs fused operations.
//
// The angle is reduced to a sixteenth of a turn, whose sine and cosine are looked up, and a rest of at most half a
// sixteenth. A fused operation takes the sixteenths from the angle without rounding their product.

namespace posenc {
namespace {

constexpr double kNear = 0x1p44, kFar = 0x1p53;  // quarter turns

// Errors: relative to the result, and, far, absolute: of an angle of up to three quarter turns, which is rounded twice.
// Apart from the error of the whole angle, kAngleError.
constexpr double kQuickError = 0x1p-43, kFarError = 0x1.4p-51;

// `position` has the sign that a table's sixteenths ask for; |position * w| < kNear, or kFar if `far`. Called for every
// register, it doubles the time of a row where the compiler leaves it out of line.
template <bool far>
[[gnu::always_inline]] inline Pairs evaluate_quickly(const Table& table, double position, std::size_t k) {
    // sin(pi/2 r) = r (kHalfPi + z S(z)) and cos(pi/2 r) = 1 + z C(z), z = r r, |r| <= 1/8 + 2^-9: errors
    // 6.4e-14 of the sine, and 6.1e-17 of 1. Minimax polynomials from tools/minimax.py.
    constexpr double kQuickSine[] = {-0x1.4abbce614c871p-1, 0x1.466bba013bb7dp-4, -0x1.327f7928f4e9dp-8};
    constexpr double kQuickCosine[] = {-0x1.3bd3cc9be43c8p+0, 0x1.03c1f0807b1fep-2, -0x1.55d3b9803af99p-6,
                                       0x1.e17032b87cb8cp-11};
    constexpr double kSixteenth = 0x1.8p50;  // adding and subtracting it rounds to quarters of a quarter turn
    constexpr double kTurn = 0x1.8p54;       // the same, to whole turns
    const f64s p = position + f64s{};
    const f64s w = load<f64s>(table.frequency[0] + k), w_low = load<f64s>(table.frequency[1] + k);
    f64s nearest, rest;
    if constexpr (far) {
        const f64s turns = fused(p, w, kTurn + f64s{}) - kTurn;
        const f64s angle = fused(p, w_low, fused(p, w, -turns));
        nearest = angle + kSixteenth;
        rest = angle - (nearest - kSixteenth);
    } else {
        nearest = fused(p, w, kSixteenth + f64s{});
        rest = fused(p, w_low, fused(p, w, kSixteenth - nearest));
    }
    const f64s z = rest * rest;
    const f64s sine = rest * fused(z, polynomial<true>(kQuickSine, z), kHalfPi + f64s{});
    const f64s less = z * polynomial<true>(kQuickCosine, z);
    const f64s first = lookup(table.sixteenths[0], nearest), second = lookup(table.sixteenths[1], nearest);
    return {fused(first, less, fused(second, sine, first)), fused(second, less, fused(-first, sine, second))};
}

}  // namespace
}  // namespace posenc
