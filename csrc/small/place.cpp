#include "place.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace posenc::small {
namespace {

constexpr double kMasked = std::numeric_limits<double>::quiet_NaN();

// One value for each row of each sequence, and how its address changes along the axes of an array without channels.
struct Spread {
    explicit Spread(int axes) noexcept { std::fill_n(stride, axes, 0); }

    const Values* values = nullptr;
    const char* data = nullptr;
    std::int64_t stride[kMostAxes];
    int own = 0;  // of the leading axes, so many: beyond, no sequences differ

    double at(std::int64_t address) const noexcept { return values->at(data + address); }
};

// `values` for each of the first `axes` axes of `out`: an axis of length 1 stands for all.
bool fits(const Values& values, const View& out, int axes, Spread& spread) {
    const View& view = values.view;
    if (view.axes != axes) {
        return false;
    }
    for (int axis = 0; axis < axes; ++axis) {
        if (view.shape[axis] != 1 && view.shape[axis] != out.shape[axis]) {
            return false;
        }
        spread.stride[axis] = view.shape[axis] == 1 ? 0 : view.stride[axis];
        if (axis < out.axes - 2 && view.shape[axis] != 1) {
            spread.own = axis + 1;
        }
    }
    spread.values = &values;
    spread.data = view.data;
    return true;
}

// Values of rows: (L,), or for every sequence.
bool spread_rows(const Values& values, const View& out, Spread& spread) {
    const int row = out.axes - 2;
    if (values.view.axes == 1 && values.view.shape[0] == out.shape[row]) {
        spread.values = &values;
        spread.data = values.view.data;
        spread.stride[row] = values.view.stride[0];
        return true;
    }
    return fits(values, out, row + 1, spread);
}

// Starts of sequences: one, or one of each, perhaps with an axis of length 1 in the place of rows.
bool spread_starts(const Values& values, const View& out, Spread& spread) {
    const int row = out.axes - 2;
    if (values.view.axes == 0) {
        spread.values = &values;
        spread.data = values.view.data;
        return true;
    }
    return fits(values, out, values.view.axes == row + 1 && values.view.shape[row] == 1 ? row + 1 : row, spread);
}

// Calls visit(sequence, addresses of the spreads) for every sequence in C order, until it returns false.
template <std::size_t kSpreads, class Visit>
bool for_each_sequence(const View& out, const Spread* const (&spreads)[kSpreads], const Visit& visit) {
    std::int64_t index[kMostAxes]{}, address[kSpreads]{};
    for (std::size_t sequence = 0;; ++sequence) {
        if (!visit(sequence, address)) {
            return false;
        }
        int axis = out.axes - 3;
        for (; axis >= 0; --axis) {
            for (std::size_t i = 0; i < kSpreads; ++i) {
                address[i] += spreads[i]->stride[axis];
            }
            if (++index[axis] < out.shape[axis]) {
                break;
            }
            for (std::size_t i = 0; i < kSpreads; ++i) {
                address[i] -= spreads[i]->stride[axis] * index[axis];
            }
            index[axis] = 0;
        }
        if (axis < 0) {
            return true;
        }
    }
}

bool is_within(double position) noexcept { return std::abs(position) <= kLargest; }

// Whether a sequence may begin there, counting all its rows.
bool is_start(double start, double rows, double offset) noexcept {
    return is_within(start) && is_within(start + rows) && is_within(start + offset) && is_within(start + rows + offset);
}

bool has_integers(const Values& values) noexcept { return values.are_integers(); }

// The start of each packed sequence, counted on along all rows.
bool unpack(const Where& where, std::int64_t rows, double offset, std::vector<double>& positions) {
    const View& bounds = where.bounds->view;
    const View& starts = where.start.view;
    const std::int64_t sequences = bounds.axes == 1 ? bounds.shape[0] - 1 : -1;
    if (!has_integers(*where.bounds) || sequences < 0 || starts.axes > 1 ||
        (starts.axes == 1 && starts.shape[0] != 1 && starts.shape[0] != sequences)) {
        return false;
    }
    const auto bound = [&](std::int64_t i) { return where.bounds->at(bounds.data + i * bounds.stride[0]); };
    const std::int64_t step = starts.axes == 1 && starts.shape[0] != 1 ? starts.stride[0] : 0;
    double begin = bound(0);
    if (begin != 0.0 || bound(sequences) != static_cast<double>(rows)) {
        return false;
    }
    positions.resize(static_cast<std::size_t>(rows));
    for (std::int64_t i = 0; i < sequences; ++i) {
        const double end = bound(i + 1), start = where.start.at(starts.data + i * step);
        if (!(end >= begin && end <= static_cast<double>(rows)) || !is_start(start, end - begin, offset)) {
            return false;
        }
        const auto first = static_cast<std::size_t>(begin), last = static_cast<std::size_t>(end);
        for (std::size_t row = first; row < last; ++row) {
            positions[row] = start + static_cast<double>(row - first);
        }
        begin = end;
    }
    return true;
}

}  // namespace

bool place(const View& out, const Where& where, double offset, Placement& placement) {
    const std::int64_t rows = out.shape[out.axes - 2];
    const int row = out.axes - 2;
    const auto length = static_cast<std::size_t>(rows);
    Spread values(out.axes), real(out.axes);
    if (!where.start.are_numbers() ||
        (where.mask && (!where.mask->are_truths() || !spread_rows(*where.mask, out, real)))) {
        return false;
    }
    std::vector<double> packed;
    if (where.positions) {
        if (where.bounds || !where.positions->are_numbers() || !spread_rows(*where.positions, out, values)) {
            return false;
        }
    } else if (where.bounds) {
        if (!unpack(where, rows, offset, packed)) {
            return false;
        }
    } else if (!spread_starts(where.start, out, values)) {
        return false;
    }
    View shape = out;  // of the leading axes, only those along which sequences differ; rows and channels do not matter
    shape.axes = std::max(values.own, real.own) + 2;
    placement.groups = 1;
    for (int axis = 0; axis < shape.axes - 2; ++axis) {
        placement.groups *= static_cast<std::size_t>(out.shape[axis]);
    }
    const Spread* const spreads[] = {&values, &real};

    if (!where.positions && !where.bounds && !where.mask) {
        bool whole = offset == std::floor(offset);
        placement.positions.resize(placement.groups);
        if (!for_each_sequence(shape, spreads, [&](std::size_t group, const std::int64_t* address) {
                const double start = values.at(address[0]);
                whole = whole && start == std::floor(start);
                placement.positions[group] = start;
                return is_start(start, static_cast<double>(rows), offset);
            })) {
            return false;
        }
        if (offset == 0.0) {
            return true;
        }
        if (whole) {
            for (double& start : placement.positions) {
                start += offset;
            }
            return true;
        }
    }

    placement.starts = false;
    placement.positions.resize(placement.groups * length);
    return for_each_sequence(shape, spreads, [&](std::size_t group, const std::int64_t* address) {
        double* const positions = placement.positions.data() + group * length;
        const double start = values.values != nullptr && !where.positions ? values.at(address[0]) : 0.0;
        for (std::int64_t i = 0; i < rows; ++i) {
            if (where.mask) {
                const double truth = real.at(address[1] + i * real.stride[row]);
                if (truth != 1.0) {
                    if (truth != 0.0) {
                        return false;
                    }
                    positions[i] = kMasked;
                    placement.masked = true;
                    continue;
                }
            }
            const double bare = where.positions ? values.at(address[0] + i * values.stride[row])
                                : where.bounds  ? packed[static_cast<std::size_t>(i)]
                                                : start + static_cast<double>(i);
            positions[i] = bare + offset;
            if (!is_within(bare) || !is_within(positions[i])) {
                return false;
            }
        }
        return true;
    });
}

bool place_line(const Values& start, int axis, int count, std::int64_t size, double offset, Few<double>& line) {
    const View& view = start.view;
    if (!start.are_numbers() || view.axes > 1 || (view.axes == 1 && view.shape[0] != count)) {
        return false;
    }
    const double first = start.at(view.data + (view.axes == 1 ? axis * view.stride[0] : 0));
    if (!is_start(first, static_cast<double>(size), offset)) {
        return false;
    }
    line.resize(static_cast<std::size_t>(size));
    for (std::int64_t i = 0; i < size; ++i) {
        line[static_cast<std::size_t>(i)] = first + static_cast<double>(i) + offset;
    }
    return true;
}

}  // namespace posenc::small
