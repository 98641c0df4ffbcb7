// Producers of single rows, whose positions need have nothing to do with each other. Included by kernel.inl.hpp only.
//
// Rows of pairs are evaluated quickly (quick.inl.hpp), others by evaluate. Order of the elements: from left to right,
// or by pairs where all seconds come after all firsts.

namespace posenc {
namespace {

// How much the doubles of a row err, relative to each and absolutely.
struct Errors {
    double relative, absolute;

    double of(double value) const { return posenc::absolute(value) * relative + absolute; }

    template <class Test>
    f32s floor(const Test& test) const {
        const double least = test.floor_of(absolute * (1.0 + 0x1p-20), relative);
        return static_cast<float>(least > test.kSmallest ? least : test.kSmallest) + f32s{};
    }
};

// Of angles of at most `angle` quarter turns.
inline Errors evaluate_errors(double angle, double amplitude) {
    return {kEvaluateError, angle * kAngleError * amplitude};
}

template <bool far>
Errors quick_errors(double angle, double amplitude) {
    return {kQuickError, ((far ? kFarError : 0.0) + angle * kAngleError) * amplitude};
}

template <class Consumer>
class RowMaker {
public:
    RowMaker(const Table& table, const Consumer& consumer, double* trig)
        : table_(table), consumer_(consumer), trig_(trig), amplitude_(absolute(table.amplitude)) {}

    void make(double position, char* to, const char* from) const {
        const double angle = table_.largest * absolute(position);
        if (!kFused || table_.order == Order::any || angle >= kFar) {
            evaluated(position, angle, to, from);
        } else if (angle < kNear) {
            quick<false>(position, angle, to, from);
        } else {
            quick<true>(position, angle, to, from);
        }
    }

private:
    using Value = typename Consumer::Value;
    using Element = typename Consumer::Element;

    const Table& table_;
    const Consumer& consumer_;
    double* trig_;
    double amplitude_;

    // What results have to reach for the test to tell. At position 0 it is nothing: sines are exactly 0, whatever their
    // frequency, and cosines are the amplitude.
    template <class Test>
    f32s floor(double position, const Errors& bound, const Test& test) const {
        return position == 0.0 && amplitude_ >= test.kSmallest ? f32s{} : bound.floor(test);
    }

    template <std::size_t vectors>
    [[gnu::always_inline]] void put(char* to, const char* from, std::size_t column, const f32s (&values)[vectors],
                                    std::size_t count) const {
        const auto offset = static_cast<std::ptrdiff_t>(column * sizeof(Element));
        consumer_.put(to + offset, from + offset, values, count);
    }

    // Columns column, column + 1 ... from their doubles.
    [[gnu::noinline]] f32s settled(double position, std::size_t column, std::size_t count, const Errors& bound, f64s a,
                                   f64s b) const {
        f64s a_error = magnitude(a) * bound.relative + bound.absolute;
        f64s b_error = magnitude(b) * bound.relative + bound.absolute;
        if (table_.order == Order::any) {  // some columns may be 0
            for (std::size_t i = 0; i < kLanes; ++i) {
                a_error[i] = is_zero(column + i) ? 0.0 : a_error[i];
                b_error[i] = is_zero(column + kLanes + i) ? 0.0 : b_error[i];
            }
        }
        f32s value;
        u32s differ;
        if (!settles(a, b, a_error, b_error, Value{}, value, differ)) {
            alignas(64) double y[kVector], errors[kVector];
            alignas(64) float result[kVector];
            store(y, a);
            store(y + kLanes, b);
            store(errors, a_error);
            store(errors + kLanes, b_error);
            settle<Value>({table_, position, column, count, false}, y, errors, result);
            value = load<f32s>(result);
        }
        return value;
    }

    bool is_zero(std::size_t column) const { return column >= table_.columns || table_.source[column] < 0; }

    // Calls part(vectors, j, count) for strips of `columns`; the number of registers is a constant.
    template <class Part>
    static void parts(std::size_t columns, const Part& part) {
        std::size_t j = 0;
        for (; j + kStrip <= columns; j += kStrip) {
            part(Constant<2>{}, j, kStrip);
        }
        for (; j < columns; j += kVector) {
            part(Constant<1>{}, j, smaller(kVector, columns - j));
        }
    }

    void evaluated(double position, double angle, char* to, const char* from) const {
        const Errors bound = evaluate_errors(angle, amplitude_);
        const RoundingTest<Value> test{kEvaluateWindow};
        const f32s least = floor(position, bound, test);
        evaluate_row(table_, position, trig_);
        parts(table_.columns, [&](auto vectors, std::size_t j, std::size_t count) {
            f32s values[vectors];
            for (std::size_t v = 0; v < vectors; ++v) {
                f64s y[2];
                for (std::size_t half = 0; half < 2; ++half) {
                    y[half] = column_values(j + v * kVector + half * kLanes);
                }
                values[v] = convert(y[0], y[1]);
                const Mask certain = test.certain(every_lane(), y[0], y[1], values[v]);
                if (!all(at_least(certain, values[v], values[v], least))) {
                    values[v] = settled(position, j + v * kVector, count - v * kVector, bound, y[0], y[1]);
                }
            }
            put(to, from, j, values, count);
        });
    }

    f64s column_values(std::size_t j) const {
        if (table_.order == Order::interleaved && !table_.cos_first && j + kLanes <= table_.columns) {
            return load<f64s>(trig_ + j) * table_.amplitude + 0.0;
        }
        f64s y{};
        for (std::size_t i = 0; i < kLanes; ++i, ++j) {
            y[i] = j >= table_.columns    ? kLarge
                   : table_.source[j] < 0 ? 0.0
                                          : trig_[table_.source[j]] * table_.amplitude;
        }
        return y + 0.0;  // no negative zeros
    }

    template <bool far>
    void quick(double position, double angle, char* to, const char* from) const {
        const Errors bound = quick_errors<far>(angle, amplitude_);
        const RoundingTest<Value> test{kQuickWindow};
        const f32s least = floor(position, bound, test);
        const double p = table_.cos_first ? -position : position;
        const auto pairs = [&](std::size_t k, bool whole) __attribute__((always_inline)) {
            Pairs pair = evaluate_quickly<far>(table_, p, k);
            if (!whole) {
                for (std::size_t i = 0; i < kLanes; ++i) {
                    if (k + i >= table_.frequencies) {
                        pair.first[i] = pair.second[i] = kLarge;
                    }
                }
            }
            return pair;
        };
        if (table_.order == Order::interleaved) {
            parts(table_.columns, [&](auto vectors, std::size_t j, std::size_t count) {
                POSENC_MCA_LOOP(j);
                const bool whole = count == vectors * kVector;
                f32s values[vectors];
                f64s low[vectors], high[vectors];
                Mask certain = every_lane();
                consumer_.prefetch(from + static_cast<std::ptrdiff_t>(j * sizeof(Element)), vectors);
                for (std::size_t v = 0; v < vectors; ++v) {
                    const Pairs pair = pairs(j / 2 + v * kLanes, whole);
                    values[v] =
                        weave(__builtin_convertvector(pair.first, f32h), __builtin_convertvector(pair.second, f32h));
                    certain = test.certain(certain, pair.first, pair.second, values[v]);
                    low[v] = pair.first;
                    high[v] = pair.second;
                }
                if (__builtin_expect(!all(at_least(certain, values[0], values[vectors - 1], least)), 0)) {
                    for (std::size_t v = 0; v < vectors; ++v) {
                        values[v] = settled(position, j + v * kVector, count - v * kVector, bound,
                                            weave_low(low[v], high[v]), weave_high(low[v], high[v]));
                    }
                }
                put(to, from, j, values, count);
            });
            return;
        }
        const std::size_t half = table_.columns / 2;
        for (std::size_t j = 0; j < half; j += kVector) {
            const std::size_t count = smaller(kVector, half - j);
            const Pairs a = pairs(j, count == kVector), b = pairs(j + kLanes, count == kVector);
            f32s firsts[] = {convert(a.first, b.first)}, seconds[] = {convert(a.second, b.second)};
            Mask certain = test.certain(every_lane(), a.first, b.first, firsts[0]);
            certain = test.certain(certain, a.second, b.second, seconds[0]);
            consumer_.prefetch(from + static_cast<std::ptrdiff_t>(j * sizeof(Element)), 1);
            consumer_.prefetch(from + static_cast<std::ptrdiff_t>((half + j) * sizeof(Element)), 1);
            if (__builtin_expect(!all(at_least(certain, firsts[0], seconds[0], least)), 0)) {
                firsts[0] = settled(position, j, count, bound, a.first, b.first);
                seconds[0] = settled(position, half + j, count, bound, a.second, b.second);
            }
            put(to, from, j, firsts, count);
            put(to, from, half + j, seconds, count);
        }
    }
};

}  // namespace
}  // namespace posenc
