// The tables that small calls used last, by what users call the encoding.
#pragma once

#include "../tuning.hpp"

#include <Python.h>

#include <array>
#include <memory>

#include "write.hpp"

namespace posenc::small {

using Known = std::shared_ptr<const Encoding>;

// Keys are texts, which may be equal, and other objects, which are kept, so that nobody else gets their address. Tables
// are kept, too. It forgets everything where entries exceed kMemoBytes: that is simple, and rare.
class Memo {
public:
    Memo();

    // Runs no Python code.
    Known find(PyObject* encoding, std::size_t columns) const noexcept;

    // `bytes`: of the encoding itself. May run Python code: what is forgotten ends.
    void keep(PyObject* encoding, std::size_t columns, Known known, std::size_t bytes);

    void clear() noexcept;
    std::size_t nbytes() const noexcept;

private:
    static constexpr std::size_t kSetBits = 7, kSets = std::size_t{1} << kSetBits, kWays = 4;
    struct Entry {
        PyObject* encoding = nullptr;
        std::size_t columns = 0;
        Known known;
        std::size_t bytes = 0;
    };
    struct Entries {
        std::array<std::array<Entry, kWays>, kSets> sets;
        std::array<std::uint8_t, kSets> next{};
        std::size_t bytes = 0;
    };
    static std::size_t set_of(PyObject* encoding, std::size_t columns) noexcept;
    static void drop(std::unique_ptr<Entries> entries) noexcept;

    std::unique_ptr<Entries> entries_;  // under shared_mutex
};

}  // namespace posenc::small
