// The only file that knows Python. Checks what memory safety needs (python/posenc/_validate.py explains refusals to
// users), releases the GIL, walks the leading dimensions and calls the active kernel. No mathematics.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "call.hpp"
#include "dispatch.hpp"

namespace py = pybind11;

namespace posenc {
namespace {

// The same names stand in python/posenc/_core.pyi.
using FrequencyArray = py::array_t<double, py::array::c_style>;     // (3, K)
using SourceArray = py::array_t<std::int32_t, py::array::c_style>;  // (D,)
using PositionArray = py::array_t<double, py::array::c_style>;      // starts: (1,) or (N,); positions: (1, L) or (N, L)

std::shared_ptr<OwnedTable> make_table(const FrequencyArray& frequencies, const SourceArray& source) {
    if (frequencies.ndim() != 2 || frequencies.shape(0) != 3 || source.ndim() != 1) {
        throw py::value_error("Table: expected frequencies of shape (3, K) and source of shape (D,)");
    }
    return std::make_shared<OwnedTable>(std::span{frequencies.data(), static_cast<std::size_t>(frequencies.size())},
                                        std::span{source.data(), static_cast<std::size_t>(source.size())});
}

bool same(const py::dtype& a, const py::dtype& b) { return a.is(b) || a.equal(b); }

Element element_of(const py::array& out) {
    if (same(out.dtype(), py::dtype::of<float>())) {
        return Element::f32;
    }
    if (same(out.dtype(), py::dtype::of<double>())) {
        return Element::f64;
    }
    throw py::type_error("out: expected native float32 or float64, got " + std::string(py::str(out.dtype())));
}

// Addresses of the (L, D) arrays that `array` consists of, in C order.
std::vector<char*> sequences_of(const py::array& array, char* first) {
    std::vector<char*> addresses{first};
    for (py::ssize_t axis = 0; axis < array.ndim() - 2; ++axis) {
        std::vector<char*> next;
        next.reserve(addresses.size() * static_cast<std::size_t>(array.shape(axis)));
        for (char* address : addresses) {
            for (py::ssize_t i = 0; i < array.shape(axis); ++i) {
                next.push_back(address + i * array.strides(axis));
            }
        }
        addresses = std::move(next);
    }
    return addresses;
}

// The GIL, given up for the length of a call. An interpreter that ends in the meantime unwinds the thread that asks for
// it again, which C++ answers by aborting: such a thread sleeps until the process is gone, as from Python 3.14 on.
class WithoutGil {
public:
    WithoutGil() : state_(PyEval_SaveThread()) {}
    ~WithoutGil() { take(); }
    WithoutGil(const WithoutGil&) = delete;
    WithoutGil& operator=(const WithoutGil&) = delete;

    void check_signals() {
        take();
        const bool interrupted = PyErr_CheckSignals() != 0;
        std::optional<py::error_already_set> error;
        if (interrupted) {
            error.emplace();
        }
        state_ = PyEval_SaveThread();
        if (error) {
            throw std::move(*error);
        }
    }

private:
    void take() noexcept {
        try {
            PyEval_RestoreThread(state_);
        } catch (...) {
            for (;;) {
                std::this_thread::sleep_for(std::chrono::hours(1));
            }
        }
    }

    PyThreadState* state_;
};

Arrays arrays_of(const py::array& array, const std::vector<char*>& addresses) {
    return {addresses.data(), array.strides(array.ndim() - 2), array.strides(array.ndim() - 1)};
}

void write(const OwnedTable& table, py::array& out, const py::array& from, const PositionArray& positions,
           Operation operation, double scale, bool stream, std::size_t threads) {
    const bool starts = positions.ndim() == 1;
    if (out.ndim() < 2 || from.ndim() != out.ndim() ||
        !std::equal(out.shape(), out.shape() + out.ndim(), from.shape()) || !same(from.dtype(), out.dtype()) ||
        positions.ndim() < 1 || positions.ndim() > 2 ||
        static_cast<std::size_t>(out.shape(out.ndim() - 1)) != table.table().columns ||
        (!starts && positions.shape(1) != out.shape(out.ndim() - 2))) {
        throw py::value_error("_core: table, arrays and positions do not fit");
    }
    const std::vector<char*> to_addresses = sequences_of(out, static_cast<char*>(out.mutable_data()));
    const std::vector<char*> from_addresses =
        operation == Operation::add ? sequences_of(from, const_cast<char*>(static_cast<const char*>(from.data())))
                                    : to_addresses;
    const auto groups = static_cast<std::size_t>(positions.shape(0));
    if (groups != 1 && groups != to_addresses.size()) {
        throw py::value_error("_core: expected one group of positions or one per sequence");
    }
    const Target target{arrays_of(out, to_addresses),
                        arrays_of(from, from_addresses),
                        to_addresses.size(),
                        element_of(out),
                        operation,
                        scale,
                        stream};
    const Call call{table, positions.data(), starts, groups, static_cast<std::size_t>(out.shape(out.ndim() - 2)),
                    target};
    WithoutGil released;
    run_call(call, threads, [&released] { released.check_signals(); });
}

// ---- small calls
// ----------------------------------------------------------------------------------------------------- One row takes
// longer to check in Python than to compute. The plainest calls, which need no explanation, are checked here: a
// C-contiguous, writeable float32 array of at least two dimensions, and a start that is a small int.

constexpr py::ssize_t kSmallElements = 1 << 14;
constexpr std::size_t kSmallTableBytes = 2 * 1024 * 1024;

// The tables used last, by width. Python's cache owns the others.
struct Remembered {
    std::mutex mutex;
    std::array<std::shared_ptr<const OwnedTable>, 4> tables;
    std::size_t next = 0;
};

std::atomic<Remembered*> remembered_now{new Remembered};

Remembered& remembered() { return *remembered_now; }

// In a forked child: a thread that is no more may have held the lock, or was making a table's rows ready.
void forget() { remembered_now = new Remembered; }

void remember(const std::shared_ptr<OwnedTable>& table) {
    if (table->nbytes() <= kSmallTableBytes) {
        Remembered& all = remembered();
        const std::scoped_lock lock(all.mutex);
        if (std::ranges::find(all.tables, table) != all.tables.end()) {
            return;
        }
        all.tables[all.next++ % all.tables.size()] = table;
    }
}

std::shared_ptr<const OwnedTable> recall(std::size_t columns) {
    Remembered& all = remembered();
    const std::scoped_lock lock(all.mutex);
    for (const auto& table : all.tables) {
        if (table != nullptr && table->table().columns == columns) {
            return table;
        }
    }
    return nullptr;
}

// Does a plain call, or returns false and has done nothing.
bool write_small(const py::handle& array, const py::handle& start, Operation operation) {
    using py::detail::npy_api;
    constexpr int kNeeded =
        npy_api::NPY_ARRAY_C_CONTIGUOUS_ | npy_api::NPY_ARRAY_ALIGNED_ | npy_api::NPY_ARRAY_WRITEABLE_;
    static PyObject* const float32 = py::dtype::of<float>().release().ptr();
    static PyTypeObject* const ndarray = npy_api::get().PyArray_Type_;
    if (Py_TYPE(array.ptr()) != ndarray || !PyLong_CheckExact(start.ptr())) {
        return false;
    }
    const auto* proxy = py::detail::array_proxy(array.ptr());
    if (proxy->descr != float32 || proxy->nd < 2 || (proxy->flags & kNeeded) != kNeeded) {
        return false;
    }
    const py::ssize_t columns = proxy->dimensions[proxy->nd - 1], rows = proxy->dimensions[proxy->nd - 2];
    py::ssize_t count = 1;
    for (int axis = 0; axis < proxy->nd - 2; ++axis) {
        count *= proxy->dimensions[axis];
    }
    int overflow = 0;
    const long long first = PyLong_AsLongLongAndOverflow(start.ptr(), &overflow);
    constexpr long long kLargest = 1LL << 52;
    if (count * rows * columns == 0 || count * rows * columns > kSmallElements || overflow != 0 || first < -kLargest ||
        first > kLargest) {
        return false;
    }
    const std::shared_ptr<const OwnedTable> table = recall(static_cast<std::size_t>(columns));
    if (table == nullptr) {
        return false;
    }
    std::array<char*, 16> few{};
    std::vector<char*> many(static_cast<std::size_t>(count) > few.size() ? static_cast<std::size_t>(count) : 0);
    char** const address = many.empty() ? few.data() : many.data();
    const auto row_bytes = columns * static_cast<py::ssize_t>(sizeof(float));
    for (py::ssize_t i = 0; i < count; ++i) {
        address[i] = proxy->data + i * rows * row_bytes;
    }
    const Arrays arrays{address, row_bytes, sizeof(float)};
    const auto position = static_cast<double>(first);
    run_small_call({*table,
                    &position,
                    true,
                    1,
                    static_cast<std::size_t>(rows),
                    {arrays, arrays, static_cast<std::size_t>(count), Element::f32, operation, 1.0, false}});
    return true;
}

py::list level_names() {
    py::list names;
    for (const Level& level : levels()) {
        if (level.supported()) {
            names.append(py::str(level.name.data(), level.name.size()));
        }
    }
    return names;
}

}  // namespace
}  // namespace posenc

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
    using namespace posenc;
    m.doc() = "Compiled kernels of posenc. Private: python/posenc/_api.py is the way in.";
    m.attr("__version__") = POSENC_VERSION;
    m.attr("compiler") = POSENC_COMPILER;
    m.attr("flags") = POSENC_FLAGS;

    py::class_<OwnedTable, std::shared_ptr<OwnedTable>>(m, "Table")
        .def(py::init(&make_table), py::arg("frequencies").noconvert(), py::arg("source").noconvert())
        .def_property_readonly("nbytes", &OwnedTable::nbytes);
    m.def(
        "fill",
        [](const OwnedTable& table, py::array out, const PositionArray& positions, bool stream, std::size_t threads) {
            write(table, out, out, positions, Operation::fill, 1.0, stream, threads);
        },
        py::arg("table"), py::arg("out").noconvert(), py::arg("positions").noconvert(), py::arg("stream"),
        py::arg("threads"));
    m.def(
        "add",
        [](const OwnedTable& table, const py::array& x, py::array out, const PositionArray& positions, double scale,
           bool stream,
           std::size_t threads) { write(table, out, x, positions, Operation::add, scale, stream, threads); },
        py::arg("table"), py::arg("x").noconvert(), py::arg("out").noconvert(), py::arg("positions").noconvert(),
        py::arg("scale"), py::arg("stream"), py::arg("threads"));
    m.def("remember", &remember, py::arg("table"), "Make fill_small and add_small aware of a table.");
    m.def("forget", &forget, "Undo all of remember. For a child process after a fork.");
    m.def("fill_small",
          [](const py::handle& out, const py::handle& start) { return write_small(out, start, Operation::fill); });
    m.def("add_small",
          [](const py::handle& x, const py::handle& start) { return write_small(x, start, Operation::add); });
    m.def("levels", &level_names, "ISA levels this processor can run, fastest first.");
    m.def("level", [] { return std::string(active_level().name); }, "The ISA level in use.");
    m.def("use_level", [](const std::string& name) { use_level(name); }, py::arg("name"));
}
