// Rows that are kept ready, under one budget for all tables. No Python, no mathematics.
#pragma once

#include <cstddef>
#include <memory>

#include "memory.hpp"

namespace posenc {

// The float32 rows of positions 0, 1, ..., count - 1. Immutable: who reads them shares their ownership.
struct Rows32 {
    std::size_t count;
    std::size_t bytes;
    AlignedDoubles memory;  // floats, in fact

    const float* data() const noexcept { return reinterpret_cast<const float*>(memory.get()); }
};

// What one table keeps. Short sequences from position 0 are asked for again and again, and reading rows is faster than
// making them; but a table that is used once must not bring a MiB. So rows are made from the second call on, as far as
// calls have asked for them, and only once what calls asked for amounts to half as many rows. Their number doubles at
// least when it grows. Beyond the budget, the tables that were asked longest ago lose theirs.
class ReadyRows {
public:
    using Shared = std::shared_ptr<const Rows32>;
    struct Answer {
        Shared rows;         // null, or perhaps fewer than asked for
        std::size_t wanted;  // how many rows to make and keep; 0 for none
    };

    ReadyRows() = default;
    ~ReadyRows();
    ReadyRows(const ReadyRows&) = delete;
    ReadyRows& operator=(const ReadyRows&) = delete;

    // A call for `count` rows that end at row `end`, of a table that keeps `most` rows at most.
    Answer ask(std::size_t count, std::size_t end, std::size_t most) noexcept;
    void keep(Shared rows) noexcept;

private:
    Shared drop() noexcept;
    void put(Shared rows) noexcept;

    Shared rows_;
    std::size_t calls_ = 0, asked_ = 0;
    ReadyRows *older_ = nullptr, *newer_ = nullptr;  // among those that keep rows
};

}  // namespace posenc
