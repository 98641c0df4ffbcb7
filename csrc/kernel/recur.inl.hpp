// Producer: the recurrence down a strip, for rows whose positions are p, p + 1, p + 2 ... Included by kernel.inl.hpp.
//
// A strip of columns is walked down with its state in registers. With d_n = y_n - y_(n-1) and k = 4 sin^2(w / 2)
//   d -= k y,  y += d
// gives the next value of sin(p w) and of cos(p w) alike: Reinsch's form of Goertzel's recurrence (J. Stoer and
// R. Bulirsch, "Introduction to Numerical Analysis", section 2.3.4), whose error grows by about a unit of the last
// place a row, however small w is. It holds for |w| <= pi/2. Where cos w < 0, (-1)^n y_n is walked down instead, which
// turns by w - pi, and every second row changes its sign on the way out.
//
// Order of the elements: strip by strip, each from top to bottom.

namespace posenc {
namespace {

constexpr std::size_t kRows = kTileRows;  // of a strip

// After n rows a value errs by (1 + 3.4 |sin w|) n + 40 units of 2^-53 at most, times the largest magnitude that its
// column can have in these rows, apart from the angle's error (docs/accuracy.md, section 6).
constexpr double kGrain = 0x1p-40;  // quarter turns: a sine of a multiple of it is 0 or far larger than its error
constexpr double kUnit = 0x1p-53, kRowError = 1.0, kFastRowError = kFused ? 3.4 : 5.4, kStartError = 40.0;

// sin and cos of the first row of a tile at every frequency.
struct Anchor {
    double *sin, *cos;
};

// Of the first `count` frequencies.
void evaluate_anchor(const Table& table, double position, std::size_t count, const Anchor& anchor) {
    for (std::size_t k = 0; k < count; k += kLanes) {
        const Angle angle =
            evaluate<true>(position + f64s{}, load<f64s>(table.frequency[0] + k), load<f64s>(table.frequency[1] + k));
        store(anchor.sin + k, angle.sin);
        store(anchor.cos + k, angle.cos);
    }
}

Angle rotated(Angle from, f64s sin, f64s cos) {
    return {fused(from.sin, cos, from.cos * sin), fused(-from.sin, sin, from.cos * cos)};
}

// Turns an anchor by kRows rows.
void rotate_anchor(const Table& table, const Steps& steps, const Anchor& anchor) {
    for (std::size_t k = 0; k < table.padded_frequencies; k += kLanes) {
        const Angle turned = rotated({load<f64s>(anchor.sin + k), load<f64s>(anchor.cos + k)},
                                     load<f64s>(steps.turn_sin + k), load<f64s>(steps.turn_cos + k));
        store(anchor.sin + k, turned.sin);
        store(anchor.cos + k, turned.cos);
    }
}

Steps prepare(const Table& table, double step, double turn, double* memory) {
    const std::size_t size = table.padded_frequencies;
    double *const sin = memory, *const versine = sin + size, *const turn_sin = versine + size;
    double* const turn_cos = turn_sin + size;
    bool has_quarters = false, has_exact = false;
    for (std::size_t k = 0; k < size; k += kLanes) {
        const f64s w = load<f64s>(table.frequency[0] + k), w_low = load<f64s>(table.frequency[1] + k);
        const Reduced half = reduce<true>(0.5 * step + f64s{}, w, w_low);
        // sin f to 2^-54 of itself, as high + low.
        const f64s f = half.f, z = f * f, leading = f * kHalfPi;
        const f64s cosine = multiply_add<true>(z, polynomial<true>(kCosine, z), 1.0 + f64s{});
        const f64s tail = multiply_add<true>(z, polynomial<true>(kSine, z), kHalfPiLow + f64s{});
        const f64s rest = f * tail + (product_error(f, kHalfPi + f64s{}, leading) + half.f_low * kHalfPi * cosine);
        const f64s high = leading + rest, low = (leading - high) + rest;
        const f64s square = high * high, square_low = product_error(high, high, square) + 2.0 * high * low;
        const u64s odd = half.quadrant << 63;
        // Whether w is a whole number of quarter turns. Its sine is then 0, 1 or -1, and that of no other w is.
        const i64s whole = (i64s)(w_low == 0.0) & (i64s)(half.f_low == 0.0);
        const i64s even = whole & (i64s)(f == 0.0), uneven = whole & (i64s)(magnitude(f) == 0.5);
        const f64s sine = 2.0 * high * cosine;
        const f64s sine_size = choose(uneven, 1.0 + f64s{}, least(magnitude(sine), (1.0 - kUnit) + f64s{}));
        const f64s turned = choose(uneven, 1.0 + f64s{}, 2.0 * (square + square_low));
        store(sin + k, (f64s)((u64s)sine_size | ((u64s)sine & INT64_MIN)));
        store(versine + k, (f64s)((u64s)turned | odd));
        const Angle turned_by = evaluate<true>(turn + f64s{}, w, w_low);
        store(turn_sin + k, turned_by.sin);
        store(turn_cos + k, turned_by.cos);
        has_quarters |= any((u32s)(even | uneven));
        has_exact |= any((u32s)(w_low == 0.0));
    }
    return {sin, versine, turn_sin, turn_cos, has_quarters, has_exact};
}

// Of rows down strips, the anchors of which are kRows rows apart.
Steps prepare(const Table& table, double step, double* memory) {
    return prepare(table, step, step * static_cast<double>(kRows), memory);
}

// Where a strip begins: values of columns in the order of an array's, [kBlock + kStrip] each.
struct Start {
    double* value;
    double* difference;  // from the row before
    double* factor;      // k
    double* error;       // of every row; its sign bit is set where values alternate, the last bit as kGrain says
    float* limit;        // what the rounding test has to measure at least; its sign bit as that of the error
};

// The columns of one row, from a frequency's: first and second of a pair.
struct StartPair {
    f64s value[2], difference[2], factor, error[2];
};

double position_of(const Rows& rows, std::size_t i) {
    return rows.position != nullptr ? rows.position[i] : rows.start + static_cast<double>(i);
}

// Rows whose positions are in arithmetic progression, or nearly so.
struct Tile {
    const Table& table;
    const Steps& steps;  // from one row of a strip to the next
    const Rows& positions;
    std::size_t first;   // the tile's first row
    std::size_t every;   // rows from one row of a strip to the next
    std::size_t rows;    // of a strip, at most kRows
    double farthest;     // the length of an interval of positions that holds 0, all rows and the evaluated anchor
    double deviation;    // of positions from the progression that begins with the first row
    double first_error;  // absolute error of the first row if it was evaluated, otherwise infinite
    int grain;           // positions are multiples of 2^-grain; -1: nothing is known of that
    bool down;           // whether lanes are rows of one column, the next strip's row `every` rows on

    double position(std::size_t row) const { return position_of(positions, first + row * every); }
};

// Of frequencies w with sin and cos of the first row's angle.
inline StartPair start_pair(const Tile& tile, f64s w, f64s w_low, f64s sin_step, f64s versine, f64s sin, f64s cos) {
    const Table& table = tile.table;
    const f64s flips = (f64s)((u64s)versine & INT64_MIN);
    const f64s h = magnitude(versine);
    const double unit = absolute(table.amplitude) * kUnit;
    const auto rows = static_cast<double>(tile.rows);
    // A sine is not larger than its angle.
    const f64s reach = least(magnitude(w) * (tile.farthest * 1.5708) + 0x1p-900, 1.0 + f64s{});
    f64s cosine_error = magnitude(sin_step) * (kFastRowError * rows * unit) + (kRowError * rows + kStartError) * unit +
                        magnitude(w) * (tile.farthest * kAngleError * absolute(table.amplitude));
    f64s sine_error = cosine_error * reach;
    if (tile.deviation != 0.0) {
        const f64s lost = magnitude(w) * (1.5708 * tile.deviation * absolute(table.amplitude));
        cosine_error += lost;
        sine_error += lost;
    }
    const double top = table.special[4];  // the amplitude, if it is exact
    i64s coarse{};
    if (tile.grain >= 0 && tile.steps.has_exact) {
        const f64s grains = w * (1.0 / kGrain / static_cast<double>(1 << tile.grain));
        coarse = (i64s)(((grains + 0x1.8p52) - 0x1.8p52 == grains) | (magnitude(grains) >= 0x1p51)) &
                 (i64s)(w_low == 0.0) & 1;
    }
    cosine_error = (f64s)(((i64s)cosine_error & ~1) | coarse);
    sine_error = (f64s)(((i64s)sine_error & ~1) | coarse);
    if (tile.steps.has_quarters && absolute(top) >= 0x1p-14) {  // at whole numbers of quarter turns, all is exact
        const i64s inexact = ~(((i64s)(sin == 0.0) | (i64s)(cos == 0.0)) &
                               ((i64s)(sin_step == 0.0) | (i64s)(magnitude(sin_step) == 1.0)));
        cosine_error = (f64s)((i64s)cosine_error & inexact);
        sine_error = (f64s)((i64s)sine_error & inexact);
    }
    const f64s s = sin * table.amplitude + 0.0, c = cos * table.amplitude + 0.0;
    const f64s s_difference = fused(sin_step, c, h * s), c_difference = fused(-sin_step, s, h * c);
    const auto flagged = [&](f64s error) { return (f64s)((u64s)error | (u64s)flips); };
    if (table.cos_first) {
        return {{c, s}, {c_difference, s_difference}, 2.0 * h, {flagged(cosine_error), flagged(sine_error)}};
    }
    return {{s, c}, {s_difference, c_difference}, 2.0 * h, {flagged(sine_error), flagged(cosine_error)}};
}

void store_pair(const Start& to, std::size_t at, const StartPair& pair, std::size_t which) {
    store(to.value + at, pair.value[which]);
    store(to.difference + at, pair.difference[which]);
    store(to.factor + at, pair.factor);
    store(to.error + at, pair.error[which]);
}

void weave_pair(const Start& to, std::size_t at, const StartPair& pair) {
    const auto weave = [&](double* out, f64s a, f64s b) {
        store(out + at, weave_low(a, b));
        store(out + at + kLanes, weave_high(a, b));
    };
    weave(to.value, pair.value[0], pair.value[1]);
    weave(to.difference, pair.difference[0], pair.difference[1]);
    weave(to.factor, pair.factor, pair.factor);
    weave(to.error, pair.error[0], pair.error[1]);
}

// The start of columns [first, first + count) of a row; the kStrip lanes behind them are those of no column.
void make_start(const Tile& tile, const Anchor& anchor, std::size_t first, std::size_t count, const Start& to) {
    const Table& table = tile.table;
    const Steps& steps = tile.steps;
    const auto pair_at = [&](std::size_t k) {
        return start_pair(tile, load<f64s>(table.frequency[0] + k), load<f64s>(table.frequency[1] + k),
                          load<f64s>(steps.sin + k), load<f64s>(steps.versine + k), load<f64s>(anchor.sin + k),
                          load<f64s>(anchor.cos + k));
    };
    if (table.order == Order::interleaved) {
        for (std::size_t k = first / 2; 2 * k < first + count; k += kLanes) {
            weave_pair(to, 2 * k - first, pair_at(k));
        }
    } else if (table.order == Order::concatenated && count == table.columns) {
        const std::size_t half = table.frequencies;
        for (std::size_t k = (half - 1) / kLanes * kLanes + kLanes;
             k > 0;) {  // backwards: seconds over firsts' padding
            k -= kLanes;
            const StartPair pair = pair_at(k);
            store_pair(to, k, pair, 0);
            store_pair(to, half + k, pair, 1);
        }
    } else {
        for (std::size_t j = 0; j < count; j += kLanes) {
            f64s w{}, w_low{}, sin{}, cos{}, sin_step{}, versine{};
            i64s second{}, shown{};
            for (std::size_t i = 0; i < kLanes && j + i < count; ++i) {
                const std::int32_t source = table.source[first + j + i];
                if (source >= 0) {
                    const auto k = static_cast<std::size_t>(source) / 2;
                    w[i] = table.frequency[0][k];
                    w_low[i] = table.frequency[1][k];
                    sin[i] = anchor.sin[k];
                    cos[i] = anchor.cos[k];
                    sin_step[i] = steps.sin[k];
                    versine[i] = steps.versine[k];
                    second[i] = -static_cast<std::int64_t>((source & 1) != static_cast<std::int32_t>(table.cos_first));
                    shown[i] = -1;
                }
            }
            const StartPair pair = start_pair(tile, w, w_low, sin_step, versine, sin, cos);
            const auto chosen = [&](const f64s(&of)[2]) {
                return (f64s)((((i64s)of[1] & second) | ((i64s)of[0] & ~second)) & shown);
            };
            store(to.value + j, chosen(pair.value));
            store(to.difference + j, chosen(pair.difference));
            store(to.factor + j, pair.factor);
            store(to.error + j, chosen(pair.error));
        }
    }
    for (std::size_t j = count; j < count + kStrip; j += kLanes) {  // lanes of no column
        store(to.value + j, kLarge + f64s{});
        store(to.difference + j, f64s{});
        store(to.factor + j, f64s{});
        store(to.error + j, f64s{});
    }
}

Start behind(const Start& start, std::size_t lanes) {
    return {start.value + lanes, start.difference + lanes, start.factor + lanes, start.error + lanes,
            start.limit + lanes};
}

// The start of one frequency's columns at position, position + 1 ... of a tile whose lanes are rows: those of the first
// column of its pair, or of the second. The first register's rows are evaluated, the others rotated from them.
void make_start_down(const Tile& tile, std::size_t k, const Start& first, const Start& second) {
    static_assert(kStrip / kLanes <= kRotations + 1);
    const f64s w = tile.table.frequency[0][k] + f64s{}, w_low = tile.table.frequency[1][k] + f64s{};
    const auto spread = [&](const double* of) { return of[k] + f64s{}; };
    f64s position = tile.position(0) + f64s{};
    for (std::size_t i = 0; i < kLanes; ++i) {
        position[i] += static_cast<double>(i);
    }
    Angle angle = evaluate<true>(position, w, w_low);
    for (std::size_t j = 0; j < kStrip; j += kLanes) {
        const StartPair pair =
            start_pair(tile, w, w_low, spread(tile.steps.sin), spread(tile.steps.versine), angle.sin, angle.cos);
        store_pair(first, j, pair, 0);
        store_pair(second, j, pair, 1);
        angle = rotated(angle, spread(tile.steps.turn_sin), spread(tile.steps.turn_cos));
    }
}

// Steps of such tiles.
Steps prepare_down(const Table& table, double* memory) {
    return prepare(table, static_cast<double>(kStrip), static_cast<double>(kLanes), memory);
}

void clear_start(const Start& start) {
    for (std::size_t j = 0; j < kStrip; j += kLanes) {
        store(start.value + j, f64s{});
        store(start.difference + j, f64s{});
        store(start.error + j, f64s{});
    }
}

// Settles a row of a strip whose doubles y err by `error`; flipped values come back flipped.
template <class E>
[[gnu::noinline]] void settle_strip(const Tile& tile, const double* flags, std::size_t row, std::size_t column,
                                    std::size_t count, bool flip, std::size_t vectors, double* y, const double* error,
                                    float* results) {
    const std::size_t lanes = vectors * kVector;
    const auto turn = [&](auto* of) {
        for (std::size_t i = 0; i < lanes; ++i) {
            of[i] = flip && __builtin_signbit(flags[i]) != 0 ? -of[i] : of[i];
        }
    };
    turn(y);
    for (std::size_t j = 0; j < lanes && j < count; j += kVector) {
        const double position = tile.position(row);
        const Place place{tile.table, tile.down ? position + static_cast<double>(j) : position,
                          tile.down ? column : column + j, count - j, tile.down};
        settle<E>(place, y + j, error + j, results + j);
    }
    turn(results);
}

// One row down.
[[gnu::always_inline]] inline void advance(f64s k, f64s& y, f64s& d) {
    d = fused(-k, y, d);
    y = y + d;
}

// What the rounding test has to measure at least of a column whose first value and difference are y and d, and which
// errs by `flagged`. kNever, so that all values are settled, where the limit is too large to be told from infinity, and
// where narrow_rearranged may be wrong: a value is exact and a tie, or other than 0 and below 2^-126 in magnitude
// (docs/accuracy.md, section 7).
template <class Test>
f64s limit_of(const Table& table, f64s y, f64s d, f64s k, f64s flagged) {
    constexpr double kSlow = 0x1p-120, kNormal = 0x1p-126;
    const double amplitude = table.amplitude;
    const f64s e = magnitude(flagged), scaled = e * Test::limit_of(1.0 + 0x1p-20);
    const f64s least = scaled > Test::kSmallestLimit ? scaled : Test::kSmallestLimit + f64s{};
    const f64s enough = choose((i64s)(least > Test::kMostLimit), kNever + f64s{}, least);
    const i64s tie = (i64s)(((i64s)(amplitude + f64s{}) & 0x1fffffff) == 0x10000000);
    const f64s limit = choose((i64s)(e > 0.0), enough, choose(tie, kNever + f64s{}, f64s{}));
    const i64s moves = (i64s)(k != 0.0) | (i64s)(d != 0.0);
    const i64s tiny =
        ((i64s)(k * (amplitude * amplitude) < kSlow) & moves) | ((i64s)(magnitude(y) < kNormal) & (i64s)(y != 0.0));
    return choose(tiny, kNever + f64s{}, limit);
}

// Makes the strip that begins at lane `at` ready for walk_strip.
template <class Value>
void ready_strip(const Tile& tile, const Start& start, std::size_t at) {
    for (std::size_t v = at; v < at + kStrip; v += kVector) {
        f64s half[4][2];
        double* const of[4] = {start.value, start.difference, start.factor, start.error};
        for (std::size_t i = 0; i < 4; ++i) {
            half[i][0] = load<f64s>(of[i] + v);
            half[i][1] = load<f64s>(of[i] + v + kLanes);
        }
        const auto limits = [&](std::size_t h) {
            const f64s least =
                limit_of<RoundingTest<Value>>(tile.table, half[0][h], half[1][h], half[2][h], half[3][h]);
            return (f64s)((i64s)least | ((i64s)half[3][h] & INT64_MIN));
        };
        store(start.limit + v, convert(limits(0), limits(1)));
        for (std::size_t i = 0; i < 3; ++i) {
            rearrange(half[i][0], half[i][1]);
            store(of[i] + v, half[i][0]);
            store(of[i] + v + kLanes, half[i][1]);
        }
    }
}

// Whether values of the strip alternate.
bool alternates(const Start& start, std::size_t at) {
    return any(((u32s)load<f32s>(start.limit + at) | (u32s)load<f32s>(start.limit + at + kVector)) & 0x80000000);
}

// Walks down one strip, of columns column, column + 1, ..., of which `count` are wanted: rows [first, end) of the tile,
// the first of which is at `to`. The state of the strip is at lane `at` of `start`, and stays there.
template <std::size_t vectors, bool alternating, class Consumer>
[[gnu::always_inline]] inline void walk_strip(const Tile& tile, const Start& start, std::size_t column, std::size_t at,
                                              std::size_t count, std::size_t first, std::size_t end, char* to,
                                              const char* from, const Consumer& consumer) {
    using Value = typename Consumer::Value;
    using Test = RoundingTest<Value>;
    constexpr std::size_t registers = 2 * vectors;
    f64s y[registers], d[registers], k[registers];
    for (std::size_t v = 0; v < registers; ++v) {
        y[v] = load<f64s>(start.value + at + v * kLanes);
        d[v] = load<f64s>(start.difference + at + v * kLanes);
        k[v] = load<f64s>(start.factor + at + v * kLanes);
    }
    u32s flips[vectors];
    i32s limits{};  // ordered as the numbers are, and kNever behind them
    for (std::size_t v = 0; v < vectors; ++v) {
        const u32s flagged = load<u32s>(start.limit + at + v * kVector);
        const i32s least = (i32s)(flagged & 0x7fffffff);
        flips[v] = flagged & 0x80000000;
        limits = least > limits ? least : limits;
    }
    const f32s limit = (f32s)limits;
    for (std::size_t row = first; row < end; ++row, to += consumer.to_stride, from += consumer.from_stride) {
        POSENC_MCA_LOOP(row);
        f32s value[vectors], measure[vectors];
        consumer.prefetch(from, vectors);
        Mask certain = every_lane();
        for (std::size_t v = 0; v < vectors; ++v) {
            const Narrowed narrowed = narrow_rearranged(y[2 * v], y[2 * v + 1]);
            value[v] = narrowed.value;
            certain = Test::certain_at_all(certain, narrowed.value);
            measure[v] = Test::measure(narrowed);
        }
        certain = at_least(certain, measure[0], measure[vectors - 1], limit);
        const bool flip = alternating && row % 2 != 0;
        if (__builtin_expect(!all(certain), 0)) {
            f64s known[registers], error[registers];
            for (std::size_t v = 0; v < registers; ++v) {
                known[v] = y[v];
            }
            for (std::size_t v = 0; v < registers; v += 2) {
                arrange(known[v], known[v + 1]);
            }
            for (std::size_t v = 0; v < registers; ++v) {
                const f64s flagged = load<f64s>(start.error + at + v * kLanes), e = magnitude(flagged);
                // What is smaller than its error is 0 where angles are whole multiples of kGrain quarter turns.
                const i64s other = ~(-((i64s)flagged & 1) & (i64s)(magnitude(known[v]) <= e));
                // An evaluated row's error is relative to the result, apart from the angle's.
                const f64s evaluated = magnitude(known[v]) * kEvaluateError + tile.first_error;
                const f64s least_error = row != 0 ? e : least(e, evaluated);
                known[v] = (f64s)((i64s)known[v] & other);
                error[v] = (f64s)((i64s)least_error & other);
            }
            bool same = true;
            for (std::size_t v = 0; v < vectors; ++v) {
                u32s differ;
                same &=
                    settles(known[2 * v], known[2 * v + 1], error[2 * v], error[2 * v + 1], Value{}, value[v], differ);
            }
            if (__builtin_expect(!same, 0)) {
                alignas(64) double values[vectors * kVector], errors[vectors * kVector];
                alignas(64) float results[vectors * kVector];
                for (std::size_t v = 0; v < registers; ++v) {
                    store(values + v * kLanes, known[v]);
                    store(errors + v * kLanes, error[v]);
                }
                settle_strip<Value>(tile, start.error + at, row, column, count, flip, vectors, values, errors, results);
                for (std::size_t v = 0; v < vectors; ++v) {
                    value[v] = load<f32s>(results + v * kVector);
                }
            }
        }
        if (flip) {
            for (std::size_t v = 0; v < vectors; ++v) {
                value[v] = (f32s)((u32s)value[v] ^ flips[v]) + 0.0F;
            }
        }
        consumer.put(to, from, value, count);
        for (std::size_t v = 0; v < registers; ++v) {
            advance(k[v], y[v], d[v]);
        }
    }
#pragma GCC unroll 4
    for (std::size_t v = 0; v < registers; ++v) {
        store(start.value + at + v * kLanes, y[v]);
        store(start.difference + at + v * kLanes, d[v]);
    }
}

// Walks down columns column, column + 1, ... of a run, of which `count` are wanted, strip by strip: rows [first, end)
// of the tile, the first of which is at `to`. The state of the strips begins at lane `at` of `start`, and stays there.
template <bool alternating, class Consumer>
void walk_band(const Tile& tile, const Start& start, std::size_t column, std::size_t at, std::size_t count,
               std::size_t first, std::size_t end, char* to, const char* from, const Consumer& consumer) {
    constexpr auto width = static_cast<std::ptrdiff_t>(kStrip * sizeof(typename Consumer::Element));
    for (; count >= kStrip; count -= kStrip, at += kStrip, column += kStrip, to += width, from += width) {
        walk_strip<2, alternating>(tile, start, column, at, kStrip, first, end, to, from, consumer);
    }
    if (count > kVector) {
        walk_strip<2, alternating>(tile, start, column, at, count, first, end, to, from, consumer);
    } else if (count != 0) {
        walk_strip<1, alternating>(tile, start, column, at, count, first, end, to, from, consumer);
    }
}

}  // namespace
}  // namespace posenc
