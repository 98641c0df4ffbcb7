// Consumers: what becomes of rows in registers. Included by kernel.inl.hpp only.
//
// A consumer takes one or two registers of float32 at a time, of consecutive columns, of which the first `count` are
// wanted: put(to, from, values, count). `Value` is the format that values are correctly rounded to: they narrow to it
// without a tie. Each states how far rows are apart, how many to walk down a strip before the next strip has its turn,
// and what to prefetch. Any order of rows and columns will do.

namespace posenc {
namespace {

// Copies a part of a register by way of memory, so that no byte beyond it is touched.
template <class E>
void store_part(E* to, const E* from, std::size_t count) {
    if constexpr (kSame<E, float>) {
        store_some(to, load<f32s>(from), count);
    } else {
        copy(to, from, count);
    }
}

// How many rows, so far apart, to walk down a strip before the next strip has its turn.
inline std::size_t band_of(std::ptrdiff_t stride) {
    const auto apart = static_cast<std::size_t>(stride);  // also modulo the same, if it is negative
    return apart % kSamePlace == 0 ? kSamePlaceRows : apart % kNearPlace == 0 ? kNearPlaceRows : kTileRows;
}

template <class E, bool past>
struct Fill {
    using Element = E;
    using Value = E;
    static constexpr bool kReads = false;
    std::ptrdiff_t to_stride, from_stride;

    template <std::size_t vectors>
    [[gnu::always_inline]] void put(char* to, const char*, const f32s (&values)[vectors], std::size_t count) const {
        E* const out = reinterpret_cast<E*>(to);
        if (count >= vectors * kVector) {
            if constexpr (past && vectors * kVector * sizeof(E) % sizeof(u32s) == 0) {
                stream_certain(out, values);
            } else {
                narrow_certain(out, values);
            }
        } else {
            alignas(64) E whole[vectors * kVector];
            narrow_certain(whole, values);
            for (std::size_t v = 0; v < vectors && count > v * kVector; ++v) {
                store_part(out + v * kVector, whole + v * kVector, smaller(count - v * kVector, kVector));
            }
        }
    }
    [[gnu::always_inline]] void prefetch(const char*, std::size_t) const {}
    std::size_t band() const { return band_of(to_stride); }
    void go_on(std::ptrdiff_t) {}
};

// Sums of E, in float32.
template <class E, bool scaled>
struct Add {
    using Element = E;
    using Value = float;
    static constexpr bool kReads = true;
    std::ptrdiff_t to_stride, from_stride;
    std::ptrdiff_t ahead;  // bytes from an element to the one that is prefetched with it
    float scale;

    f32s sum(f32s x, f32s value) const { return (scaled ? x * scale : x) + value; }

    template <std::size_t vectors>
    [[gnu::always_inline]] void put(char* to, const char* from, const f32s (&values)[vectors],
                                    std::size_t count) const {
        E* const out = reinterpret_cast<E*>(to);
        const E* const x = reinterpret_cast<const E*>(from);
        if (count >= vectors * kVector) {
            f32s sums[vectors];
            for (std::size_t v = 0; v < vectors; ++v) {
                sums[v] = sum(widen(x + v * kVector), values[v]);
            }
            narrow(out, sums);
            return;
        }
        for (std::size_t v = 0; v < vectors && count > v * kVector; ++v) {
            const std::size_t some = smaller(count - v * kVector, kVector);
            if constexpr (kSame<E, float>) {
                store_some(out + v * kVector, sum(load_some(x + v * kVector, some), values[v]), some);
            } else {
                E part[kVector]{};
                copy(part, x + v * kVector, some);
                narrow(part, sum(widen(part), values[v]));
                copy(out + v * kVector, part, some);
            }
        }
    }
    void go_on(std::ptrdiff_t bytes) { ahead = bytes; }
    std::size_t band() const { return band_of(from_stride); }
    // Into the second level: strips jump from row to row, which the hardware does not foresee. Rows need not begin with
    // a cache line, and the next strip, which shares the last one, comes too late to prefetch it.
    [[gnu::always_inline]] void prefetch(const char* from, std::size_t vectors) const {
        const auto bytes = static_cast<std::ptrdiff_t>(vectors * kVector * sizeof(E));
        for (std::ptrdiff_t byte = 0; byte < bytes; byte += kLine) {
            __builtin_prefetch(from + ahead + byte, 0, 2);
        }
        __builtin_prefetch(from + ahead + bytes - 1, 0, 2);
    }
};

}  // namespace
}  // namespace posenc
