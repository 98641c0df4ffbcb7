// The only file that knows Python. Checks what memory safety needs (python/posenc/_validate.py explains refusals to
// users), releases the GIL, walks the leading dimensions and calls the active kernel. No mathematics.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "dispatch.hpp"
#include "table.hpp"

namespace py = pybind11;

namespace posenc {
namespace {

// The same names stand in python/posenc/_core.pyi.
using FrequencyArray = py::array_t<double, py::array::c_style>;      // (3, K)
using SourceArray = py::array_t<std::int32_t, py::array::c_style>;   // (D,)
using PositionArray = py::array_t<double, py::array::c_style>;       // starts: (1,) or (N,); positions: (1, L) or (N, L)

constexpr std::size_t kElementsPerCheck = std::size_t{1} << 24;  // a few milliseconds: how late Ctrl-C may come

OwnedTable make_table(const FrequencyArray& frequencies, const SourceArray& source) {
    if (frequencies.ndim() != 2 || frequencies.shape(0) != 3 || source.ndim() != 1) {
        throw py::value_error("Table: expected frequencies of shape (3, K) and source of shape (D,)");
    }
    return {{frequencies.data(), static_cast<std::size_t>(frequencies.size())},
            {source.data(), static_cast<std::size_t>(source.size())}};
}

Element element_of(const py::array& out) {
    if (out.dtype().is(py::dtype::of<float>())) {
        return Element::f32;
    }
    if (out.dtype().is(py::dtype::of<double>())) {
        return Element::f64;
    }
    throw py::type_error("out: expected native float32 or float64, got " + std::string(py::str(out.dtype())));
}

// Addresses of the (L, D) arrays that `out` consists of, in C order.
std::vector<char*> sequences_of(py::array& out) {
    std::vector<char*> addresses{static_cast<char*>(out.mutable_data())};
    for (py::ssize_t axis = 0; axis < out.ndim() - 2; ++axis) {
        std::vector<char*> next;
        next.reserve(addresses.size() * static_cast<std::size_t>(out.shape(axis)));
        for (char* address : addresses) {
            for (py::ssize_t i = 0; i < out.shape(axis); ++i) {
                next.push_back(address + i * out.strides(axis));
            }
        }
        addresses = std::move(next);
    }
    return addresses;
}

void check_signals() {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) {
        throw py::error_already_set();
    }
}

// Writes `rows` to the sequences of `target`, in pieces small enough for signals to be noticed between them.
void run_in_pieces(const Table& table, const Rows& rows, const Target& target, double* workspace, std::size_t& done) {
    const Run run = active_level().run;
    for (std::size_t s = 0; s < target.sequences;) {
        const std::size_t sequences = std::min(target.sequences - s, kElementsPerCheck / table.columns + 1);
        const std::size_t height = std::max<std::size_t>(kElementsPerCheck / (sequences * table.columns), 1);
        std::vector<char*> address(target.sequence + s, target.sequence + s + sequences);
        for (std::size_t i = 0; i < rows.count;) {
            const std::size_t count = std::min(height, rows.count - i);
            Target piece = target;
            piece.sequence = address.data();
            piece.sequences = sequences;
            const double* position = rows.position != nullptr ? rows.position + i : nullptr;
            run(table, {position, rows.start, i, count}, piece, workspace);
            for (char*& to : address) {
                to += static_cast<std::ptrdiff_t>(count) * target.row_stride;
            }
            i += count;
            if ((done += count * sequences * table.columns) >= kElementsPerCheck) {
                done = 0;
                check_signals();
            }
        }
        s += sequences;
    }
}

void write_rows(const OwnedTable& owned, py::array out, const PositionArray& positions, Operation operation, double scale,
                bool stream) {
    const Table& table = owned.table();
    const bool runs = positions.ndim() == 1;
    if (out.ndim() < 2 || positions.ndim() < 1 || positions.ndim() > 2 ||
        static_cast<std::size_t>(out.shape(out.ndim() - 1)) != table.columns ||
        (!runs && positions.shape(1) != out.shape(out.ndim() - 2))) {
        throw py::value_error("_core: shapes of table, out and positions do not fit");
    }
    Target target{nullptr, 0, out.strides(out.ndim() - 2), out.strides(out.ndim() - 1), element_of(out), operation, scale, stream};
    std::vector<char*> sequences = sequences_of(out);  // mutable_data() throws for a read-only array
    const auto groups = static_cast<std::size_t>(positions.shape(0));
    if (groups != 1 && groups != sequences.size()) {
        throw py::value_error("_core: expected one group of positions or one per sequence");
    }
    const auto rows = static_cast<std::size_t>(out.shape(out.ndim() - 2));
    const double* position = positions.data();
    const AlignedDoubles workspace = make_workspace(table);

    const py::gil_scoped_release nogil;
    std::size_t done = 0;
    target.sequences = groups == 1 ? sequences.size() : 1;
    for (std::size_t g = 0; g < groups && !sequences.empty(); ++g) {
        target.sequence = sequences.data() + g;
        const Rows group = runs ? Rows{nullptr, position[g], 0, rows} : Rows{position + g * rows, 0.0, 0, rows};
        run_in_pieces(table, group, target, workspace.get(), done);
    }
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

    py::class_<OwnedTable>(m, "Table")
        .def(py::init(&make_table), py::arg("frequencies").noconvert(), py::arg("source").noconvert())
        .def_property_readonly("nbytes", &OwnedTable::nbytes);
    m.def(
        "fill",
        [](const OwnedTable& table, const py::array& out, const PositionArray& positions, bool stream) {
            write_rows(table, out, positions, Operation::fill, 1.0, stream);
        },
        py::arg("table"), py::arg("out").noconvert(), py::arg("positions").noconvert(), py::arg("stream"));
    m.def(
        "add",
        [](const OwnedTable& table, const py::array& out, const PositionArray& positions, double scale) {
            write_rows(table, out, positions, Operation::add, scale, false);
        },
        py::arg("table"), py::arg("out").noconvert(), py::arg("positions").noconvert(), py::arg("scale"));
    m.def("levels", &level_names, "ISA levels this processor can run, fastest first.");
    m.def("level", [] { return std::string(active_level().name); }, "The ISA level in use.");
    m.def("use_level", [](const std::string& name) { use_level(name); }, py::arg("name"));
}
