// Builds and owns what a kernel needs to know of one encoding at one width. Immutable once made, as far as one can see.
#pragma once

#include <span>
#include <vector>

#include "kernel.hpp"
#include "memory.hpp"
#include "ready.hpp"

namespace posenc {

std::size_t workspace_size(const Table&) noexcept;     // in doubles
std::size_t merge_size(std::size_t columns) noexcept;  // of the workspace of a Merge, in doubles

class OwnedTable {
public:
    // `frequencies` holds K leading parts, then K second and K third ones; `source` is Table::source.
    // Throws std::invalid_argument where a source names no frequency.
    OwnedTable(std::span<const double> frequencies, std::span<const std::int32_t> source, double amplitude);

    const Table& table() const noexcept { return table_; }

    // How many rows can be kept ready, from position 0 on.
    std::size_t most_ready() const noexcept { return most_ready_; }

    // For a call for `count` rows that end at row `end` <= most_ready(): what rows are ready, perhaps fewer. `run`
    // makes more of them; where it finds no memory, there are none.
    ReadyRows::Shared ready(Run run, std::size_t count, std::size_t end) const;

    // Of all it owns but the ready rows, which have a budget of their own.
    std::size_t nbytes() const noexcept;

private:
    static constexpr std::size_t kSixteenths = 16;
    alignas(64) double sixteenths_[2][kSixteenths]{};
    Table table_{};
    mutable ReadyRows ready_;
    std::size_t most_ready_ = 0;
    AlignedDoubles memory_;  // frequencies and steps
    std::size_t doubles_ = 0;
    std::vector<std::int32_t> source_;
};

}  // namespace posenc
