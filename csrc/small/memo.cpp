#include "memo.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "../shared.hpp"

namespace posenc::small {
namespace {

bool are_equal(PyObject* a, PyObject* b) noexcept {
    return a == b || (PyUnicode_CheckExact(a) && PyUnicode_CheckExact(b) && PyUnicode_Compare(a, b) == 0);
}

}  // namespace

Memo::Memo() : entries_(std::make_unique<Entries>()) {}

std::size_t Memo::set_of(PyObject* encoding, std::size_t columns) noexcept {
    const auto hash = PyUnicode_CheckExact(encoding) ? static_cast<std::size_t>(PyObject_Hash(encoding))
                                                     : reinterpret_cast<std::size_t>(encoding) / 16;
    // Fibonacci hashing: neighbours in memory differ in the highest bits of the product.
    constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15U;
    return static_cast<std::size_t>(((hash + columns * kGolden) * kGolden) >> (64 - kSetBits));
}

Known Memo::find(PyObject* encoding, std::size_t columns) const noexcept {
    const std::size_t set = set_of(encoding, columns);
    const std::scoped_lock lock(shared_mutex());
    for (const Entry& entry : entries_->sets[set]) {
        if (entry.encoding != nullptr && entry.columns == columns && are_equal(entry.encoding, encoding)) {
            return entry.known;
        }
    }
    return {};
}

void Memo::keep(PyObject* encoding, std::size_t columns, Known known, std::size_t bytes) {
    for (const Axis& axis : known->axes) {
        bytes += axis.table->nbytes();
    }
    if (known->pairs) {
        bytes += known->pairs->runs.size() * sizeof(PairRun);
    }
    if (bytes > kMemoBytes / 4) {
        return;
    }
    const std::size_t set = set_of(encoding, columns);
    std::unique_ptr<Entries> fresh;
    if (nbytes() + bytes > kMemoBytes) {
        fresh = std::make_unique<Entries>();
    }
    Entry entry{Py_NewRef(encoding), columns, std::move(known), bytes};
    {
        const std::scoped_lock lock(shared_mutex());
        if (fresh != nullptr) {
            std::swap(entries_, fresh);
        }
        auto& ways = entries_->sets[set];
        auto* place = std::ranges::find_if(ways, [&](const Entry& other) {
            return other.encoding == nullptr || (other.columns == columns && are_equal(other.encoding, encoding));
        });
        if (place == ways.end()) {
            place = ways.begin() + entries_->next[set]++ % kWays;
        }
        entries_->bytes += bytes - place->bytes;
        std::swap(*place, entry);
    }
    Py_XDECREF(entry.encoding);  // the lock is free
    drop(std::move(fresh));
}

void Memo::clear() noexcept {
    std::unique_ptr<Entries> fresh;
    try {
        fresh = std::make_unique<Entries>();
    } catch (const std::bad_alloc&) {
        return;
    }
    {
        const std::scoped_lock lock(shared_mutex());
        std::swap(entries_, fresh);
    }
    drop(std::move(fresh));
}

void Memo::drop(std::unique_ptr<Entries> entries) noexcept {
    if (entries == nullptr) {
        return;
    }
    for (auto& ways : entries->sets) {
        for (Entry& entry : ways) {
            Py_XDECREF(entry.encoding);
        }
    }
}

std::size_t Memo::nbytes() const noexcept {
    const std::scoped_lock lock(shared_mutex());
    return entries_->bytes;
}

}  // namespace posenc::small
