// Producers of single rows, whose positions need have nothing to do with each other. Included by kernel.inl.hpp only.
//
// Rows of pairs are sums of two angles where both are known (grid.inl.hpp), and evaluated quickly (quick.inl.hpp) where
// they are not; others are evaluated. Order of the elements: from left to right, or by pairs where all seconds come
// after all firsts.

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

// Rounding tests of two registers of doubles: judge() rounds them, `woven` or one after the other, and returns what has
// to reach `limit` in magnitude in every lane, if that is certain.
template <class E>
struct FixedWindow {
    RoundingTest<E> test;
    f32s limit;

    template <bool woven>
    [[gnu::always_inline]] f32s judge(f64s a, f64s b, Mask& certain, f32s& measure) const {
        const f32h x = __builtin_convertvector(a, f32h), y = __builtin_convertvector(b, f32h);
        const f32s value = woven ? weave(x, y) : join(x, y);
        certain = test.certain(certain, a, b, value);
        measure = value;
        return value;
    }
};

template <class E>
struct ScaledWindow {
    using Test = RoundingTest<E>;
    f32s limit;

    static double limit_of(double error) {
        const double limit = Test::limit_of(error * (1.0 + 0x1p-20));
        return limit > Test::kMostLimit ? kNever : limit > Test::kSmallestLimit ? limit : Test::kSmallestLimit;
    }
    template <bool woven>
    [[gnu::always_inline]] f32s judge(f64s a, f64s b, Mask& certain, f32s& measure) const {
        const Narrowed narrowed = narrow_both(a, b);
        certain = Test::certain_at_all(certain, narrowed.value);
        measure = Test::measure(narrowed);
        return woven ? weave(narrowed.value) : narrowed.value;
    }
};

template <class Consumer>
class RowMaker {
public:
    RowMaker(const Table& table, const Consumer& consumer, const Grid& grid, double* trig)
        : table_(table), consumer_(consumer), grid_(grid), trig_(trig), amplitude_(absolute(table.amplitude)) {}

    void make(double position, char* to, const char* from) const {
        const double angle = table_.largest * absolute(position);
        if (table_.order != Order::any && angle < kNear && (position != 0.0 || table_.amplitude == 1.0)) {
            const GridPosition at = on_grid(position);
            if (grid_.is_known(at)) {
                turned(position, at, angle, to, from);
                return;
            }
        }
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
    Grid grid_;
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
        const double p = table_.cos_first ? -position : position;
        const auto pairs = [&](std::size_t k)
                               __attribute__((always_inline)) { return evaluate_quickly<far>(table_, p, k); };
        paired(position, bound, FixedWindow<Value>{test, floor(position, bound, test)}, pairs, to, from);
    }

    void turned(double position, const GridPosition& at, double angle, char* to, const char* from) const {
        const Errors bound{kEvaluateError, (kDoubleError + angle * kAngleError) * amplitude_};
        const GridSums sums(table_, grid_.anchor_at(at.anchor), grid_.turn_by(at.turn), at.flip);
        const auto pairs = [&](std::size_t k) __attribute__((always_inline)) { return sums.pair<true>(k); };
        // At position 0 all is exact, as the amplitude is 1.
        const double limit = position == 0.0 ? 0.0 : ScaledWindow<Value>::limit_of(bound.absolute);
        paired(position, bound, ScaledWindow<Value>{static_cast<float>(limit) + f32s{}}, pairs, to, from);
    }

    // The columns of pairs(k), k = 0, kLanes ..., as `window` sees fit.
    template <class Window, class Make>
    [[gnu::always_inline]] void paired(double position, const Errors& bound, const Window& window, const Make& make,
                                       char* to, const char* from) const {
        const auto pairs = [&](std::size_t k, bool whole) __attribute__((always_inline)) {
            Pairs pair = make(k);
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
                f32s values[vectors], measure[vectors];
                f64s low[vectors], high[vectors];
                Mask certain = every_lane();
                consumer_.prefetch(from + static_cast<std::ptrdiff_t>(j * sizeof(Element)), vectors);
                for (std::size_t v = 0; v < vectors; ++v) {
                    const Pairs pair = pairs(j / 2 + v * kLanes, whole);
                    values[v] = window.template judge<true>(pair.first, pair.second, certain, measure[v]);
                    low[v] = pair.first;
                    high[v] = pair.second;
                }
                if (__builtin_expect(!all(at_least(certain, measure[0], measure[vectors - 1], window.limit)), 0)) {
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
            Mask certain = every_lane();
            f32s measure[2];
            f32s firsts[] = {window.template judge<false>(a.first, b.first, certain, measure[0])};
            f32s seconds[] = {window.template judge<false>(a.second, b.second, certain, measure[1])};
            consumer_.prefetch(from + static_cast<std::ptrdiff_t>(j * sizeof(Element)), 1);
            consumer_.prefetch(from + static_cast<std::ptrdiff_t>((half + j) * sizeof(Element)), 1);
            if (__builtin_expect(!all(at_least(certain, measure[0], measure[1], window.limit)), 0)) {
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
