#include "view.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace posenc::small {
namespace {

template <class T>
T load(const char* address) noexcept {
    T value;
    std::memcpy(&value, address, sizeof value);
    return value;
}

// What is no position in any case: a caller that checks refuses it.
constexpr double kRefused = std::numeric_limits<double>::quiet_NaN();

// Exact, or no number.
double exact(std::int64_t value) noexcept {
    const auto number = static_cast<double>(value);
    return std::abs(number) <= kLargest ? number : kRefused;
}

double exact(std::uint64_t value) noexcept {
    const auto number = static_cast<double>(value);
    return number <= kLargest ? number : kRefused;
}

// The bytes [first, last) that a view's elements lie in, from its address.
std::pair<std::int64_t, std::int64_t> extent(const View& view) noexcept {
    std::int64_t first = 0, last = view.size;
    for (int axis = 0; axis < view.axes; ++axis) {
        const std::int64_t reach = (view.shape[axis] - 1) * view.stride[axis];
        (reach < 0 ? first : last) += reach;
    }
    return {first, last};
}

}  // namespace

Element View::element() const noexcept {
    if (kind == Kind::brain) {
        return Element::bf16;
    }
    return size == 8 ? Element::f64 : size == 4 ? Element::f32 : Element::f16;
}

std::int64_t View::count() const noexcept {
    std::int64_t product = 1;
    for (int axis = 0; axis < axes; ++axis) {
        product *= shape[axis];
    }
    return product;
}

bool Values::are_numbers() const noexcept {
    return are_integers() || (view.kind == Kind::real && (view.size == 4 || view.size == 8));
}

double Values::at(const char* address) const noexcept {
    if (kept_) {
        return load<double>(address);
    }
    switch (view.kind) {
        case Kind::boolean:
            return *address != 0 ? 1.0 : 0.0;
        case Kind::integer:
            switch (view.size) {
                case 1:
                    return load<std::int8_t>(address);
                case 2:
                    return load<std::int16_t>(address);
                case 4:
                    return load<std::int32_t>(address);
                default:
                    return exact(load<std::int64_t>(address));
            }
        case Kind::natural:
            switch (view.size) {
                case 1:
                    return load<std::uint8_t>(address);
                case 2:
                    return load<std::uint16_t>(address);
                case 4:
                    return load<std::uint32_t>(address);
                default:
                    return exact(load<std::uint64_t>(address));
            }
        case Kind::real:
            return view.size == 4 ? static_cast<double>(load<float>(address)) : load<double>(address);
        default:
            return kRefused;
    }
}

void Values::keep_one(double value, Kind kind) noexcept {
    one = value;
    view.data = reinterpret_cast<char*>(&one);
    view.axes = 0;
    view.kind = kind;
    view.size = sizeof(double);
    kept_ = true;
}

void Values::keep_many(std::vector<double>&& values, Kind kind) noexcept {
    many = std::move(values);
    view.data = reinterpret_cast<char*>(many.data());
    view.axes = 1;
    view.shape[0] = static_cast<std::int64_t>(many.size());
    view.stride[0] = sizeof(double);
    view.kind = kind;
    view.size = sizeof(double);
    kept_ = true;
}

bool is_disjoint(const View& view) noexcept {
    int axes[kMostAxes], count = 0;  // of more than one element, by their strides
    const auto step = [&](int axis) { return std::abs(view.stride[axis]); };
    for (int axis = 0; axis < view.axes; ++axis) {
        if (view.shape[axis] > 1) {
            int place = count++;
            for (; place > 0 && step(axis) < step(axes[place - 1]); --place) {
                axes[place] = axes[place - 1];
            }
            axes[place] = axis;
        }
    }
    std::int64_t reach = view.size;
    for (int i = 0; i < count; ++i) {
        if (step(axes[i]) < reach) {
            return false;
        }
        reach += step(axes[i]) * (view.shape[axes[i]] - 1);
    }
    return true;
}

bool are_apart(const View& a, const View& b) noexcept {
    const auto [a_first, a_last] = extent(a);
    const auto [b_first, b_last] = extent(b);
    const auto a_data = reinterpret_cast<std::intptr_t>(a.data), b_data = reinterpret_cast<std::intptr_t>(b.data);
    return a_data + a_last <= b_data + b_first || b_data + b_last <= a_data + a_first;
}

bool is_same_shape(const View& a, const View& b) noexcept {
    return a.axes == b.axes && std::equal(a.shape, a.shape + a.axes, b.shape);
}

bool is_same_memory(const View& a, const View& b) noexcept {
    return a.data == b.data && is_same_shape(a, b) && std::equal(a.stride, a.stride + a.axes, b.stride);
}

}  // namespace posenc::small
