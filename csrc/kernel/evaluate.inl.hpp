// sin and cos of one position at every frequency, in double: angle reduction and two polynomials.
// Included by kernel.inl.hpp only. The same operations, one by one, stand in python/posenc/_formula.py.

namespace posenc {
namespace {

// sin(pi/2 f) = f pi/2 + f (kHalfPiLow + f^2 kSine(f^2)) and cos(pi/2 f) = 1 + f^2 kCosine(f^2) for |f| <= 1/2.
// Minimax polynomials from tools/minimax.py, errors 3.7e-18 of the sine and 3.1e-19 of 1.
constexpr double kHalfPi = 0x1.921fb54442d18p+0, kHalfPiLow = 0x1.1a62633145c07p-54;
constexpr double kSine[] = {-0x1.4abbce625be46p-1, 0x1.466bc67758c4cp-4,   -0x1.32d2cce31bf06p-8,
                            0x1.5078300347734p-13, -0x1.e3008fadf5d18p-19, 0x1.e3fbe42b26fbep-25};
constexpr double kCosine[] = {-0x1.3bd3cc9be45dep+0, 0x1.03c1f081b5a4fp-2,   -0x1.55d3c7e3bf5abp-6,
                              0x1.e1f506749a430p-11, -0x1.a6d1e138cec4bp-16, 0x1.f9c3d3caad3eep-22,
                              -0x1.afee49c6dfe8cp-28};

template <bool fuse, std::size_t count>
f64s polynomial(const double (&coefficient)[count], f64s z) {
    f64s sum = coefficient[count - 1] + f64s{};
    for (std::size_t i = count - 1; i-- > 0;) {
        sum = multiply_add<fuse>(sum, z, coefficient[i] + f64s{});
    }
    return sum;
}

// An angle in quarter turns: the nearest whole number of them, in the last two bits, and the rest f + f_low.
struct Reduced {
    u64s quadrant;
    f64s f, f_low;
};

// position * w, w in quarter turns, as w + w_low.
template <bool fuse>
Reduced reduce(f64s position, f64s w, f64s w_low) {
    constexpr double kInteger = 0x1.8p52;    // adding and subtracting it rounds to a whole number
    constexpr double kManyTurns = 0x1.8p79;  // the same, to a multiple of 2^27 quarter turns
    constexpr double kTiny = 0x1p-400;       // below it, two_product is inexact: its error term may underflow
    const f64s p = position + 0.0;           // a negative zero is the position zero
    const f64s product = p * w;
    const f64s exact = (f64s)((i64s)product_error(p, w, product) & (i64s)(magnitude(p) >= kTiny));
    const f64s low = multiply_add<fuse>(p, w_low, exact);
    const f64s angle = product - ((product + kManyTurns) - kManyTurns);
    const f64s whole = angle + kInteger;
    const f64s part = angle - (whole - kInteger);
    const f64s sum = part + low;  // near 2^53 the low part is itself up to a quarter turn
    const f64s back = sum - part;
    const f64s error = (part - (sum - back)) + (low - back);
    const f64s carry = sum + kInteger;
    const f64s high = sum - (carry - kInteger), f = high + error;
    return {(u64s)whole + (u64s)carry, f, (high - f) + error};
}

struct Angle {
    f64s sin, cos;
};

// The first and the second column of the pair of each frequency.
struct Pairs {
    f64s first, second;
};

// sin and cos of position * w. Error: at most 2^-51 of the value, and 2^-103 times the angle in quarter turns
// (docs/accuracy.md, section 4).
template <bool fuse>
Angle evaluate(f64s position, f64s w, f64s w_low) {
    const Reduced angle = reduce<fuse>(position, w, w_low);
    const f64s f = angle.f, z = f * f;
    const f64s tail = multiply_add<fuse>(z, polynomial<fuse>(kSine, z), kHalfPiLow + f64s{});
    const f64s sine = multiply_add<fuse>(f, tail, f * kHalfPi);
    const f64s cosine = multiply_add<fuse>(z, polynomial<fuse>(kCosine, z), 1.0 + f64s{});

    const u64s odd = -(angle.quadrant & 1);
    const u64s s = ((u64s)sine & ~odd) | ((u64s)cosine & odd);
    const u64s c = ((u64s)cosine & ~odd) | ((u64s)sine & odd);
    return {(f64s)(s ^ ((angle.quadrant & 2) << 62)), (f64s)(c ^ (((angle.quadrant + 1) & 2) << 62))};
}

// trig[2k], trig[2k + 1] = sin, cos of position * w_k, for every k.
void evaluate_row(const Table& table, double position, double* trig) {
    for (std::size_t k = 0; k < table.padded_frequencies; k += kLanes) {
        const Angle angle =
            evaluate<true>(position + f64s{}, load<f64s>(table.frequency[0] + k), load<f64s>(table.frequency[1] + k));
        store(trig + 2 * k, weave_low(angle.sin, angle.cos));
        store(trig + 2 * k + kLanes, weave_high(angle.sin, angle.cos));
    }
}

}  // namespace
}  // namespace posenc
