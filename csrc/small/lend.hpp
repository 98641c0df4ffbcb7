// The arrays, tensors, numbers and lists that small calls take as they are. Python's objects end here.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <optional>

#include "dlpack.hpp"
#include "view.hpp"

namespace posenc::small {

// torch, once somebody has imported it, with what it takes to tell a plain tensor. A plain tensor is one block of this
// machine's memory, which autograd, transforms and subclasses have no part in; so python/posenc/_tensors.py has it.
class Torch {
public:
    Torch();

    // Whether it is a tensor, of the class itself or a parameter. Any tensor but those is none here.
    bool is_tensor(PyObject* object) noexcept;

    // Whether it is a plain one, to be read, or written. Other threads may run meanwhile, as torch lets go of the GIL.
    // Runs no Python code in this one, except where torch is looked at for the first time: where modes have torch call
    // it, no tensor is plain. `alone`: there are no modes, which need not be asked for again.
    bool is_plain(PyObject* tensor, bool written, bool& alone);

    // The memory of a plain tensor, if the storage holds it. Makes objects first, at which the garbage collector may
    // run Python code; nobody else does.
    bool view(PyObject* tensor, View& view) noexcept;

    // Lets autograd know that it will have been written. Runs no Python code.
    bool count_version(PyObject* tensor);

    PyObject* empty_like(PyObject* tensor);

    // A new tensor; null, without an error, if `dtype` is none of its own.
    PyObject* empty(PyObject* shape, PyObject* dtype);
    bool is_dtype(PyObject* object);
    PyObject* int64() const noexcept { return int64_; }

private:
    bool is_found() const noexcept { return tensor_.load(std::memory_order_acquire) != nullptr; }
    bool find();
    bool find_alone();
    bool has_modes();
    bool has_tangents();
    static std::uintptr_t end_of(PyObject* tensor) noexcept;

    // Written before `tensor_`, whose release publishes all of them: without the GIL, other threads read them
    // meanwhile.
    PyTypeObject *parameter_ = nullptr, *dtype_ = nullptr;
    PyObject *grad_enabled_ = nullptr, *inference_ = nullptr, *count_ = nullptr, *forward_ = nullptr,
             *empty_like_ = nullptr, *empty_ = nullptr, *int64_ = nullptr, *function_modes_ = nullptr,
             *dispatch_modes_ = nullptr, *tracing_ = nullptr;
    const dlpack::ExchangeApi* api_ = nullptr;
    std::atomic<PyTypeObject*> tensor_{nullptr};
    std::atomic<bool> finding_{false}, useless_{false};  // useless: a torch without the API
};

// An argument, once `Lender::prepare` has looked at it.
struct Lent {
    PyObject* object = nullptr;
    bool tensor = false;
    bool number = false;  // of Python or NumPy
};

// NumPy's side, and which of the two it is.
class Lender {
public:
    Lender();

    // Whether memory of `object` may be viewed. Runs no Python code but that of a dtype, and what is said of torch; the
    // next two run none either while there are no collections.
    bool prepare(PyObject* object, bool written, Lent& lent) {
        bool alone = false;
        return prepare(object, written, lent, alone);
    }

    // The same for several objects, with one `alone`, which is false before the first.
    bool prepare(PyObject* object, bool written, Lent& lent, bool& alone);

    // Changes when Python code had to tell about a dtype.
    int known_dtypes() const noexcept { return bfloat16_; }

    // An array of floats, not empty.
    bool view(const Lent& lent, View& view) noexcept;

    // Anything to read numbers from.
    bool read(const Lent& lent, Values& values);

    // New arrays.
    PyObject* empty_like(PyObject* array);
    PyObject* empty(const std::int64_t* shape, int axes, PyObject* dtype);     // null, without an error: another dtype
    PyObject* empty_of(PyObject* array, const std::int64_t* shape, int axes);  // of its dtype
    PyObject* empty_integers(const std::int64_t* shape, int axes);

    Torch torch;

private:
    PyObject* new_array(const std::int64_t* shape, int axes, PyObject* dtype);
    bool numpy_view(PyObject* array, View& view) noexcept;
    bool is_bfloat16(PyObject* descr);

    PyTypeObject* ndarray_;
    PyTypeObject *int64_, *int32_, *float64_, *float32_;
    PyObject* empty_like_;
    PyObject* integers_;
    PyObject* dtypes_[6];            // classes and dtypes of float32, float64, float16
    std::atomic<int> bfloat16_{-1};  // number of the type in NumPy, once it has been seen
};

// A Python int that is exact in a double.
std::optional<double> small_integer(PyObject* object) noexcept;

}  // namespace posenc::small
