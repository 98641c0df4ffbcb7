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

void run_f32(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const bool contiguous = contiguous_rows<float>(target);
    if (contiguous && target.sequences == 1) {
        if (target.operation == Operation::add) {
            constexpr std::size_t kAhead = 8 * 1024 / sizeof(float);
            const std::size_t ahead = (kAhead + table.columns - 1) / table.columns;
            const auto scale = static_cast<float>(target.scale);
            if (scale == 1.0F) {
                make_f32(table, rows, work, Add<false>{{target}, rows.count, ahead, scale});
            } else {
                make_f32(table, rows, work, Add<true>{{target}, rows.count, ahead, scale});
            }
        } else if (target.stream) {
            const auto address = reinterpret_cast<std::uintptr_t>(target.sequence[0]);
            if ((address | static_cast<std::uintptr_t>(target.row_stride)) % 64 == 0) {
                make_f32(table, rows, work, Stream{{target}});
            } else {
                make_f32(table, rows, work, StreamRow{{target}, table.columns, static_cast<float*>(work.tile)});
            }
            stream_fence();
        } else {
            make_f32(table, rows, work, Fill{{target}});
        }
        return;
    }
    auto* tile = static_cast<float*>(work.tile);
    auto* tile_address = static_cast<char*>(work.tile);
    const auto row_bytes = static_cast<std::ptrdiff_t>(table.columns * sizeof(float));
    const Target into_tile{&tile_address, 1, row_bytes, sizeof(float), Element::f32, Operation::fill, 1.0, false};
    for (std::size_t i = 0; i < rows.count;) {
        const std::size_t count = smaller(table.shared_rows, rows.count - i);
        make_f32(table, part_of(rows, i, count), work, Fill{{into_tile}});
        write_tile(table, target, contiguous, i, count, tile);
        i += count;
    }
}

void run_f64(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const bool contiguous = contiguous_rows<double>(target);
    auto* tile = static_cast<double*>(work.tile);
    const std::size_t height = target.sequences == 1 ? 1 : table.shared_rows;
    for (std::size_t i = 0; i < rows.count;) {
        const std::size_t count = smaller(height, rows.count - i);
        for (std::size_t r = 0; r < count; ++r) {
            const double* values = evaluated_row<false>(table, position_of(rows, i + r), work);
            __builtin_memcpy(tile + r * table.columns, values, table.columns * sizeof(double));
        }
        write_tile(table, target, contiguous, i, count, tile);
        i += count;
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
