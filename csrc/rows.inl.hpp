// The float32 rows of a run or of a list of positions. Included by kernel.inl.hpp only.
//
// A list is evaluated row by row, quickly where that can be. A run is cut into tiles of 2R + 1 rows, and each row is
// turned by its distance from the anchor row in the tile's middle; in order, because that is what the hardware
// foresees. The anchors of 2S + 1 tiles are turned in the same way from one that was evaluated.

namespace posenc {
namespace {

// A row in column order and its derivative by the angle: what turning it needs.
struct Anchor {
    double* value;
    double* derivative;
};

struct Workspace {
    double* trig;  // what evaluate writes
    Anchor evaluated, turned;
    void* tile;  // rows that several arrays share, or that are not written from registers
};

Workspace divide(const Table& table, double* memory) {
    double* row = memory + table.padded_trig;
    const std::size_t size = table.padded_columns;
    return {memory, {row, row + size}, {row + 2 * size, row + 3 * size}, row + 4 * size};
}

double position_of(const Rows& rows, std::size_t i) {
    return rows.position != nullptr ? rows.position[i] : rows.start + static_cast<double>(i);
}

// Whether every position is one more than the one before, exactly. Fractional starts are rounded row by row.
bool is_run(const Rows& rows) {
    return rows.position == nullptr && static_cast<double>(static_cast<std::int64_t>(rows.start)) == rows.start;
}

std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }

template <std::size_t value>
struct Constant {
    constexpr operator std::size_t() const { return value; }
};

bool is_identity(const Table& table) { return table.order == Order::interleaved && !table.cos_first; }

// The trigonometric values in column order, none of them a negative zero; padded with ones, which are harmless to turn
// and never in doubt.
void column_values(const Table& table, const double* trig, double* value) {
    if (is_identity(table)) {
        for (std::size_t j = 0; j < table.columns; j += kLanes) {
            store(value + j, load<f64s>(trig + j) * table.amplitude + 0.0);
        }
    } else {
        for (std::size_t j = 0; j < table.columns; ++j) {
            value[j] = table.source[j] < 0 ? 0.0 : trig[table.source[j]] * table.amplitude + 0.0;
        }
    }
    for (std::size_t j = 0; j < kPadding; ++j) {
        value[table.columns + j] = 1.0;
    }
}

// Their derivatives by the angle, d sin = cos and d cos = -sin, padded with zeros.
void column_derivatives(const Table& table, const double* trig, double* derivative) {
    if (is_identity(table)) {
        for (std::size_t j = 0; j < table.columns; j += kLanes) {
            store(derivative + j, turn_pairs(load<f64s>(trig + j)) * table.amplitude);
        }
    } else {
        for (std::size_t j = 0; j < table.columns; ++j) {
            const std::int32_t s = table.source[j];
            derivative[j] = s < 0 ? 0.0 : trig[s ^ 1] * ((s & 1) != 0 ? -table.amplitude : table.amplitude);
        }
    }
    for (std::size_t j = 0; j < kPadding; ++j) {
        derivative[table.columns + j] = 0.0;
    }
}

template <bool fuse>
const double* evaluated_row(const Table& table, double position, const Workspace& work) {
    evaluate<fuse>(table, position, work.trig);
    column_values(table, work.trig, work.evaluated.value);
    return work.evaluated.value;
}

void evaluate_anchor(const Table& table, double position, const Workspace& work) {
    evaluate<true>(table, position, work.trig);
    column_values(table, work.trig, work.evaluated.value);
    column_derivatives(table, work.trig, work.evaluated.derivative);
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

// Hands rows to `write` in pieces of whole vectors, of which the first `count` columns are meant:
// write(row, column, vectors, count). The last piece of a row ends with its last column.
template <class Write>
struct Maker {
    using E = typename Write::Element;
    static constexpr std::size_t kVector = 2 * kLanes;
    static constexpr std::size_t kVectors = 4;  // of a piece: what fits into registers, and is checked at once

    const Table& table;
    const Rows& rows;
    const Workspace& work;
    const Write& write;

    void make() const {
        if (is_run(rows)) {
            make_run();
        } else {
            make_list();
        }
    }

private:
    void make_run() const {
        const std::size_t height = 2 * table.reach + 1, end = rows.first + rows.count;
        for (std::size_t i = rows.first; i < end;) {
            if (end - i < height) {
                const std::size_t count = end - i;
                evaluate_anchor(table, position_of(rows, i + count / 2), work);
                tile(i, count, work.evaluated);
                i += count;
            } else {
                const std::size_t tiles = smaller((end - i) / height, 2 * table.tile_reach + 1);
                evaluate_anchor(table, position_of(rows, i + tiles / 2 * height + table.reach), work);
                for (std::size_t t = 0; t < tiles; ++t, i += height) {
                    const auto step = static_cast<std::ptrdiff_t>(t) - static_cast<std::ptrdiff_t>(tiles / 2);
                    if (step != 0) {
                        turn_anchor(table, work.evaluated, step, work.turned);
                    }
                    tile(i, height, step != 0 ? work.turned : work.evaluated);
                }
            }
        }
    }

    void make_list() const {
        for (std::size_t i = rows.first; i < rows.first + rows.count; ++i) {
            const double position = position_of(rows, i);
            const double far = angle(position);
            if (!kFused || table.order == Order::any || far >= kFar) {
                const Bound bound = times_amplitude(evaluated_bound(far));
                anchor_row(i, position, evaluated_row<true>(table, position, work), bound);
            } else if (far < kNear) {
                quick_row<false>(i, position);
            } else {
                quick_row<true>(i, position);
            }
        }
    }

    double angle(double position) const { return table.largest * (position < 0.0 ? -position : position); }

    Bound times_amplitude(const Bound& bound) const {
        const double amplitude = table.amplitude < 0.0 ? -table.amplitude : table.amplitude;
        return {bound.absolute * amplitude, bound.relative};
    }

    // Rows first, ..., first + count - 1; the anchor is the middle one, the later of two.
    void tile(std::size_t first, std::size_t count, const Anchor& anchor) const {
        const std::size_t centre = first + count / 2;
        const double position = position_of(rows, centre);
        const Bound bound = times_amplitude(turned_bound(angle(position), table.amplitude));
        for (std::size_t r = count / 2; r > 0; --r) {
            turned_row<true>(centre - r, position, r, anchor, bound);
        }
        anchor_row(centre, position, anchor.value, bound);
        for (std::size_t r = 1; centre + r < first + count; ++r) {
            turned_row<false>(centre + r, position, r, anchor, bound);
        }
    }

    // Calls piece(vectors, column, count) for every piece of `columns`; the number of vectors is a constant.
    template <class Piece>
    static void pieces(std::size_t columns, const Piece& piece) {
        std::size_t j = 0;
        for (; j + kVectors * kVector <= columns; j += kVectors * kVector) {
            piece(Constant<kVectors>{}, j, kVectors * kVector);
        }
        for (; j < columns; j += kVector) {
            piece(Constant<1>{}, j, smaller(kVector, columns - j));
        }
    }

    void anchor_row(std::size_t row, double position, const double* value, const Bound& bound) const {
        const Doubt<E> unseen(bound);
        pieces(table.columns, [&](auto vectors, std::size_t j, std::size_t count) {
            f32s values[vectors];
            Doubt<E> doubt = unseen;
            for (std::size_t v = 0; v < vectors; ++v) {
                const double* y = value + j + v * kVector;
                values[v] = round_f32(load<f64s>(y), load<f64s>(y + kLanes), doubt);
            }
            if (__builtin_expect(doubt.any(), 0)) {
                repair<E>(values, table, position, j, bound, value + j, nullptr, nullptr, nullptr, 0.0);
            }
            write(row, j, values, count);
        });
    }

    // The row `distance` before (back) or after the anchor's.
    template <bool back>
    void turned_row(std::size_t row, double anchor_position, std::size_t distance, const Anchor& anchor,
                    const Bound& bound) const {
        const Doubt<E> unseen(bound);
        const double* const row_cos = table.row_cos + (distance - 1) * table.padded_columns;
        const double* const row_sin = table.row_sin + (distance - 1) * table.padded_columns;
        pieces(table.columns, [&](auto vectors, std::size_t j, std::size_t count) {
            const double *const value = anchor.value + j, *const derivative = anchor.derivative + j;
            const double *const cos = row_cos + j, *const sin = row_sin + j;
            const auto turned = [&](std::size_t c) {
                const f64s d = load<f64s>(derivative + c);
                return multiply_add<true>(back ? -d : d, load<f64s>(sin + c),
                                          load<f64s>(value + c) * load<f64s>(cos + c));
            };
            write.prefetch(row, j, count);
            f32s values[vectors];
            Doubt<E> doubt = unseen;
            for (std::size_t v = 0; v < vectors; ++v) {
                values[v] = round_f32(turned(v * kVector), turned(v * kVector + kLanes), doubt);
            }
            if (__builtin_expect(doubt.any(), 0)) {
                const auto r = static_cast<double>(distance);
                const double position = back ? anchor_position - r : anchor_position + r;
                repair<E>(values, table, position, j, bound, value, derivative, cos, sin, back ? -1.0 : 1.0);
            }
            write(row, j, values, count);
        });
    }

    // A row of pairs, from their frequencies.
    template <bool far>
    void quick_row(std::size_t row, double position) const {
        const Bound bound = times_amplitude(quick_bound(angle(position), far));
        const Doubt<E> unseen(bound);
        const auto pairs = [&, p = table.cos_first ? -position : position](std::size_t k) {
            return evaluate_quickly<far>(table, p, k);
        };
        if (table.order == Order::interleaved) {
            pieces(table.columns, [&](auto vectors, std::size_t j, std::size_t count) {
                write.prefetch(row, j, count);
                f32s values[vectors];
                Doubt<E> doubt = unseen;
                for (std::size_t v = 0; v < vectors; ++v) {
                    const Pairs pair = pairs(j / 2 + v * kLanes);
                    values[v] =
                        weave(__builtin_convertvector(pair.first, f32h), __builtin_convertvector(pair.second, f32h));
                    doubt.note(pair.first, pair.second, values[v]);
                }
                if constexpr (vectors == 1) {
                    doubt.ignore_from(count);
                }
                if (__builtin_expect(doubt.any(), 0)) {
                    repair_quick(values, position, j, bound, [&](std::size_t v, double* y) {
                        const Pairs pair = pairs(j / 2 + v * kLanes);
                        store(y, weave_low(pair.first, pair.second));
                        store(y + kLanes, weave_high(pair.first, pair.second));
                    });
                }
                write(row, j, values, count);
            });
            return;
        }
        const std::size_t half = table.columns / 2;
        pieces(half, [&](auto vectors, std::size_t j, std::size_t count) {
            write.prefetch(row, j, count);
            write.prefetch(row, half + j, count);
            f32s firsts[vectors], seconds[vectors];
            Doubt<E> doubt = unseen;
            for (std::size_t v = 0; v < vectors; ++v) {
                const Pairs a = pairs(j + v * kVector), b = pairs(j + v * kVector + kLanes);
                firsts[v] = round_f32(a.first, b.first, doubt);
                seconds[v] = round_f32(a.second, b.second, doubt);
            }
            if constexpr (vectors == 1) {
                doubt.ignore_from(count);
            }
            if (__builtin_expect(doubt.any(), 0)) {
                repair_quick(firsts, position, j, bound, [&](std::size_t v, double* y) {
                    store(y, pairs(j + v * kVector).first);
                    store(y + kLanes, pairs(j + v * kVector + kLanes).first);
                });
                repair_quick(seconds, position, half + j, bound, [&](std::size_t v, double* y) {
                    store(y, pairs(j + v * kVector).second);
                    store(y + kLanes, pairs(j + v * kVector + kLanes).second);
                });
            }
            write(row, j, firsts, count);
            write(row, half + j, seconds, count);
        });
    }

    template <std::size_t vectors, class Doubles>
    [[gnu::always_inline]] void repair_quick(f32s (&values)[vectors], double position, std::size_t column,
                                             const Bound& bound, const Doubles& doubles) const {
        alignas(64) double y[vectors * kVector];
        again(y, vectors, doubles);
        repair<E>(values, table, position, column, bound, y, nullptr, nullptr, nullptr, 0.0);
    }

    template <class Doubles>
    [[gnu::noinline]] static void again(double* y, std::size_t vectors, const Doubles& doubles) {
        for (std::size_t v = 0; v < vectors; ++v) {
            doubles(v, y + v * kVector);
        }
    }
};

template <class Write>
void make_f32(const Table& table, const Rows& rows, const Workspace& work, const Write& write) {
    Maker<Write>{table, rows, work, write}.make();
}

}  // namespace
}  // namespace posenc
