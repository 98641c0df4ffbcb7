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
#include "../kernel.hpp"
#include "simd.inl.hpp"

#include "evaluate.inl.hpp"
#include "half.inl.hpp"
#include "quick.inl.hpp"
#include "round.inl.hpp"

#include "consumers.inl.hpp"
#include "lists.inl.hpp"
#include "recur.inl.hpp"
#include "store.inl.hpp"

namespace posenc {
namespace {

struct Workspace {
    double* trig;  // what evaluate_row writes; for strips, their anchor
    Anchor anchor;
    Start start;    // [kBlock + 2 kStrip] each
    double* steps;  // kStepArrays of a table's frequencies each
    void* tile;     // rows that several arrays share, or that are not written from registers
};

Workspace divide(const Table& table, double* memory) {
    constexpr std::size_t size = kStartColumns;
    double* const start = memory + table.padded_trig;
    double* const steps = start + 4 * size;
    return {memory,
            {memory, memory + table.padded_frequencies},
            {start, start + size, start + 2 * size, start + 3 * size},
            steps,
            steps + kStepArrays * table.padded_frequencies};
}

double position_of(const Rows& rows, std::size_t i) {
    return rows.position != nullptr ? rows.position[i] : rows.start + static_cast<double>(i);
}

// Whether every position is one more than the one before, exactly. Fractional starts are rounded row by row.
bool is_run(const Rows& rows) {
    return rows.position == nullptr && static_cast<double>(static_cast<std::int64_t>(rows.start)) == rows.start;
}

template <class Consumer>
void walk_strips(const Tile& tile, const Start& start, std::size_t column, std::size_t first, std::size_t count,
                 char* to, const char* from, const Consumer& consumer) {
    constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(typename Consumer::Element));
    for (std::size_t j = first; j < first + count; j += kStrip, to += kStrip * size, from += kStrip * size) {
        const std::size_t some = smaller(kStrip, first + count - j);
        bool alternating = false;
        for (std::size_t i = 0; i < kStrip; i += kLanes) {
            alternating |= any((u32s)((i64s)load<f64s>(start.error + j + i) < 0));
        }
        const auto walk = some > kVector
                              ? (alternating ? walk_strip<2, true, Consumer> : walk_strip<2, false, Consumer>)
                              : (alternating ? walk_strip<1, true, Consumer> : walk_strip<1, false, Consumer>);
        walk(tile, start, column + j, j, some, to, from, consumer);
    }
}

double farthest(double first, std::size_t rows) {
    const double last = first + static_cast<double>(rows);
    return last > -first ? last : -first;
}

// Calls make(done, tile) for tiles of rows, after it has made their anchor.
template <class Make>
void walk_tiles(const Table& table, const Steps& steps, double position, std::size_t rows, const Anchor& anchor,
                const Make& make) {
    std::size_t since = kRotations;
    for (std::size_t done = 0; done < rows;) {
        const std::size_t left = rows - done;
        const std::size_t height = left >= kRows + kRun || left <= kRows ? smaller(left, kRows) : left / 2;
        const double first = position + static_cast<double>(done);
        Tile tile{table, steps, first, height, farthest(first, height + 1), __builtin_inf(), false};
        if (since < kRotations) {
            rotate_anchor(table, steps, anchor);
            ++since;
        } else {
            evaluate_anchor(table, first, anchor);
            tile.first_error = table.largest * farthest(first, 0) * kAngleError * absolute(table.amplitude);
            since = 0;
        }
        make(done, tile);
        since = height == kRows ? since : kRotations;
        done += height;
    }
}

// Rows at position, position + 1, ...
template <class Consumer>
void walk_run(const Table& table, double position, std::size_t rows, char* to, const char* from, const Workspace& work,
              Consumer consumer) {
    constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(typename Consumer::Element));
    walk_tiles(table, table.unit_steps, position, rows, work.anchor, [&](std::size_t done, const Tile& tile) {
        const auto above = static_cast<std::ptrdiff_t>(done), below = static_cast<std::ptrdiff_t>(tile.rows);
        for (std::size_t j = 0; j < table.columns; j += kBlock) {
            const std::size_t count = smaller(kBlock, table.columns - j);
            const auto offset = static_cast<std::ptrdiff_t>(j) * size;
            make_start(tile, work.anchor, j, count, work.start);
            consumer.go_on(j + count < table.columns ? static_cast<std::ptrdiff_t>(kBlock) * size
                                                     : below * consumer.from_stride - offset);
            walk_strips(tile, work.start, j, 0, count, to + above * consumer.to_stride + offset,
                        from + above * consumer.from_stride + offset, consumer);
        }
    });
}

// Rows at position, position + 1, ... of an array whose rows are one element apart: column by column, each strip
// holding kStrip rows. Both columns of a pair share what is evaluated.
template <class Consumer>
void walk_down(const Table& table, double position, std::size_t rows, char* to, std::ptrdiff_t to_column,
               const char* from, std::ptrdiff_t from_column, const Workspace& work, Consumer consumer) {
    constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(typename Consumer::Element));
    const Steps steps = prepare(table, static_cast<double>(kStrip), work.steps);
    const Start second = behind(work.start, 2 * kStrip);
    consumer.go_on(kDownAhead);
    const auto column = [&](const Tile& tile, const Start& start, std::size_t done, std::size_t count, std::size_t j) {
        const auto at = static_cast<std::ptrdiff_t>(done) * size, c = static_cast<std::ptrdiff_t>(j);
        walk_strips(tile, start, j, 0, count, to + c * to_column + at, from + c * from_column + at, consumer);
    };
    const auto blocks = [&](std::size_t k, std::size_t a, std::size_t b, bool zero) {
        for (std::size_t done = 0; done < rows;) {
            const std::size_t left = rows - done, height = left < kStrip ? 1 : smaller(left / kStrip, kRows);
            const std::size_t count = smaller(left, kStrip);
            const double first = position + static_cast<double>(done);
            const double last = farthest(first, height * kStrip);
            const Tile tile{table,  steps, first,
                            height, last,  table.largest * last * kAngleError * absolute(table.amplitude),
                            true};
            make_start_down(tile, k, work.start, second);
            if (zero) {
                clear_start(work.start);
                clear_start(second);
            }
            if (a < table.columns) {
                column(tile, work.start, done, count, a);
            }
            if (b < table.columns) {
                column(tile, second, done, count, b);
            }
            done += height * count;
        }
    };
    if (table.order == Order::any) {
        for (std::size_t j = 0; j < table.columns; ++j) {
            const auto source = static_cast<std::size_t>(table.source[j] < 0 ? 0 : table.source[j]);
            const bool is_second = (source & 1) != static_cast<std::size_t>(table.cos_first);
            blocks(source / 2, is_second ? table.columns : j, is_second ? j : table.columns, table.source[j] < 0);
        }
        return;
    }
    const bool interleaved = table.order == Order::interleaved;
    for (std::size_t k = 0; k < table.frequencies; ++k) {
        blocks(k, interleaved ? 2 * k : k, interleaved ? 2 * k + 1 : table.frequencies + k, false);
    }
}

// Rows whose number of columns is a multiple of a cache line, one after the other in memory, past the caches: strips
// are cut where lines begin, so that the last one of a row goes on in the next row. Does not write what the first row
// has before its first whole line; writes as much of the row after the last.
template <class E>
void stream_run(const Table& table, double position, std::size_t rows, char* to, const Workspace& work) {
    constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(E));
    const auto stride = static_cast<std::ptrdiff_t>(table.columns) * size;
    const std::size_t shift = (0 - reinterpret_cast<std::uintptr_t>(to)) % kLine / sizeof(E);
    const Fill<E, true> consumer{stride, stride};
    walk_tiles(table, table.unit_steps, position, rows, work.anchor, [&](std::size_t done, const Tile& tile) {
        for (std::size_t j = 0; j < table.columns; j += kBlock) {
            const std::size_t count = smaller(kBlock, table.columns - j);
            make_start(tile, work.anchor, j, count, work.start);
            if (j + count == table.columns) {  // the next row's first columns, one step from this row's
                make_next(tile, work.anchor, shift, work.start, count);
            } else {
                make_start(tile, work.anchor, j + count, shift, behind(work.start, count));
            }
            char* const there =
                to + static_cast<std::ptrdiff_t>(done) * stride + static_cast<std::ptrdiff_t>(j + shift) * size;
            walk_strips(tile, work.start, j, shift, count, there, there, consumer);
        }
    });
}

// Rows of one array, straight from registers.
template <class Consumer>
void make_rows(const Table& table, const Rows& rows, const Arrays& to_arrays, const Arrays& from_arrays,
               const Workspace& work, const Consumer& consumer) {
    char* to = row_of(to_arrays, 0, rows.first);
    const char* from = row_of(from_arrays, 0, rows.first);
    if (is_run(rows) && rows.count >= kRun) {
        walk_run(table, position_of(rows, rows.first), rows.count, to, from, work, consumer);
        return;
    }
    const RowMaker<Consumer> maker(table, consumer, work.trig);
    for (std::size_t i = rows.first; i < rows.first + rows.count; ++i) {
        maker.make(position_of(rows, i), to, from);
        to += consumer.to_stride;
        from += consumer.from_stride;
    }
}

// Whether rows of both sides can be written from registers.
template <class E>
bool is_contiguous(const Target& target) {
    const auto fits = [&](const Arrays& arrays) {
        std::uintptr_t address = static_cast<std::uintptr_t>(arrays.row_stride);
        for (std::size_t a = 0; a < target.count; ++a) {
            address |= reinterpret_cast<std::uintptr_t>(arrays.address[a]);
        }
        return arrays.column_stride == sizeof(E) && address % alignof(E) == 0;
    };
    return fits(target.to) && fits(target.from);
}

template <class E>
bool can_stream(const Table& table, const Rows& rows, const Target& target) {
    constexpr bool whole_lines = kStrip * sizeof(E) % kLine == 0;
    return whole_lines && target.stream && is_run(rows) && rows.count > 2 * kRun &&
           table.columns * sizeof(E) % kLine == 0 &&
           target.to.row_stride == static_cast<std::ptrdiff_t>(table.columns * sizeof(E));
}

// One array of contiguous rows.
template <class E>
void run_single(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const std::ptrdiff_t to_stride = target.to.row_stride, from_stride = target.from.row_stride;
    if (target.operation == Operation::add) {
        const auto scale = static_cast<float>(target.scale);
        if (scale != 1.0F) {
            make_rows(table, rows, target.to, target.from, work, Add<E, true>{to_stride, from_stride, 0, scale});
        } else {
            make_rows(table, rows, target.to, target.from, work, Add<E, false>{to_stride, from_stride, 0, scale});
        }
        return;
    }
    const Fill<E, false> fill{to_stride, to_stride};
    if (!can_stream<E>(table, rows, target)) {
        make_rows(table, rows, target.to, target.to, work, fill);
        return;
    }
    const std::size_t last = rows.first + rows.count - 1;
    make_rows(table, {nullptr, rows.start, rows.first, 1}, target.to, target.to, work, fill);
    stream_run<E>(table, position_of(rows, rows.first), rows.count - 1, row_of(target.to, 0, rows.first), work);
    make_rows(table, {nullptr, rows.start, last, 1}, target.to, target.to, work, fill);
}

// Several arrays, or strides: by way of tiles of V.
template <class E, class V>
void run_tiles(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const auto row_bytes = static_cast<std::ptrdiff_t>(table.columns * sizeof(V));
    const std::size_t end = rows.first + rows.count, height = table.shared_rows * (sizeof(double) / sizeof(V));
    char* const tile = static_cast<char*>(work.tile);
    for (std::size_t i = rows.first; i < end; i += height) {
        const std::size_t count = smaller(height, end - i);
        const Arrays there{&tile, row_bytes, sizeof(V)};
        const Rows some{rows.position != nullptr ? rows.position + i : nullptr, rows.start + static_cast<double>(i), 0,
                        count};
        make_rows(table, some, there, there, work, Fill<V, false>{row_bytes, row_bytes});
        write_rows<E>(table.columns, target, i, count, reinterpret_cast<const V*>(tile));
    }
}

// Whether rows of both sides are one element apart, so that columns can be written from registers.
template <class E>
bool goes_down(const Rows& rows, const Target& target) {
    const auto fits = [](const Arrays& arrays) {
        return arrays.row_stride == sizeof(E) &&
               reinterpret_cast<std::uintptr_t>(arrays.address[0]) % alignof(E) == 0 &&
               arrays.column_stride % static_cast<std::ptrdiff_t>(alignof(E)) == 0;
    };
    return is_run(rows) && rows.count >= kStrip && fits(target.to) && fits(target.from);
}

template <class E>
void run_down(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    constexpr auto step = static_cast<std::ptrdiff_t>(kStrip * sizeof(E));
    const auto walk = [&](const auto& consumer) {
        walk_down(table, position_of(rows, rows.first), rows.count, row_of(target.to, 0, rows.first),
                  target.to.column_stride, row_of(target.from, 0, rows.first), target.from.column_stride, work,
                  consumer);
    };
    const auto scale = static_cast<float>(target.scale);
    if (target.operation == Operation::fill) {
        walk(Fill<E, false>{step, step});
    } else if (scale == 1.0F) {
        walk(Add<E, false>{step, step, 0, scale});
    } else {
        walk(Add<E, true>{step, step, 0, scale});
    }
}

template <class E>
void run_rows(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const bool float32 = kSame<E, float> || target.operation == Operation::add;
    const std::size_t height = table.shared_rows * (sizeof(double) / (float32 ? sizeof(float) : sizeof(E)));
    // Rows that several arrays or cells share are made once, and stay in the caches.
    const bool shared = target.cells > 1 || (target.count > 1 && rows.count <= height);
    for (std::size_t a = 0; a < (shared ? 1 : target.count); ++a) {
        Target part = target;
        part.to.address += a;
        part.from.address += a;
        part.count = shared ? target.count : 1;
        if (!shared && is_contiguous<E>(part)) {
            run_single<E>(table, rows, part, work);
        } else if (!shared && goes_down<E>(rows, part)) {
            run_down<E>(table, rows, part, work);
        } else if (float32) {
            run_tiles<E, float>(table, rows, part, work);
        } else {
            run_tiles<E, E>(table, rows, part, work);
        }
    }
}

template <>
void run_rows<double>(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    auto* tile = static_cast<double*>(work.tile);
    const std::size_t height = target.count == 1 ? 1 : table.shared_rows, end = rows.first + rows.count;
    for (std::size_t i = rows.first; i < end; i += height) {
        const std::size_t count = smaller(height, end - i);
        for (std::size_t r = 0; r < count; ++r) {
            evaluated_doubles(table, position_of(rows, i + r), work.trig, tile + r * table.columns);
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

void POSENC_LEVEL(run)(const Table& table, const Rows& rows, const Target& target, double* workspace) noexcept {
    run(table, rows, target, workspace);
}

void POSENC_LEVEL(merge)(const Parts& parts, std::size_t first, std::size_t count, const Target& target,
                         double* workspace) noexcept {
    merge(parts, first, count, target, workspace);
}

Steps POSENC_LEVEL(prepare)(const Table& table, double step, double* memory) noexcept {
    return prepare(table, step, memory);
}

}  // namespace posenc
