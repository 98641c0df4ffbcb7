#include "layout.hpp"

#include <algorithm>

namespace posenc::small {

int channel_of(const Layout& layout, const View& view) noexcept {
    const std::int64_t channel = layout.channel < 0 ? layout.channel + view.axes : layout.channel;
    return channel >= 0 && channel < view.axes ? static_cast<int>(channel) : -1;
}

bool find_order(const Layout& layout, const View& view, int encoding_axes, Order& order) noexcept {
    const int channel = channel_of(layout, view);
    const int wanted = layout.grid_axes != 0 ? 1 : encoding_axes;
    if (channel < 0 || view.axes < wanted + 1 || (layout.grid_axes != 0 && layout.grid_axes != encoding_axes)) {
        return false;
    }
    bool inner[kMostAxes]{};
    if (layout.sequence_axes != 0) {
        if (layout.sequence_axes != wanted) {
            return false;
        }
        int last = -1;
        for (int i = 0; i < wanted; ++i) {
            const std::int64_t axis = layout.sequence[i] < 0 ? layout.sequence[i] + view.axes : layout.sequence[i];
            if (axis <= last || axis >= view.axes || axis == channel) {
                return false;
            }
            last = static_cast<int>(axis);
            inner[last] = true;
        }
    } else {
        if (wanted > 1 && view.axes == wanted + 1) {  // one grid, or a batch of sequences?
            return false;
        }
        for (int axis = view.axes - 1, left = wanted; left > 0; --axis) {
            if (axis != channel) {
                inner[axis] = true;
                --left;
            }
        }
    }
    order.axes = 0;
    for (const bool side : {false, true}) {
        for (int axis = 0; axis < view.axes; ++axis) {
            if (axis != channel && inner[axis] == side) {
                order.axis[order.axes++] = axis;
            }
        }
    }
    order.axis[order.axes++] = channel;
    return true;
}

View in_order(const View& view, const Order& order) noexcept {
    View result = view;
    for (int axis = 0; axis < order.axes; ++axis) {
        result.shape[axis] = view.shape[order.axis[axis]];
        result.stride[axis] = view.stride[order.axis[axis]];
    }
    return result;
}

void put_in_order(Values& values, const Order& order) noexcept {
    if (values.view.axes != order.axes - 1) {
        return;
    }
    Order outer{order.axes - 1, {}};
    const int channel = order.axis[order.axes - 1];
    for (int axis = 0; axis < outer.axes; ++axis) {
        outer.axis[axis] = order.axis[axis] - (order.axis[axis] > channel ? 1 : 0);
    }
    values.view = in_order(values.view, outer);
}

bool split_rows(const Layout& layout, View& view, View& head) noexcept {
    const int rows = view.axes - 2, more = layout.grid_axes - 1;
    std::int64_t cells = 1;
    for (int axis = 0; axis < layout.grid_axes; ++axis) {
        if (layout.grid[axis] < 1 || layout.grid[axis] > view.shape[rows] / cells) {
            return false;
        }
        cells *= layout.grid[axis];
    }
    if (view.axes + more > kMostAxes || layout.prefix != view.shape[rows] - cells) {
        return false;
    }
    head = view;
    head.shape[rows] = layout.prefix;
    std::int64_t stride = view.stride[rows];
    view.data += layout.prefix * stride;
    view.axes += more;
    view.shape[view.axes - 1] = head.shape[rows + 1];
    view.stride[view.axes - 1] = head.stride[rows + 1];
    for (int axis = layout.grid_axes - 1; axis >= 0; --axis) {
        view.shape[rows + axis] = layout.grid[axis];
        view.stride[rows + axis] = stride;
        stride *= layout.grid[axis];
    }
    return true;
}

}  // namespace posenc::small
