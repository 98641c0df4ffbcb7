// Builds and owns what a kernel needs to know of one encoding at one width. Immutable once made.
#pragma once

#include <span>
#include <vector>

#include "kernel.hpp"
#include "memory.hpp"

namespace posenc {

std::size_t workspace_size(const Table&) noexcept;  // in doubles

// Table::numbers, as python/posenc/_frequencies.py packs them.
struct PackedNumbers {
    std::span<const std::int64_t> index;
    std::span<const std::uint64_t> exact, powers;  // their words
    std::span<const double> factors;               // the scale, then K factors or none
};

class OwnedTable {
public:
    // `frequencies` holds K leading parts, then K second ones; `factor` holds the words of Table::factor; the rest is
    // as there. Throws std::invalid_argument where a source names no frequency, or the lengths do not fit.
    OwnedTable(std::span<const double> frequencies, std::span<const std::int32_t> source, double amplitude,
               std::span<const std::uint64_t> factor, const PackedNumbers& numbers, std::span<const double> special,
               bool full_turns, Prepare prepare);

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
    std::vector<std::int64_t> index_;
    std::vector<Number> exact_;
    std::vector<Power> powers_;
    std::vector<double> factors_;
    double special_[5]{};
};

}  // namespace posenc
