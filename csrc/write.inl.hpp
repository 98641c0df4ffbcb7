// Where rows go: into a caller's array, past the caches, onto what is there, or through a tile that arrays share.
// Included by kernel.inl.hpp only.

namespace posenc {
namespace {

char* row_of(const Arrays& arrays, std::size_t array, std::size_t row) {
    return arrays.address[array] + static_cast<std::ptrdiff_t>(row) * arrays.row_stride;
}

// ---- ready rows, of any element type, to any strides ----------------------------------------------------------------

template <class T>
T combine(const Target& target, T old, T value) {
    return target.operation == Operation::fill
               ? value
               : (target.scale == 1.0 ? old : old * static_cast<T>(target.scale)) + value;
}

template <class T>
void write_contiguous(const Target& target, T* to, const T* from, const T* values, std::size_t count) {
    using V = Vector<T>;
    constexpr std::size_t step = sizeof(V) / sizeof(T);
    const T scale = static_cast<T>(target.scale);
    const auto write_one = [&](std::size_t j) {
        to[j] = target.operation == Operation::fill ? values[j] : combine(target, from[j], values[j]);
    };
    // Stores that straddle two cache lines cost more than loads that do.
    const std::size_t unaligned = (0 - reinterpret_cast<std::uintptr_t>(to)) % sizeof(V) / sizeof(T);
    std::size_t j = 0;
    for (; j < smaller(unaligned, count); ++j) {
        write_one(j);
    }
    if (target.operation == Operation::fill) {
        for (; j + step <= count; j += step) {
            store(to + j, load<V>(values + j));
        }
    } else if (scale == T{1}) {
        for (; j + step <= count; j += step) {
            store(to + j, load<V>(from + j) + load<V>(values + j));
        }
    } else {
        for (; j + step <= count; j += step) {
            store(to + j, load<V>(from + j) * scale + load<V>(values + j));
        }
    }
    for (; j < count; ++j) {
        write_one(j);
    }
}

template <class T>
void write_strided(const Target& target, char* to, const char* from, const T* values, std::size_t count) {
    for (std::size_t j = 0; j < count; ++j, to += target.to.column_stride, from += target.from.column_stride) {
        const T value = target.operation == Operation::fill ? values[j] : combine(target, load<T>(from), values[j]);
        store(to, value);
    }
}

template <class T>
bool is_contiguous(const Arrays& arrays, std::size_t count) {
    auto address = static_cast<std::uintptr_t>(arrays.row_stride);
    for (std::size_t a = 0; a < count; ++a) {
        address |= reinterpret_cast<std::uintptr_t>(arrays.address[a]);
    }
    return arrays.column_stride == sizeof(T) && address % alignof(T) == 0;
}

// Rows of both sides that vectors can be loaded from and stored to.
template <class T>
bool is_contiguous(const Target& target) {
    return is_contiguous<T>(target.to, target.count) && is_contiguous<T>(target.from, target.count);
}

// Writes `count` ready rows, the first of which is row `first`, to every array of the target.
template <class T>
void write_rows(const Table& table, const Target& target, bool contiguous, std::size_t first, std::size_t count,
                const T* rows) {
    const auto row_bytes = static_cast<std::ptrdiff_t>(table.columns * sizeof(T));
    const bool seamless = contiguous && target.to.row_stride == row_bytes && target.from.row_stride == row_bytes;
    const std::size_t height = seamless ? count : 1;  // rows to write at once
    for (std::size_t a = 0; a < target.count; ++a) {
        for (std::size_t i = 0; i < count; i += height) {
            const T* values = rows + i * table.columns;
            char* const to = row_of(target.to, a, first + i);
            const char* const from = row_of(target.from, a, first + i);
            if (contiguous) {
                write_contiguous(target, reinterpret_cast<T*>(to), reinterpret_cast<const T*>(from), values,
                                 height * table.columns);
            } else {
                write_strided(target, to, from, values, table.columns);
            }
        }
    }
}

// ---- float32 rows straight from registers, to contiguous and aligned rows of one array: what make_f32 writes with
// ------

struct RowWriter {
    char* base;  // row `origin`
    std::ptrdiff_t stride;
    std::size_t origin;

    float* at(std::size_t row, std::size_t column) const {
        return reinterpret_cast<float*>(base + static_cast<std::ptrdiff_t>(row - origin) * stride) + column;
    }
    void prefetch(std::size_t, std::size_t, std::size_t) const {}
};

// Calls each(j, value) for the vectors of a whole piece, or for the columns of a cut one.
template <std::size_t vectors, class Each>
[[gnu::always_inline]] inline void for_each(const f32s (&values)[vectors], std::size_t count, const Each& each) {
    if (count == vectors * 2 * kLanes) {
        for (std::size_t v = 0; v < vectors; ++v) {
            each(v * 2 * kLanes, values[v]);
        }
    } else {
        for (std::size_t j = 0; j < count; ++j) {
            each(j, values[j / (2 * kLanes)][j % (2 * kLanes)]);
        }
    }
}

struct Fill : RowWriter {
    template <std::size_t vectors>
    void operator()(std::size_t row, std::size_t column, const f32s (&values)[vectors], std::size_t count) const {
        float* const to = at(row, column);
        for_each(values, count, [&](std::size_t j, auto value) { store(to + j, value); });
    }
};

// Past the caches, where every row starts on a cache line.
struct Stream : RowWriter {
    template <std::size_t vectors>
    void operator()(std::size_t row, std::size_t column, const f32s (&values)[vectors], std::size_t count) const {
        float* const to = at(row, column);
        for_each(values, count, [&](std::size_t j, auto value) { stream(to + j, value); });
    }
};

// Past the caches, wherever rows start: made in `buffer`, then written in whole lines. The line that a row shares with
// the next is put together on its way to memory.
struct StreamRow : RowWriter {
    std::size_t columns;
    float* buffer;

    template <std::size_t vectors>
    void operator()(std::size_t row, std::size_t column, const f32s (&values)[vectors], std::size_t count) const {
        for (std::size_t v = 0; v < vectors; ++v) {
            store(buffer + column + v * 2 * kLanes, values[v]);
        }
        if (column + count != columns) {
            return;
        }
        float* const to = at(row, 0);
        const std::size_t unaligned = (64 - reinterpret_cast<std::uintptr_t>(to) % 64) % 64 / sizeof(float);
        std::size_t j = 0;
        for (; j < smaller(unaligned, columns); ++j) {
            stream(to + j, buffer[j]);
        }
        for (; j + 2 * kLanes <= columns; j += 2 * kLanes) {
            stream(to + j, load<f32s>(buffer + j));
        }
        for (; j < columns; ++j) {
            stream(to + j, buffer[j]);
        }
    }
};

template <bool scaled, bool streamed>
struct Add : RowWriter {
    RowWriter from;
    std::size_t end;    // of the rows
    std::size_t ahead;  // how many rows to prefetch ahead
    float scale;

    template <std::size_t vectors>
    void operator()(std::size_t row, std::size_t column, const f32s (&values)[vectors], std::size_t count) const {
        float* const to = at(row, column);
        const float* const old = from.at(row, column);
        for_each(values, count, [&](std::size_t j, auto value) {
            const auto x = load<decltype(value)>(old + j);
            const auto sum = (scaled ? x * scale : x) + value;
            if constexpr (streamed) {
                stream(to + j, sum);
            } else {
                store(to + j, sum);
            }
        });
    }
    // Into the second level, far enough ahead for the memory: the hardware alone does not look beyond the arithmetic.
    void prefetch(std::size_t row, std::size_t column, std::size_t count) const {
        if (row + ahead < end) {
            for (std::size_t j = 0; j < count; j += 16) {
                __builtin_prefetch(from.at(row + ahead, column + j), 0, 2);
            }
        }
    }
};

}  // namespace
}  // namespace posenc
