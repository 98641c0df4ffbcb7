// Where rows go: into a caller's array, past the caches, onto what is there, or through a tile that arrays share.
// Included by kernel.inl.hpp only.

namespace posenc {
namespace {

// Copies in whole lines, `past` the caches or not. Of the first and the last line, which others may share, only what is
// meant is written, and stores that straddle two lines, which cost more than such loads, are avoided.
template <bool past>
void copy_bytes(char* to, const char* from, std::size_t bytes) {
    std::size_t j = 0;
    const auto until = [&](std::size_t end) {
        while (j < end) {
            if (reinterpret_cast<std::uintptr_t>(to + j) % 4 == 0 && end - j >= 4) {
                const auto word = load<std::uint32_t>(from + j);
                past ? stream(to + j, word) : store(to + j, word);
                j += 4;
            } else {
                to[j] = from[j];
                ++j;
            }
        }
    };
    if (past || bytes > kShortBytes) {
        until(smaller((0 - reinterpret_cast<std::uintptr_t>(to)) % 64, bytes));
    }
    for (; j + sizeof(u32s) <= bytes; j += sizeof(u32s)) {
        const auto line = load<u32s>(from + j);
        past ? stream(to + j, line) : store(to + j, line);
    }
    until(bytes);
}

// ---- ready rows, to any strides -------------------------------------------------------------------------------------
// Values are of the elements' type E or, to be added to 16-bit elements, float32.

f64s widen(const double* from) { return load<f64s>(from); }
void narrow(double* to, f64s value) { store(to, value); }
template <std::size_t vectors>
void narrow(double* to, const f64s (&values)[vectors]) {
    for (std::size_t v = 0; v < vectors; ++v) {
        store(to + v * kLanes, values[v]);
    }
}

// to = from * scale + values, in the precision of the values.
template <bool scaled, class E, class V>
void add_contiguous(E* to, const E* from, const V* values, V scale, std::size_t count) {
    using Wide = decltype(widen(values));
    constexpr std::size_t step = sizeof(Wide) / sizeof(V);
    const auto add = [&](E* sum, const E* x, const V* value) {
        const Wide wide = widen(x);
        narrow(sum, (scaled ? wide * scale : wide) + load<Wide>(value));
    };
    std::size_t j = 0;
    const auto add_few = [&](std::size_t few) {
        E x[step]{};
        V value[step]{};
        copy(x, from + j, few);
        copy(value, values + j, few);
        add(x, x, value);
        copy(to + j, x, few);
        j += few;
    };
    const std::size_t unaligned = (0 - reinterpret_cast<std::uintptr_t>(to)) % (step * sizeof(E)) / sizeof(E);
    if (unaligned != 0 && count * sizeof(E) > kShortBytes) {
        add_few(smaller(unaligned, count));
    }
    constexpr std::size_t vectors = 2;
    for (; j + vectors * step <= count; j += vectors * step) {
        Wide sums[vectors];
        for (std::size_t byte = 0; byte < vectors * step * sizeof(E); byte += kLine) {
            __builtin_prefetch(reinterpret_cast<const char*>(from + j) + kLinearAhead + byte, 0, 2);
        }
        for (std::size_t v = 0; v < vectors; ++v) {
            const Wide wide = widen(from + j + v * step);
            sums[v] = (scaled ? wide * scale : wide) + load<Wide>(values + j + v * step);
        }
        narrow(to + j, sums);
    }
    while (j < count) {
        add_few(smaller(step, count - j));
    }
}

template <class E, class V>
void write_contiguous(const Target& target, E* to, const E* from, const V* values, std::size_t count) {
    if constexpr (!kNarrow<V>) {
        if (target.operation == Operation::add) {
            const auto scale = static_cast<V>(target.scale);
            scale == V{1} ? add_contiguous<false>(to, from, values, scale, count)
                          : add_contiguous<true>(to, from, values, scale, count);
            return;
        }
    }
    if constexpr (kSame<E, V>) {
        const auto write = target.stream ? copy_bytes<true> : copy_bytes<false>;
        write(reinterpret_cast<char*>(to), reinterpret_cast<const char*>(values), count * sizeof(E));
    }
}

// One row or column of an array.
template <class E, class V>
void write_line(const Target& target, char* to, std::ptrdiff_t to_step, const char* from, std::ptrdiff_t from_step,
                const V* values, std::size_t count) {
    constexpr std::ptrdiff_t kNext = sizeof(E);
    const auto misaligned =
        (reinterpret_cast<std::uintptr_t>(to) | reinterpret_cast<std::uintptr_t>(from)) % alignof(E);
    if (to_step == kNext && from_step == kNext && misaligned == 0) {
        write_contiguous(target, reinterpret_cast<E*>(to), reinterpret_cast<const E*>(from), values, count);
        return;
    }
    Target here = target;
    here.stream = false;
    constexpr std::size_t kMost = kGathered;
    for (std::size_t j = 0; j < count; j += kMost) {
        const std::size_t some = smaller(kMost, count - j);
        E line[kMost];
        if (target.operation == Operation::add) {
            for (std::size_t i = 0; i < some; ++i, from += from_step) {
                line[i] = load<E>(from);
            }
        }
        write_contiguous(here, line, line, values + j, some);
        for (std::size_t i = 0; i < some; ++i, to += to_step) {
            store(to, line[i]);
        }
    }
}

char* row_of(const Arrays& arrays, std::size_t array, std::size_t row) {
    return arrays.address[array] + static_cast<std::ptrdiff_t>(row) * arrays.row_stride;
}

// Whether rows of `arrays` are closer to each other than columns, as where channels come before the sequence.
bool rows_are_close(const Arrays& arrays) {
    const auto magnitude = [](std::ptrdiff_t stride) { return stride < 0 ? -stride : stride; };
    return magnitude(arrays.row_stride) < magnitude(arrays.column_stride);
}

// Writes the columns of ready rows: transposed in blocks that stay in the first level.
template <class E, class V>
void write_columns(std::size_t columns, const Target& target, std::size_t first, std::size_t count, const V* rows) {
    constexpr std::size_t kHeight = kTransposedRows, kWidth = kTransposedColumns;
    V block[kWidth][kHeight];
    Target here = target;
    here.stream = false;  // parts of lines
    for (std::size_t i = 0; i < count; i += kHeight) {
        for (std::size_t j = 0; j < columns; j += kWidth) {
            const std::size_t height = smaller(kHeight, count - i), width = smaller(kWidth, columns - j);
            for (std::size_t r = 0; r < height; ++r) {
                for (std::size_t c = 0; c < width; ++c) {
                    block[c][r] = rows[(i + r) * columns + j + c];
                }
            }
            for (std::size_t a = 0; a < target.count; ++a) {
                char* const to = row_of(target.to, a, first + i);
                const char* const from = row_of(target.from, a, first + i);
                for (std::size_t c = 0; c < width; ++c) {
                    const auto column = static_cast<std::ptrdiff_t>(j + c);
                    write_line<E>(here, to + column * target.to.column_stride, target.to.row_stride,
                                  from + column * target.from.column_stride, target.from.row_stride, block[c], height);
                }
            }
        }
    }
}

// Writes ready rows where each element stands for several cells: in the order of the memory.
template <class E, class V>
void write_cells(std::size_t columns, const Target& target, std::size_t first, std::size_t count, const V* rows) {
    const auto magnitude_of = [](std::ptrdiff_t stride) { return stride < 0 ? -stride : stride; };
    const std::ptrdiff_t row = target.to.row_stride, column = target.to.column_stride;
    for (std::size_t a = 0; a < target.count; ++a) {
        char* const to = row_of(target.to, a, first);
        const char* const from = row_of(target.from, a, first);
        if (magnitude_of(column) < magnitude_of(target.to_cell)) {  // a row for every cell
            for (std::size_t i = 0; i < count * target.cells; ++i) {
                const auto r = static_cast<std::ptrdiff_t>(i / target.cells),
                           c = static_cast<std::ptrdiff_t>(i % target.cells);
                write_line<E>(target, to + r * row + c * target.to_cell, column,
                              from + r * target.from.row_stride + c * target.from_cell, target.from.column_stride,
                              rows + i / target.cells * columns, columns);
            }
            continue;
        }
        V block[kRepeated];
        const bool by_rows = magnitude_of(row) > magnitude_of(column);
        const std::size_t inner = by_rows ? columns : count;
        for (std::size_t i = 0; i < count * columns; ++i) {
            const std::size_t r = by_rows ? i / inner : i % inner, c = by_rows ? i % inner : i / inner;
            const auto to_here = static_cast<std::ptrdiff_t>(r) * row + static_cast<std::ptrdiff_t>(c) * column;
            const auto from_here = static_cast<std::ptrdiff_t>(r) * target.from.row_stride +
                                   static_cast<std::ptrdiff_t>(c) * target.from.column_stride;
            const std::size_t most = smaller(kRepeated, target.cells);
            for (std::size_t n = 0; n < most; ++n) {
                block[n] = rows[r * columns + c];
            }
            for (std::size_t n = 0; n < target.cells; n += most) {
                const auto at = static_cast<std::ptrdiff_t>(n);
                write_line<E>(target, to + to_here + at * target.to_cell, target.to_cell,
                              from + from_here + at * target.from_cell, target.from_cell, block,
                              smaller(most, target.cells - n));
            }
        }
    }
}

// Writes `count` ready rows of `columns`, the first of which is row `first`, to every array of the target.
template <class E, class V>
void write_rows(std::size_t columns, const Target& target, std::size_t first, std::size_t count, const V* rows) {
    const auto row_bytes = static_cast<std::ptrdiff_t>(columns * sizeof(E));
    const auto is_seamless = [&](const Arrays& arrays) {
        return arrays.column_stride == sizeof(E) && arrays.row_stride == row_bytes;
    };
    if (target.cells > 1) {
        write_cells<E>(columns, target, first, count, rows);
        return;
    }
    const bool seamless = is_seamless(target.to) && is_seamless(target.from);
    if (count > 1 && !seamless && rows_are_close(target.to)) {
        write_columns<E>(columns, target, first, count, rows);
        return;
    }
    for (std::size_t a = 0; a < target.count; ++a) {
        for (std::size_t i = 0; i < count; i += seamless ? count : 1) {
            write_line<E>(target, row_of(target.to, a, first + i), target.to.column_stride,
                          row_of(target.from, a, first + i), target.from.column_stride, rows + i * columns,
                          seamless ? count * columns : columns);
        }
    }
}

// Fills rows with zeros, whose bits are zero in every type.
template <class E>
void clear_rows(std::size_t columns, const Target& target, std::size_t first, std::size_t count) {
    alignas(64) static constexpr char kZeros[4096]{};
    const bool whole = target.to.column_stride == sizeof(E) && target.cells == 1;
    const auto write = target.stream ? copy_bytes<true> : copy_bytes<false>;
    for (std::size_t a = 0; a < target.count; ++a) {
        for (std::size_t i = 0; i < count * target.cells; ++i) {
            char* to = row_of(target.to, a, first + i / target.cells) +
                       static_cast<std::ptrdiff_t>(i % target.cells) * target.to_cell;
            for (std::size_t bytes = whole ? columns * sizeof(E) : 0, some = 0; bytes != 0; bytes -= some, to += some) {
                some = smaller(sizeof kZeros - reinterpret_cast<std::uintptr_t>(to) % kLine, bytes);
                write(to, kZeros, some);
            }
            for (std::size_t j = whole ? columns : 0; j < columns; ++j, to += target.to.column_stride) {
                store(to, E{});
            }
        }
    }
}

}  // namespace
}  // namespace posenc
