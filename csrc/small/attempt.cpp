// A row takes longer to check in Python than to compute. Here calls are checked that need no explanation; what is not
// plain, or wrong, is left to Python, which does it, or explains. Nothing is written before everything is checked.
//
// Order matters: what runs Python code comes first. Then all arguments are looked at, and from there to the end nothing
// of it runs, so that memory stays where it was seen.
#include "attempt.hpp"

#include <pybind11/stl.h>

#include <array>
#include <cmath>
#include <new>
#include <optional>
#include <tuple>
#include <vector>

#include "../call.hpp"
#include "../faults.hpp"
#include "../gil.hpp"
#include "layout.hpp"
#include "write.hpp"

namespace py = pybind11;

namespace posenc::small {
namespace {

constexpr long kMostThreads = 1 << 16;

bool is_integer(PyObject* object, long value) noexcept {
    if (!PyLong_CheckExact(object)) {
        return false;
    }
    int overflow = 0;
    return PyLong_AsLongAndOverflow(object, &overflow) == value && overflow == 0;
}
}  // namespace

bool is_usual(PyObject* threads, PyObject* backend) noexcept {
    if (backend != Py_None) {
        return false;
    }
    if (threads == Py_None) {
        return true;
    }
    int overflow = 0;
    const long number = PyLong_CheckExact(threads) ? PyLong_AsLongAndOverflow(threads, &overflow) : 0;
    return overflow == 0 && number >= 1 && number <= kMostThreads;
}

namespace {

bool small_integers(PyObject* said, int& count, std::int64_t (&integers)[kMostAxes]) noexcept {
    const bool one = PyLong_CheckExact(said) != 0;
    if (!one && (PyTuple_CheckExact(said) == 0 || PyTuple_GET_SIZE(said) > kMostAxes)) {
        return false;
    }
    const Py_ssize_t size = one ? 1 : PyTuple_GET_SIZE(said);
    for (Py_ssize_t i = 0; i < size; ++i) {
        const auto number = small_integer(one ? said : PyTuple_GET_ITEM(said, i));
        if (!number) {
            return false;
        }
        integers[i] = static_cast<std::int64_t>(*number);
    }
    count = static_cast<int>(size);
    return size > 0;
}

// What seq_axis and channel_axis, grid and prefix say. False: what they say is wrong, or may be.
bool read_layout(PyObject* const* axes, PyObject* const* grid, Layout& layout) noexcept {
    const bool usual = axes == nullptr || (axes[0] == Py_None && is_integer(axes[1], -1));
    const bool none = grid == nullptr || (grid[0] == Py_None && is_integer(grid[1], 0));
    layout.usual = usual && none;
    if (!usual) {
        const auto channel = small_integer(axes[1]);
        if (!channel || (axes[0] != Py_None && !small_integers(axes[0], layout.sequence_axes, layout.sequence))) {
            return false;
        }
        layout.channel = static_cast<std::int64_t>(*channel);
    }
    if (!none) {
        const auto prefix = small_integer(grid[1]);
        if (!prefix || *prefix < 0.0 || grid[0] == Py_None || !small_integers(grid[0], layout.grid_axes, layout.grid)) {
            return false;
        }
        layout.prefix = static_cast<std::int64_t>(*prefix);
    }
    return true;
}

// x_scale, rounded to what sums are computed in.
std::optional<double> scale_of(PyObject* said, const View& out, std::int64_t columns) noexcept {
    if (said == nullptr) {
        return 1.0;
    }
    double factor = 0.0;
    if (PyFloat_CheckExact(said)) {
        factor = PyFloat_AS_DOUBLE(said);
    } else if (const auto integer = small_integer(said)) {
        factor = *integer;
    } else if (PyUnicode_CheckExact(said) && PyUnicode_CompareWithASCIIString(said, "sqrt_dim") == 0) {
        factor = std::sqrt(static_cast<double>(columns));
    } else {
        return std::nullopt;
    }
    if (out.element() != Element::f64) {
        factor = static_cast<double>(static_cast<float>(factor));
    }
    return std::isfinite(factor) ? std::optional(factor) : std::nullopt;
}
// Asks Python what an encoding is. It may also tell nothing: what it refuses, it will refuse again.
Done learn(SmallCalls& self, PyObject* encoding, std::int64_t columns, bool turns, Known& learned) {
    PyObject* const dim = PyLong_FromLongLong(columns);
    PyObject* const answer =
        dim == nullptr ? nullptr
                       : PyObject_CallFunctionObjArgs(self.resolve, encoding, dim, turns ? Py_True : Py_False, nullptr);
    Py_XDECREF(dim);
    if (answer == nullptr) {
        if (PyErr_ExceptionMatches(PyExc_ValueError) || PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Clear();
            return Done::no;
        }
        return Done::error;
    }
    const auto kept = py::reinterpret_steal<py::object>(answer);
    if (kept.is_none()) {
        return Done::no;
    }
    using Run = std::array<std::size_t, 4>;
    const auto [axes, bytes, pairs] =
        kept.cast<std::tuple<std::vector<std::tuple<py::object, std::size_t, double>>, std::size_t,
                             std::optional<std::tuple<std::vector<Run>, bool>>>>();
    const auto known = std::make_shared<Encoding>();
    for (const auto& [object, first, offset] : axes) {
        auto table = self.table_of(object);
        const std::size_t width = table->table().columns, all = static_cast<std::size_t>(columns);
        if (axes.size() == 1 ? first != 0 || width != all : first > all || width > all - first) {
            return Done::no;
        }
        known->axes.push_back({std::move(table), first, offset});
    }
    if (pairs) {
        known->pairs.emplace();
        const auto& [runs, unscaled] = *pairs;
        for (const auto& [cos, sin, number, step] : runs) {
            known->pairs->runs.push_back({cos, sin, number, step});
        }
        known->pairs->unscaled = unscaled;
        if (!are_pairs(known->pairs->runs, static_cast<std::size_t>(columns))) {
            return Done::no;
        }
    }
    self.memo->keep(encoding, static_cast<std::size_t>(columns), known, bytes);
    learned = known;
    return Done::yes;
}

// Keeps the garbage collector, whose callbacks and finalizers are Python code, from running. Before Python 3.12 it does
// wherever objects are made.
class NoCollections {
public:
    NoCollections() : enabled_(PyGC_Disable() != 0) {}
    ~NoCollections() {
        if (enabled_) {
            PyGC_Enable();
        }
    }
    NoCollections(const NoCollections&) = delete;
    NoCollections& operator=(const NoCollections&) = delete;

private:
    bool enabled_;
};

// One call: its arguments, once Python has said what there is to say about them.
class SmallCall {
public:
    SmallCall(SmallCalls& self, const Said& said, PyObject* from, PyObject* to, PyObject* ids)
        : self_(self), said_(said), from_(from), to_(to), ids_(ids) {}

    Done go() {
        if ((said_.positions != Py_None && !(is_integer(said_.start, 0) && said_.bounds == Py_None)) ||
            (ids_ != nullptr && from_ == to_)) {
            return Done::no;
        }
        const bool turns = said_.inverse != nullptr;
        if (turns && (!PyBool_Check(said_.inverse) || said_.encoding == Py_None)) {
            return Done::no;
        }
        if (!read_layout(said_.axes, said_.grid, layout_) || !prepare()) {
            return Done::no;
        }
        const std::int64_t before = columns_;
        known_ = self_.memo->find(said_.encoding, static_cast<std::size_t>(before));
        if (known_ == nullptr || (turns && !known_->pairs)) {
            calm_.reset();
            const Done done = learn(self_, said_.encoding, before, turns, known_);
            if (done != Done::yes) {
                return done;
            }
            if (!prepare() || columns_ != before) {  // Python code has run
                return Done::no;
            }
        }
        return check_and_write();
    }

private:
    // Looks at all arguments, and views the array to be written. From then on no Python code runs, nor another thread
    // that holds the GIL.
    bool prepare() {
        const int known = self_.lender->known_dtypes();
        if (!lend() || (self_.lender->known_dtypes() != known && !lend())) {  // again if Python was asked for one
            return false;
        }
        calm_.emplace();
        return view_out();
    }

    bool lend() {
        Lender& lender = *self_.lender;
        bool alone = false;
        return lender.prepare(to_, true, lent_to_, alone) &&
               (from_ == nullptr || from_ == to_ || lender.prepare(from_, false, lent_from_, alone)) &&
               (ids_ == nullptr || lender.prepare(ids_, false, lent_ids_, alone)) &&
               lender.prepare(said_.start, false, lent_start_, alone) &&
               (said_.positions == Py_None || lender.prepare(said_.positions, false, lent_positions_, alone)) &&
               (said_.mask == Py_None || lender.prepare(said_.mask, false, lent_mask_, alone)) &&
               (said_.bounds == Py_None || lender.prepare(said_.bounds, false, lent_bounds_, alone));
    }

    bool view_out() noexcept {
        if (!self_.lender->view(lent_to_, out_) || !out_.writeable || out_.axes < 2 || out_.count() > kMostElements) {
            return false;
        }
        const int channel = channel_of(layout_, out_);
        columns_ = channel < 0 ? 0 : out_.shape[channel];
        return columns_ > 0;
    }

    bool read(std::optional<Values>& values, PyObject* said, const Lent& lent) {
        return said == Py_None || self_.lender->read(lent, values.emplace());
    }

    Done check_and_write() {
        if (!is_disjoint(out_)) {
            return Done::no;
        }
        old_ = out_;
        if (from_ != nullptr && from_ != to_) {
            if (!self_.lender->view(lent_from_, old_) || old_.kind != out_.kind || old_.size != out_.size ||
                !(ids_ != nullptr ? is_table() : is_other())) {
                return Done::no;
            }
        }
        const auto scale = scale_of(from_ == nullptr ? nullptr : said_.x_scale, out_, columns_);
        Where where;
        if (!scale || !self_.lender->read(lent_start_, where.start) ||
            !read(where.positions, said_.positions, lent_positions_) || !read(where.mask, said_.mask, lent_mask_) ||
            !read(where.bounds, said_.bounds, lent_bounds_)) {
            return Done::no;
        }
        if (!arrange(where)) {
            return Done::no;
        }
        const Fallible fallible;
        const Operation operation = ids_ != nullptr            ? Operation::embed
                                    : said_.inverse != nullptr ? Operation::turn
                                    : from_ != nullptr         ? Operation::add
                                                               : Operation::fill;
        Write write(out_, old_, operation, *scale, said_.inverse == Py_True);
        if (!write.prepare(*known_, where) || (ids_ != nullptr && !write.look_up(tokens_))) {
            return Done::no;
        }
        if (lent_to_.tensor && !self_.lender->torch.count_version(to_)) {
            return Done::error;
        }
        calm_.reset();
        std::optional<WithoutGil> released;  // not of a tensor, whose memory another thread may free
        if (out_.count() > static_cast<std::int64_t>(kTinyElements) && !lent_to_.tensor && !lent_from_.tensor) {
            released.emplace();
        }
        write.run();
        return Done::yes;
    }

    // What is added to.
    bool is_other() const noexcept {
        return is_same_shape(old_, out_) && (is_same_memory(old_, out_) || are_apart(old_, out_));
    }

    // What ids name rows of; reads them.
    bool is_table() {
        return known_->axes.size() == 1 && old_.axes == 2 && old_.shape[1] == columns_ && are_apart(old_, out_) &&
               self_.lender->read(lent_ids_, tokens_) && are_apart(tokens_.view, out_);
    }

    // Brings the axes into the order in which they are written.
    bool arrange(Where& where) noexcept {
        const auto encoding_axes = static_cast<int>(known_->axes.size());
        if (layout_.usual && encoding_axes == 1) {
            return true;
        }
        Order order;
        if (!find_order(layout_, out_, encoding_axes, order)) {
            return false;
        }
        out_ = in_order(out_, order);
        old_ = in_order(old_, order);
        put_in_order(where.start, order);
        for (std::optional<Values>* values : {&where.positions, &where.mask, &where.bounds}) {
            if (values->has_value()) {
                put_in_order(**values, order);
            }
        }
        if (layout_.grid_axes == 0) {
            return true;
        }
        return !where.positions && !where.mask && !where.bounds && split_rows(layout_, out_, where.head_to) &&
               split_rows(layout_, old_, where.head_from);
    }

    SmallCalls& self_;
    const Said& said_;
    PyObject *from_, *to_, *ids_;  // from: null to fill; ids: null but to embed
    Lent lent_from_, lent_to_, lent_ids_, lent_start_, lent_positions_, lent_mask_, lent_bounds_;
    std::optional<NoCollections> calm_;
    Layout layout_;
    View out_, old_;
    Values tokens_;
    std::int64_t columns_ = 0;
    Known known_;
};

}  // namespace

Done attempt(SmallCalls& self, const Said& said, PyObject* from, PyObject* to, PyObject* ids) {
    try {
        return SmallCall(self, said, from, to, ids).go();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (py::error_already_set& error) {
        error.restore();
    }
    return Done::error;
}

}  // namespace posenc::small
