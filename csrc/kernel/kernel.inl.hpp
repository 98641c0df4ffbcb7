// The mathematics of the compiled backend, written once and compiled once per ISA level by level_<isa>.cpp.
// Not a header to share: everything lives in an anonymous namespace, because a template or inline function compiled
// with two sets of flags would leave one weak copy, and an old CPU would run the new one's instructions. For the same
// reason nothing of the standard library is included beyond integer types.
//
// Producers make rows in registers, as doubles, and each states its error bound; the rounding test turns them into
// float32; consumers put them where they belong. In the order of the files:
//   evaluate   producer: sin and cos of one position at a frequency, to 2^-51 of the result
//   grid       producer: sums of two such angles, of which a workspace keeps some
//   quick      producer: the same with fewer operations and digits, for rows that stand alone
//   half       conversions of float16 and bfloat16
//   round      Ziv's rounding test: of a register at once, of its lanes one by one, by exact.cpp
//   consumers  fill, add
//   lists      single rows, by quick, grid or evaluate
//   recur      producer: the recurrence down strips of columns, for rows in arithmetic progression
//   double     rows of float64, by grid
//   store      rows that are ready, to arrays of any strides
//   rotate     pairs of columns, by rows that are ready
//   embed      rows in registers, or ready ones, onto rows of a vocabulary that ids name
//   walk       strips through memory
//   rows       which producer and which walk rows get; for embeddings, embed_rows
// and here: lists cut into such rows, rows in common, several axes, and the entry points.
#include "../kernel.hpp"
#include "simd.inl.hpp"

#include "evaluate.inl.hpp"
#include "grid.inl.hpp"
#include "half.inl.hpp"
#include "quick.inl.hpp"
#include "round.inl.hpp"

#include "consumers.inl.hpp"
#include "double.inl.hpp"
#include "lists.inl.hpp"
#include "recur.inl.hpp"
#include "store.inl.hpp"

#include "embed.inl.hpp"
#include "rotate.inl.hpp"

#include "walk.inl.hpp"

#include "rows.inl.hpp"

#include "embed_rows.inl.hpp"

namespace posenc {
namespace {

// How many positions, from row i on, are each one more than the one before, exactly.
std::size_t run_length(const Rows& rows, std::size_t i, std::size_t end) {
    const double first = position_of(rows, i);
    std::size_t count = 1;
    while (i + count < end && is_exact(first, count) &&
           position_of(rows, i + count) == first + static_cast<double>(count)) {
        ++count;
    }
    return count;
}

bool is_masked(double position) { return position != position; }

// How many positions of a list there are from the one at i to the next masked one, if they are a progression; else 0.
std::size_t even_part(const Table& table, const Rows& rows, std::size_t i, std::size_t end) {
    std::size_t count = 1;
    while (i + count < end && !is_masked(rows.position[i + count])) {
        ++count;
    }
    return count >= kSteppedRun && progression_of(table, {rows.position, 0.0, i, count}).found ? count : 0;
}

// Cuts rows into runs, which are made faster, masked rows, and what is left. Of positions start + i, runs end where the
// sum is rounded to fewer digits.
template <class E>
void run_list(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const std::size_t end = rows.first + rows.count;
    std::size_t done = rows.first;
    bool new_part = !kSame<E, double> && rows.position != nullptr;  // of the list, between masked rows
    const auto rows_until = [&](std::size_t i) {
        if (done < i) {
            run_rows<E>(table, {rows.position, rows.start, done, i - done}, target, work);
        }
        done = i;
    };
    for (std::size_t i = done; i < end;) {
        const double first = position_of(rows, i);
        if (is_masked(first)) {
            rows_until(i);
            for (++i; i < end && is_masked(position_of(rows, i)); ++i) {
            }
            if (target.operation != Operation::add) {
                clear_rows<E>(table.columns, target, done, i - done);
            }
            done = i;
            new_part = true;
        } else if (const std::size_t even = new_part ? even_part(table, rows, i, end) : 0; even != 0) {
            rows_until(i + even);
            i += even;
        } else if (const std::size_t count = run_length(rows, i, end); count >= kRun) {
            rows_until(i);
            const Rows run{nullptr, first - static_cast<double>(i), i, count};
            if (is_run(run) && position_of(run, i) == first) {
                run_rows<E>(table, run, target, work);
                done = i + count;
            }
            rows_until(i += count);
            new_part = false;
        } else {
            i += count;
            new_part = false;
        }
    }
    rows_until(end);
}

// Adds rows of whole positions that the workspace holds, and makes them where it does not yet.
template <class E>
void run_common(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const Common& common = target.common;
    const std::size_t row = table.columns, elements = common.rows * row, end = rows.first + rows.count;
    auto* const ready = reinterpret_cast<float*>(static_cast<char*>(work.tile) + common.offset);
    if (work.kept->ready != common.call) {
        const Fill<float, false> fill{static_cast<std::ptrdiff_t>(row * sizeof(float)), 0};
        make_tile<float>(table, {nullptr, common.low, 0, common.rows}, work, fill, common.offset);
        for (std::size_t copy = 1; copy < common.copies; ++copy) {
            __builtin_memcpy(ready + copy * elements, ready, elements * sizeof(float));
        }
        work.kept->ready = common.call;
    }
    for (std::size_t a = 0; a < target.count; ++a) {
        Target one = target;
        one.to.address += a;
        one.from.address += a;
        one.count = 1;
        for (std::size_t i = rows.first, count = 0; i < end; i += count) {
            const double position = position_of(rows, i);
            count = run_length(rows, i, end);
            if (!is_masked(position)) {
                work.kept->copy = (work.kept->copy + 1) % common.copies;
                const std::size_t first = static_cast<std::size_t>(position - common.low) * row;
                write_rows<E>(row, one, i, count, ready + work.kept->copy * elements + first);
            }
        }
    }
}

template <class E>
void run_elements(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    if constexpr (!kSame<E, double>) {
        if (target.common.rows != 0) {
            run_common<E>(table, rows, target, work);
            return;
        }
    }
    if (is_run(rows)) {
        run_rows<E>(table, rows, target, work);
    } else {
        run_list<E>(table, rows, target, work);
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
    const std::size_t row_bytes = parts.columns * sizeof(V);
    const char* const outer = parts.outer - first / parts.count * row_bytes;
    for (std::size_t i = first; i < first + count;) {
        const std::size_t some = smaller(parts.height, first + count - i);
        for (std::size_t r = 0; r < some; ++r) {
            const std::size_t row = i + r;
            or_bytes(tile + r * row_bytes, outer + row / parts.count * row_bytes,
                     parts.inner + row % parts.count * row_bytes, row_bytes);
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
    if (work.kept->table != table.serial) {
        *work.kept = {};
        work.kept->table = table.serial;
    }
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

void POSENC_LEVEL(turn)(const Turning& turning, const Target& target) noexcept { turn(turning, target); }

Steps POSENC_LEVEL(prepare)(const Table& table, double step, double* memory) noexcept {
    return prepare(table, step, memory);
}

}  // namespace posenc
