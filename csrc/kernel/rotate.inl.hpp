// Pairs of columns, turned by ready rows of cosines and sines: rotary encodings. Included by kernel.inl.hpp only.
//
// Each product and each sum is rounded, in float32 or double: nothing is fused (CMakeLists.txt turns contraction off),
// so that results are those of the other backends. A few rows at a time stay in the first level while they are applied
// to one array after the other; what comes next in each array is prefetched into the second.

namespace posenc {
namespace {

#define POSENC_EACH_PAIR(first, second)                                                                          \
    POSENC_LANES(                                                                                                \
        POSENC_LIST(0 + first, 0 + second, 2 + first, 2 + second, 4 + first, 4 + second, 6 + first, 6 + second), \
        POSENC_LIST(0 + first, 0 + second, 2 + first, 2 + second), POSENC_LIST(0 + first, 0 + second))
#define POSENC_EACH_PAIR_TWICE(first, second)                                                                          \
    POSENC_LANES(                                                                                                      \
        POSENC_LIST(0 + first, 0 + second, 2 + first, 2 + second, 4 + first, 4 + second, 6 + first, 6 + second,        \
                    8 + first, 8 + second, 10 + first, 10 + second, 12 + first, 12 + second, 14 + first, 14 + second), \
        POSENC_LIST(0 + first, 0 + second, 2 + first, 2 + second, 4 + first, 4 + second, 6 + first, 6 + second),       \
        POSENC_LIST(0 + first, 0 + second, 2 + first, 2 + second))

// Of the lanes a0 b0 a1 b1 ...: b0 a0 b1 a1 ..., a0 a0 a1 a1 ... and b0 b0 b1 b1 ...
f32s exchanged(f32s x) { return __builtin_shufflevector(x, x, POSENC_EACH_PAIR_TWICE(1, 0)); }
f32s firsts(f32s x) { return __builtin_shufflevector(x, x, POSENC_EACH_PAIR_TWICE(0, 0)); }
f32s seconds(f32s x) { return __builtin_shufflevector(x, x, POSENC_EACH_PAIR_TWICE(1, 1)); }
f64s exchanged(f64s x) { return __builtin_shufflevector(x, x, POSENC_EACH_PAIR(1, 0)); }
f64s firsts(f64s x) { return __builtin_shufflevector(x, x, POSENC_EACH_PAIR(0, 0)); }
f64s seconds(f64s x) { return __builtin_shufflevector(x, x, POSENC_EACH_PAIR(1, 1)); }

// `x` with its sign changed in the first lane of each pair, or in the second.
f32s flip(f32s x, bool second) {
    const u64s one = u64s{} + (second ? std::uint64_t{1} << 63 : std::uint64_t{1} << 31);  // little-endian
    return (f32s)((u64s)x ^ one);
}
f64s flip(f64s x, bool second) {
    u64s sign{};
    for (std::size_t i = second ? 1 : 0; i < kLanes; i += 2) {
        sign[i] = std::uint64_t{1} << 63;
    }
    return (f64s)((u64s)x ^ sign);
}

// Columns u of cosines and v of sines, `count` each, that lie one after the other. What is
// `ahead` bytes on is prefetched.
template <bool inverse, class E, class V>
[[gnu::always_inline]] inline void turn_apart(E* to_u, E* to_v, const E* u, const E* v, const V* cos, const V* sin,
                                              std::size_t count, std::ptrdiff_t ahead) {
    using Wide = decltype(widen(cos));
    constexpr std::size_t step = sizeof(Wide) / sizeof(V);
    const auto turn = [](E* new_u, E* new_v, const E* old_u, const E* old_v, const V* cosines, const V* sines) {
        const Wide a = widen(old_u), b = widen(old_v), c = load<Wide>(cosines), s = load<Wide>(sines);
        const Wide ac = a * c, bs = b * s, bc = b * c, as = a * s;
        narrow(new_u, inverse ? ac + bs : ac - bs);
        narrow(new_v, inverse ? bc - as : bc + as);
    };
    std::size_t j = 0;
#pragma GCC unroll 4
    for (; j + step <= count; j += step) {
        __builtin_prefetch(reinterpret_cast<const char*>(u + j) + ahead, 0, 2);
        __builtin_prefetch(reinterpret_cast<const char*>(v + j) + ahead, 0, 2);
        turn(to_u + j, to_v + j, u + j, v + j, cos + j, sin + j);
    }
    if (j < count) {
        const std::size_t few = count - j;
        E a[step]{}, b[step]{};
        V c[step]{}, s[step]{};
        copy(a, u + j, few);
        copy(b, v + j, few);
        copy(c, cos + j, few);
        copy(s, sin + j, few);
        turn(a, b, a, b, c, s);
        copy(to_u + j, a, few);
        copy(to_v + j, b, few);
    }
}

// `count` columns, in which the two of a pair are neighbours, the cosine first or the sine.
template <bool cos_first, bool inverse, class E, class V>
[[gnu::always_inline]] inline void turn_together(E* to, const E* from, const V* values, std::size_t count,
                                                 std::ptrdiff_t ahead) {
    using Wide = decltype(widen(values));
    constexpr std::size_t step = sizeof(Wide) / sizeof(V);
    constexpr bool second = cos_first == inverse;
    const auto turn = [](E* sum, const E* x, const V* value) {
        const Wide a = widen(x), t = load<Wide>(value);
        const Wide cos = cos_first ? firsts(t) : seconds(t), sin = cos_first ? seconds(t) : firsts(t);
        narrow(sum, a * cos + flip(exchanged(a) * sin, second));
    };
    std::size_t j = 0;
#pragma GCC unroll 4
    for (; j + step <= count; j += step) {
        __builtin_prefetch(reinterpret_cast<const char*>(from + j) + ahead, 0, 2);
        turn(to + j, from + j, values + j);
    }
    if (j < count) {
        E x[step]{};
        V value[step]{};
        copy(x, from + j, count - j);
        copy(value, values + j, count - j);
        turn(x, x, value);
        copy(to + j, x, count - j);
    }
}

// The pairs of a run, wherever they are: gathered, turned, and put back.
template <bool inverse, class E, class V>
void turn_gathered(const PairRun& run, char* to, std::ptrdiff_t to_step, const char* from, std::ptrdiff_t from_step,
                   const V* values) {
    constexpr std::size_t kMost = kGathered;
    E u[kMost], v[kMost];
    V cos[kMost], sin[kMost];
    for (std::size_t first = 0; first < run.count; first += kMost) {
        const std::size_t some = smaller(kMost, run.count - first);
        const auto column = [&](std::size_t begin, std::size_t i) { return begin + (first + i) * run.step; };
        const auto at = [&](std::size_t begin, std::size_t i, std::ptrdiff_t step) {
            return static_cast<std::ptrdiff_t>(column(begin, i)) * step;
        };
        for (std::size_t i = 0; i < some; ++i) {
            u[i] = load<E>(from + at(run.cos, i, from_step));
            v[i] = load<E>(from + at(run.sin, i, from_step));
            cos[i] = values[column(run.cos, i)];
            sin[i] = values[column(run.sin, i)];
        }
        turn_apart<inverse>(u, v, u, v, cos, sin, some, 0);
        for (std::size_t i = 0; i < some; ++i) {
            store(to + at(run.cos, i, to_step), u[i]);
            store(to + at(run.sin, i, to_step), v[i]);
        }
    }
}

// Calls take(turn), where turn(to, from, ahead, values) turns the pairs of a run in a row. `plain`: the elements of
// every row are one after the other, and aligned.
template <bool inverse, class E, class V, class Take>
[[gnu::always_inline]] inline void choose_turn(const PairRun& run, const Target& target, bool plain, const Take& take) {
    const std::size_t count = run.count, cos = run.cos, sin = run.sin;
    if (plain && run.step == 1) {
        take([=](char* to, const char* from, std::ptrdiff_t ahead, const V* values) __attribute__((always_inline)) {
            E* const out = reinterpret_cast<E*>(to);
            const E* const old = reinterpret_cast<const E*>(from);
            turn_apart<inverse>(out + cos, out + sin, old + cos, old + sin, values + cos, values + sin, count, ahead);
        });
    } else if (plain && run.step == 2 && sin == cos + 1) {
        take([=](char* to, const char* from, std::ptrdiff_t ahead, const V* values) __attribute__((always_inline)) {
            turn_together<true, inverse>(reinterpret_cast<E*>(to) + cos, reinterpret_cast<const E*>(from) + cos,
                                         values + cos, 2 * count, ahead);
        });
    } else if (plain && run.step == 2 && cos == sin + 1) {
        take([=](char* to, const char* from, std::ptrdiff_t ahead, const V* values) __attribute__((always_inline)) {
            turn_together<false, inverse>(reinterpret_cast<E*>(to) + sin, reinterpret_cast<const E*>(from) + sin,
                                          values + sin, 2 * count, ahead);
        });
    } else {
        take([&](char* to, const char* from, std::ptrdiff_t, const V* values) {
            turn_gathered<inverse, E>(run, to, target.to.column_stride, from, target.from.column_stride, values);
        });
    }
}

// Rows of arrays in the order in which they are turned: a few rows of one array after the other or, where arrays lie
// within a row's stride, as heads of (L, H, D) do, one row of all arrays after the other.
struct TurnOrder {
    const Turning& turning;
    const Target& target;
    std::size_t height, ahead;  // rows of a block; steps of the walk between a prefetch and its use
    bool across;

    TurnOrder(const Turning& all, const Target& arrays, std::size_t value_bytes, std::size_t element_bytes)
        : turning(all), target(arrays) {
        const std::size_t few = kTurnBytes / (turning.columns * value_bytes);
        const auto step = target.count > 1 ? target.from.address[1] - target.from.address[0] : std::ptrdiff_t{0};
        const auto magnitude_of = [](std::ptrdiff_t x) { return x < 0 ? -x : x; };
        across = target.count > 1 && magnitude_of(step) < magnitude_of(target.from.row_stride);
        height = across ? 1 : smaller(few != 0 ? few : 1, turning.count);
        const std::size_t far = kTurnAhead / (turning.columns * element_bytes), most = across ? target.count : height;
        ahead = smaller(far != 0 ? far : 1, most);
    }

    // Calls visit(array, row, later) for every row, where `later` is the address of one `ahead` steps on.
    template <class Visit>
    [[gnu::always_inline]] void walk(const Visit& visit) const {
        for (std::size_t first = 0; first < turning.count; first += height) {
            const std::size_t end = smaller(first + height, turning.count);
            for (std::size_t a = 0; a < target.count; ++a) {
                for (std::size_t i = first; i < end; ++i) {
                    visit(a, i, later(a, i, first, end));
                }
            }
        }
    }

private:
    const char* later(std::size_t a, std::size_t i, std::size_t first, std::size_t end) const {
        const std::size_t next = a + (across ? ahead : i + ahead < end ? 0 : 1);
        const std::size_t row = across ? i : i + ahead < end ? i + ahead : smaller(first + (i + ahead - end), end - 1);
        if (next < target.count) {
            return row_of(target.from, next, row);
        }
        const std::size_t below = across ? i + 1 : row - first + end;
        return row_of(target.from, across ? next - target.count : 0, smaller(below, turning.count - 1));
    }
};

// Whether the elements of all rows are one after the other, and aligned.
template <class E>
bool has_plain_columns(const Target& target) {
    auto address =
        static_cast<std::uintptr_t>(target.to.row_stride) | static_cast<std::uintptr_t>(target.from.row_stride);
    for (std::size_t a = 0; a < target.count; ++a) {
        address |= reinterpret_cast<std::uintptr_t>(target.to.address[a]) |
                   reinterpret_cast<std::uintptr_t>(target.from.address[a]);
    }
    return target.to.column_stride == sizeof(E) && target.from.column_stride == sizeof(E) && address % alignof(E) == 0;
}

template <bool inverse, class E>
void turn_rows(const Turning& turning, const Target& target) {
    using V = typename ValueOf<E>::type;
    const V* const rows = reinterpret_cast<const V*>(turning.rows);
    const TurnOrder order(turning, target, sizeof(V), sizeof(E));
    const auto each = [&](const auto& turn) __attribute__((always_inline)) {
        order.walk([&](std::size_t a, std::size_t i, const char* later) __attribute__((always_inline)) {
            const V* const values = rows + i * turning.columns;
            if (values[0] != values[0]) {
                return;  // a masked row
            }
            const char* const from = row_of(target.from, a, i);
            turn(row_of(target.to, a, i), from, later - from, values);
        });
    };
    const bool plain = has_plain_columns<E>(target);
    if (turning.run_count == 1) {  // decided once, not for every row
        choose_turn<inverse, E, V>(turning.runs[0], target, plain, each);
        return;
    }
    each([&](char* to, const char* from, std::ptrdiff_t ahead, const V* values) {
        for (std::size_t r = 0; r < turning.run_count; ++r) {
            choose_turn<inverse, E, V>(turning.runs[r], target, plain,
                                       [&](const auto& turn)
                                           __attribute__((always_inline)) { turn(to, from, ahead, values); });
        }
    });
}

template <class E>
void turn_elements(const Turning& turning, const Target& target) {
    (turning.inverse ? turn_rows<true, E> : turn_rows<false, E>)(turning, target);
}

void turn(const Turning& turning, const Target& target) noexcept {
    switch (target.element) {
        case Element::f32:
            turn_elements<float>(turning, target);
            break;
        case Element::f64:
            turn_elements<double>(turning, target);
            break;
        case Element::f16:
            turn_elements<f16>(turning, target);
            break;
        case Element::bf16:
            turn_elements<bf16>(turning, target);
            break;
    }
}

}  // namespace
}  // namespace posenc
