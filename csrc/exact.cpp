// One element of an encoding to as many digits as its rounding takes: the last stage of Ziv's strategy.
//
// Intervals of integers: the true value lies strictly between the ends, and if both round alike, so does it. What is a
// double exactly is found before that, by theory (docs/accuracy.md, section 8). Slow (microseconds) and rare (after
// evaluate, one float32 element in 3 * 10^7). python/posenc/_exact.py takes the same steps.
#include <algorithm>
#include <cmath>

#include "kernel.hpp"

namespace posenc {
namespace {

using Limb = std::uint64_t;
using TwoLimbs = unsigned __int128;

constexpr int kBits = 64;
constexpr int kConstantLimbs = 10;
// floor(2^640 * 2/pi) and floor(2^640 * pi/2), lowest limbs first, from tools/minimax.py.
constexpr Limb kTwoOverPiLimbs[kConstantLimbs] = {
    0x3991d639835339f4, 0xe99c7026b45f7e41, 0xe88235f52ebb4484, 0xfe1deb1cb129a73e, 0x06492eea09d1921c,
    0xb7246e3a424dd2e0, 0xfe5163abdebbc561, 0xdb6295993c439041, 0xfc2757d1f534ddc0, 0xa2f9836e4e441529};
constexpr Limb kHalfPiLimbs[kConstantLimbs + 1] = {0xe89885d34c6fdad6, 0xc90b6aecc4bcfd8d, 0x9fc26adadaa3848b,
                                                   0x605614dbe4be286e, 0xdf2a33679a748636, 0xa29410f31c6809bb,
                                                   0x04177d4c76273644, 0x52049c1114cf98e8, 0x898cc51701b839a2,
                                                   0x921fb54442d18469, 0x0000000000000001};

// A natural number of at most 2048 bits: no step below makes more than 1,700.
struct Natural {
    static constexpr int kCapacity = 32;
    Limb limb[kCapacity];  // lowest first
    int size = 0;          // the highest limb is not zero

    Natural() {}  // NOLINT(modernize-use-equals-default): limbs beyond `size` stay as they are
    Natural(Limb value) : size(value != 0 ? 1 : 0) { limb[0] = value; }
    Natural(const Limb* from, int count) { assign(from, count); }
    Natural(const Natural& other) { assign(other.limb, other.size); }
    Natural& operator=(const Natural& other) {
        assign(other.limb, other.size);
        return *this;
    }

    void assign(const Limb* from, int count) {
        for (int i = 0; i < count; ++i) {
            limb[i] = from[i];
        }
        size = count;
        trim();
    }

    void trim() {
        while (size > 0 && limb[size - 1] == 0) {
            --size;
        }
    }

    Limb at(int i) const { return i >= 0 && i < size ? limb[i] : 0; }
    bool is_zero() const { return size == 0; }
    int bit_length() const { return size == 0 ? 0 : kBits * size - __builtin_clzll(limb[size - 1]); }
    bool bit(int i) const { return (at(i / kBits) >> (i % kBits) & 1) != 0; }
};

int larger(int a, int b) { return a > b ? a : b; }

int compare(const Natural& a, const Natural& b) {
    for (int i = larger(a.size, b.size) - 1; i >= 0; --i) {
        if (a.at(i) != b.at(i)) {
            return a.at(i) < b.at(i) ? -1 : 1;
        }
    }
    return 0;
}

Natural operator+(const Natural& a, const Natural& b) {
    Natural sum;
    Limb carry = 0;
    for (int i = 0; i < larger(a.size, b.size) || carry != 0; ++i) {
        const TwoLimbs digit = static_cast<TwoLimbs>(a.at(i)) + b.at(i) + carry;
        sum.limb[sum.size++] = static_cast<Limb>(digit);
        carry = static_cast<Limb>(digit >> kBits);
    }
    return sum;
}

// a - b, if that is not negative; else 0.
Natural operator-(const Natural& a, const Natural& b) {
    if (compare(a, b) < 0) {
        return {};
    }
    Natural difference;
    Limb borrow = 0;
    for (int i = 0; i < a.size; ++i) {
        const TwoLimbs digit = static_cast<TwoLimbs>(a.at(i)) - b.at(i) - borrow;
        difference.limb[i] = static_cast<Limb>(digit);
        borrow = (digit >> kBits) != 0 ? 1 : 0;
    }
    difference.size = a.size;
    difference.trim();
    return difference;
}

Natural operator*(const Natural& a, const Natural& b) {
    Natural product;
    product.size = a.size + b.size;
    for (int i = 0; i < product.size; ++i) {
        product.limb[i] = 0;
    }
    for (int i = 0; i < a.size; ++i) {
        Limb carry = 0;
        for (int j = 0; j < b.size; ++j) {
            const TwoLimbs digit = static_cast<TwoLimbs>(a.limb[i]) * b.limb[j] + product.limb[i + j] + carry;
            product.limb[i + j] = static_cast<Limb>(digit);
            carry = static_cast<Limb>(digit >> kBits);
        }
        product.limb[i + b.size] = carry;
    }
    product.trim();
    return product;
}

// n * 2^places, rounded down.
Natural shift(const Natural& n, int places) {
    const int length = n.bit_length() + places;
    if (length <= 0) {
        return {};
    }
    Natural result;
    result.size = (length + kBits - 1) / kBits;
    const int limbs = places >= 0 ? places / kBits : -((kBits - 1 - places) / kBits), bits = places - kBits * limbs;
    for (int i = 0; i < result.size; ++i) {
        const Limb high = n.at(i - limbs) << bits;
        result.limb[i] = bits == 0 ? high : high | n.at(i - limbs - 1) >> (kBits - bits);
    }
    return result;
}

bool ends_in_zeros(const Natural& n, int places) {
    return places <= 0 || (n.bit_length() > places && compare(shift(shift(n, -places), places), n) == 0);
}

Natural shift_up(const Natural& n, int places) {  // the same, rounded up
    const Natural down = shift(n, places);
    return ends_in_zeros(n, -places) ? down : down + 1;
}

// Divides `n`, rounded down, by a divisor below 2^55; returns the remainder. By bits: compilers' own division of two
// limbs is a call into a library that not every platform has.
Limb divide(Natural& n, Limb divisor) {
    Limb rest = 0;
    const bool small = divisor < (Limb{1} << 32);
    for (int i = n.size - 1; i >= 0; --i) {
        Limb quotient = 0;
        const int step = small ? 32 : 1;
        for (int place = kBits - step; place >= 0; place -= step) {
            const Limb digits = n.limb[i] >> place & ((Limb{1} << step) - 1);
            rest = rest << step | digits;
            quotient = quotient << step | rest / divisor;
            rest %= divisor;
        }
        n.limb[i] = quotient;
    }
    n.trim();
    return rest;
}

// A magnitude in [low, high] * 2^exponent: exactly `low` where both are the same, else strictly between them.
struct Interval {
    Natural low, high;
    int exponent;
};

Interval shortened(const Interval& x, int bits) {
    const int spare = larger(0, x.high.bit_length() - bits);
    return {shift(x.low, -spare), shift_up(x.high, -spare), x.exponent + spare};
}

Interval interval(const Number& number) {
    const Natural low(number.mantissa, Number::kLimbs);
    return {low, number.divisor != 0 ? low : low + 2, static_cast<int>(number.exponent)};
}

// |value| as an integer and a power of two.
Limb split(double value, int& exponent) {
    const auto integer = static_cast<Limb>(std::ldexp(std::frexp(std::abs(value), &exponent), 53));
    exponent -= 53;
    return integer;
}

// Number k, and its divisor.
Interval frequency_of(const Numbers& numbers, std::size_t k, Limb& divisor) {
    const auto* const end = numbers.index + numbers.exact_count;
    const auto* const found = std::lower_bound(numbers.index, end, static_cast<std::int64_t>(k));
    if (found != end && *found == static_cast<std::int64_t>(k)) {
        const Number& exact = numbers.exact[found - numbers.index];
        divisor = exact.divisor;
        return interval(exact);
    }
    if (numbers.factor != nullptr) {
        int scale = 0, factor = 0;
        const Natural product = Natural(split(numbers.scale, scale)) * Natural(split(numbers.factor[k], factor));
        divisor = 1;
        return {product, product, scale + factor};
    }
    const Power &lane = numbers.power[k % Numbers::kLanes],
                &anchor = numbers.power[Numbers::kLanes + k / Numbers::kLanes];
    const Natural product = Natural(lane.mantissa, Power::kLimbs) * Natural(anchor.mantissa, Power::kLimbs);
    const int spare = product.bit_length() - (kBits * Number::kLimbs - 1);
    const Natural nearest = shift(product + shift(1, spare - 1), -spare);
    divisor = 0;
    return {nearest - 1, nearest + 1, static_cast<int>(lane.exponent + anchor.exponent) + spare};
}

// What remains of an angle: sin or cos of x, at most half a quarter turn, with a sign.
struct Reduced {
    Interval x;
    bool in_quarters;  // of turns, not in radians
    bool cosine, negative;
    int special;  // 4 sin^2 of the angle if it is a multiple of a twelfth or an eighth of a turn, else -1
};

// 4 sin(x)^2 for x = 0, 1, 2 ... twenty-fourths of a turn, where that is a whole number.
constexpr int kSquares[12] = {0, -1, 1, 2, 3, -1, 4, -1, 3, 2, 1, -1};

// mantissa * 2^exponent / divisor turns modulo one, in twenty-fourths; -1 if they are no whole number of those.
int twenty_fourths(const Interval& x, Limb divisor) {
    Natural whole = x.low * Natural(24);
    if (whole.is_zero()) {
        return 0;
    }
    if (divide(whole, divisor) != 0 || !ends_in_zeros(whole, -x.exponent)) {
        return -1;
    }
    whole = shift(whole, x.exponent);
    return static_cast<int>(divide(whole, 24));
}

Reduced reduce(const Table& table, double position, std::int32_t source) {
    const auto k = static_cast<std::size_t>(source / 2);
    const bool cosine = (source & 1) != 0;
    Limb divisor = 0;
    Interval x = frequency_of(table.numbers, k, divisor);
    const bool negative = (position < 0.0) != (table.frequency[0][k] < 0.0);
    int power = 0;
    const Natural integer(split(position, power));
    x = {x.low * integer, x.high * integer, x.exponent + power};

    if (x.high.is_zero() || (table.full_turns && divisor != 0)) {
        const int parts = twenty_fourths(x, divisor | 1);
        if (parts >= 0) {
            const int place = ((cosine ? 6 : 0) + (negative ? 24 - parts : parts)) % 24;
            const int square = kSquares[place % 12];
            if (square >= 0 && !std::isnan(table.special[square])) {
                return {x, true, cosine, place >= 12, square};
            }
        }
    }

    if (divisor > 1) {
        x.low = shift(x.low, kBits * kConstantLimbs);
        const bool exact = divide(x.low, divisor) == 0;
        x.high = exact ? x.low : x.low + 1;
        x.exponent -= kBits * kConstantLimbs;
    }
    x.exponent += table.full_turns ? 2 : 0;  // in quarter turns or radians
    bool in_quarters = table.full_turns;
    int quarters = 0;
    bool falls = false;                          // the rest of the angle lies below a whole number of quarter turns
    if (x.low.bit_length() + x.exponent >= 0) {  // at least half of one: reduce it to at most half a quarter turn
        if (!in_quarters) {
            const Natural constant(kTwoOverPiLimbs, kConstantLimbs);
            x = {x.low * constant, x.high * (constant + 1), x.exponent - kBits * kConstantLimbs};
            in_quarters = true;
        }
        if (x.exponent > 0) {
            x = {shift(x.low, x.exponent), shift(x.high, x.exponent), 0};
        }
        const Natural half = x.exponent < 0 ? shift(1, -x.exponent - 1) : Natural{};
        const Natural nearest = shift(x.low + half, x.exponent), whole = shift(nearest, -x.exponent);
        quarters = static_cast<int>(nearest.at(0) & 3);
        falls = compare(x.low, whole) < 0;
        x = falls ? Interval{whole - x.high, whole - x.low, x.exponent}
                  : Interval{x.low - whole, x.high - whole, x.exponent};
    }
    const int quadrant = (quarters + (cosine ? 1 : 0)) & 3;
    const bool is_cosine = (quadrant & 1) != 0;
    const bool flips = (quadrant >= 2) != ((negative && !cosine) != (falls && !is_cosine));
    return {x, in_quarters, is_cosine, flips, -1};
}

// The magnitude of sin or cos, times the amplitude, from `bits` bits.
Interval value(const Reduced& angle, const Number& amplitude, int bits) {
    Interval x = shortened(angle.x, bits);
    if (angle.in_quarters) {
        const Natural half_pi = shift(Natural(kHalfPiLimbs, kConstantLimbs + 1), bits - kBits * kConstantLimbs);
        x = shortened({x.low * half_pi, x.high * (half_pi + 1), x.exponent - bits}, bits);
    }
    // sin(x) / x or cos(x) in units of 2^-bits, from the Taylor series: 1 - z/(n(n+1)) (1 - z/((n+2)(n+3)) (...)).
    const Natural z = shift(x.low * x.low, 2 * x.exponent + bits);
    const Natural z_high = shift(x.high * x.high, 2 * x.exponent + bits) + 1;
    const Natural one = shift(1, bits);
    Natural series = one;
    for (int n = (angle.cosine ? 1 : 2) + 2 * (bits / 8 - 1); n > 0; n -= 2) {
        Natural term = shift(z * series, -bits);
        divide(term, static_cast<Limb>(n * (n + 1)));
        series = one - term;
    }
    const Natural error = z_high - z + 4;  // half of the first two for z, 3.2 for rounding and for what is cut off
    Interval result{series - error, series + error, -bits};
    if (compare(result.high, one) > 0) {
        result.high = one;
    }
    if (!angle.cosine) {
        result = {result.low * x.low, result.high * x.high, x.exponent - bits};
    }
    const Interval factor = shortened(interval(amplitude), bits);
    return {result.low * factor.low, result.high * factor.high, result.exponent + factor.exponent};
}

// A double that rounds to any shorter format as every number strictly within the interval; tells whether there is one.
bool round_to_odd(const Interval& x, double& odd) {
    const int spare = larger(0, x.low.bit_length() - 53);
    const Natural digits = shift(x.low, -spare);
    // No shorter format tells values below 2^-900 from one another.
    odd = std::ldexp(static_cast<double>(digits.at(0) | 1), larger(x.exponent + spare, -1000));
    return !x.low.is_zero() && compare(x.high, shift(digits + 1, spare)) <= 0;
}

}  // namespace

double exact_odd(const Table& table, double position, std::int32_t source) noexcept {
    if (source < 0) {
        return 0.0;
    }
    if (position == 0.0) {  // the most frequent one
        const double value = (source & 1) != 0 ? table.special[4] : 0.0;
        if (!std::isnan(value)) {
            return value;
        }
    }
    const Reduced angle = reduce(table, position, source);
    if (angle.special >= 0) {
        const double special = table.special[angle.special];
        return (angle.negative ? -special : special) + 0.0;
    }
    double odd = 0.0;
    for (int bits = 256; bits <= kBits * Number::kLimbs; bits *= 2) {
        if (round_to_odd(value(angle, *table.factor, bits), odd)) {
            break;
        }
    }
    return angle.negative != (table.amplitude < 0.0) ? -odd : odd;
}

}  // namespace posenc
