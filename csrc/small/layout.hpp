// Which axes of an array positions run along, as python/posenc/_where.py has it: for what needs no explanation. No
// Python.
#pragma once

#include "view.hpp"

namespace posenc::small {

// What a user says of the axes of an array.
struct Layout {
    Layout() noexcept {}  // NOLINT(modernize-use-equals-default): as View

    bool usual = true;  // nothing
    std::int64_t channel = -1;
    int sequence_axes = 0;  // 0: those that are usual
    std::int64_t sequence[kMostAxes];
    int grid_axes = 0;  // 0: the rows are no grid
    std::int64_t grid[kMostAxes], prefix = 0;
};

// The axes of an array as they are taken here: leading ones, those of positions, channels.
struct Order {
    int axes = 0, axis[kMostAxes]{};
};

// The axis of channels, or -1.
int channel_of(const Layout& layout, const View& view) noexcept;

// False: what was said is wrong, or may be.
bool find_order(const Layout& layout, const View& view, int encoding_axes, Order& order) noexcept;

View in_order(const View& view, const Order& order) noexcept;

// The same for values of the rows, without channels; other values stay as they are.
void put_in_order(Values& values, const Order& order) noexcept;

// Makes the cells of a grid of the rows of a view that is in order; `head` has the rows before them.
bool split_rows(const Layout& layout, View& view, View& head) noexcept;

}  // namespace posenc::small
