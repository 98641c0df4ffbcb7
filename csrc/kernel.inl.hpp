// The mathematics of the compiled backend, written once and compiled once per ISA level by kernel_<isa>.cpp.
// Not a header to share: everything lives in an anonymous namespace, because a template or inline function compiled
// with two sets of flags would leave one weak copy, and an old CPU would run the new one's instructions. For the same
// reason nothing of the standard library is included beyond integer types.
//
// How a row comes about, in the order of the files:
//   evaluate   sin and cos of one position at every frequency, in double
//   quick      the same in fewer operations and digits, for rows that stand alone
//   half       float16 and bfloat16
//   round      double -> float32, or what narrows to the right 16 bits, noticing every value too close to a rounding
//   boundary to be sure; those, in about one
//              piece in thirty, are looked at again, and one element in a million is computed to 100 bits (exact.cpp)
//   rows       rows p - r ... p + r turned from an anchor row p
//   write      into the caller's array
// so that a float32 result is the correctly rounded one whichever way it was computed.
#include "kernel.hpp"
#include "simd.inl.hpp"

#include "evaluate.inl.hpp"
#include "half.inl.hpp"
#include "quick.inl.hpp"
#include "round.inl.hpp"
#include "rows.inl.hpp"
#include "write.inl.hpp"

namespace posenc {
namespace {

// Whether rows of both sides can be written from registers.
template <class E>
bool is_contiguous(const Target& target) {
    std::uintptr_t address = 0;
    const auto look_at = [&](const Arrays& arrays) {
        address |= static_cast<std::uintptr_t>(arrays.row_stride);
        for (std::size_t a = 0; a < target.count; ++a) {
            address |= reinterpret_cast<std::uintptr_t>(arrays.address[a]);
        }
        return arrays.column_stride == sizeof(E);
    };
    return look_at(target.to) && look_at(target.from) && address % alignof(E) == 0;
}

bool starts_on_lines(const Arrays& arrays) {
    return ((reinterpret_cast<std::uintptr_t>(arrays.address[0]) | static_cast<std::uintptr_t>(arrays.row_stride)) %
            64) == 0;
}

// One array of contiguous rows: straight from registers.
template <class E>
void run_single(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const RowWriter<E> to{target.to.address[0], target.to.row_stride, 0};
    // Pieces are whole vectors, made from left to right.
    const bool in_order = table.columns % 16 == 0 && (rows.position == nullptr || table.order != Order::concatenated);
    const bool streamed = kSame<E, float> && target.stream && in_order && starts_on_lines(target.to);
    if (target.operation == Operation::add) {
        constexpr std::size_t kAhead = 8 * 1024 / sizeof(E);
        const RowWriter<E> from{target.from.address[0], target.from.row_stride, 0};
        const std::size_t end = rows.first + rows.count, ahead = (kAhead + table.columns - 1) / table.columns;
        const auto scale = static_cast<float>(target.scale);
        if (scale != 1.0F || kNarrow<E>) {
            make_f32(table, rows, work, Add<E, true, false>{{}, to, from, end, ahead, scale});
        } else if (streamed) {
            make_f32(table, rows, work, Add<E, false, kSame<E, float>>{{}, to, from, end, ahead, scale});
        } else {
            make_f32(table, rows, work, Add<E, false, false>{{}, to, from, end, ahead, scale});
        }
    } else if (streamed) {
        make_f32(table, rows, work, Stream{{target.to.address[0], target.to.row_stride, 0}});
#if defined(__AVX512F__)
    } else if (target.stream && in_order && table.columns % (kNarrow<E> ? 64 : 16) == 0 &&
               target.to.row_stride % 64 == 0 && reinterpret_cast<std::uintptr_t>(target.to.address[0]) % 4 == 0) {
        u32s before{};
        const std::size_t shift = reinterpret_cast<std::uintptr_t>(target.to.address[0]) % 64 / 4;
        make_f32(table, rows, work,
                 StreamShifted<E>{{to}, table.columns, rows.first, rows.first + rows.count, shift, &before});
#endif
    } else if (target.stream) {
        std::size_t waiting = 0;
        make_f32(table, rows, work,
                 StreamRows<E>{{to}, table.columns, rows.first + rows.count, static_cast<char*>(work.tile), &waiting});
    } else {
        make_f32(table, rows, work, Fill<E>{{to}});
    }
}

// Several arrays, or strides: by way of tiles of V.
template <class E, class V>
void run_tiles(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const auto row_bytes = static_cast<std::ptrdiff_t>(table.columns * sizeof(V));
    const std::size_t end = rows.first + rows.count, height = table.shared_rows * (sizeof(double) / sizeof(V));
    for (std::size_t i = rows.first; i < end; i += height) {
        const std::size_t count = smaller(height, end - i);
        make_f32(table, {rows.position, rows.start, i, count}, work,
                 Fill<V>{{static_cast<char*>(work.tile), row_bytes, i}});
        write_rows<E>(table.columns, target, i, count, static_cast<const V*>(work.tile));
    }
}

template <class E>
void run_rows(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const double first = rows.start + static_cast<double>(rows.first);
    const bool float32 = kSame<E, float> || target.operation == Operation::add;
    if (float32 && table.ready != nullptr && is_run(rows) && first >= 0.0 &&
        first + static_cast<double>(rows.count) <= static_cast<double>(table.ready_rows)) {
        const float* ready = table.ready + static_cast<std::size_t>(first) * table.columns;
        write_rows<E>(table.columns, target, rows.first, rows.count, ready);
    } else if (target.count == 1 && is_contiguous<E>(target)) {
        run_single<E>(table, rows, target, work);
    } else if (float32) {
        run_tiles<E, float>(table, rows, target, work);
    } else {
        run_tiles<E, E>(table, rows, target, work);
    }
}

template <>
void run_rows<double>(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    auto* tile = static_cast<double*>(work.tile);
    const std::size_t height = target.count == 1 ? 1 : table.shared_rows, end = rows.first + rows.count;
    for (std::size_t i = rows.first; i < end; i += height) {
        const std::size_t count = smaller(height, end - i);
        for (std::size_t r = 0; r < count; ++r) {
            copy(tile + r * table.columns, evaluated_row<false>(table, position_of(rows, i + r), work), table.columns);
        }
        write_rows<double>(table.columns, target, i, count, tile);
    }
}

// How many positions of a list, from the one at i on, are each one more than the one before.
std::size_t run_length(const Rows& rows, std::size_t i, std::size_t end) {
    const double first = rows.position[i];
    std::size_t count = 1;
    if (first >= -0x1p52 && first <= 0x1p52 && static_cast<double>(static_cast<std::int64_t>(first)) == first) {
        while (i + count < end && rows.position[i + count] == first + static_cast<double>(count)) {
            ++count;
        }
    }
    return count;
}

bool is_masked(double position) { return position != position; }

// Cuts a list into runs, which are made faster, masked rows, and what is left.
template <class E>
void run_list(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    constexpr std::size_t kRun = 4;  // rows that pay for an anchor
    const std::size_t end = rows.first + rows.count;
    std::size_t done = rows.first;
    const auto single_rows_until = [&](std::size_t i) {
        if (done < i) {
            run_rows<E>(table, {rows.position, 0.0, done, i - done}, target, work);
        }
        done = i;
    };
    for (std::size_t i = done; i < end;) {
        if (is_masked(rows.position[i])) {
            single_rows_until(i);
            for (++i; i < end && is_masked(rows.position[i]); ++i) {
            }
            if (target.operation == Operation::fill) {
                clear_rows<E>(table.columns, target, done, i - done);
            }
            done = i;
        } else if (const std::size_t count = run_length(rows, i, end); count >= kRun) {
            single_rows_until(i);
            run_rows<E>(table, {nullptr, rows.position[i] - static_cast<double>(i), i, count}, target, work);
            done = i += count;
        } else {
            i += count;
        }
    }
    single_rows_until(end);
}

template <class E>
void run_elements(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    if (rows.position != nullptr) {
        run_list<E>(table, rows, target, work);
    } else {
        run_rows<E>(table, rows, target, work);
    }
}

void or_bytes(char* to, const char* a, const char* b, std::size_t bytes) {
    std::size_t j = 0;
    for (; j + sizeof(u32s) <= bytes; j += sizeof(u32s)) {
        store(to + j, load<u32s>(a + j) | load<u32s>(b + j));
    }
    for (; j < bytes; ++j) {
        to[j] = static_cast<char>(a[j] | b[j]);
    }
}

template <class E, class V>
void merge_rows(const Parts& parts, std::size_t first, std::size_t count, const Target& target, char* tile) {
    const std::size_t row_bytes = parts.columns * sizeof(V), height = kSharedBytes / row_bytes;
    for (std::size_t i = first; i < first + count;) {
        const std::size_t some = smaller(height != 0 ? height : 1, first + count - i);
        for (std::size_t r = 0; r < some; ++r) {
            or_bytes(tile + r * row_bytes, parts.base, parts.inner + (i + r) * row_bytes, row_bytes);
        }
        write_rows<E>(parts.columns, target, i, some, reinterpret_cast<const V*>(tile));
        i += some;
    }
}

void finish(const Target& target) {
    if (target.stream) {
        stream_fence();
    }
}

void run(const Table& table, const Rows& rows, const Target& target, double* workspace) noexcept {
    const Workspace work = divide(table, workspace);
    switch (target.element) {
        case Element::f32:
            run_elements<float>(table, rows, target, work);
            break;
        case Element::f64:
            run_elements<double>(table, rows, target, work);
            break;
        case Element::f16:
            run_elements<f16>(table, rows, target, work);
            break;
        case Element::bf16:
            run_elements<bf16>(table, rows, target, work);
            break;
    }
    finish(target);
}

void merge(const Parts& parts, std::size_t first, std::size_t count, const Target& target, double* workspace) noexcept {
    char* const tile = reinterpret_cast<char*>(workspace);
    const bool fill = target.operation == Operation::fill;
    switch (target.element) {
        case Element::f32:
            merge_rows<float, float>(parts, first, count, target, tile);
            break;
        case Element::f64:
            merge_rows<double, double>(parts, first, count, target, tile);
            break;
        case Element::f16:
            (fill ? merge_rows<f16, f16> : merge_rows<f16, float>)(parts, first, count, target, tile);
            break;
        case Element::bf16:
            (fill ? merge_rows<bf16, bf16> : merge_rows<bf16, float>)(parts, first, count, target, tile);
            break;
    }
    finish(target);
}

}  // namespace
}  // namespace posenc
