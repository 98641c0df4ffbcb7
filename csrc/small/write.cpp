#include "write.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "../dispatch.hpp"

namespace posenc::small {
namespace {

// The addresses of the arrays that a view consists of along its first axes, in C order.
std::vector<char*> addresses_of(const View& view, int axes) {
    std::vector<char*> addresses{view.data};
    for (int axis = 0; axis < axes; ++axis) {
        if (view.shape[axis] == 1) {
            continue;
        }
        std::vector<char*> next;
        next.reserve(addresses.size() * static_cast<std::size_t>(view.shape[axis]));
        for (char* const address : addresses) {
            for (std::int64_t i = 0; i < view.shape[axis]; ++i) {
                next.push_back(address + i * view.stride[axis]);
            }
        }
        addresses = std::move(next);
    }
    return addresses;
}

// A call is too small for signals to be looked at.
struct NoPoll : Poll {
    bool go_on() noexcept override { return true; }
};

Rows rows_of(const Placement& placement, std::size_t group, std::size_t count) noexcept {
    const double* const positions = placement.positions.data();
    return placement.starts ? Rows{nullptr, positions[group], 0, count}
                            : Rows{positions + group * count, 0.0, 0, count};
}

}  // namespace

Write::Write(const View& out, const View& from, bool add, double scale)
    : out_(out), from_(from), add_(add), scale_(scale) {}

bool Write::prepare(const Axes& axes, const Where& where) {
    std::size_t size = 0;
    for (const Axis& axis : axes) {
        tables_.push_back(axis.table.get());
        size = std::max(size, workspace_size(axis.table->table()));
    }
    if (!(axes.size() == 1 ? prepare_rows(axes[0], where) : prepare_grid(axes, where))) {
        return false;
    }
    workspace_.emplace(size);
    return true;
}

Target Write::target(int inner) {
    to_addresses_ = addresses_of(out_, out_.axes - inner);
    from_addresses_ = addresses_of(from_, from_.axes - inner);
    const int row = out_.axes - 2, column = out_.axes - 1;
    return {{to_addresses_.data(), out_.stride[row], out_.stride[column]},
            {from_addresses_.data(), from_.stride[row], from_.stride[column]},
            to_addresses_.size(),
            1,
            0,
            0,
            out_.element(),
            add_ ? Operation::add : Operation::fill,
            scale_,
            false};
}

void Write::run() {
    if (tables_.size() == 1) {
        run_rows();
    } else {
        run_grid();
    }
}

// ---- one axis -------------------------------------------------------------------------------------------------------

bool Write::prepare_rows(const Axis& axis, const Where& where) {
    if (!place(out_, where, axis.offset, placements_.emplace_back())) {
        return false;
    }
    target_ = target(2);
    return true;
}

void Write::run_rows() noexcept {
    const Placement& placement = placements_[0];
    if (placement.masked && add_ && !is_same_memory(out_, from_)) {
        copy_masked();
    }
    const Run kernel = active_level().run;
    const auto rows = static_cast<std::size_t>(out_.shape[out_.axes - 2]);
    for (std::size_t group = 0; group < placement.groups; ++group) {
        Target part = target_;
        if (placement.groups > 1) {
            part.to.address += group;
            part.from.address += group;
            part.count = 1;
        }
        kernel(tables_[0]->table(), rows_of(placement, group, rows), part, workspace_->get());
    }
}

// Rows without a position are those of x.
void Write::copy_masked() const noexcept {
    const Placement& placement = placements_[0];
    const std::int64_t rows = out_.shape[out_.axes - 2], columns = out_.shape[out_.axes - 1];
    for (std::size_t array = 0; array < target_.count; ++array) {
        const double* const positions =
            placement.positions.data() + (placement.groups == 1 ? 0 : array * static_cast<std::size_t>(rows));
        for (std::int64_t row = 0; row < rows; ++row) {
            if (!std::isnan(positions[row])) {
                continue;
            }
            char* const to = target_.to.address[array] + row * target_.to.row_stride;
            const char* const from = target_.from.address[array] + row * target_.from.row_stride;
            for (std::int64_t column = 0; column < columns; ++column) {
                std::memcpy(to + column * target_.to.column_stride, from + column * target_.from.column_stride,
                            static_cast<std::size_t>(out_.size));
            }
        }
    }
}

// ---- several axes: rows of each are made, then merged ---------------------------------------------------------------

bool Write::prepare_grid(const Axes& axes, const Where& where) {
    const auto count = static_cast<int>(axes.size());
    if (where.positions || where.mask || where.bounds || out_.axes < count + 2) {
        return false;
    }
    std::int64_t rows = 0;
    for (int axis = 0; axis < count; ++axis) {
        const std::int64_t size = out_.shape[out_.axes - 1 - count + axis];
        if (!place_line(where.start, axis, count, size, axes[static_cast<std::size_t>(axis)].offset,
                        placements_.emplace_back())) {
            return false;
        }
        rows += size;
    }
    target_ = target(count + 1);
    const auto columns = static_cast<std::size_t>(out_.shape[out_.axes - 1]);
    const std::size_t bytes =
        static_cast<std::size_t>(rows) * columns * value_bytes(target_.element, target_.operation);
    rows_ = make_aligned(bytes / sizeof(double) + 1);
    return true;
}

void Write::run_grid() {
    const auto count = static_cast<int>(tables_.size());
    const auto columns = static_cast<std::size_t>(out_.shape[out_.axes - 1]);
    const std::size_t size = value_bytes(target_.element, target_.operation), row_bytes = columns * size;
    MergeCall merge{{}, {}, {}, {}, columns, target_};
    char* free = reinterpret_cast<char*>(rows_.get());
    for (int axis = 0; axis < count; ++axis) {
        const int place = out_.axes - 1 - count + axis;
        const auto length = static_cast<std::size_t>(out_.shape[place]);
        const auto step = static_cast<std::ptrdiff_t>(row_bytes);
        const Arrays rows{&free, step, static_cast<std::ptrdiff_t>(size)};
        const Element element = size == 8 ? Element::f64 : size == 4 ? Element::f32 : target_.element;
        active_level().run(tables_[static_cast<std::size_t>(axis)]->table(),
                           rows_of(placements_[static_cast<std::size_t>(axis)], 0, length),
                           {rows, rows, 1, 1, 0, 0, element, Operation::fill, 1.0, false}, workspace_->get());
        merge.parts.push_back(free);
        merge.lengths.push_back(length);
        merge.to_steps.push_back(out_.stride[place]);
        merge.from_steps.push_back(from_.stride[place]);
        free += length * row_bytes;
    }
    NoPoll poll;
    run_call(merge, 1, poll);
}

}  // namespace posenc::small
