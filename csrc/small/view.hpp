// Memory that somebody lends, and numbers in it. No Python.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../kernel.hpp"

namespace posenc::small {

constexpr int kMostAxes = 8;  // arrays with more are no everyday calls

enum class Kind : std::uint8_t { boolean, integer, natural, real, brain };  // brain: bfloat16

// An array of any strides, in bytes. Valid as long as no Python code runs.
struct View {
    View() noexcept {}  // NOLINT(modernize-use-equals-default): zeros for eight axes take longer than a check

    char* data = nullptr;
    int axes = 0;
    std::int64_t shape[kMostAxes], stride[kMostAxes];
    Kind kind{};
    int size = 0;  // of an element
    bool writeable = false;

    bool is_float() const noexcept { return kind == Kind::brain || (kind == Kind::real && size <= 8); }
    Element element() const noexcept;
    std::int64_t count() const noexcept;
};

// A view of what somebody lends, or of a few numbers that are kept here.
struct Values {
    View view;
    double one = 0.0;                   // of a number
    std::vector<double> many;           // of a list
    bool are_numbers() const noexcept;  // of the dtypes that positions may have
    bool are_truths() const noexcept { return view.kind <= Kind::natural; }
    bool are_integers() const noexcept { return view.kind == Kind::integer || view.kind == Kind::natural; }

    // A number by its address.
    double at(const char* address) const noexcept;
    void keep_one(double value, Kind kind) noexcept;
    void keep_many(std::vector<double>&& values, Kind kind) noexcept;

private:
    bool kept_ = false;  // as doubles, whatever their kind is
};

constexpr double kLargest = 4503599627370496.0;  // 2^52: positions beyond need the longer checks in Python

// Whether elements share no memory. Exact for every view made by slicing and transposing.
bool is_disjoint(const View& view) noexcept;

// Whether two views can't share memory.
bool are_apart(const View& a, const View& b) noexcept;

bool is_same_memory(const View& a, const View& b) noexcept;
bool is_same_shape(const View& a, const View& b) noexcept;

}  // namespace posenc::small
