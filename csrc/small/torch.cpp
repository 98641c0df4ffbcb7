// Which tensors are plain, and what torch is told. DLPack's C exchange API tells where their memory is.
#include "lend.hpp"

#include <pybind11/pybind11.h>

namespace py = pybind11;

namespace posenc::small {
namespace {

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

enum class Truth : std::uint8_t { no, yes, unknown };

// What a method says, or that it raises.
Truth is(PyObject* object, PyObject* method) {
    PyObject* const result = PyObject_CallMethodNoArgs(object, method);
    Py_XDECREF(result);
    PyErr_Clear();
    return result == Py_False ? Truth::no : result == Py_True ? Truth::yes : Truth::unknown;
}

struct Names {
    PyObject* requires_grad = PyUnicode_InternFromString("requires_grad");
    PyObject* current_level = PyUnicode_InternFromString("_current_level");
    PyObject* untyped_storage = PyUnicode_InternFromString("untyped_storage");
    PyObject* data_ptr = PyUnicode_InternFromString("data_ptr");
    PyObject* nbytes = PyUnicode_InternFromString("nbytes");
    PyObject* is_neg = PyUnicode_InternFromString("is_neg");
    PyObject* is_inference = PyUnicode_InternFromString("is_inference");
    PyObject* of_empty = Py_BuildValue("(sss)", "dtype", "device", "requires_grad");
    PyObject* cpu = PyUnicode_InternFromString("cpu");
    PyObject* torch = PyUnicode_InternFromString("torch");
};

// Made with the first Torch, and never freed: a static of a function would be made under a lock.
std::atomic<const Names*> kept_names{nullptr};

const Names& names() { return *kept_names.load(std::memory_order_acquire); }

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

}  // namespace

Torch::Torch() {
    if (kept_names.load(std::memory_order_acquire) == nullptr) {
        kept_names.store(new Names, std::memory_order_release);  // of two threads at once, one's are never freed
    }
}

bool Torch::find() {
    if (useless_.load(std::memory_order_relaxed) || finding_.exchange(true, std::memory_order_acquire)) {
        return false;  // or somebody is at it: nobody waits for Python code, the call goes the long way
    }
    struct Finding {
        std::atomic<bool>& flag;
        ~Finding() { flag.store(false, std::memory_order_release); }
    } const finding{finding_};
    return find_alone();
}

bool Torch::find_alone() {
    if (tensor_.load(std::memory_order_acquire) != nullptr) {
        return true;
    }
    const auto owned = py::reinterpret_steal<py::object>(PyImport_GetModule(names().torch));
    PyObject* const module = owned.ptr();
    if (module == nullptr) {
        PyErr_Clear();
        return false;
    }
    PyObject* const tensor = attribute(module, {"Tensor"});
    PyObject* const capsule = attribute(module, {"Tensor", "__dlpack_c_exchange_api__"});
    PyObject* const parameter = attribute(module, {"nn", "Parameter"});
    grad_enabled_ = attribute(module, {"is_grad_enabled"});
    inference_ = attribute(module, {"is_inference_mode_enabled"});
    count_ = attribute(module, {"_C", "_increment_version"});
    forward_ = attribute(module, {"autograd", "forward_ad"});
    function_modes_ = attribute(module, {"_C", "_len_torch_function_stack"});
    dispatch_modes_ = attribute(module, {"_C", "_len_torch_dispatch_stack"});
    tracing_ = attribute(module, {"_C", "_get_tracing_state"});
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
    const bool complete = tensor != nullptr && parameter != nullptr && grad_enabled_ != nullptr &&
                          inference_ != nullptr && count_ != nullptr && forward_ != nullptr && empty_ != nullptr &&
                          empty_like_ != nullptr && dtype != nullptr && int64_ != nullptr &&
                          function_modes_ != nullptr && dispatch_modes_ != nullptr && tracing_ != nullptr &&
                          api != nullptr && api->borrow != nullptr;
    if (!complete) {
        // Half-imported modules have not got everything yet.
        PyObject* const spec = attribute(module, {"__spec__", "_initializing"});
        useless_.store(spec != Py_True, std::memory_order_relaxed);
        return false;
    }
    api_ = api;
    parameter_ = reinterpret_cast<PyTypeObject*>(parameter);
    dtype_ = reinterpret_cast<PyTypeObject*>(dtype);
    tensor_.store(reinterpret_cast<PyTypeObject*>(tensor), std::memory_order_release);
    return true;
}

bool Torch::is_tensor(PyObject* object) noexcept {
    PyTypeObject* const tensor = tensor_.load(std::memory_order_acquire);
    return tensor != nullptr && (Py_TYPE(object) == tensor || Py_TYPE(object) == parameter_);
}

// Modes see every operation on tensors, as those that trace, fake or count do; also the default device's.
// torch.jit.trace is none of them.
bool Torch::has_modes() {
    PyObject* const tracing = PyObject_CallNoArgs(tracing_);
    Py_XDECREF(tracing);
    if (tracing != Py_None) {
        PyErr_Clear();
        return true;
    }
    for (PyObject* const count : {function_modes_, dispatch_modes_}) {
        PyObject* const modes = PyObject_CallNoArgs(count);
        const bool none = modes != nullptr && PyLong_AsLong(modes) == 0;
        Py_XDECREF(modes);
        if (!none) {
            PyErr_Clear();
            return true;
        }
    }
    return false;
}

// Whether tensors may have any.
bool Torch::has_tangents() {
    PyObject* const level = PyObject_GetAttr(forward_, names().current_level);
    const long depth = level == nullptr ? 0 : PyLong_AsLong(level);
    Py_XDECREF(level);
    PyErr_Clear();
    return depth >= 0;
}

bool Torch::is_plain(PyObject* tensor, bool written, bool& alone) {
    if ((!is_found() && !find()) || !is_tensor(tensor)) {
        return false;
    }
    alone = alone || (!has_modes() && !has_tangents());
    if (!alone) {
        return false;
    }
    // Tensors of transforms and other layouts have no storage, those of other devices, and nested ones, no DLPack that
    // `view` takes; complex ones, which might be conjugated, have another dtype.
    if (is(tensor, names().is_neg) != Truth::no) {
        return false;
    }
    if (written && is(tensor, names().is_inference) != Truth::no && !is_true(PyObject_CallNoArgs(inference_))) {
        return false;
    }
    return !is_true(PyObject_GetAttr(tensor, names().requires_grad)) || !is_true(PyObject_CallNoArgs(grad_enabled_));
}

// Where the storage of a tensor ends; 0, without an error, if it has no memory.
std::uintptr_t Torch::end_of(PyObject* tensor) noexcept {
    PyObject* const storage = PyObject_CallMethodNoArgs(tensor, names().untyped_storage);
    if (storage == nullptr) {
        PyErr_Clear();
        return 0;
    }
    const std::uintptr_t first = number_of(storage, names().data_ptr);
    const std::uintptr_t end = first == 0 ? 0 : first + number_of(storage, names().nbytes);
    Py_DECREF(storage);
    return end;
}

bool Torch::view(PyObject* tensor, View& view) noexcept {
    const std::uintptr_t end = end_of(tensor);
    dlpack::Tensor lent{};
    if (end == 0 || api_->borrow(tensor, &lent) != 0) {
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

bool Torch::is_dtype(PyObject* object) { return (is_found() || find()) && Py_TYPE(object) == dtype_; }

PyObject* Torch::empty(PyObject* shape, PyObject* dtype) {
    PyObject* const arguments[] = {shape, dtype, names().cpu, Py_False};
    return PyObject_Vectorcall(empty_, arguments, 1, names().of_empty);
}

}  // namespace posenc::small
