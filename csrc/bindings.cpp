// The only file that knows Python. Checks what memory safety needs (python/posenc/_validate.py explains refusals to
// users), releases the GIL, walks the leading dimensions and calls the active kernel. No mathematics.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "call.hpp"
#include "dispatch.hpp"
#include "faults.hpp"
#include "shared.hpp"
#include "tuning.hpp"

namespace py = pybind11;

namespace posenc {
namespace {

// The same names stand in python/posenc/_core.pyi.
using FrequencyArray = py::array_t<double, py::array::c_style>;      // (2, K)
using NumberArray = py::array_t<std::uint64_t, py::array::c_style>;  // (K, 10)
using SourceArray = py::array_t<std::int32_t, py::array::c_style>;   // (D,)
using PositionArray = py::array_t<double, py::array::c_style>;  // starts: (1,) or (N,); positions: (1, L) or (N, L)

// What Python holds. Not pybind11's own shared_ptr: where it finds no memory for one, it frees the table twice.
struct HeldTable {
    std::shared_ptr<const OwnedTable> owned;

    HeldTable(const FrequencyArray& frequencies, const SourceArray& source, double amplitude, const NumberArray& factor,
              const NumberArray& numbers, const std::array<double, 5>& special, bool full_turns) {
        if (frequencies.ndim() != 2 || frequencies.shape(0) != 2 || source.ndim() != 1) {
            throw py::value_error("Table: expected frequencies of shape (2, K) and source of shape (D,)");
        }
        const auto all = [](const auto& array) {
            return std::span{array.data(), static_cast<std::size_t>(array.size())};
        };
        const Fallible fallible;
        owned = std::make_shared<const OwnedTable>(all(frequencies), all(source), amplitude, all(factor), all(numbers),
                                                   special, full_turns, active_level().prepare);
    }
};

Element element_of(const py::array& out) {
    const py::dtype dtype = out.dtype();
    if (py::cast<bool>(dtype.attr("isnative"))) {
        switch (dtype.char_()) {
            case 'f':
                return Element::f32;
            case 'd':
                return Element::f64;
            case 'e':
                return Element::f16;
            case 'H':
                return Element::bf16;  // its bits
            default:
                break;
        }
    }
    throw py::type_error("_core: expected native float32, float64, float16, or uint16 for bfloat16");
}

// Addresses of the arrays that `array` consists of along some of its axes, in C order.
std::vector<char*> outer_addresses(const py::array& array, char* first,  // NOLINT(readability-non-const-parameter)
                                   std::span<const py::ssize_t> axes) {
    std::vector<char*> addresses{first};
    for (const py::ssize_t axis : axes) {
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

// Axes along which rows do not change, and whose elements lie closer to each other than rows do: they count as one,
// with `count` elements that are evenly spaced in both arrays.
struct Cells {
    std::size_t count = 1;
    py::ssize_t to = 0, from = 0;
};

// Takes such axes out of `axes`.
Cells take_cells(const py::array& out, const py::array& old, std::vector<py::ssize_t>& axes) {
    const py::ssize_t row = out.ndim() - 2;
    std::vector<py::ssize_t> close;
    std::ranges::copy_if(axes, std::back_inserter(close), [&](py::ssize_t axis) {
        return out.shape(axis) > 1 && std::abs(out.strides(axis)) < std::abs(out.strides(row)) && out.shape(row) > 1;
    });
    std::ranges::sort(close, {}, [&](py::ssize_t axis) { return std::abs(out.strides(axis)); });
    Cells cells;
    for (const py::ssize_t axis : close) {
        const auto size = static_cast<py::ssize_t>(cells.count);
        if (size > 1 && (out.strides(axis) != cells.to * size || old.strides(axis) != cells.from * size)) {
            break;
        }
        if (size == 1) {
            cells.to = out.strides(axis);
            cells.from = old.strides(axis);
        }
        cells.count *= static_cast<std::size_t>(out.shape(axis));
        std::erase(axes, axis);
    }
    return cells;
}

// The GIL, given up for the length of a call. An interpreter that ends in the meantime unwinds the thread that asks for
// it again, which C++ answers by aborting: such a thread sleeps until the process is gone, as from Python 3.14 on.
class WithoutGil : public Poll {
public:
    WithoutGil() : state_(PyEval_SaveThread()) {}
    ~WithoutGil() {
        stay([&] { PyEval_RestoreThread(state_); });
    }
    WithoutGil(const WithoutGil&) = delete;
    WithoutGil& operator=(const WithoutGil&) = delete;

    // Runs signal handlers, and whatever else Python has to do. Where one raises, the error stays set in this thread.
    bool go_on() noexcept override {
        bool quiet = true;
        stay([&] {
            PyEval_RestoreThread(state_);
            quiet = PyErr_CheckSignals() == 0;
            state_ = PyEval_SaveThread();
        });
        return quiet;
    }

private:
    template <class Python>
    static void stay(const Python& python) noexcept {
        try {
            python();
        } catch (...) {
            for (;;) {
                std::this_thread::sleep_for(std::chrono::hours(1));
            }
        }
    }

    PyThreadState* state_;
};

// Runs a call without the GIL, and raises what ended it early.
template <class Call>
void run_without_gil(const Call& call, std::size_t threads) {
    Outcome outcome{};
    {
        WithoutGil released;
        outcome = run_call(call, threads, released);
    }
    if (outcome == Outcome::forked) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this process was forked in the midst of a call on several threads, and has not got the other "
                        "threads: the array is partly written. Start anew from an array of its own, or with threads=1");
    }
    if (outcome != Outcome::finished) {
        throw py::error_already_set();
    }
}

Arrays arrays_of(const py::array& array, const std::vector<char*>& addresses) {
    return {addresses.data(), array.strides(array.ndim() - 2), array.strides(array.ndim() - 1)};
}

// What is written to `out`, and perhaps added to `from`, of the same shape and dtype. Keeps the addresses.
struct Written {
    std::vector<char*> to, from;
    Target target;

    // Their last `inner` dimensions are left to others. Where all arrays have the same rows, some axes become cells.
    Written(py::array& out, const std::optional<py::array>& x, double scale, bool stream, py::ssize_t inner,
            bool same_rows) {
        const py::array& old = x ? *x : out;
        if (out.ndim() < inner || old.ndim() != out.ndim() ||
            !std::equal(out.shape(), out.shape() + out.ndim(), old.shape()) || element_of(out) != element_of(old)) {
            throw py::value_error("_core: arrays do not fit each other");
        }
        std::vector<py::ssize_t> axes(static_cast<std::size_t>(out.ndim() - inner));
        std::iota(axes.begin(), axes.end(), py::ssize_t{0});
        const Cells cells = same_rows ? take_cells(out, old, axes) : Cells{};
        to = outer_addresses(out, static_cast<char*>(out.mutable_data()), axes);
        from = x ? outer_addresses(old, const_cast<char*>(static_cast<const char*>(old.data())), axes) : to;
        target = {arrays_of(out, to),
                  arrays_of(old, from),
                  to.size(),
                  cells.count,
                  cells.to,
                  cells.from,
                  element_of(out),
                  x ? Operation::add : Operation::fill,
                  scale,
                  stream};
    }
};

// Fills `out`, or adds to `x`.
void write(const HeldTable& held, const std::optional<py::array>& x, py::array out, const PositionArray& positions,
           double scale, bool stream, std::size_t threads) {
    const Fallible fallible;
    const OwnedTable& table = *held.owned;
    const bool starts = positions.ndim() == 1;
    const auto groups = static_cast<std::size_t>(positions.ndim() == 0 ? 0 : positions.shape(0));
    const Written written(out, x, scale, stream, 2, groups == 1);
    if ((groups != 1 && groups != written.to.size()) || positions.ndim() > 2 ||
        static_cast<std::size_t>(out.shape(out.ndim() - 1)) != table.table().columns ||
        (!starts && positions.shape(1) != out.shape(out.ndim() - 2))) {
        throw py::value_error("_core: table, arrays and positions do not fit");
    }
    const Call call{
        table, positions.data(), starts, groups, static_cast<std::size_t>(out.shape(out.ndim() - 2)), written.target};
    run_without_gil(call, threads);
}

void merge(const std::optional<py::array>& x, py::array out, const std::vector<py::array>& parts, double scale,
           bool stream, std::size_t threads) {
    const Fallible fallible;
    const auto axes = static_cast<py::ssize_t>(parts.size());
    const Written written(out, x, scale, stream, axes + 1, false);
    const std::size_t size = value_bytes(written.target.element, written.target.operation);
    MergeCall call{{}, {}, {}, {}, static_cast<std::size_t>(out.shape(out.ndim() - 1)), written.target};
    for (py::ssize_t a = 0; a < axes; ++a) {
        const py::array& part = parts[static_cast<std::size_t>(a)];
        const py::ssize_t axis = out.ndim() - 1 - axes + a;
        if (part.ndim() != 2 || part.shape(0) != out.shape(axis) || part.shape(1) != out.shape(out.ndim() - 1) ||
            static_cast<std::size_t>(part.itemsize()) != size || (part.flags() & py::array::c_style) == 0) {
            throw py::value_error("_core: parts and arrays do not fit");
        }
        call.parts.push_back(static_cast<const char*>(part.data()));
        call.lengths.push_back(static_cast<std::size_t>(part.shape(0)));
        call.to_steps.push_back(out.strides(axis));
        call.from_steps.push_back((x ? *x : out).strides(axis));
    }
    if (axes == 0) {
        throw py::value_error("_core: expected parts");
    }
    run_without_gil(call, threads);
}

// ---- small calls ----------------------------------------------------------------------------------------------------
// One row takes longer to check in Python than to compute. The plainest calls, which need no explanation, are checked
// here: a C-contiguous, writeable float32 array of at least two dimensions, and a start that is a small int.

// The tables used last, by width and by the very object that named the encoding (None for the default), which is kept:
// no other object takes its place in memory. Python's cache owns the other tables. Under shared_mutex.
struct Remembered {
    struct Entry {
        py::object encoding;
        std::shared_ptr<const OwnedTable> table;
        double offset = 0.0;  // of positions, a whole number
    };
    std::array<Entry, kRememberedTables> entries;
    std::size_t next = 0;
};

// NumPy's own objects, found when the module is made: a static of a function would be found under a lock.
PyObject* float32 = nullptr;
PyTypeObject* ndarray = nullptr;

Remembered* remembered = nullptr;  // made with the module, and never freed: the interpreter ends before it would be

void remember(const HeldTable& held, const py::object& encoding, double offset) {
    if (held.owned->nbytes() > kSmallTableBytes) {
        return;
    }
    Remembered::Entry entry{encoding, held.owned, offset};
    const std::scoped_lock lock(shared_mutex());
    if (std::ranges::none_of(remembered->entries, [&](const Remembered::Entry& known) {
            return known.table == held.owned && known.encoding.is(encoding);
        })) {
        // The old one ends when the lock is free.
        std::swap(remembered->entries[remembered->next++ % remembered->entries.size()], entry);
    }
}

// The table and the offset for an encoding.
std::pair<std::shared_ptr<const OwnedTable>, double> recall(std::size_t columns, const py::handle& encoding) {
    const std::scoped_lock lock(shared_mutex());
    for (const Remembered::Entry& entry : remembered->entries) {
        if (entry.table != nullptr && entry.table->table().columns == columns && entry.encoding.is(encoding)) {
            return {entry.table, entry.offset};
        }
    }
    return {nullptr, 0.0};
}

// Does a plain call, or returns false and has done nothing.
bool write_small(const py::handle& array, const py::handle& start, const py::handle& encoding, Operation operation) {
    using py::detail::npy_api;
    constexpr int kNeeded =
        npy_api::NPY_ARRAY_C_CONTIGUOUS_ | npy_api::NPY_ARRAY_ALIGNED_ | npy_api::NPY_ARRAY_WRITEABLE_;
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
    const auto elements = static_cast<std::size_t>(count * rows * columns);
    if (elements == 0 || elements > kSmallElements || overflow != 0 || first < -kLargest || first > kLargest) {
        return false;
    }
    const auto [table, offset] = recall(static_cast<std::size_t>(columns), encoding);
    if (table == nullptr) {
        return false;
    }
    const Fallible fallible;
    std::array<char*, 16> few{};
    std::vector<char*> many(static_cast<std::size_t>(count) > few.size() ? static_cast<std::size_t>(count) : 0);
    char** const address = many.empty() ? few.data() : many.data();
    const auto row_bytes = columns * static_cast<py::ssize_t>(sizeof(float));
    for (py::ssize_t i = 0; i < count; ++i) {
        address[i] = proxy->data + i * rows * row_bytes;
    }
    const Arrays arrays{address, row_bytes, sizeof(float)};
    const double position = static_cast<double>(first) + offset;
    const Call call{*table,
                    &position,
                    true,
                    1,
                    static_cast<std::size_t>(rows),
                    {arrays, arrays, static_cast<std::size_t>(count), 1, 0, 0, Element::f32, operation, 1.0, false}};
    std::optional<WithoutGil> released;
    if (elements > kTinyElements) {
        released.emplace();
    }
    run_small_call(call);
    return true;
}

// Of tuning.hpp, by their names there in Python's spelling, and what the system told.
py::dict tuning() {
    py::dict all;
    for (const auto& [name, value] : std::initializer_list<std::pair<const char*, std::size_t>>{
             {"piece_elements", kPieceElements},
             {"thread_elements", kThreadElements},
             {"pieces_per_thread", kPiecesPerThread},
             {"most_arrays", kMostArrays},
             {"small_elements", kSmallElements},
             {"tiny_elements", kTinyElements},
             {"small_table_bytes", kSmallTableBytes},
             {"remembered_tables", kRememberedTables},
             {"spares", kSpares},
             {"spare_doubles", kSpareDoubles},
             {"tile_rows", kTileRows},
             {"block", kBlock},
             {"run", kRun},
             {"stepped_run", kSteppedRun},
             {"rotations", kRotations},
             {"shared_bytes", kSharedBytes},
             {"transposed_rows", kTransposedRows},
             {"transposed_columns", kTransposedColumns},
             {"gathered", kGathered},
             {"short_bytes", kShortBytes},
             {"down_ahead", kDownAhead},
             {"quick_window", kQuickWindow},
             {"evaluate_window", kEvaluateWindow},
             {"second_level_bytes", caches().second_level},
             {"last_level_bytes", caches().last_level},
             {"least_stream_bytes", kLeastStreamBytes},
             {"most_stream_bytes", kMostStreamBytes},
             {"stream_bytes", stream_bytes()},
         }) {
        all[name] = value;
    }
    return all;
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
    if (remembered == nullptr) {
        watch_forks();
        float32 = py::dtype::of<float>().release().ptr();
        ndarray = py::detail::npy_api::get().PyArray_Type_;
        remembered = new Remembered;
    }
    m.doc() = "Compiled kernels of posenc. Private: python/posenc/_api.py is the way in.";
    m.attr("__version__") = POSENC_VERSION;
    m.attr("compiler") = POSENC_COMPILER;
    m.attr("flags") = POSENC_FLAGS;

    py::class_<HeldTable>(m, "Table")
        .def(py::init<const FrequencyArray&, const SourceArray&, double, const NumberArray&, const NumberArray&,
                      const std::array<double, 5>&, bool>(),
             py::arg("frequencies").noconvert(), py::arg("source").noconvert(), py::arg("amplitude"),
             py::arg("factor").noconvert(), py::arg("numbers").noconvert(), py::arg("special"), py::arg("full_turns"))
        .def_property_readonly("nbytes", [](const HeldTable& held) { return held.owned->nbytes(); });
    m.def("write", &posenc::write, py::arg("table"), py::arg("x").noconvert().none(true), py::arg("out").noconvert(),
          py::arg("positions").noconvert(), py::arg("scale"), py::arg("stream"), py::arg("threads"));
    m.def("merge", &posenc::merge, py::arg("x").noconvert().none(true), py::arg("out").noconvert(), py::arg("parts"),
          py::arg("scale"), py::arg("stream"), py::arg("threads"));
    m.def("remember", &remember, py::arg("table"), py::arg("encoding"), py::arg("offset"),
          "Make fill_small and add_small aware of a table.");
    m.def("fill_small", [](const py::handle& out, const py::handle& start, const py::handle& encoding) {
        return write_small(out, start, encoding, Operation::fill);
    });
    m.def("add_small", [](const py::handle& x, const py::handle& start, const py::handle& encoding) {
        return write_small(x, start, encoding, Operation::add);
    });
    m.def("tuning", &tuning, "Thresholds, which change nothing but the speed; see csrc/tuning.hpp.");
    m.def("levels", &level_names, "ISA levels this processor can run, fastest first.");
    m.def("level", [] { return std::string(active_level().name); }, "The ISA level in use.");
    m.def("use_level", [](const std::string& name) { use_level(name); }, py::arg("name"));
#if defined(POSENC_FAULTS)
    m.def("fail_allocation", &fail_allocation, py::arg("number"));
    m.def("allocations_left", &allocations_left);
#endif
}
