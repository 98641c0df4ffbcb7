// The mathematics of the compiled backend, written once and compiled once per ISA level by kernel_<isa>.cpp.
// Not a header to share: everything lives in an anonymous namespace, because a template or inline function compiled
// with two sets of flags would leave one weak copy, and an old CPU would run the new one's instructions. For the same
// reason nothing of the standard library is included beyond integer types.
//
// How a row comes about, in the order of the files:
//   evaluate   sin and cos of one position at every frequency, in double
//   rows       rows p - r ... p + r turned from an anchor row p
//   round      double -> float32, noticing every value too close to a rounding boundary to be sure; those, in about one
//              piece in thirty, are looked at again, and one element in a million is computed to 100 bits (exact.cpp)
//   write      into the caller's array
// so that a float32 result is the correctly rounded one whichever way it was computed.
#include "kernel.hpp"
#include "simd.inl.hpp"

#include "evaluate.inl.hpp"
#include "round.inl.hpp"
#include "rows.inl.hpp"
#include "write.inl.hpp"

namespace posenc {
namespace {

bool starts_on_lines(const Arrays& arrays) {
    return ((reinterpret_cast<std::uintptr_t>(arrays.address[0]) | static_cast<std::uintptr_t>(arrays.row_stride)) %
            64) == 0;
}

// One array of contiguous rows: straight from registers.
void run_single_f32(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const RowWriter to{target.to.address[0], target.to.row_stride, 0};
    const bool streamed = target.stream && starts_on_lines(target.to);
    if (target.operation == Operation::add) {
        constexpr std::size_t kAhead = 8 * 1024 / sizeof(float);
        const RowWriter from{target.from.address[0], target.from.row_stride, 0};
        const std::size_t end = rows.first + rows.count, ahead = (kAhead + table.columns - 1) / table.columns;
        const auto scale = static_cast<float>(target.scale);
        if (scale != 1.0F) {
            make_f32(table, rows, work, Add<true, false>{to, from, end, ahead, scale});
        } else if (streamed) {
            make_f32(table, rows, work, Add<false, true>{to, from, end, ahead, scale});
        } else {
            make_f32(table, rows, work, Add<false, false>{to, from, end, ahead, scale});
        }
    } else if (streamed) {
        make_f32(table, rows, work, Stream{to});
    } else if (target.stream) {
        make_f32(table, rows, work, StreamRow{to, table.columns, static_cast<float*>(work.tile)});
    } else {
        make_f32(table, rows, work, Fill{to});
    }
    if (target.stream) {
        stream_fence();
    }
}

void run_f32(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const bool contiguous = is_contiguous<float>(target);
    const double first = rows.start + static_cast<double>(rows.first);
    if (table.ready != nullptr && is_run(rows) && first >= 0.0 &&
        first + static_cast<double>(rows.count) <= static_cast<double>(table.ready_rows)) {
        const float* ready = table.ready + static_cast<std::size_t>(first) * table.columns;
        write_rows(table, target, contiguous, rows.first, rows.count, ready);
    } else if (contiguous && target.count == 1) {
        run_single_f32(table, rows, target, work);
    } else {
        const auto row_bytes = static_cast<std::ptrdiff_t>(table.columns * sizeof(float));
        const std::size_t end = rows.first + rows.count;
        for (std::size_t i = rows.first; i < end; i += table.shared_rows) {
            const std::size_t count = smaller(table.shared_rows, end - i);
            make_f32(table, {rows.position, rows.start, i, count}, work,
                     Fill{{static_cast<char*>(work.tile), row_bytes, i}});
            write_rows(table, target, contiguous, i, count, static_cast<const float*>(work.tile));
        }
    }
}

void run_f64(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const bool contiguous = is_contiguous<double>(target);
    auto* tile = static_cast<double*>(work.tile);
    const std::size_t height = target.count == 1 ? 1 : table.shared_rows, end = rows.first + rows.count;
    for (std::size_t i = rows.first; i < end; i += height) {
        const std::size_t count = smaller(height, end - i);
        for (std::size_t r = 0; r < count; ++r) {
            const double* values = evaluated_row<false>(table, position_of(rows, i + r), work);
            __builtin_memcpy(tile + r * table.columns, values, table.columns * sizeof(double));
        }
        write_rows(table, target, contiguous, i, count, static_cast<const double*>(tile));
    }
}

void run(const Table& table, const Rows& rows, const Target& target, double* workspace) noexcept {
    const Workspace work = divide(table, workspace);
    if (target.element == Element::f32) {
        run_f32(table, rows, target, work);
    } else {
        run_f64(table, rows, target, work);
    }
}

}  // namespace
}  // namespace posenc
