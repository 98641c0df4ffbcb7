// Builds and owns what a kernel needs to know of one encoding at one width. Immutable once made.
#pragma once

#include <span>
#include <vector>

#include "kernel.hpp"
#include "memory.hpp"

namespace posenc {

std::size_t workspace_size(const Table&) noexcept;     // in doubles
std::size_t merge_size(std::size_t columns) noexcept;  // of the workspace of a Merge, in doubles

class OwnedTable {
public:
    // `frequencies` holds K leading parts, then K second ones; `factor` and `numbers` hold the words of Table::factor
    // and Table::number; the rest is as there. Throws std::invalid_argument where a source names no frequency, or the
    // lengths do not fit.
    OwnedTable(std::span<const double> frequencies, std::span<const std::int32_t> source, double amplitude,
               std::span<const std::uint64_t> factor, std::span<const std::uint64_t> numbers,
               std::span<const double> special, bool full_turns, Prepare prepare);

    const Table& table() const noexcept { return table_; }

    std::size_t nbytes() const noexcept;

private:
    static constexpr std::size_t kSixteenths = 16;
    alignas(64) double sixteenths_[2][kSixteenths]{};
    Table table_{};
    AlignedDoubles memory_;  // frequencies and steps
    std::size_t doubles_ = 0;
    std::vector<std::int32_t> source_;
    Number factor_{};
    std::vector<Number> numbers_;
    double special_[5]{};
};

}  // namespace posenc
