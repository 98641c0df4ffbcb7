// A Python function with some fourteen parameters takes as long to begin as a row takes to compute. A Verb brings what
// a user says into the order of the function's parameters and asks SmallCalls; whatever that does not do, and every
// mistake in the arguments, is left to the function, which does it, or explains.
#include "verb.hpp"

#include <structmember.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>

namespace py = pybind11;

namespace posenc {
namespace {

constexpr Py_ssize_t kMostParameters = 16;

using Method = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t);

struct Verb {
    PyObject_HEAD vectorcallfunc call;
    PyObject *attributes, *references, *function;
    Method method;                 // of SmallCalls
    std::atomic<PyObject*> calls;  // a SmallCalls, or null
    Py_ssize_t positional, count;  // parameters
    PyObject *names[kMostParameters], *defaults[kMostParameters];
};

PyTypeObject* calls_type = nullptr;

Verb& verb_of(PyObject* self) noexcept { return *reinterpret_cast<Verb*>(self); }

// Which one is called so; verb.count: none, or a text of a class of its own, which may compare itself as it likes.
Py_ssize_t parameter_of(const Verb& verb, PyObject* name) noexcept {
    PyObject* const* const end = verb.names + verb.count;
    PyObject* const* found = std::find(verb.names, end, name);
    if (found == end && PyUnicode_CheckExact(name)) {  // not the same object: perhaps the same text
        found = std::find_if(verb.names, end, [&](PyObject* other) { return PyUnicode_Compare(other, name) == 0; });
    }
    return found - verb.names;
}

// What is said of each parameter. False: something is wrong.
bool bind(const Verb& verb, PyObject* const* a, Py_ssize_t positional, PyObject* keywords, PyObject** said) noexcept {
    if (positional > verb.positional) {
        return false;
    }
    std::copy_n(a, positional, said);
    std::copy(verb.defaults + positional, verb.defaults + verb.count, said + positional);
    const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
    for (Py_ssize_t i = 0; i < named; ++i) {
        const Py_ssize_t parameter = parameter_of(verb, PyTuple_GET_ITEM(keywords, i));
        if (parameter < positional || parameter == verb.count) {
            return false;
        }
        said[parameter] = a[positional + i];
    }
    return std::find(said, said + verb.positional, nullptr) == said + verb.positional;
}

PyObject* call(PyObject* self, PyObject* const* a, std::size_t flags, PyObject* keywords) {
    Verb& verb = verb_of(self);
    PyObject* const calls = verb.calls.load(std::memory_order_acquire);
    PyObject* said[kMostParameters];
    if (calls != nullptr && bind(verb, a, PyVectorcall_NARGS(flags), keywords, said)) {
        PyObject* const result = verb.method(calls, said, verb.count);
        if (result == nullptr || (result != Py_False && result != Py_None && result != Py_True)) {
            return result;
        }
        Py_DECREF(result);
        if (result == Py_True) {
            return Py_NewRef(said[0]);
        }
    }
    return PyObject_Vectorcall(verb.function, a, flags, keywords);
}

// ---- the class ------------------------------------------------------------------------------------------------------

Method method_of(const char* name) noexcept {
    for (const PyMethodDef* method = calls_type->tp_methods; method->ml_name != nullptr; ++method) {
        if (std::strcmp(method->ml_name, name) == 0 && method->ml_flags == METH_FASTCALL) {
            return reinterpret_cast<Method>(reinterpret_cast<void (*)()>(method->ml_meth));
        }
    }
    return nullptr;
}

// The parameters of a function, and what they are by default.
void read_signature(py::handle function, Verb& verb) {
    const py::object code = function.attr("__code__");
    const auto names = code.attr("co_varnames").cast<py::tuple>();
    verb.positional = code.attr("co_argcount").cast<Py_ssize_t>();
    const auto count = verb.positional + code.attr("co_kwonlyargcount").cast<Py_ssize_t>();
    if (count > kMostParameters || !function.attr("__defaults__").is_none()) {
        throw py::value_error("Verb: expected at most 16 parameters, with defaults for keywords alone");
    }
    const py::object defaults = function.attr("__kwdefaults__");
    while (verb.count < count) {
        const py::object name = names[static_cast<std::size_t>(verb.count)];
        py::object standard;
        if (verb.count >= verb.positional) {
            standard = defaults[name];
        }
        verb.names[verb.count] = py::object(name).release().ptr();
        verb.defaults[verb.count++] = standard.release().ptr();
    }
}

PyObject* make_verb(PyTypeObject* type, PyObject* arguments, PyObject* /*keywords*/) {
    PyObject* function = nullptr;
    const char* name = nullptr;
    if (PyArg_ParseTuple(arguments, "Os", &function, &name) == 0) {
        return nullptr;
    }
    try {
        const auto made = py::reinterpret_steal<py::object>(type->tp_alloc(type, 0));
        if (!made) {
            return nullptr;
        }
        Verb& verb = verb_of(made.ptr());
        verb.call = &call;
        verb.function = Py_NewRef(function);
        verb.method = method_of(name);
        if (verb.method == nullptr) {
            throw py::value_error("Verb: expected the name of a method of SmallCalls");
        }
        read_signature(function, verb);
        return made.inc_ref().ptr();
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_ValueError, error.what());
    }
    return nullptr;
}

int visit_verb(PyObject* self, visitproc visit, void* arg) {
    Verb& verb = verb_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(verb.attributes);
    Py_VISIT(verb.function);
    for (Py_ssize_t i = 0; i < verb.count; ++i) {
        Py_VISIT(verb.defaults[i]);
    }
    return 0;
}

int clear_verb(PyObject* self) {
    Py_CLEAR(verb_of(self).attributes);
    return 0;
}

void end_verb(PyObject* self) {
    PyTypeObject* const type = Py_TYPE(self);
    Verb& verb = verb_of(self);
    PyObject_GC_UnTrack(self);
    if (verb.references != nullptr) {
        PyObject_ClearWeakRefs(self);
    }
    Py_XDECREF(verb.attributes);
    Py_XDECREF(verb.function);
    Py_XDECREF(verb.calls.load());
    for (Py_ssize_t i = 0; i < verb.count; ++i) {
        Py_XDECREF(verb.names[i]);
        Py_XDECREF(verb.defaults[i]);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

// As a function does, where it is an attribute of a class.
PyObject* bind_to(PyObject* self, PyObject* instance, PyObject* /*owner*/) {
    return instance == nullptr || instance == Py_None ? Py_NewRef(self) : PyMethod_New(self, instance);
}

PyObject* describe(PyObject* self) { return PyObject_Repr(verb_of(self).function); }

// Pickled by name, as functions are.
PyObject* reduce(PyObject* self, PyObject* /*none*/) {
    return PyObject_GetAttrString(verb_of(self).function, "__qualname__");
}

PyObject* get_calls(PyObject* self, void* /*closure*/) {
    PyObject* const calls = verb_of(self).calls.load(std::memory_order_acquire);
    return Py_NewRef(calls == nullptr ? Py_None : calls);
}

int set_calls(PyObject* self, PyObject* value, void* /*closure*/) {
    if (value == nullptr || (value != Py_None && Py_TYPE(value) != calls_type)) {
        PyErr_SetString(PyExc_TypeError, "calls: expected a SmallCalls, or None");
        return -1;
    }
    // The former one is kept for ever: calls of other threads may be in it. In the life of a process there are one or
    // two.
    verb_of(self).calls.store(value == Py_None ? nullptr : Py_NewRef(value), std::memory_order_release);
    return 0;
}

PyMethodDef methods[] = {
    {"__reduce__", &reduce, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"__dict__", &PyObject_GenericGetDict, &PyObject_GenericSetDict, nullptr, nullptr},
    {"calls", &get_calls, &set_calls, "What does plain calls, if anything does.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Verb, call), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(Verb, attributes), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Verb, references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

}  // namespace

void add_verbs(py::module_& module) {
    calls_type = reinterpret_cast<PyTypeObject*>(module.attr("SmallCalls").cast<py::object>().release().ptr());
    PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>("Verb(function, name, /)\n--\n\nA function, by way of a method of SmallCalls.")},
        {Py_tp_new, reinterpret_cast<void*>(&make_verb)},
        {Py_tp_dealloc, reinterpret_cast<void*>(&end_verb)},
        {Py_tp_traverse, reinterpret_cast<void*>(&visit_verb)},
        {Py_tp_clear, reinterpret_cast<void*>(&clear_verb)},
        {Py_tp_call, reinterpret_cast<void*>(&PyVectorcall_Call)},
        {Py_tp_descr_get, reinterpret_cast<void*>(&bind_to)},
        {Py_tp_repr, reinterpret_cast<void*>(&describe)},
        {Py_tp_methods, methods},
        {Py_tp_getset, properties},
        {Py_tp_members, members},
        {0, nullptr},
    };
    PyType_Spec spec{"posenc._core.Verb", sizeof(Verb), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL, slots};
    const auto type = py::reinterpret_steal<py::object>(PyType_FromSpec(&spec));
    if (!type) {
        throw py::error_already_set();
    }
    module.attr("Verb") = type;
}

}  // namespace posenc
