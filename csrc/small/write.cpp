#include "write.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "../dispatch.hpp"

namespace posenc::small {
namespace {

constexpr std::size_t kLineDoubles = 8;

// The addresses of the arrays that a view consists of along its first axes, in C order.
void set_addresses(const View& view, int axes, Few<char*>& addresses) {
    std::size_t count = 1;
    for (int axis = 0; axis < axes; ++axis) {
        count *= static_cast<std::size_t>(view.shape[axis]);
    }
    addresses.resize(count);
    char** const address = addresses.data();
    *address = view.data;
    std::size_t done = 1;  // of the last axes, the last one first: an axis repeats them
    for (int axis = axes - 1; axis >= 0; --axis) {
        for (std::int64_t i = 1; i < view.shape[axis]; ++i) {
            for (std::size_t j = 0; j < done; ++j) {
                address[static_cast<std::size_t>(i) * done + j] = address[j] + i * view.stride[axis];
            }
        }
        done *= static_cast<std::size_t>(view.shape[axis]);
    }
}

// A call is too small for signals to be looked at.
struct NoPoll : Poll {
    bool go_on() noexcept override { return true; }
};

}  // namespace

Write::Write(const View& out, const View& from, Operation operation, double scale, bool inverse)
    : out_(out), from_(from), operation_(operation), scale_(scale), inverse_(inverse) {}

bool Write::prepare(const Encoding& encoding, const Where& where) {
    axes_ = &encoding.axes;
    pairs_ = encoding.pairs ? &*encoding.pairs : nullptr;
    where_ = &where;
    std::size_t size = 0, turning = 0;
    for (const Axis& axis : *axes_) {
        size = std::max(size, workspace_size(axis.table->table()));
    }
    if ((operation_ == Operation::turn && !can_turn()) ||
        !(axes_->size() == 1 ? prepare_rows(where) : prepare_grid(where))) {
        return false;
    }
    if (operation_ == Operation::turn) {
        const auto elements = static_cast<std::size_t>(out_.shape[out_.axes - 2] * out_.shape[out_.axes - 1]);
        turning = placement_.groups * elements * value_bytes(target_.element, target_.operation) / sizeof(double) + 1;
        size = (size + kLineDoubles - 1) / kLineDoubles * kLineDoubles;
    }
    workspace_.emplace(size + turning, true);
    turning_ = reinterpret_cast<char*>(workspace_->get() + size);
    return true;
}

// Encodings over several axes are left to Python; so are columns without a partner, which it copies where rows are not
// written in place.
bool Write::can_turn() const noexcept {
    if (pairs_ == nullptr || axes_->size() != 1 || (inverse_ && !pairs_->unscaled)) {
        return false;
    }
    std::size_t paired = 0;
    for (const PairRun& run : pairs_->runs) {
        paired += 2 * run.count;
    }
    return paired != 0 && (paired == axes_->front().table->table().columns || is_same_memory(out_, from_));
}

Target Write::target(int inner) {
    set_addresses(out_, out_.axes - inner, to_addresses_);
    char* const* from = to_addresses_.data();
    if ((operation_ == Operation::add || operation_ == Operation::turn) && from_.data != out_.data) {
        set_addresses(from_, from_.axes - inner, from_addresses_);
        from = from_addresses_.data();
    }
    const int row = out_.axes - 2, column = out_.axes - 1;
    return {{to_addresses_.data(), out_.stride[row], out_.stride[column]},
            {from, from_.stride[row], from_.stride[column]},
            to_addresses_.size(),
            1,
            0,
            0,
            out_.element(),
            operation_,
            scale_,
            false};
}

void Write::run() {
    if (axes_->size() != 1) {
        run_grid();
    } else if (operation_ == Operation::turn) {
        turn_rows();
    } else {
        run_rows();
    }
    const View& head = where_->head_to;
    if (head.axes != 0 && head.count() > 0 &&
        !(operation_ == Operation::add && is_same_memory(head, where_->head_from))) {
        write_head(head, where_->head_from);
    }
}

// An axis's columns of rows, one after the other, of the values that are merged, or turn elements.
void Write::make_rows(const Axis& axis, const Rows& rows, char* to) const noexcept {
    const std::size_t size = value_bytes(target_.element, target_.operation);
    const Element element = size == 8 ? Element::f64 : size == 4 ? Element::f32 : target_.element;
    const std::size_t row_bytes = static_cast<std::size_t>(out_.shape[out_.axes - 1]) * size;
    to += axis.first_column * size;
    const Arrays all{&to, static_cast<std::ptrdiff_t>(row_bytes), static_cast<std::ptrdiff_t>(size)};
    active_level().run(axis.table->table(), rows, {all, all, 1, 1, 0, 0, element, Operation::fill, 1.0, false},
                       workspace_->get());
}

// Rows without a position are 0, or those of x.
void Write::write_head(const View& head, const View& head_from) const noexcept {
    std::int64_t index[kMostAxes]{};
    char* to = head.data;
    const char* from = head_from.data;
    const auto size = static_cast<std::size_t>(head.size);
    for (std::int64_t left = head.count(); left > 0; --left) {
        if (operation_ == Operation::add) {
            std::memcpy(to, from, size);
        } else {
            std::memset(to, 0, size);
        }
        for (int axis = head.axes - 1; axis >= 0; --axis) {
            to += head.stride[axis];
            from += head_from.stride[axis];
            if (++index[axis] < head.shape[axis]) {
                break;
            }
            to -= head.stride[axis] * index[axis];
            from -= head_from.stride[axis] * index[axis];
            index[axis] = 0;
        }
    }
}

// ---- one axis -------------------------------------------------------------------------------------------------------

bool Write::prepare_rows(const Where& where) {
    if (!place(out_, where, axes_->front().offset, placement_)) {
        return false;
    }
    target_ = target(2);
    return true;
}

bool Write::look_up(const Values& ids) {
    const View& view = ids.view;
    View rows = out_;
    --rows.axes;
    if (!ids.are_integers() || !is_same_shape(view, rows)) {
        return false;
    }
    const auto length = static_cast<std::size_t>(rows.shape[rows.axes - 1]);
    const std::size_t shared = target_.count / placement_.groups * length;  // rows of the arrays of a group
    const auto known = static_cast<double>(from_.shape[0]);
    ids_.resize(static_cast<std::size_t>(rows.count()));
    std::int64_t index[kMostAxes]{};
    const char* address = view.data;
    for (std::size_t row = 0; row < ids_.size(); ++row) {
        const std::size_t position = row / shared * length + row % length;
        if (placement_.masked && std::isnan(placement_.positions[position])) {
            ids_[row] = -1;
        } else if (const double id = ids.at(address); id >= 0.0 && id < known) {
            ids_[row] = static_cast<std::int64_t>(id);
        } else {
            return false;
        }
        for (int axis = view.axes - 1; axis >= 0; --axis) {
            address += view.stride[axis];
            if (++index[axis] < view.shape[axis]) {
                break;
            }
            address -= view.stride[axis] * index[axis];
            index[axis] = 0;
        }
    }
    from_addresses_.resize(target_.count);
    for (std::size_t array = 0; array < target_.count; ++array) {
        from_addresses_[array] = reinterpret_cast<char*>(ids_.data() + array * length);
    }
    target_.from = {from_addresses_.data(), sizeof(std::int64_t), from_.stride[1]};
    target_.embeddings = {from_.data, from_.stride[0], reinterpret_cast<const char*>(ids_.data() + ids_.size())};
    return true;
}

void Write::run_rows() noexcept {
    if (placement_.masked && operation_ == Operation::add && !is_same_memory(out_, from_)) {
        copy_masked();
    }
    const Run kernel = active_level().run;
    const auto rows = static_cast<std::size_t>(out_.shape[out_.axes - 2]);
    const std::size_t arrays = target_.count / placement_.groups;
    const double* const positions = placement_.positions.data();
    if (rows == 1 && arrays == 1) {
        if (const auto one = as_rows(target_)) {
            kernel(axes_->front().table->table(), {positions, 0.0, 0, placement_.groups}, *one, workspace_->get());
            return;
        }
    }
    for (std::size_t group = 0; group < placement_.groups; ++group) {
        Target part = target_;
        part.to.address += group * arrays;
        part.from.address += group * arrays;
        part.count = arrays;
        kernel(
            axes_->front().table->table(),
            placement_.starts ? Rows{nullptr, positions[group], 0, rows} : Rows{positions + group * rows, 0.0, 0, rows},
            part, workspace_->get());
    }
}

// The rows of each group are made, then its arrays are turned by them.
void Write::turn_rows() noexcept {
    if (placement_.masked && !is_same_memory(out_, from_)) {
        copy_masked();
    }
    const Axis& axis = axes_->front();
    const auto rows = static_cast<std::size_t>(out_.shape[out_.axes - 2]);
    const std::size_t groups = placement_.groups, arrays = target_.count / groups,
                      columns = axis.table->table().columns;
    const std::size_t size = value_bytes(target_.element, target_.operation), row_bytes = columns * size;
    const double* const positions = placement_.positions.data();
    if (!placement_.starts || rows == 1) {  // a list
        make_rows(axis, {positions, 0.0, 0, groups * rows}, turning_);
    } else {
        for (std::size_t group = 0; group < groups; ++group) {
            make_rows(axis, {nullptr, positions[group], 0, rows}, turning_ + group * rows * row_bytes);
        }
    }
    const Turn kernel = active_level().turn;
    for (std::size_t row = 0; placement_.masked && row < groups * rows; ++row) {
        if (std::isnan(positions[row])) {
            std::memset(turning_ + row * row_bytes, 0xFF, size);  // NaN, which masks a row
        }
    }
    for (std::size_t group = 0; group < groups; ++group) {
        Target part = target_;
        part.to.address += group * arrays;
        part.from.address += group * arrays;
        part.count = arrays;
        kernel({turning_ + group * rows * row_bytes, rows, columns, pairs_->runs.data(), pairs_->runs.size(), inverse_},
               part);
    }
}

// Rows without a position are those of x.
void Write::copy_masked() const noexcept {
    const std::int64_t rows = out_.shape[out_.axes - 2], columns = out_.shape[out_.axes - 1];
    const std::size_t arrays = target_.count / placement_.groups;
    for (std::size_t array = 0; array < target_.count; ++array) {
        const double* const positions = placement_.positions.data() + array / arrays * static_cast<std::size_t>(rows);
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

bool Write::prepare_grid(const Where& where) {
    const auto count = static_cast<int>(axes_->size());
    if (where.positions || where.mask || where.bounds || out_.axes < count + 1) {
        return false;
    }
    std::int64_t rows = 0;
    lines_ = std::vector<Few<double>>(axes_->size());
    for (int axis = 0; axis < count; ++axis) {
        const std::int64_t size = out_.shape[out_.axes - 1 - count + axis];
        if (!place_line(where.start, axis, count, size, (*axes_)[static_cast<std::size_t>(axis)].offset,
                        lines_[static_cast<std::size_t>(axis)])) {
            return false;
        }
        rows += size;
    }
    target_ = target(count + 1);
    const auto columns = static_cast<std::size_t>(out_.shape[out_.axes - 1]);
    const std::size_t bytes =
        static_cast<std::size_t>(rows) * columns * value_bytes(target_.element, target_.operation);
    const std::size_t doubles = bytes / sizeof(double) + 1;
    rows_ = make_aligned(doubles);
    std::fill_n(rows_.get(), doubles, 0.0);  // in the columns of the other axes
    return true;
}

void Write::run_grid() {
    const auto count = static_cast<int>(axes_->size());
    const auto columns = static_cast<std::size_t>(out_.shape[out_.axes - 1]);
    const std::size_t size = value_bytes(target_.element, target_.operation), row_bytes = columns * size;
    MergeCall merge{{}, 1, {}, {}, {}, columns, target_};
    char* free = reinterpret_cast<char*>(rows_.get());
    for (int axis = 0; axis < count; ++axis) {
        const int place = out_.axes - 1 - count + axis;
        const auto length = static_cast<std::size_t>(out_.shape[place]);
        const auto a = static_cast<std::size_t>(axis);
        make_rows((*axes_)[a], {lines_[a].data(), 0.0, 0, length}, free);
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
