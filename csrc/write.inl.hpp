// Where rows go: into a caller's array, past the caches, onto what is there, or through a tile that sequences share.
// Included by kernel.inl.hpp only.

namespace posenc {
namespace {

// One value into or onto one element, wherever it lies.
template <class T>
void write_element(char* target, T value, const Target& how) {
    if (how.operation == Operation::add) {
        T old;
        __builtin_memcpy(&old, target, sizeof old);
        value = (how.scale == 1.0 ? old : old * static_cast<T>(how.scale)) + value;
    }
    __builtin_memcpy(target, &value, sizeof value);
}

// Writes a ready row to contiguous, aligned memory.
template <class T>
void write_contiguous(T* target, const T* values, std::size_t count, const Target& how) {
    using V = Vector<T>;
    constexpr std::size_t step = sizeof(V) / sizeof(T);
    const T scale = static_cast<T>(how.scale);
    std::size_t j = 0;
    if (how.operation == Operation::fill) {
        for (; j + step <= count; j += step) {
            store(target + j, load<V>(values + j));
        }
    } else if (scale == T{1}) {
        for (; j + step <= count; j += step) {
            store(target + j, load<V>(target + j) + load<V>(values + j));
        }
    } else {
        for (; j + step <= count; j += step) {
            store(target + j, load<V>(target + j) * scale + load<V>(values + j));
        }
    }
    for (; j < count; ++j) {
        write_element(reinterpret_cast<char*>(target + j), values[j], how);
    }
}

template <class T>
bool contiguous_rows(const Target& target) {
    auto address = static_cast<std::uintptr_t>(target.row_stride);
    for (std::size_t s = 0; s < target.sequences; ++s) {
        address |= reinterpret_cast<std::uintptr_t>(target.sequence[s]);
    }
    return target.column_stride == sizeof(T) && address % alignof(T) == 0;
}

// Writes `count` ready rows, the first of which is row `first` of the target, to every sequence.
template <class T>
void write_tile(const Table& table, const Target& target, bool contiguous, std::size_t first, std::size_t count,
                const T* tile) {
    for (std::size_t s = 0; s < target.sequences; ++s) {
        char* row = target.sequence[s] + static_cast<std::ptrdiff_t>(first) * target.row_stride;
        for (std::size_t i = 0; i < count; ++i, row += target.row_stride) {
            const T* values = tile + i * table.columns;
            if (contiguous) {
                write_contiguous(reinterpret_cast<T*>(row), values, table.columns, target);
                continue;
            }
            for (std::size_t j = 0; j < table.columns; ++j) {
                write_element(row + static_cast<std::ptrdiff_t>(j) * target.column_stride, values[j], target);
            }
        }
    }
}

// What make_f32 writes with: each piece of a row straight from registers to contiguous, aligned rows.
struct RowWriter {
    const Target& how;
    float* at(std::size_t row, std::size_t column) const {
        return reinterpret_cast<float*>(how.sequence[0] + static_cast<std::ptrdiff_t>(row) * how.row_stride) + column;
    }
    void prefetch(std::size_t, std::size_t, std::size_t) const {}

    // Calls vector(address, value) for a whole piece, and single(address, value) for the columns of a cut one.
    template <std::size_t vectors, class Vector, class Single>
    [[gnu::always_inline]] void write(std::size_t row, std::size_t column, const f32s (&values)[vectors],
                                      std::size_t count, const Vector& vector, const Single& single) const {
        float* const target = at(row, column);
        if (count == vectors * 2 * kLanes) {
            for (std::size_t v = 0; v < vectors; ++v) {
                vector(target + v * 2 * kLanes, values[v]);
            }
        } else {
            for (std::size_t j = 0; j < count; ++j) {
                single(target + j, values[j / (2 * kLanes)][j % (2 * kLanes)]);
            }
        }
    }
};

struct Fill : RowWriter {
    template <std::size_t vectors>
    void operator()(std::size_t row, std::size_t column, const f32s (&values)[vectors], std::size_t count) const {
        const auto put = [](float* target, auto value) { store(target, value); };
        write(row, column, values, count, put, put);
    }
};

// Past the caches, where every row starts on a cache line.
struct Stream : RowWriter {
    template <std::size_t vectors>
    void operator()(std::size_t row, std::size_t column, const f32s (&values)[vectors], std::size_t count) const {
        const auto put = [](float* target, auto value) { stream(target, value); };
        write(row, column, values, count, put, put);
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
        float* const target = at(row, 0);
        const std::size_t ahead = (64 - reinterpret_cast<std::uintptr_t>(target) % 64) % 64 / sizeof(float);
        std::size_t j = 0;
        for (; j < smaller(ahead, columns); ++j) {
            stream(target + j, buffer[j]);
        }
        for (; j + 2 * kLanes <= columns; j += 2 * kLanes) {
            stream(target + j, load<f32s>(buffer + j));
        }
        for (; j < columns; ++j) {
            stream(target + j, buffer[j]);
        }
    }
};

template <bool scaled>
struct Add : RowWriter {
    std::size_t rows;
    std::size_t ahead;  // rows
    float scale;

    template <std::size_t vectors>
    void operator()(std::size_t row, std::size_t column, const f32s (&values)[vectors], std::size_t count) const {
        const auto put = [this](float* target, auto value) {
            const auto old = load<decltype(value)>(target);
            store(target, (scaled ? old * scale : old) + value);
        };
        write(row, column, values, count, put, put);
    }
    // Into the second level, far enough ahead for the memory: the hardware alone does not look beyond the arithmetic.
    void prefetch(std::size_t row, std::size_t column, std::size_t count) const {
        const std::size_t later = row + ahead;
        if (later < rows) {
            for (std::size_t j = 0; j < count; j += 16) {
                __builtin_prefetch(at(later, column + j), 0, 2);
            }
        }
    }
};

}  // namespace
}  // namespace posenc
