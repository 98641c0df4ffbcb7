#include "lend.hpp"

#include <pybind11/critical_section.h>
#include <pybind11/numpy.h>

#include <algorithm>

namespace py = pybind11;

namespace posenc::small {
namespace {

constexpr int kHalf = 23;                // NPY_HALF
constexpr Py_ssize_t kMostItems = 4096;  // of a list

}  // namespace

std::optional<double> small_integer(PyObject* object) noexcept {
    if (!PyLong_CheckExact(object)) {
        return std::nullopt;
    }
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow != 0 || value > (1LL << 52) || value < -(1LL << 52)) {
        return std::nullopt;
    }
    return static_cast<double>(value);
}
Lender::Lender() {
    const py::module_ numpy = py::module_::import("numpy");
    const auto type = [&](const char* name) {
        return reinterpret_cast<PyTypeObject*>(numpy.attr(name).cast<py::object>().release().ptr());
    };
    ndarray_ = type("ndarray");
    int64_ = type("int64");
    int32_ = type("int32");
    float64_ = type("float64");
    float32_ = type("float32");
    integers_ = py::dtype::of<std::int64_t>().release().ptr();
    empty_like_ = numpy.attr("empty_like").cast<py::object>().release().ptr();
    std::size_t i = 0;
    for (const char* name : {"float32", "float64", "float16"}) {
        dtypes_[i++] = numpy.attr(name).cast<py::object>().release().ptr();
        dtypes_[i++] = py::dtype(name).release().ptr();
    }
}

bool Lender::is_bfloat16(PyObject* descr) {
    PyObject* const name = PyObject_GetAttrString(descr, "name");
    const bool is = name != nullptr && PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, "bfloat16") == 0;
    Py_XDECREF(name);
    PyErr_Clear();
    return is;
}

bool Lender::prepare(PyObject* object, bool written, Lent& lent, bool& alone) {
    lent.object = object;
    if (Py_TYPE(object) == ndarray_) {
        PyObject* const descr = py::detail::array_proxy(object)->descr;
        const auto* kind = py::detail::array_descriptor_proxy(descr);
        if (kind->kind == 'V' && kind->type_num != bfloat16_.load(std::memory_order_relaxed)) {
            if (!is_bfloat16(descr)) {
                return false;
            }
            bfloat16_.store(kind->type_num, std::memory_order_relaxed);
        }
        return true;
    }
    lent.number = PyLong_CheckExact(object) || PyFloat_CheckExact(object) || Py_TYPE(object) == int64_ ||
                  Py_TYPE(object) == float64_ || Py_TYPE(object) == int32_ || Py_TYPE(object) == float32_;
    if (lent.number || PyList_CheckExact(object) || PyTuple_CheckExact(object)) {
        return !written;
    }
    lent.tensor = torch.is_plain(object, written, alone);
    return lent.tensor;
}

bool Lender::numpy_view(PyObject* array, View& view) noexcept {
    const auto* proxy = py::detail::array_proxy(array);
    const auto* descr = py::detail::array_descriptor_proxy(proxy->descr);
    if (proxy->nd > kMostAxes || (descr->byteorder != '=' && descr->byteorder != '|')) {
        return false;
    }
    const auto set = [&](Kind kind, std::size_t size) {
        view.kind = kind;
        view.size = static_cast<int>(size);
    };
    using api = py::detail::npy_api;
    switch (descr->type_num) {
        case api::NPY_BOOL_:
            set(Kind::boolean, 1);
            break;
        case api::NPY_BYTE_:
            set(Kind::integer, 1);
            break;
        case api::NPY_UBYTE_:
            set(Kind::natural, 1);
            break;
        case api::NPY_SHORT_:
            set(Kind::integer, sizeof(short));
            break;
        case api::NPY_USHORT_:
            set(Kind::natural, sizeof(short));
            break;
        case api::NPY_INT_:
            set(Kind::integer, sizeof(int));
            break;
        case api::NPY_UINT_:
            set(Kind::natural, sizeof(int));
            break;
        case api::NPY_LONG_:
            set(Kind::integer, sizeof(long));
            break;
        case api::NPY_ULONG_:
            set(Kind::natural, sizeof(long));
            break;
        case api::NPY_LONGLONG_:
            set(Kind::integer, sizeof(long long));
            break;
        case api::NPY_ULONGLONG_:
            set(Kind::natural, sizeof(long long));
            break;
        case api::NPY_FLOAT_:
            set(Kind::real, sizeof(float));
            break;
        case api::NPY_DOUBLE_:
            set(Kind::real, sizeof(double));
            break;
        case kHalf:
            set(Kind::real, 2);
            break;
        default:
            if (const int known = bfloat16_.load(std::memory_order_relaxed); known < 0 || descr->type_num != known) {
                return false;
            }
            set(Kind::brain, 2);
    }
    view.data = proxy->data;
    view.axes = proxy->nd;
    std::copy_n(proxy->dimensions, proxy->nd, view.shape);
    std::copy_n(proxy->strides, proxy->nd, view.stride);
    view.writeable = (proxy->flags & api::NPY_ARRAY_WRITEABLE_) != 0;
    return view.count() > 0;
}

bool Lender::view(const Lent& lent, View& view) noexcept {
    if (!(lent.tensor ? torch.view(lent.object, view)
                      : Py_TYPE(lent.object) == ndarray_ && numpy_view(lent.object, view))) {
        return false;
    }
    return view.is_float();
}

bool Lender::read(const Lent& lent, Values& values) {
    PyObject* const object = lent.object;
    if (lent.tensor) {
        return torch.view(object, values.view);
    }
    if (Py_TYPE(object) == ndarray_) {
        return numpy_view(object, values.view);
    }
    if (PyFloat_Check(object)) {  // NumPy's float64, too
        values.keep_one(PyFloat_AS_DOUBLE(object), Kind::real);
        return true;
    }
    if (PyLong_CheckExact(object)) {
        const auto number = small_integer(object);
        values.keep_one(number.value_or(0.0), Kind::integer);
        return number.has_value();
    }
    if (PyList_CheckExact(object) || PyTuple_CheckExact(object)) {
        const py::scoped_critical_section section(object);  // without the GIL, others may change a list
        const Py_ssize_t count = PySequence_Fast_GET_SIZE(object);
        PyObject* const* const items = PySequence_Fast_ITEMS(object);
        if (count == 0 || count > kMostItems) {
            return false;
        }
        std::vector<double> numbers(static_cast<std::size_t>(count));
        Py_ssize_t truths = 0, reals = 0;
        for (Py_ssize_t i = 0; i < count; ++i) {
            double& number = numbers[static_cast<std::size_t>(i)];
            if (PyBool_Check(items[i])) {
                number = items[i] == Py_True ? 1.0 : 0.0;
                ++truths;
            } else if (PyFloat_CheckExact(items[i])) {
                number = PyFloat_AS_DOUBLE(items[i]);
                ++reals;
            } else if (const auto integer = small_integer(items[i])) {
                number = *integer;
            } else {
                return false;
            }
        }
        if (truths != 0 && truths != count) {
            return false;
        }
        values.keep_many(std::move(numbers), truths != 0 ? Kind::boolean : reals != 0 ? Kind::real : Kind::integer);
        return true;
    }
    const bool integer = Py_TYPE(object) == int64_ || Py_TYPE(object) == int32_;
    PyObject* const number = integer ? PyNumber_Index(object) : PyNumber_Float(object);  // of NumPy, in C
    if (number == nullptr) {
        PyErr_Clear();
        return false;
    }
    const auto exact = integer ? small_integer(number) : std::optional<double>(PyFloat_AS_DOUBLE(number));
    Py_DECREF(number);
    values.keep_one(exact.value_or(0.0), integer ? Kind::integer : Kind::real);
    return exact.has_value();
}

PyObject* Lender::empty_like(PyObject* array) { return PyObject_CallOneArg(empty_like_, array); }

PyObject* Lender::new_array(const std::int64_t* shape, int axes, PyObject* dtype) {
    Py_intptr_t sizes[kMostAxes];
    std::copy_n(shape, axes, sizes);
    return py::detail::npy_api::get().PyArray_NewFromDescr_(ndarray_, Py_NewRef(dtype), axes, sizes, nullptr, nullptr,
                                                            0, nullptr);
}

PyObject* Lender::empty_of(PyObject* array, const std::int64_t* shape, int axes) {
    return new_array(shape, axes, py::detail::array_proxy(array)->descr);
}

PyObject* Lender::empty_integers(const std::int64_t* shape, int axes) { return new_array(shape, axes, integers_); }

PyObject* Lender::empty(const std::int64_t* shape, int axes, PyObject* dtype) {
    for (std::size_t i = 0; i < std::size(dtypes_); ++i) {
        if (dtype == dtypes_[i]) {
            return new_array(shape, axes, dtypes_[i | 1]);
        }
    }
    return nullptr;
}

}  // namespace posenc::small
