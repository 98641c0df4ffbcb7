// SmallCalls: its methods take all that a user said, in the order of the verbs' signatures.
#include "calls.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>

#include "attempt.hpp"

namespace py = pybind11;

namespace posenc {
namespace {

using namespace small;

TableOf table_of = nullptr;

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
    if (!is_usual(a[10], a[11])) {
        Py_RETURN_FALSE;
    }
    return truth(attempt(*self, {a[1], a[2], a[3], a[4], nullptr, a[5], a + 6, a + 8}, nullptr, a[0]));
}

PyObject* add_in_place(SmallCalls* self, PyObject* const* a, Py_ssize_t count) {
    if (!has_count(count, 13)) {
        return nullptr;
    }
    if (!is_usual(a[11], a[12])) {
        Py_RETURN_FALSE;
    }
    return truth(attempt(*self, {a[1], a[2], a[3], a[4], a[5], a[6], a + 7, a + 9}, a[0], a[0]));
}

PyObject* rotate_in_place(SmallCalls* self, PyObject* const* a, Py_ssize_t count) {
    if (!has_count(count, 11)) {
        return nullptr;
    }
    if (!is_usual(a[9], a[10])) {
        Py_RETURN_FALSE;
    }
    return truth(attempt(*self, {a[2], a[3], a[4], a[5], nullptr, a[1], a + 7, nullptr, a[6]}, a[0], a[0]));
}

// The array that a call wrote, or None.
PyObject* written(Done done, PyObject* array) {
    if (done == Done::yes) {
        return array;
    }
    Py_DECREF(array);
    return done == Done::error ? nullptr : Py_NewRef(Py_None);
}

// None where no array could be made, for what Python explains; null where there is no memory.
PyObject* refused() {
    if (PyErr_Occurred() != nullptr && PyErr_ExceptionMatches(PyExc_MemoryError) == 0) {
        PyErr_Clear();
    }
    return PyErr_Occurred() == nullptr ? Py_NewRef(Py_None) : nullptr;
}

// What becomes of `x`, in `out` or, if that is None, in a new array.
PyObject* combine(SmallCalls& self, const Said& said, PyObject* x, PyObject* out) {
    Lent lent;
    View view;
    Lender& lender = *self.lender;
    if (!lender.prepare(x, false, lent) || !lender.view(lent, view) || view.count() > kMostElements) {
        Py_RETURN_NONE;
    }
    PyObject* const to = out != Py_None ? Py_NewRef(out)
                         : lent.tensor  ? lender.torch.empty_like(x)
                                        : lender.empty_like(x);
    return to == nullptr ? refused() : written(attempt(self, said, x, to), to);
}

PyObject* add(SmallCalls* self, PyObject* const* a, Py_ssize_t count) {
    if (!has_count(count, 14)) {
        return nullptr;
    }
    if (!is_usual(a[12], a[13])) {
        Py_RETURN_NONE;
    }
    return combine(*self, {a[2], a[3], a[4], a[5], a[6], a[7], a + 8, a + 10}, a[0], a[1]);
}

PyObject* rotate(SmallCalls* self, PyObject* const* a, Py_ssize_t count) {
    if (!has_count(count, 12)) {
        return nullptr;
    }
    if (!is_usual(a[10], a[11])) {
        Py_RETURN_NONE;
    }
    return combine(*self, {a[3], a[4], a[5], a[6], nullptr, a[1], a + 8, nullptr, a[7]}, a[0], a[2]);
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

// A new array, or null, see `refused`.
PyObject* make(Lender& lender, const std::int64_t* shape, int axes, PyObject* dtype) {
    PyObject* out = lender.empty(shape, axes, dtype);
    if (out == nullptr && PyErr_Occurred() == nullptr && lender.torch.is_dtype(dtype)) {
        out = new_tensor(lender, shape, axes, dtype);
    }
    return out;
}

double elements_of(const std::int64_t* shape, int axes) {
    double elements = 1.0;
    std::for_each(shape, shape + axes, [&](std::int64_t n) { elements *= static_cast<double>(n); });
    return elements;
}

PyObject* embed(SmallCalls* self, PyObject* const* a, Py_ssize_t count) {
    if (!has_count(count, 11)) {
        return nullptr;
    }
    try {
        Lender& lender = *self->lender;
        Lent lent;
        View table;
        std::int64_t shape[kMostAxes]{};
        bool number = false;
        int axes = is_usual(a[9], a[10]) ? shape_of(lender, a[0], shape, number) : 0;
        if (axes == 0 || number || !lender.prepare(a[1], false, lent) || !lender.view(lent, table) || table.axes != 2) {
            Py_RETURN_NONE;
        }
        shape[axes++] = table.shape[1];
        if (elements_of(shape, axes) > static_cast<double>(kMostElements)) {
            Py_RETURN_NONE;
        }
        PyObject* out = a[2] != Py_None ? Py_NewRef(a[2]) : nullptr;
        if (out == nullptr && !lent.tensor) {
            out = lender.empty_of(a[1], shape, axes);
        } else if (out == nullptr) {
            const auto dtype = py::reinterpret_steal<py::object>(PyObject_GetAttrString(a[1], "dtype"));
            out = dtype ? new_tensor(lender, shape, axes, dtype.ptr()) : nullptr;
        }
        if (out == nullptr) {
            return refused();
        }
        return written(attempt(*self, {a[3], a[4], a[5], a[6], a[7], a[8]}, a[1], out, a[0]), out);
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (py::error_already_set& error) {
        error.restore();
    }
    return nullptr;
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
        if (elements_of(shape, axes) > static_cast<double>(kMostElements)) {
            Py_RETURN_NONE;
        }
        PyObject* const out = make(*self->lender, shape, axes, a[6]);
        if (out == nullptr) {
            return refused();
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
        if (!mask.are_truths() || view.axes == 0 || view.count() > kMostElements ||
            std::abs(*start) + static_cast<double>(view.shape[view.axes - 1]) > kLargest) {
            Py_RETURN_NONE;
        }
        PyObject* const array = lent.tensor ? new_tensor(lender, view.shape, view.axes, lender.torch.int64())
                                            : lender.empty_integers(view.shape, view.axes);
        if (array == nullptr) {
            return refused();
        }
        // The mask last: from then on no Python code runs, so that its memory stays where it was seen.
        const bool done = lender.prepare(array, false, made) && lender.read(made, result) &&
                          is_same_shape(result.view, view) && lender.read(lent, again) &&
                          is_same_shape(again.view, view) && again.are_truths() &&
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
            self->table_of = table_of;
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

template <PyObject* (*kMethod)(SmallCalls*, PyObject* const*, Py_ssize_t)>
PyObject* method(PyObject* self, PyObject* const* arguments, Py_ssize_t count) noexcept {
    return kMethod(reinterpret_cast<SmallCalls*>(self), arguments, count);
}

template <PyObject* (*kMethod)(SmallCalls*, PyObject* const*, Py_ssize_t)>
PyMethodDef fast(const char* name, const char* doc) noexcept {
    return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&method<kMethod>)), METH_FASTCALL, doc};
}

PyMethodDef methods[] = {
    fast<fill>("fill", "fill($self, /, *said)\n--\n\nfill_, if it is plain; tells whether it was."),
    fast<add_in_place>("add_", "add_($self, /, *said)\n--\n\nadd_, if it is plain; tells whether it was."),
    fast<add>("add", "add($self, /, *said)\n--\n\nadd, if it is plain; None if it was not."),
    fast<rotate_in_place>("rotate_", "rotate_($self, /, *said)\n--\n\nrotate_, if it is plain; tells whether it was."),
    fast<rotate>("rotate", "rotate($self, /, *said)\n--\n\nrotate, if it is plain; None if it was not."),
    fast<embed>("embed", "embed($self, /, *said)\n--\n\nembed, if it is plain; None if it was not."),
    fast<encode>("encode", "encode($self, /, *said)\n--\n\nencode, if it is plain; None if it was not."),
    fast<count>("count", "count($self, /, *said)\n--\n\npositions_from_mask, if it is plain; None if it was not."),
    {"forget", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&forget)), METH_NOARGS,
     "forget($self, /)\n--\n\nForget all tables."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"nbytes", reinterpret_cast<getter>(reinterpret_cast<void (*)()>(&nbytes)), nullptr, "What it memoizes, in bytes.",
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
