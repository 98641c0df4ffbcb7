// The module. Checks what memory safety needs (python/posenc/_validate.py explains refusals to
// users), releases the GIL, walks the leading dimensions and calls the active kernel. No mathematics.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "call.hpp"
#include "dispatch.hpp"
#include "faults.hpp"
#include "gil.hpp"
#include "shared.hpp"
#include "small/calls.hpp"
#include "small/verb.hpp"
#include "tuning.hpp"

namespace py = pybind11;

namespace posenc {
namespace {

// The same names stand in python/posenc/_core.pyi.
using FrequencyArray = py::array_t<double, py::array::c_style>;      // (2, K)
using IndexArray = py::array_t<std::int64_t, py::array::c_style>;    // (E,)
using NumberArray = py::array_t<std::uint64_t, py::array::c_style>;  // (E, 10)
using FactorArray = py::array_t<double, py::array::c_style>;         // (1,) or (1 + K,)
using SourceArray = py::array_t<std::int32_t, py::array::c_style>;   // (D,)
using IdArray = py::array_t<std::int64_t, py::array::c_style>;       // (..., L)
using PositionArray = py::array_t<double, py::array::c_style>;  // starts: (1,) or (N,); positions: (1, L) or (N, L)

// What Python holds. Not pybind11's own shared_ptr: where it finds no memory for one, it frees the table twice.
struct HeldTable {
    std::shared_ptr<const OwnedTable> owned;

    HeldTable(const FrequencyArray& frequencies, const SourceArray& source, double amplitude, const NumberArray& factor,
              const std::tuple<IndexArray, NumberArray, NumberArray, FactorArray>& numbers,
              const std::array<double, 5>& special, bool full_turns) {
        if (frequencies.ndim() != 2 || frequencies.shape(0) != 2 || source.ndim() != 1) {
            throw py::value_error("Table: expected frequencies of shape (2, K) and source of shape (D,)");
        }
        const auto all = [](const auto& array) {
            return std::span{array.data(), static_cast<std::size_t>(array.size())};
        };
        const Fallible fallible;
        const auto& [index, exact, powers, factors] = numbers;
        owned = std::make_shared<const OwnedTable>(all(frequencies), all(source), amplitude, all(factor),
                                                   PackedNumbers{all(index), all(exact), all(powers), all(factors)},
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

// Raises what a signal handler raised, with a note of how far the call came.
[[noreturn]] void raise_stopped(const Poll::Written& written) {
    const py::error_already_set error;
    try {
        const py::object wrote = py::module_::import("posenc._notes").attr("wrote");
        wrote(error.value(), written.elements, written.of, written.one_thread);
    } catch (const py::error_already_set&) {  // NOLINT(bugprone-empty-catch): a note is not worth another exception
    }
    throw error;  // NOLINT(misc-throw-by-value-catch-by-reference)
}

// Runs a call without the GIL, and raises what ended it early.
template <class Call>
void run_without_gil(const Call& call, std::size_t threads) {
    Outcome outcome{};
    Poll::Written written{};
    {
        WithoutGil released;
        outcome = run_call(call, threads, released);
        written = released.written;
    }
    if (outcome == Outcome::stopped) {
        raise_stopped(written);
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

    // Instead of adding: `ids` of all rows, in C order.
    void embed(const std::int64_t* ids, py::ssize_t rows, const py::array& embeddings) {
        from.resize(to.size());
        const std::int64_t* next = ids;
        for (char*& address : from) {
            address = const_cast<char*>(reinterpret_cast<const char*>(next));
            next += rows;
        }
        target.from = {from.data(), sizeof(std::int64_t), embeddings.strides(1)};
        target.operation = Operation::embed;
        target.embeddings = {static_cast<const char*>(embeddings.data()), embeddings.strides(0),
                             reinterpret_cast<const char*>(next)};
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

// Writes rows of `embeddings` (V, D) * scale + PE to `out`.
void embed(const HeldTable& held, const IdArray& ids, const py::array& embeddings, py::array out,
           const PositionArray& positions, double scale, bool stream, std::size_t threads) {
    const Fallible fallible;
    const OwnedTable& table = *held.owned;
    const bool starts = positions.ndim() == 1;
    const auto groups = static_cast<std::size_t>(positions.ndim() == 0 ? 0 : positions.shape(0));
    Written written(out, std::nullopt, scale, stream, 2, false);
    const py::ssize_t columns = out.shape(out.ndim() - 1), rows = out.shape(out.ndim() - 2);
    const std::int64_t* const first = ids.data();
    if ((groups != 1 && groups != written.to.size()) || positions.ndim() > 2 || embeddings.ndim() != 2 ||
        embeddings.shape(1) != columns || static_cast<std::size_t>(columns) != table.table().columns ||
        element_of(embeddings) != written.target.element || (!starts && positions.shape(1) != rows) ||
        ids.ndim() != out.ndim() - 1 || !std::equal(ids.shape(), ids.shape() + ids.ndim(), out.shape()) ||
        std::any_of(first, first + ids.size(), [&](std::int64_t id) { return id >= embeddings.shape(0); })) {
        throw py::value_error("_core: table, ids, embeddings, out and positions do not fit");
    }
    written.embed(first, rows, embeddings);
    const Call call{table, positions.data(), starts, groups, static_cast<std::size_t>(rows), written.target};
    run_without_gil(call, threads);
}

// Writes the bitwise or of a row of each of `parts`, (*own, n, D), to the cells of `out`, (*own, *shared, *n, D).
void merge(const std::optional<py::array>& x, py::array out, const std::vector<py::array>& parts, double scale,
           bool stream, std::size_t threads) {
    const Fallible fallible;
    const auto axes = static_cast<py::ssize_t>(parts.size());
    if (axes == 0) {
        throw py::value_error("_core: expected parts");
    }
    const Written written(out, x, scale, stream, axes + 1, false);
    const std::size_t size = value_bytes(written.target.element, written.target.operation);
    const py::ssize_t own = parts.front().ndim() - 2;
    MergeCall call{{}, 1, {}, {}, {}, static_cast<std::size_t>(out.shape(out.ndim() - 1)), written.target};
    for (py::ssize_t a = 0; a < axes; ++a) {
        const py::array& part = parts[static_cast<std::size_t>(a)];
        const py::ssize_t axis = out.ndim() - 1 - axes + a;
        if (own < 0 || own > out.ndim() - 1 - axes || part.ndim() != own + 2 ||
            !std::equal(part.shape(), part.shape() + own, out.shape()) || part.shape(own) != out.shape(axis) ||
            part.shape(own + 1) != out.shape(out.ndim() - 1) || static_cast<std::size_t>(part.itemsize()) != size ||
            (part.flags() & py::array::c_style) == 0) {
            throw py::value_error("_core: parts and arrays do not fit");
        }
        call.parts.push_back(static_cast<const char*>(part.data()));
        call.lengths.push_back(static_cast<std::size_t>(part.shape(own)));
        call.to_steps.push_back(out.strides(axis));
        call.from_steps.push_back((x ? *x : out).strides(axis));
    }
    for (py::ssize_t axis = 0; axis < own; ++axis) {
        call.groups *= static_cast<std::size_t>(out.shape(axis));
    }
    run_without_gil(call, threads);
}

// Turns pairs of columns of `x`, (*own, *shared, L, D), by `rows` (*own, L, D), and writes that to `out`.
void rotate(const std::optional<py::array>& x, py::array out, const py::array& rows,
            const std::vector<std::array<std::size_t, 4>>& runs, bool inverse, std::size_t threads) {
    const Fallible fallible;
    Written written(out, x, 1.0, false, 2, false);
    written.target.operation = Operation::turn;
    const py::ssize_t own = rows.ndim() - 2;
    const std::size_t size = value_bytes(written.target.element, written.target.operation);
    if (own < 0 || own > out.ndim() - 2 || !std::equal(rows.shape(), rows.shape() + own, out.shape()) ||
        !std::equal(rows.shape() + own, rows.shape() + rows.ndim(), out.shape() + out.ndim() - 2) ||
        static_cast<std::size_t>(rows.itemsize()) != size || (rows.flags() & py::array::c_style) == 0) {
        throw py::value_error("_core: rows and arrays do not fit");
    }
    const auto columns = static_cast<std::size_t>(out.shape(out.ndim() - 1));
    TurnCall call{{}, {}, 1, written.target};
    for (const auto& [cos, sin, number, step] : runs) {
        call.runs.push_back({cos, sin, number, step});
    }
    if (!are_pairs(call.runs, columns)) {
        throw py::value_error("_core: pairs and arrays do not fit");
    }
    for (py::ssize_t axis = 0; axis < own; ++axis) {
        call.groups *= static_cast<std::size_t>(rows.shape(axis));
    }
    call.turning = {static_cast<const char*>(rows.data()),
                    static_cast<std::size_t>(rows.shape(own)),
                    columns,
                    call.runs.data(),
                    call.runs.size(),
                    inverse};
    run_without_gil(call, threads);
}

// Of tuning.hpp, by their names there in Python's spelling, and what the system told.
py::dict tuning() {
    py::dict all;
    for (const auto& [name, value] : std::initializer_list<std::pair<const char*, std::size_t>>{
             {"piece_elements", kPieceElements},
             {"thread_elements", kThreadElements},
             {"double_rows", kDoubleRows},
             {"pieces_per_thread", kPiecesPerThread},
             {"most_arrays", kMostArrays},
             {"small_elements", kSmallElements},
             {"tiny_elements", kTinyElements},
             {"memo_bytes", kMemoBytes},
             {"spares", kSpares},
             {"spare_doubles", kSpareDoubles},
             {"tile_rows", kTileRows},
             {"same_place", kSamePlace},
             {"same_place_rows", kSamePlaceRows},
             {"near_place", kNearPlace},
             {"near_place_rows", kNearPlaceRows},
             {"line_rows", kLineRows},
             {"line_period", kLinePeriod},
             {"ahead_bytes", kAheadBytes},
             {"block", kBlock},
             {"run", kRun},
             {"stepped_run", kSteppedRun},
             {"rotations", kRotations},
             {"shared_bytes", kSharedBytes},
             {"shared_table_bytes", kSharedTableBytes},
             {"sharing_arrays", kSharingArrays},
             {"sharing_halves", kSharingHalves},
             {"sharing_columns", kSharingColumns},
             {"shared_pieces", kSharedPieces},
             {"linear_ahead", kLinearAhead},
             {"turn_bytes", kTurnBytes},
             {"turn_ahead", kTurnAhead},
             {"tile_doubles", kTileDoubles},
             {"turn_doubles", kTurnDoubles},
             {"least_turns", kLeastTurns},
             {"transposed_rows", kTransposedRows},
             {"transposed_columns", kTransposedColumns},
             {"gathered", kGathered},
             {"repeated", kRepeated},
             {"short_bytes", kShortBytes},
             {"embed_ahead", kEmbedAhead},
             {"embed_rows_ahead", kEmbedRowsAhead},
             {"embed_stream_share", kEmbedStreamShare},
             {"embed_shared", kEmbedShared},
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
    watch_forks();
    m.doc() = "Compiled kernels of posenc. Private: python/posenc/_api.py is the way in.";
    m.attr("__version__") = POSENC_VERSION;
    m.attr("compiler") = POSENC_COMPILER;
    m.attr("flags") = POSENC_FLAGS;

    py::class_<HeldTable>(m, "Table")
        .def(py::init<const FrequencyArray&, const SourceArray&, double, const NumberArray&,
                      const std::tuple<IndexArray, NumberArray, NumberArray, FactorArray>&,
                      const std::array<double, 5>&, bool>(),
             py::arg("frequencies").noconvert(), py::arg("source").noconvert(), py::arg("amplitude"),
             py::arg("factor").noconvert(), py::arg("numbers"), py::arg("special"), py::arg("full_turns"))
        .def_property_readonly("nbytes", [](const HeldTable& held) { return held.owned->nbytes(); });
    m.def("write", &posenc::write, py::arg("table"), py::arg("x").noconvert().none(true), py::arg("out").noconvert(),
          py::arg("positions").noconvert(), py::arg("scale"), py::arg("stream"), py::arg("threads"));
    m.def("embed", &posenc::embed, py::arg("table"), py::arg("ids").noconvert(), py::arg("embeddings").noconvert(),
          py::arg("out").noconvert(), py::arg("positions").noconvert(), py::arg("scale"), py::arg("stream"),
          py::arg("threads"));
    m.def("merge", &posenc::merge, py::arg("x").noconvert().none(true), py::arg("out").noconvert(), py::arg("parts"),
          py::arg("scale"), py::arg("stream"), py::arg("threads"));
    m.def("rotate", &posenc::rotate, py::arg("x").noconvert().none(true), py::arg("out").noconvert(),
          py::arg("rows").noconvert(), py::arg("pairs"), py::arg("inverse"), py::arg("threads"));
    add_small_calls(m, [](py::handle table) { return table.cast<const HeldTable&>().owned; });
    add_verbs(m);
    m.def("tuning", &tuning, "Thresholds, which change nothing but the speed; see csrc/tuning.hpp.");
    m.def("levels", &level_names, "ISA levels this processor can run, fastest first.");
    m.def("level", [] { return std::string(active_level().name); }, "The ISA level in use.");
    m.def("use_level", [](const std::string& name) { use_level(name); }, py::arg("name"));
#if defined(POSENC_FAULTS)
    m.def("fail_allocation", &fail_allocation, py::arg("number"));
    m.def("allocations_left", &allocations_left);
#endif
}
