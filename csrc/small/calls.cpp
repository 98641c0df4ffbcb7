// A row takes longer to check in Python than to compute. Here calls are checked that need no explanation; what is not
// plain, or wrong, is left to Python, which does it, or explains. Nothing is written before everything is checked.
//
// Order matters: what may run Python code comes first, views of memory come after it, and are used at once. Where
// Python code had to run after all, memory is viewed again.
#include "calls.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <new>
#include <optional>
#include <vector>

#include "../faults.hpp"
#include "../gil.hpp"
#include "lend.hpp"
#include "memo.hpp"
#include "write.hpp"

namespace py = pybind11;

namespace posenc {
namespace {

using namespace small;

constexpr std::int64_t kSmallElements = 1 << 18;
constexpr std::int64_t kTinyElements = 1 << 12;  // a microsecond: not worth letting other threads run
constexpr long kMostThreads = 1 << 16;

enum class Done : std::uint8_t { no, yes, error };

// What a user says, beside the arrays.
struct Said {
    PyObject* start = nullptr;
    PyObject* positions = Py_None;
    PyObject* mask = Py_None;
    PyObject* bounds = Py_None;
    PyObject* x_scale = nullptr;  // null: 1.0
    PyObject* encoding = Py_None;
};

TableOf table_of = nullptr;

bool is_integer(PyObject* object, long value) noexcept {
    if (!PyLong_CheckExact(object)) {
        return false;
    }
    int overflow = 0;
    return PyLong_AsLongAndOverflow(object, &overflow) == value && overflow == 0;
}

// Whether threads= and backend= leave the choice to posenc.
bool is_usual(PyObject* threads, PyObject* backend) noexcept {
    if (backend != Py_None) {
        return false;
    }
    if (threads == Py_None) {
        return true;
    }
    int overflow = 0;
    const long number = PyLong_CheckExact(threads) ? PyLong_AsLongAndOverflow(threads, &overflow) : 0;
    return overflow == 0 && number >= 1 && number <= kMostThreads;
}

// The keywords from seq_axis to backend, as most calls leave them.
bool are_usual(PyObject* const* keywords) noexcept {
    return keywords[0] == Py_None && is_integer(keywords[1], -1) && keywords[2] == Py_None &&
           is_integer(keywords[3], 0) && is_usual(keywords[4], keywords[5]);
}

// x_scale, rounded to what sums are computed in.
std::optional<double> scale_of(PyObject* said, const View& out) noexcept {
    if (said == nullptr) {
        return 1.0;
    }
    double factor = 0.0;
    if (PyFloat_CheckExact(said)) {
        factor = PyFloat_AS_DOUBLE(said);
    } else if (const auto integer = small_integer(said)) {
        factor = *integer;
    } else if (PyUnicode_CheckExact(said) && PyUnicode_CompareWithASCIIString(said, "sqrt_dim") == 0) {
        factor = std::sqrt(static_cast<double>(out.shape[out.axes - 1]));
    } else {
        return std::nullopt;
    }
    if (out.element() != Element::f64) {
        factor = static_cast<double>(static_cast<float>(factor));
    }
    return std::isfinite(factor) ? std::optional(factor) : std::nullopt;
}

struct SmallCalls {
    PyObject_HEAD Lender* lender;
    Memo* memo;
    PyObject* resolve;
};

// Asks Python what an encoding is. It may also tell nothing: what it refuses, it will refuse again.
Done learn(SmallCalls& self, PyObject* encoding, std::int64_t columns, Known& learned) {
    PyObject* const dim = PyLong_FromLongLong(columns);
    PyObject* const answer =
        dim == nullptr ? nullptr : PyObject_CallFunctionObjArgs(self.resolve, encoding, dim, nullptr);
    Py_XDECREF(dim);
    if (answer == nullptr) {
        if (PyErr_ExceptionMatches(PyExc_ValueError) || PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Clear();
            return Done::no;
        }
        return Done::error;
    }
    const auto kept = py::reinterpret_steal<py::object>(answer);
    if (kept.is_none()) {
        return Done::no;
    }
    const auto [axes, bytes] = kept.cast<std::tuple<std::vector<std::tuple<py::object, double>>, std::size_t>>();
    const auto known = std::make_shared<Axes>();
    for (const auto& [table, offset] : axes) {
        known->push_back({table_of(table), offset});
    }
    self.memo->keep(encoding, static_cast<std::size_t>(columns), known, bytes);
    learned = known;
    return Done::yes;
}

// One call: its arguments, once Python has said what there is to say about them.
class SmallCall {
public:
    SmallCall(SmallCalls& self, const Said& said, PyObject* from, PyObject* to)
        : self_(self), said_(said), from_(from), to_(to) {}

    Done go() {
        if (said_.positions != Py_None && !(is_integer(said_.start, 0) && said_.bounds == Py_None)) {
            return Done::no;
        }
        if (!prepare() || !view_out()) {
            return Done::no;
        }
        const std::int64_t before = columns();
        known_ = self_.memo->find(said_.encoding, static_cast<std::size_t>(before));
        if (known_ == nullptr) {
            const Done done = learn(self_, said_.encoding, before, known_);
            if (done != Done::yes) {
                return done;
            }
            if (!prepare() || !view_out() || columns() != before) {  // Python code has run
                return Done::no;
            }
        }
        return check_and_write();
    }

private:
    std::int64_t columns() const noexcept { return out_.shape[out_.axes - 1]; }

    bool prepare() {
        Lender& lender = *self_.lender;
        return lender.prepare(to_, true, lent_to_) &&
               (from_ == nullptr || from_ == to_ || lender.prepare(from_, false, lent_from_)) &&
               lender.prepare(said_.start, false, lent_start_) &&
               (said_.positions == Py_None || lender.prepare(said_.positions, false, lent_positions_)) &&
               (said_.mask == Py_None || lender.prepare(said_.mask, false, lent_mask_)) &&
               (said_.bounds == Py_None || lender.prepare(said_.bounds, false, lent_bounds_));
    }

    bool view_out() noexcept {
        return self_.lender->view(lent_to_, out_) && out_.writeable && out_.axes >= 2 && out_.count() <= kSmallElements;
    }

    bool read(std::optional<Values>& values, PyObject* said, const Lent& lent) {
        return said == Py_None || self_.lender->read(lent, values.emplace());
    }

    Done check_and_write() {
        if (!is_disjoint(out_)) {
            return Done::no;
        }
        old_ = out_;
        if (from_ != nullptr && from_ != to_) {
            if (!self_.lender->view(lent_from_, old_) || !is_same_shape(old_, out_) || old_.kind != out_.kind ||
                old_.size != out_.size || !(is_same_memory(old_, out_) || are_apart(old_, out_))) {
                return Done::no;
            }
        }
        const auto scale = scale_of(from_ == nullptr ? nullptr : said_.x_scale, out_);
        Where where;
        if (!scale || !self_.lender->read(lent_start_, where.start) ||
            !read(where.positions, said_.positions, lent_positions_) || !read(where.mask, said_.mask, lent_mask_) ||
            !read(where.bounds, said_.bounds, lent_bounds_)) {
            return Done::no;
        }
        const Fallible fallible;
        Write write(out_, old_, from_ != nullptr, *scale);
        if (!write.prepare(*known_, where)) {
            return Done::no;
        }
        if (lent_to_.end != 0) {
            if (!self_.lender->torch.count_version(to_)) {
                return Done::error;
            }
            if (!is_still_there()) {
                return Done::no;
            }
        }
        std::optional<WithoutGil> released;  // not of a tensor, whose memory another thread may free
        if (out_.count() > kTinyElements && lent_to_.end == 0 && lent_from_.end == 0) {
            released.emplace();
        }
        write.run();
        return Done::yes;
    }

    // Whether memory is where it was before Python code could run.
    bool is_still_there() noexcept {
        View out, old;
        if (!self_.lender->view(lent_to_, out) || !is_same_memory(out, out_)) {
            return false;
        }
        return from_ == nullptr || from_ == to_ || (self_.lender->view(lent_from_, old) && is_same_memory(old, old_));
    }

    SmallCalls& self_;
    const Said& said_;
    PyObject *from_, *to_;  // from: null to fill
    Lent lent_from_, lent_to_, lent_start_, lent_positions_, lent_mask_, lent_bounds_;
    View out_, old_;
    Known known_;
};

Done attempt(SmallCalls& self, const Said& said, PyObject* from, PyObject* to) {
    try {
        return SmallCall(self, said, from, to).go();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (py::error_already_set& error) {
        error.restore();
    }
    return Done::error;
}

PyObject* truth(Done done) { return done == Done::error ? nullptr : PyBool_FromLong(done == Done::yes ? 1 : 0); }

bool has_count(Py_ssize_t count, Py_ssize_t wanted) {
    if (count == wanted) {
        return true;
    }
    PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", wanted, count);
    return false;
}

// ---- methods --------------------------------------------------------------------------------------------------------

PyObject* fill(SmallCalls* self, PyObject* const* a, Py_ssize_t count) {
    if (!has_count(count, 12)) {
        return nullptr;
    }
    if (!are_usual(a + 6)) {
        Py_RETURN_FALSE;
    }
    return truth(attempt(*self, {a[1], a[2], a[3], a[4], nullptr, a[5]}, nullptr, a[0]));
}

PyObject* add_in_place(SmallCalls* self, PyObject* const* a, Py_ssize_t count) {
    if (!has_count(count, 13)) {
        return nullptr;
    }
    if (!are_usual(a + 7)) {
        Py_RETURN_FALSE;
    }
    return truth(attempt(*self, {a[1], a[2], a[3], a[4], a[5], a[6]}, a[0], a[0]));
}

// The array that a call wrote, or None.
PyObject* written(Done done, PyObject* array) {
    if (done == Done::yes) {
        return array;
    }
    Py_DECREF(array);
    return done == Done::error ? nullptr : Py_NewRef(Py_None);
}

PyObject* add(SmallCalls* self, PyObject* const* a, Py_ssize_t count) {
    if (!has_count(count, 14)) {
        return nullptr;
    }
    Lent lent;
    View x;
    Lender& lender = *self->lender;
    if (!are_usual(a + 8) || !lender.prepare(a[0], false, lent) || !lender.view(lent, x) ||
        x.count() > kSmallElements) {
        Py_RETURN_NONE;
    }
    PyObject* const out = a[1] != Py_None ? Py_NewRef(a[1])
                          : lent.end != 0 ? lender.torch.empty_like(a[0])
                                          : lender.empty_like(a[0]);
    return out == nullptr ? nullptr : written(attempt(*self, {a[2], a[3], a[4], a[5], a[6], a[7]}, a[0], out), out);
}

// The shape of the rows that `encode` is told, and whether it is told a length; 0 axes: not here.
int shape_of(Lender& lender, PyObject* positions, std::int64_t* shape, bool& length) {
    Lent lent;
    Values values;
    if (!lender.prepare(positions, false, lent) || !lender.read(lent, values)) {
        return 0;
    }
    const View& view = values.view;
    length = lent.number;
    if (length) {
        const double rows = values.at(view.data);
        shape[0] = static_cast<std::int64_t>(rows);
        return values.are_integers() && rows >= 1.0 ? 1 : 0;
    }
    std::copy_n(view.shape, view.axes, shape);
    return view.axes < kMostAxes ? view.axes : 0;
}

PyObject* new_tensor(Lender& lender, const std::int64_t* shape, int axes, PyObject* dtype) {
    py::tuple sizes(static_cast<std::size_t>(axes));
    for (int axis = 0; axis < axes; ++axis) {
        sizes[static_cast<std::size_t>(axis)] = shape[axis];
    }
    return lender.torch.empty(sizes.ptr(), dtype);
}

// A new array; null, without an error, for what Python explains.
PyObject* make(Lender& lender, const std::int64_t* shape, int axes, PyObject* dtype) {
    PyObject* out = lender.empty(shape, axes, dtype);
    if (out == nullptr && PyErr_Occurred() == nullptr && lender.torch.is_dtype(dtype)) {
        out = new_tensor(lender, shape, axes, dtype);
    }
    if (out == nullptr && PyErr_Occurred() != nullptr && PyErr_ExceptionMatches(PyExc_MemoryError) == 0) {
        PyErr_Clear();
    }
    return out;
}

PyObject* encode(SmallCalls* self, PyObject* const* a, Py_ssize_t count) {
    if (!has_count(count, 9)) {
        return nullptr;
    }
    try {
        std::int64_t shape[kMostAxes]{};
        bool length = false;
        const auto dim = small_integer(a[1]);
        int axes = dim && *dim >= 1.0 && is_usual(a[7], a[8]) ? shape_of(*self->lender, a[0], shape, length) : 0;
        if (axes == 0) {
            Py_RETURN_NONE;
        }
        shape[axes++] = static_cast<std::int64_t>(*dim);
        double elements = 1.0;
        std::for_each(shape, shape + axes, [&](std::int64_t n) { elements *= static_cast<double>(n); });
        if (elements > static_cast<double>(kSmallElements)) {
            Py_RETURN_NONE;
        }
        PyObject* const out = make(*self->lender, shape, axes, a[6]);
        if (out == nullptr) {
            return PyErr_Occurred() == nullptr ? Py_NewRef(Py_None) : nullptr;
        }
        return written(attempt(*self, {a[2], length ? Py_None : a[0], a[3], a[4], nullptr, a[5]}, nullptr, out), out);
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (py::error_already_set& error) {
        error.restore();
    }
    return nullptr;
}

// Counts real rows along the last axis. False: a mask has other values than 0 and 1.
bool count_rows(const Values& mask, std::int64_t* to, std::int64_t start, std::int64_t padding) {
    const View& view = mask.view;
    const std::int64_t length = view.shape[view.axes - 1], step = view.stride[view.axes - 1];
    std::int64_t index[kMostAxes]{};
    const char* row = view.data;
    for (std::int64_t left = view.count() / length; left > 0; --left) {
        std::int64_t next = start;
        for (std::int64_t i = 0; i < length; ++i) {
            const double truth = mask.at(row + i * step);
            if (truth != 0.0 && truth != 1.0) {
                return false;
            }
            *to++ = truth != 0.0 ? next++ : padding;
        }
        for (int axis = view.axes - 2; axis >= 0; --axis) {
            row += view.stride[axis];
            if (++index[axis] < view.shape[axis]) {
                break;
            }
            row -= view.stride[axis] * index[axis];
            index[axis] = 0;
        }
    }
    return true;
}

// positions_from_mask.
PyObject* count(SmallCalls* self, PyObject* const* a, Py_ssize_t count) {
    if (!has_count(count, 3)) {
        return nullptr;
    }
    Lender& lender = *self->lender;
    Lent lent, made;
    Values mask, again, result;
    const auto start = small_integer(a[1]), padding = small_integer(a[2]);
    try {
        if (!start || !padding || !lender.prepare(a[0], false, lent) || !lender.read(lent, mask)) {
            Py_RETURN_NONE;
        }
        const View& view = mask.view;
        if (!mask.are_truths() || view.axes == 0 || view.count() > kSmallElements ||
            std::abs(*start) + static_cast<double>(view.shape[view.axes - 1]) > kLargest) {
            Py_RETURN_NONE;
        }
        PyObject* const array = lent.end != 0 ? new_tensor(lender, view.shape, view.axes, lender.torch.int64())
                                              : lender.empty_integers(view.shape, view.axes);
        if (array == nullptr) {
            return nullptr;
        }
        const bool done = lender.prepare(array, false, made) && lender.read(lent, again) &&
                          is_same_shape(again.view, view) && again.are_truths() && lender.read(made, result) &&
                          is_same_shape(result.view, view) &&
                          count_rows(again, reinterpret_cast<std::int64_t*>(result.view.data),
                                     static_cast<std::int64_t>(*start), static_cast<std::int64_t>(*padding));
        return written(done ? Done::yes : Done::no, array);
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (py::error_already_set& error) {
        error.restore();
    }
    return nullptr;
}

PyObject* forget(SmallCalls* self, PyObject* /*none*/) {
    self->memo->clear();
    Py_RETURN_NONE;
}

// ---- the class ------------------------------------------------------------------------------------------------------

PyObject* make_calls(PyTypeObject* type, PyObject* arguments, PyObject* /*keywords*/) {
    PyObject* resolve = nullptr;
    if (PyArg_ParseTuple(arguments, "O", &resolve) == 0) {
        return nullptr;
    }
    try {
        auto lender = std::make_unique<Lender>();
        auto memo = std::make_unique<Memo>();
        auto* const self = reinterpret_cast<SmallCalls*>(type->tp_alloc(type, 0));
        if (self != nullptr) {
            self->lender = lender.release();
            self->memo = memo.release();
            self->resolve = Py_NewRef(resolve);
        }
        return reinterpret_cast<PyObject*>(self);
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (py::error_already_set& error) {
        error.restore();
    }
    return nullptr;
}

void end_calls(SmallCalls* self) {
    PyTypeObject* const type = Py_TYPE(self);
    self->memo->clear();
    delete self->memo;
    delete self->lender;
    Py_XDECREF(self->resolve);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* nbytes(SmallCalls* self, void* /*closure*/) { return PyLong_FromSize_t(self->memo->nbytes()); }

#define POSENC_KEYWORDS "seq_axis, channel_axis, grid, prefix, threads, backend, /)\n--\n\n"

template <PyObject* (*kMethod)(SmallCalls*, PyObject* const*, Py_ssize_t)>
PyObject* method(PyObject* self, PyObject* const* arguments, Py_ssize_t count) noexcept {
    return kMethod(reinterpret_cast<SmallCalls*>(self), arguments, count);
}

template <PyObject* (*kMethod)(SmallCalls*, PyObject* const*, Py_ssize_t)>
PyMethodDef fast(const char* name, const char* doc) noexcept {
    return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&method<kMethod>)), METH_FASTCALL, doc};
}

PyMethodDef methods[] = {
    fast<fill>("fill", "fill($self, out, start, positions, mask, cu_seqlens, encoding, " POSENC_KEYWORDS
                       "fill_, if it is plain; tells whether it was."),
    fast<add_in_place>("add_", "add_($self, x, start, positions, mask, cu_seqlens, x_scale, encoding, " POSENC_KEYWORDS
                               "add_, if it is plain; tells whether it was."),
    fast<add>("add", "add($self, x, out, start, positions, mask, cu_seqlens, x_scale, encoding, " POSENC_KEYWORDS
                     "add, if it is plain; None if it was not."),
    fast<encode>("encode",
                 "encode($self, positions, dim, start, mask, cu_seqlens, encoding, dtype, threads, backend, "
                 "/)\n--\n\nencode, if it is plain; None if it was not."),
    fast<count>("count",
                "count($self, mask, start, padding, /)\n--\n\n"
                "positions_from_mask, if it is plain; None if it was not."),
    {"forget", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&forget)), METH_NOARGS,
     "forget($self, /)\n--\n\nForget all tables."},
    {nullptr, nullptr, 0, nullptr},
};
#undef POSENC_KEYWORDS

PyGetSetDef properties[] = {
    {"nbytes", reinterpret_cast<getter>(reinterpret_cast<void (*)()>(&nbytes)), nullptr, "What it remembers, in bytes.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

void add_small_calls(py::module_& module, TableOf tables) {
    table_of = tables;
    PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>("SmallCalls(resolve, /)\n--\n\nDoes the calls that need no explanation.")},
        {Py_tp_new, reinterpret_cast<void*>(&make_calls)},
        {Py_tp_dealloc, reinterpret_cast<void*>(&end_calls)},
        {Py_tp_methods, methods},
        {Py_tp_getset, properties},
        {0, nullptr},
    };
    PyType_Spec spec{"posenc._core.SmallCalls", sizeof(SmallCalls), 0, Py_TPFLAGS_DEFAULT, slots};
    const auto type = py::reinterpret_steal<py::object>(PyType_FromSpec(&spec));
    if (!type) {
        throw py::error_already_set();
    }
    module.attr("SmallCalls") = type;
}

}  // namespace posenc
