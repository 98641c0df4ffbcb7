// Rows of an encoding, ready ones or in registers, onto the rows of a vocabulary that tokens' ids name. Included by
// kernel.inl.hpp only.
//
// Where several arrays share rows, a tile of them stays in the second level and is walked row by row for each: the rows
// that it is added to stand at addresses in no order, which only software knows early enough to prefetch them. A few
// arrays go down strips without a tile; tuning.hpp has what was measured.

namespace posenc {
namespace {

// What sums of elements are computed in.
template <class E>
struct ValueOf {
    using type = float;
};
template <>
struct ValueOf<double> {
    using type = double;
};

// The embedding of row `row` of an array; null: it is masked.
const char* embedding_of(const Target& target, std::size_t array, std::size_t row) {
    const auto id = load<std::int64_t>(row_of(target.from, array, row));
    return id < 0 ? nullptr : target.embeddings.rows + id * target.embeddings.stride;
}

// The same of a row that there may not be, or of the array after this one.
const char* later_embedding_of(const Target& target, std::size_t row) {
    return row_of(target.from, 0, row) < target.embeddings.ids_end ? embedding_of(target, 0, row) : nullptr;
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

// What walk_run is told of one array to embed; a strip's consumer is made of it.
template <class E, bool scaled>
struct Embed {
    using Element = E;
    using Value = float;
    std::ptrdiff_t to_stride;
    const Target& target;
    bool in_lines;  // whether strips of whole lines may be written past the caches
    std::ptrdiff_t from_stride = 0;

    void go_on(std::ptrdiff_t) {}
};

// Consumer: sums of embeddings and values in registers, in float32. What a producer calls the address of x is that of
// an address: the embedding's, or null, which masks the row. Those of kEmbedRowsAhead rows more follow.
template <class E, bool scaled, bool past>
struct EmbedStrip {
    using Element = E;
    using Value = float;
    static constexpr std::ptrdiff_t from_stride = sizeof(char*);
    std::ptrdiff_t to_stride;
    std::ptrdiff_t first;  // byte of the embedding
    float scale;

    template <std::size_t vectors>
    [[gnu::always_inline]] void put(char* to, const char* from, const f32s (&values)[vectors],
                                    std::size_t count) const {
        E* const out = reinterpret_cast<E*>(to);
        const char* const row = load<const char*>(from);
        f32s sums[vectors]{};
        if (__builtin_expect(count < vectors * kVector, 0)) {
            E part[vectors * kVector]{};
            if (row != nullptr) {
                copy(part, reinterpret_cast<const E*>(row + first), count);
                add(part, values, sums);
            }
            narrow(part, sums);
            copy(out, part, count);
            return;
        }
        if (__builtin_expect(row != nullptr, 1)) {
            add(reinterpret_cast<const E*>(row + first), values, sums);
        }
        if constexpr (!past || vectors * kVector * sizeof(E) % sizeof(u32s) != 0) {
            narrow(out, sums);
        } else if constexpr (kSame<E, float>) {
            for (std::size_t v = 0; v < vectors; ++v) {
                stream(out + v * kVector, (u32s)sums[v]);
            }
        } else {
            alignas(kLine) E narrowed[vectors * kVector];
            narrow(narrowed, sums);
            for (std::size_t v = 0; v < vectors; v += 2) {
                stream(out + v * kVector, load<u32s>(narrowed + v * kVector));
            }
        }
    }
    // As Add does.
    [[gnu::always_inline]] void prefetch(const char* from, std::size_t vectors) const {
        const auto later = load<std::uintptr_t>(from + static_cast<std::ptrdiff_t>(kEmbedRowsAhead) * from_stride);
        const auto line = [&](std::size_t byte) {
            __builtin_prefetch(reinterpret_cast<const char*>(later + static_cast<std::uintptr_t>(first) + byte), 0, 2);
        };
        const std::size_t bytes = vectors * kVector * sizeof(E);
        for (std::size_t byte = 0; byte < bytes; byte += kLine) {
            line(byte);
        }
        line(bytes - 1);
    }
    static std::size_t band() { return kTileRows; }

private:
    template <std::size_t vectors>
    [[gnu::always_inline]] void add(const E* x, const f32s (&values)[vectors], f32s (&sums)[vectors]) const {
        for (std::size_t v = 0; v < vectors; ++v) {
            const f32s wide = widen(x + v * kVector);
            sums[v] = (scaled ? wide * scale : wide) + values[v];
        }
    }
};

// Whether rows can be written past the caches from strips: side by side, of whole lines if not begun with one.
template <class E>
bool can_stream_embedded(const Table& table, const Target& target) {
    const std::size_t row_bytes = table.columns * sizeof(E);
    return target.stream && kStrip * sizeof(E) % kLine == 0 && table.columns <= kBlock && row_bytes % kLine == 0 &&
           target.to.row_stride == static_cast<std::ptrdiff_t>(row_bytes);
}

// x * scale + values, of a row; `ahead` is the row of a later token, or null.
template <class E, bool scaled>
struct Sums {
    using V = typename ValueOf<E>::type;
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
            if (array_ahead < target.count) {
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
