// One element of an encoding in double-double arithmetic: the answer where a double can't decide a rounding.
// Slow (a few hundred nanoseconds) and rare (about one float32 element in a million). Not a general-purpose library:
// arguments are reduced to half a quarter turn, where a Taylor series reaches 2^-100 in 14 terms.
// Algorithms: T. J. Dekker, "A floating-point technique for extending the available precision" (1971).
#include <cmath>

#include "kernel.hpp"

namespace posenc {
namespace {

constexpr Sum kHalfPi{0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54};

Sum two_sum(double a, double b) {
    const double sum = a + b;
    const double part = sum - a;
    return {sum, (a - (sum - part)) + (b - part)};
}

Sum two_product(double a, double b) {
    const double product = a * b;
    return {product, std::fma(a, b, -product)};
}

Sum operator+(Sum a, Sum b) {
    const Sum high = two_sum(a.high, b.high);
    const Sum low = two_sum(a.low, b.low);
    const Sum middle = two_sum(high.high, high.low + low.high);
    return two_sum(middle.high, middle.low + low.low);
}

Sum operator*(Sum a, Sum b) {
    const Sum product = two_product(a.high, b.high);
    return two_sum(product.high, product.low + (a.high * b.low + a.low * b.high));
}

Sum operator/(Sum a, double b) {
    const double quotient = a.high / b;
    const Sum back = two_product(quotient, b);
    return two_sum(quotient, ((a.high - back.high) - back.low + a.low) / b);
}

// sin(x) / x and cos(x) by Horner's scheme on their Taylor series: 1 - x^2/(n(n+1)) (1 - x^2/((n+2)(n+3)) (...)).
Sum series(Sum square, int first) {
    Sum sum{1.0, 0.0};
    const int terms = square.high < 0x1p-26 ? 5 : 14;
    for (int n = first + 2 * (terms - 1); n >= first; n -= 2) {
        const Sum term = square * sum / (static_cast<double>(n) * (n + 1));
        sum = Sum{1.0, 0.0} + Sum{-term.high, -term.low};
    }
    return sum;
}

// A double that rounds to any shorter format as the sum does: where the low part is not zero, the last bit is made odd.
double round_to_odd(Sum value) {
    if (value.low == 0.0) {
        return value.high;
    }
    std::int64_t bits = 0;
    static_assert(sizeof bits == sizeof value.high);
    __builtin_memcpy(&bits, &value.high, sizeof bits);
    if ((bits & 1) == 0) {
        bits += ((value.low > 0.0) == (value.high > 0.0)) ? 1 : -1;
    }
    double odd = 0.0;
    __builtin_memcpy(&odd, &bits, sizeof odd);
    return odd;
}

}  // namespace

Sum exact_value(const Table& table, double position, std::int32_t source) noexcept {
    const auto k = static_cast<std::size_t>(source / 2);
    const Sum first = two_product(position, table.frequency[0][k]);
    const Sum second = two_product(position, table.frequency[1][k]);
    const double third = position * table.frequency[2][k];

    // The angle in quarter turns, less its nearest whole number twice: once for each leading part.
    const double whole = std::nearbyint(first.high);
    const Sum rest = two_sum(first.low, second.high);
    const Sum angle = Sum{first.high - whole, 0.0} + rest + two_sum(second.low, third);
    const double carry = std::nearbyint(angle.high);
    Sum turned = angle + Sum{-carry, 0.0};
    if (std::abs(turned.high) < std::abs(first.high) * 0x1p-140) {
        turned = {0.0, 0.0};  // frequencies lack 2^-155 of the true ones: five times a tenth of a turn is half of one
    }
    const Sum x = turned * kHalfPi;

    const int quadrant = static_cast<int>(std::fmod(whole, 4.0)) + static_cast<int>(carry) + (source & 1);
    const bool cosine = (quadrant & 1) != 0;
    const bool negative = (quadrant & 2) != 0;
    Sum value{};
    if (cosine) {
        value = series(x * x, 1);
    } else if (std::abs(x.high) > 0x1p-45) {
        value = x * series(x * x, 2);
    } else {
        // x - x^3/6 lies below x by less than these digits show, which matters where a frequency of 1 makes x a tie.
        value = two_sum(x.high, x.low - x.high * 0x1p-96);
    }
    return negative ? Sum{-value.high, -value.low} : value;
}

// Angle addition in double-double, so that a step is as exact as a double can be after any number of them.
Turn operator*(const Turn& a, const Turn& b) noexcept {
    const Sum minus{-b.sin.high, -b.sin.low};
    return {a.cos * b.cos + a.sin * minus, a.sin * b.cos + a.cos * b.sin};
}

double exact_odd(const Table& table, double position, std::int32_t source) noexcept {
    if (source < 0) {
        return 0.0;
    }
    if (position == 0.0) {  // the one exact case, and a row that is asked for often
        return (source & 1) != 0 ? table.amplitude : 0.0;
    }
    return round_to_odd(exact_value(table, position, source) * Sum{table.amplitude, 0.0});
}

}  // namespace posenc
