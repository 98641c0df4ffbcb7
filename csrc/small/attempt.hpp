// One small call: checked, and done if it is plain.
#pragma once

#include "../tuning.hpp"

#include <pybind11/pybind11.h>

#include "calls.hpp"
#include "lend.hpp"
#include "memo.hpp"

namespace posenc::small {

constexpr auto kMostElements = static_cast<std::int64_t>(kSmallElements);

enum class Done : std::uint8_t { no, yes, error };

// What a user says, beside the arrays.
struct Said {
    PyObject* start = nullptr;
    PyObject* positions = Py_None;
    PyObject* mask = Py_None;
    PyObject* bounds = Py_None;
    PyObject* x_scale = nullptr;  // null: 1.0
    PyObject* encoding = Py_None;
    PyObject* const* axes = nullptr;  // seq_axis, channel_axis; null: as they are by default
    PyObject* const* grid = nullptr;  // grid, prefix; null: there is none
    PyObject* inverse = nullptr;      // of a turn; null: something is added
};

// The object that Python has.
struct SmallCalls {
    PyObject_HEAD Lender* lender;
    Memo* memo;
    PyObject* resolve;
    TableOf table_of;
};

// Whether threads= and backend= leave the choice to posenc.
bool is_usual(PyObject* threads, PyObject* backend) noexcept;

// Writes PE to `to` or, unless `from` is null, from * x_scale + PE; given ids, `from` is a table of what they name;
// given `inverse`, `from` is turned.
// Done::error: a Python error is set.
Done attempt(SmallCalls& self, const Said& said, PyObject* from, PyObject* to, PyObject* ids = nullptr);

}  // namespace posenc::small
