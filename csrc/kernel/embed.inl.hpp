// Ready rows of an encoding, onto the rows of a vocabulary that tokens' ids name. Included by kernel.inl.hpp only.
//
// A tile of rows of the encoding stays in the second level, and is walked row by row for every array: the rows that it
// is added to stand at addresses in no order, so that only prefetching by software brings them in time, and long pieces
// of memory are what it brings best. Going down strips instead, without a tile, is as fast where rows begin with a
// cache line, as NumPy's do not; tuning.hpp has what was measured.

namespace posenc {
namespace {

float value_of(float);
float value_of(f16);
float value_of(bf16);
double value_of(double);

// The embedding of row `row` of an array; null: it is masked.
const char* embedding_of(const Target& target, std::size_t array, std::size_t row) {
    const auto id = load<std::int64_t>(row_of(target.from, array, row));
    return id < 0 ? nullptr : target.embeddings.rows + id * target.embeddings.stride;
}

// Whether elements of both sides are one after the other.
template <class E>
bool has_plain_rows(const Target& target) {
    auto address = reinterpret_cast<std::uintptr_t>(target.embeddings.rows) |
                   static_cast<std::uintptr_t>(target.embeddings.stride) |
                   static_cast<std::uintptr_t>(target.to.row_stride);
    for (std::size_t a = 0; a < target.count; ++a) {
        address |= reinterpret_cast<std::uintptr_t>(target.to.address[a]);
    }
    return target.to.column_stride == sizeof(E) && target.from.column_stride == sizeof(E) && address % alignof(E) == 0;
}

// Makes a tile of float32 and prefetches the embeddings that it will be added to, those of the first array. What a
// producer calls the address of x is here the number of a row, times kRow, and a byte in the tile's row.
template <class E>
struct FillAhead : Fill<float, false> {
    static constexpr std::int64_t kRow = 1 << 24;  // more bytes than a row has
    const Target& target;

    [[gnu::always_inline]] void prefetch(const char* from, std::size_t vectors) const {
        if constexpr (sizeof(void*) < sizeof kRow) {
            return;
        }
        const auto at = reinterpret_cast<std::uintptr_t>(from);
        const char* const x = embedding_of(target, 0, at / kRow);
        const std::size_t first = at % kRow / sizeof(float) * sizeof(E);
        for (std::size_t byte = 0; x != nullptr && byte < vectors * kVector * sizeof(E); byte += kLine) {
            __builtin_prefetch(x + first + byte, 0, 2);
        }
    }
};

// x * scale + values, of a row; `ahead` is the row of a later token, or null.
template <class E, bool scaled>
struct Sums {
    using V = decltype(value_of(E{}));
    const E* x;
    const V* values;
    V scale;
    const char* ahead;

    // Of elements [j, j + count).
    [[gnu::always_inline]] void put(E* to, std::size_t j, std::size_t count) const {
        if (ahead != nullptr) {
            __builtin_prefetch(ahead + j * sizeof(E), 0, 2);
        }
        add_contiguous<scaled>(to, x + j, values + j, scale, count);
    }
    // Of a whole line.
    [[gnu::always_inline]] void put(E* to, std::size_t j) const {
        using Wide = decltype(widen(values));
        constexpr std::size_t step = sizeof(Wide) / sizeof(V), vectors = kLine / sizeof(E) / step;
        if (ahead != nullptr) {
            __builtin_prefetch(ahead + j * sizeof(E), 0, 2);
        }
        Wide sums[vectors];
        for (std::size_t v = 0; v < vectors; ++v) {
            const Wide wide = widen(x + j + v * step);
            sums[v] = (scaled ? wide * scale : wide) + load<Wide>(values + j + v * step);
        }
        if constexpr (kSame<V, double>) {
            for (std::size_t v = 0; v < vectors; ++v) {
                narrow(to + v * step, sums[v]);
            }
        } else {
            narrow(to, sums);
        }
    }
};

template <class E>
struct Zeros {
    [[gnu::always_inline]] void put(E* to, std::size_t, std::size_t count) const {
        for (std::size_t j = 0; j < count; ++j) {
            store(to + j, E{});
        }
    }
    [[gnu::always_inline]] void put(E* to, std::size_t) const {
        for (std::size_t byte = 0; byte < kLine; byte += sizeof(u32s)) {
            store(reinterpret_cast<char*>(to) + byte, u32s{});
        }
    }
};

// Writes rows one after the other, `past` the caches in whole lines: what a row leaves of its last line waits for the
// next row, if that goes on there.
template <class E, bool past>
class RowWriter {
public:
    RowWriter() = default;
    RowWriter(const RowWriter&) = delete;
    RowWriter& operator=(const RowWriter&) = delete;
    ~RowWriter() { flush(); }

    template <class Values>
    [[gnu::always_inline]] void write(E* to, std::size_t count, const Values& values) {
        std::size_t j = 0;
        if constexpr (past) {
            if (to != next_) {
                flush();
                begin_ = filled_ = reinterpret_cast<std::uintptr_t>(to) % kLine / sizeof(E);
            }
            next_ = to + count;
            if (filled_ != 0) {
                j = smaller(kElements - filled_, count);
                values.put(line_ + filled_, 0, j);
                filled_ += j;
                if (filled_ < kElements) {
                    return;
                }
                if (begin_ == 0) {
                    stream_line(to + j - kElements);
                    filled_ = 0;
                } else {
                    next_ = to + j;
                    flush();
                    next_ = to + count;
                }
            }
            for (; j + kElements <= count; j += kElements) {
                values.put(line_, j);
                stream_line(to + j);
            }
            values.put(line_, j, count - j);
            begin_ = 0;
            filled_ = count - j;
        } else {
            for (; j + kElements <= count; j += kElements) {
                values.put(to + j, j);
            }
            values.put(to + j, j, count - j);
        }
    }

private:
    static constexpr std::size_t kElements = kLine / sizeof(E);

    [[gnu::always_inline]] void stream_line(E* to) const {
        for (std::size_t byte = 0; byte < kLine; byte += sizeof(u32s)) {
            stream(reinterpret_cast<char*>(to) + byte, load<u32s>(reinterpret_cast<const char*>(line_) + byte));
        }
    }

    // Writes the elements [begin_, filled_) of the line, which end at next_.
    void flush() {
        if constexpr (past) {
            copy(next_ - (filled_ - begin_), line_ + begin_, filled_ - begin_);
            begin_ = filled_ = 0;
        }
    }

    alignas(kLine) E line_[kElements];
    std::size_t begin_ = 0, filled_ = 0;
    E* next_ = nullptr;
};

template <class E, bool scaled, bool past, class V>
void write_plain(std::size_t columns, const Target& target, std::size_t first, std::size_t count, const V* tile) {
    RowWriter<E, past> writer;
    const auto scale = static_cast<V>(target.scale);
    const std::size_t distance = kEmbedAhead / (columns * sizeof(E)) + 2;
    std::size_t array_ahead = distance / count, row_ahead = distance % count;
    for (std::size_t a = 0; a < target.count; ++a) {
        for (std::size_t i = 0; i < count; ++i) {
            const char* ahead = nullptr;
            if (array_ahead < target.count && (target.count > 1 || kSame<V, double>)) {
                ahead = embedding_of(target, array_ahead, first + row_ahead);
                array_ahead += ++row_ahead == count ? 1 : 0;
                row_ahead = row_ahead == count ? 0 : row_ahead;
            }
            E* const to = reinterpret_cast<E*>(row_of(target.to, a, first + i));
            if (const char* const x = embedding_of(target, a, first + i)) {
                writer.write(to, columns,
                             Sums<E, scaled>{reinterpret_cast<const E*>(x), tile + i * columns, scale, ahead});
            } else {
                writer.write(to, columns, Zeros<E>{});
            }
        }
    }
}

// Writes `count` ready rows, the first of which is row `first`, to every array of the target.
template <class E, class V>
void write_embedded(std::size_t columns, const Target& target, std::size_t first, std::size_t count, const V* tile) {
    if (has_plain_rows<E>(target)) {
        const bool scaled = target.scale != 1.0;
        const auto write = target.stream ? (scaled ? write_plain<E, true, true, V> : write_plain<E, false, true, V>)
                                         : (scaled ? write_plain<E, true, false, V> : write_plain<E, false, false, V>);
        write(columns, target, first, count, tile);
        return;
    }
    Target here = target;
    here.operation = Operation::add;
    for (std::size_t a = 0; a < target.count; ++a) {
        here.to.address = target.to.address + a;
        here.count = 1;
        for (std::size_t i = 0; i < count; ++i) {
            if (const char* const x = embedding_of(target, a, first + i)) {
                write_line<E>(here, row_of(target.to, a, first + i), target.to.column_stride, x,
                              target.from.column_stride, tile + i * columns, columns);
            } else {
                clear_rows<E>(columns, here, first + i, 1);
            }
        }
    }
}

}  // namespace
}  // namespace posenc
