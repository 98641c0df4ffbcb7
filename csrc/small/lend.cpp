#include "lend.hpp"

#include <pybind11/numpy.h>

#include <algorithm>

namespace py = pybind11;

namespace posenc::small {
namespace {

constexpr int kHalf = 23;                // NPY_HALF
constexpr Py_ssize_t kMostItems = 4096;  // of a list

// An attribute, by its dotted path; null, without an error, if there is none.
PyObject* attribute(PyObject* from, const char* const* path, std::size_t length) {
    PyObject* object = Py_NewRef(from);
    for (std::size_t i = 0; i < length && object != nullptr; ++i) {
        PyObject* const next = PyObject_GetAttrString(object, path[i]);
        Py_DECREF(object);
        object = next;
    }
    if (object == nullptr) {
        PyErr_Clear();
    }
    return object;
}

template <std::size_t kLength>
PyObject* attribute(PyObject* from, const char* const (&path)[kLength]) {
    return attribute(from, path, kLength);
}

// The truth of a call's result; false, without an error, if it raises.
bool is_true(PyObject* result) {
    const int truth = result == nullptr ? -1 : PyObject_IsTrue(result);
    Py_XDECREF(result);
    if (truth < 0) {
        PyErr_Clear();
    }
    return truth > 0;
}

struct Names {
    PyObject* requires_grad = PyUnicode_InternFromString("requires_grad");
    PyObject* current_level = PyUnicode_InternFromString("_current_level");
    PyObject* untyped_storage = PyUnicode_InternFromString("untyped_storage");
    PyObject* data_ptr = PyUnicode_InternFromString("data_ptr");
    PyObject* nbytes = PyUnicode_InternFromString("nbytes");
    PyObject* raw_repr = PyUnicode_InternFromString("raw_repr");
    PyObject* of_empty = Py_BuildValue("(sss)", "dtype", "device", "requires_grad");
    PyObject* cpu = PyUnicode_InternFromString("cpu");
};

// Made with the first Lender, and never freed: a static of a function would be made under a lock.
const Names* kept_names = nullptr;

const Names& names() { return *kept_names; }

// A method's integer; 0, without an error, if it raises.
std::uintptr_t number_of(PyObject* object, PyObject* method) {
    PyObject* const number = PyObject_CallMethodNoArgs(object, method);
    const auto value = number == nullptr ? 0 : PyLong_AsUnsignedLongLong(number);
    Py_XDECREF(number);
    if (PyErr_Occurred() != nullptr) {
        PyErr_Clear();
        return 0;
    }
    return static_cast<std::uintptr_t>(value);
}

bool keys_of(PyObject* keys, PyObject* tensor, std::uint64_t& raw) {
    PyObject* const set = PyObject_CallOneArg(keys, tensor);
    PyObject* const number = set == nullptr ? nullptr : PyObject_CallMethodNoArgs(set, names().raw_repr);
    Py_XDECREF(set);
    raw = number == nullptr ? 0 : PyLong_AsUnsignedLongLong(number);
    Py_XDECREF(number);
    if (PyErr_Occurred() != nullptr) {
        PyErr_Clear();
        return false;
    }
    return raw != 0;
}

// Of a new tensor of torch.empty(0, device="cpu"), with or without inference mode.
bool usual_keys(PyObject* torch, PyObject* keys, bool inference, std::uint64_t& raw) {
    try {
        const py::handle module(torch);
        const py::object mode = module.attr("inference_mode")(inference);
        mode.attr("__enter__")();
        py::object made;
        try {
            made = module.attr("empty")(1, py::arg("device") = "cpu", py::arg("requires_grad") = false);
        } catch (const py::error_already_set&) {
            mode.attr("__exit__")(py::none(), py::none(), py::none());
            return false;
        }
        mode.attr("__exit__")(py::none(), py::none(), py::none());
        return keys_of(keys, made.ptr(), raw) &&
               made.get_type().ptr() == static_cast<PyObject*>(module.attr("Tensor").ptr());
    } catch (const py::error_already_set&) {
        return false;
    }
}

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

// ---- torch ----------------------------------------------------------------------------------------------------------

bool Torch::find() {
    if (useless_) {
        return false;
    }
    PyObject* const modules = PyImport_GetModuleDict();
    PyObject* const module = PyDict_GetItemString(modules, "torch");
    if (module == nullptr) {
        return false;
    }
    PyObject* const tensor = attribute(module, {"Tensor"});
    PyObject* const capsule = attribute(module, {"Tensor", "__dlpack_c_exchange_api__"});
    PyObject* const parameter = attribute(module, {"nn", "Parameter"});
    keys_ = attribute(module, {"_C", "_dispatch_keys"});
    grad_enabled_ = attribute(module, {"is_grad_enabled"});
    inference_ = attribute(module, {"is_inference_mode_enabled"});
    count_ = attribute(module, {"_C", "_increment_version"});
    forward_ = attribute(module, {"autograd", "forward_ad"});
    empty_like_ = attribute(module, {"empty_like"});
    empty_ = attribute(module, {"empty"});
    PyObject* const dtype = attribute(module, {"dtype"});
    int64_ = attribute(module, {"int64"});
    const auto* api =
        capsule == nullptr
            ? nullptr
            : static_cast<const dlpack::ExchangeApi*>(PyCapsule_GetPointer(capsule, "dlpack_exchange_api"));
    PyErr_Clear();
    while (api != nullptr && api->major != 1) {
        api = api->previous;
    }
    const bool complete = tensor != nullptr && parameter != nullptr && keys_ != nullptr && grad_enabled_ != nullptr &&
                          inference_ != nullptr && count_ != nullptr && forward_ != nullptr && empty_ != nullptr &&
                          empty_like_ != nullptr && dtype != nullptr && int64_ != nullptr && api != nullptr &&
                          api->borrow != nullptr;
    if (!complete) {
        // Half-imported modules have not got everything yet.
        PyObject* const spec = attribute(module, {"__spec__", "_initializing"});
        useless_ = spec == nullptr || spec != Py_True;
        return false;
    }
    if (!usual_keys(module, keys_, false, usual_) || !usual_keys(module, keys_, true, of_inference_)) {
        return false;
    }
    api_ = api;
    parameter_ = reinterpret_cast<PyTypeObject*>(parameter);
    dtype_ = reinterpret_cast<PyTypeObject*>(dtype);
    tensor_ = reinterpret_cast<PyTypeObject*>(tensor);
    return true;
}

bool Torch::is_tensor(PyObject* object) noexcept {
    return tensor_ != nullptr && (Py_TYPE(object) == tensor_ || Py_TYPE(object) == parameter_);
}

bool Torch::is_plain(PyObject* tensor, bool written, std::uintptr_t& end) {
    if (tensor_ == nullptr && !find()) {
        return false;
    }
    if (!is_tensor(tensor)) {
        return false;
    }
    std::uint64_t keys = 0;
    if (!keys_of(keys_, tensor, keys)) {
        return false;
    }
    if (keys != usual_) {  // of other devices, layouts, transforms; negated, conjugated, sparse ...
        if (keys != of_inference_ || (written && !is_true(PyObject_CallNoArgs(inference_)))) {
            return false;
        }
    }
    PyObject* const level = PyObject_GetAttr(forward_, names().current_level);
    const long depth = level == nullptr ? 0 : PyLong_AsLong(level);
    Py_XDECREF(level);
    if (PyErr_Occurred() != nullptr) {
        PyErr_Clear();
        return false;
    }
    if (depth >= 0) {  // it may have a tangent
        return false;
    }
    if (is_true(PyObject_GetAttr(tensor, names().requires_grad)) && is_true(PyObject_CallNoArgs(grad_enabled_))) {
        return false;
    }
    PyObject* const storage = PyObject_CallMethodNoArgs(tensor, names().untyped_storage);
    if (storage == nullptr) {
        PyErr_Clear();
        return false;
    }
    const std::uintptr_t first = number_of(storage, names().data_ptr);
    end = first == 0 ? 0 : first + number_of(storage, names().nbytes);
    Py_DECREF(storage);
    return end > first;
}

bool Torch::view(PyObject* tensor, std::uintptr_t end, View& view) noexcept {
    dlpack::Tensor lent{};
    if (api_->borrow(tensor, &lent) != 0) {
        PyErr_Clear();
        return false;
    }
    if (lent.data == nullptr || lent.device_type != dlpack::kCpu || lent.lanes != 1 || lent.bits > 64 ||
        lent.axes > kMostAxes || (lent.stride == nullptr && lent.axes > 0)) {
        return false;
    }
    switch (lent.code) {
        case dlpack::kInt:
            view.kind = Kind::integer;
            break;
        case dlpack::kUInt:
            view.kind = Kind::natural;
            break;
        case dlpack::kFloat:
            view.kind = Kind::real;
            break;
        case dlpack::kBrain:
            view.kind = Kind::brain;
            break;
        case dlpack::kBool:
            view.kind = Kind::boolean;
            break;
        default:
            return false;
    }
    view.size = lent.bits / 8;
    if (view.size == 0 || (view.kind == Kind::real && view.size == 1)) {
        return false;
    }
    view.data = static_cast<char*>(lent.data) + lent.byte_offset;
    view.axes = lent.axes;
    for (int axis = 0; axis < lent.axes; ++axis) {
        view.shape[axis] = lent.shape[axis];
        view.stride[axis] = lent.stride[axis] * view.size;
    }
    view.writeable = true;
    std::int64_t reach = view.size;  // no strides of a tensor are negative
    for (int axis = 0; axis < view.axes; ++axis) {
        reach += (view.shape[axis] - 1) * view.stride[axis];
    }
    return view.count() > 0 && reinterpret_cast<std::uintptr_t>(view.data) + static_cast<std::uintptr_t>(reach) <= end;
}

bool Torch::count_version(PyObject* tensor) {
    PyObject* const one = PyTuple_Pack(1, tensor);
    PyObject* const done = one == nullptr ? nullptr : PyObject_CallOneArg(count_, one);
    Py_XDECREF(one);
    Py_XDECREF(done);
    return done != nullptr;
}

PyObject* Torch::empty_like(PyObject* tensor) { return PyObject_CallOneArg(empty_like_, tensor); }

bool Torch::is_dtype(PyObject* object) { return (tensor_ != nullptr || find()) && Py_TYPE(object) == dtype_; }

PyObject* Torch::empty(PyObject* shape, PyObject* dtype) {
    PyObject* const arguments[] = {shape, dtype, names().cpu, Py_False};
    return PyObject_Vectorcall(empty_, arguments, 1, names().of_empty);
}

// ---- NumPy ----------------------------------------------------------------------------------------------------------

Lender::Lender() {
    if (kept_names == nullptr) {
        kept_names = new Names;
    }
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

bool Lender::prepare(PyObject* object, bool written, Lent& lent) {
    lent.object = object;
    if (Py_TYPE(object) == ndarray_) {
        PyObject* const descr = py::detail::array_proxy(object)->descr;
        const auto* kind = py::detail::array_descriptor_proxy(descr);
        if (kind->kind == 'V' && kind->type_num != bfloat16_) {
            if (!is_bfloat16(descr)) {
                return false;
            }
            bfloat16_ = kind->type_num;
        }
        return true;
    }
    lent.number = PyLong_CheckExact(object) || PyFloat_CheckExact(object) || Py_TYPE(object) == int64_ ||
                  Py_TYPE(object) == float64_ || Py_TYPE(object) == int32_ || Py_TYPE(object) == float32_;
    if (lent.number || PyList_CheckExact(object) || PyTuple_CheckExact(object)) {
        return !written;
    }
    return torch.is_plain(object, written, lent.end);
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
            if (descr->type_num != bfloat16_ || bfloat16_ < 0) {
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
    if (!(lent.end != 0 ? torch.view(lent.object, lent.end, view)
                        : Py_TYPE(lent.object) == ndarray_ && numpy_view(lent.object, view))) {
        return false;
    }
    return view.is_float();
}

bool Lender::read(const Lent& lent, Values& values) {
    PyObject* const object = lent.object;
    if (lent.end != 0) {
        return torch.view(object, lent.end, values.view);
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
