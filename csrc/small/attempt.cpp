// A row takes longer to check in Python than to compute. Here calls are checked that need no explanation; what is not
// plain, or wrong, is left to Python, which does it, or explains. Nothing is written before everything is checked.
//
// Order matters: what may run Python code comes first, views of memory come after it, and are used at once. Where
// Python code had to run after all, memory is viewed again.
#include "attempt.hpp"

#include <pybind11/stl.h>

#include <cmath>
#include <new>
#include <optional>
#include <tuple>
#include <vector>

#include "../faults.hpp"
#include "../gil.hpp"
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

bool are_usual(PyObject* const* keywords) noexcept {
    return keywords[0] == Py_None && is_integer(keywords[1], -1) && keywords[2] == Py_None &&
           is_integer(keywords[3], 0) && is_usual(keywords[4], keywords[5]);
}
namespace {

// x_scale, rounded to what sums are computed in.
std::optional<double> scale_of(PyObject* said, const View& out) noexcept {
    if (said == nullptr) {
        return 1.0;
    }
    double factor = 0.0;
    if (PyFloat_CheckExact(said)) {
        factor = PyFloat_AS_DOUBLE(said);
    } else if (const auto integer = small_integer(said)) {
        factor = *integer;
    } else if (PyUnicode_CheckExact(said) && PyUnicode_CompareWithASCIIString(said, "sqrt_dim") == 0) {
        factor = std::sqrt(static_cast<double>(out.shape[out.axes - 1]));
    } else {
        return std::nullopt;
    }
    if (out.element() != Element::f64) {
        factor = static_cast<double>(static_cast<float>(factor));
    }
    return std::isfinite(factor) ? std::optional(factor) : std::nullopt;
}
// Asks Python what an encoding is. It may also tell nothing: what it refuses, it will refuse again.
Done learn(SmallCalls& self, PyObject* encoding, std::int64_t columns, Known& learned) {
    PyObject* const dim = PyLong_FromLongLong(columns);
    PyObject* const answer =
        dim == nullptr ? nullptr : PyObject_CallFunctionObjArgs(self.resolve, encoding, dim, nullptr);
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
    const auto [axes, bytes] = kept.cast<std::tuple<std::vector<std::tuple<py::object, double>>, std::size_t>>();
    const auto known = std::make_shared<Axes>();
    for (const auto& [table, offset] : axes) {
        known->push_back({self.table_of(table), offset});
    }
    self.memo->keep(encoding, static_cast<std::size_t>(columns), known, bytes);
    learned = known;
    return Done::yes;
}

// One call: its arguments, once Python has said what there is to say about them.
class SmallCall {
public:
    SmallCall(SmallCalls& self, const Said& said, PyObject* from, PyObject* to, PyObject* ids)
        : self_(self), said_(said), from_(from), to_(to), ids_(ids) {}

    Done go() {
        if (said_.positions != Py_None && !(is_integer(said_.start, 0) && said_.bounds == Py_None)) {
            return Done::no;
        }
        if (!prepare() || !view_out()) {
            return Done::no;
        }
        const std::int64_t before = columns();
        known_ = self_.memo->find(said_.encoding, static_cast<std::size_t>(before));
        if (known_ == nullptr) {
            const Done done = learn(self_, said_.encoding, before, known_);
            if (done != Done::yes) {
                return done;
            }
            if (!prepare() || !view_out() || columns() != before) {  // Python code has run
                return Done::no;
            }
        }
        return check_and_write();
    }

private:
    std::int64_t columns() const noexcept { return out_.shape[out_.axes - 1]; }

    bool prepare() {
        Lender& lender = *self_.lender;
        return lender.prepare(to_, true, lent_to_) &&
               (from_ == nullptr || from_ == to_ || lender.prepare(from_, false, lent_from_)) &&
               (ids_ == nullptr || lender.prepare(ids_, false, lent_ids_)) &&
               lender.prepare(said_.start, false, lent_start_) &&
               (said_.positions == Py_None || lender.prepare(said_.positions, false, lent_positions_)) &&
               (said_.mask == Py_None || lender.prepare(said_.mask, false, lent_mask_)) &&
               (said_.bounds == Py_None || lender.prepare(said_.bounds, false, lent_bounds_));
    }

    bool view_out() noexcept {
        return self_.lender->view(lent_to_, out_) && out_.writeable && out_.axes >= 2 && out_.count() <= kMostElements;
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
        const auto scale = scale_of(from_ == nullptr ? nullptr : said_.x_scale, out_);
        Where where;
        if (!scale || !self_.lender->read(lent_start_, where.start) ||
            !read(where.positions, said_.positions, lent_positions_) || !read(where.mask, said_.mask, lent_mask_) ||
            !read(where.bounds, said_.bounds, lent_bounds_)) {
            return Done::no;
        }
        const Fallible fallible;
        const Operation operation = ids_ != nullptr    ? Operation::embed
                                    : from_ != nullptr ? Operation::add
                                                       : Operation::fill;
        Write write(out_, old_, operation, *scale);
        if (!write.prepare(*known_, where) || (ids_ != nullptr && !write.look_up(tokens_))) {
            return Done::no;
        }
        if (lent_to_.end != 0) {
            if (!self_.lender->torch.count_version(to_)) {
                return Done::error;
            }
            if (!is_still_there()) {
                return Done::no;
            }
        }
        std::optional<WithoutGil> released;  // not of a tensor, whose memory another thread may free
        if (out_.count() > static_cast<std::int64_t>(kTinyElements) && lent_to_.end == 0 && lent_from_.end == 0) {
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
        return old_.axes == 2 && old_.shape[1] == columns() && are_apart(old_, out_) &&
               self_.lender->read(lent_ids_, tokens_) && are_apart(tokens_.view, out_);
    }

    // Whether memory is where it was before Python code could run.
    bool is_still_there() noexcept {
        View out, old;
        if (!self_.lender->view(lent_to_, out) || !is_same_memory(out, out_)) {
            return false;
        }
        return from_ == nullptr || from_ == to_ || (self_.lender->view(lent_from_, old) && is_same_memory(old, old_));
    }

    SmallCalls& self_;
    const Said& said_;
    PyObject *from_, *to_, *ids_;  // from: null to fill; ids: null but to embed
    Lent lent_from_, lent_to_, lent_ids_, lent_start_, lent_positions_, lent_mask_, lent_bounds_;
    View out_, old_;
    Values tokens_;
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
