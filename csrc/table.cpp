// Frequencies come from Python to about 159 bits; here they get their padding and their rotation steps.
#include "table.hpp"

#include <algorithm>
#include <cmath>
#include <new>
#include <numeric>
#include <ranges>
#include <stdexcept>

#include "dispatch.hpp"

namespace posenc {
namespace {

// The steps of a tile's rows are read for every pair of rows, and stay in the first-level cache. Those of the tiles are
// read once a tile. The rows that several sequences share stay in the second level.
constexpr std::size_t kRowStepBytes = 32 * 1024;
constexpr std::size_t kTileReach = 8;
constexpr std::size_t kSharedBytes = 128 * 1024;

std::size_t round_up(std::size_t n) { return (n + kPadding - 1) / kPadding * kPadding; }

std::size_t padded_trig(const Table& table) { return std::max(2 * table.padded_frequencies, table.padded_columns); }

// cos and sin of r w in column order, for r = first, 2 first, ..., count first, as the kernel itself gives them.
void fill_steps(const Table& table, double first, std::size_t count, double* cos, double* sin) {
    std::vector<std::int32_t> pairs(2 * table.frequencies);
    std::iota(pairs.begin(), pairs.end(), 0);
    Table plain = table;
    plain.columns = pairs.size();
    plain.padded_columns = round_up(plain.columns + kPadding);
    plain.padded_trig = padded_trig(plain);
    plain.source = pairs.data();
    plain.identity = true;
    std::vector<double> row(plain.columns);
    char* const target = reinterpret_cast<char*>(row.data());
    const Target into{&target, 1, 0, sizeof(double), Element::f64, Operation::fill, 1.0, false};
    const Workspace workspace = make_workspace(plain);
    for (std::size_t r = 0; r < count; ++r, cos += table.padded_columns, sin += table.padded_columns) {
        const double position = first * static_cast<double>(r + 1);
        baseline_run()(plain, {&position, 0.0, 0, 1}, into, workspace.get());
        for (std::size_t j = 0; j < table.columns; ++j) {
            sin[j] = row[static_cast<std::size_t>(table.source[j] & ~1)];
            cos[j] = row[static_cast<std::size_t>(table.source[j] | 1)];
        }
    }
}

}  // namespace

OwnedTable::OwnedTable(std::span<const double> frequencies, std::span<const std::int32_t> source)
    : source_(source.begin(), source.end()) {
    const std::size_t count = frequencies.size() / 3, columns = source.size();
    if (std::ranges::any_of(source, [&](std::int32_t s) { return s < 0 || static_cast<std::size_t>(s) >= 2 * count; })) {
        throw std::invalid_argument("source: expected twice a frequency's index, or one more");
    }
    table_.columns = columns;
    table_.frequencies = count;
    table_.padded_columns = round_up(columns + kPadding);
    table_.padded_frequencies = round_up(count);
    table_.padded_trig = padded_trig(table_);
    const std::size_t row_bytes = std::max<std::size_t>(columns, 1) * sizeof(double);
    table_.reach = std::clamp<std::size_t>(kRowStepBytes / (2 * row_bytes), 6, 16);
    table_.tile_reach = kTileReach;
    table_.shared_rows = std::clamp<std::size_t>(kSharedBytes / row_bytes, 1, 64);

    frequency_.resize(3 * table_.padded_frequencies);
    for (std::size_t part = 0; part < 3; ++part) {
        double* padded = frequency_.data() + part * table_.padded_frequencies;
        std::ranges::copy(frequencies.subspan(part * count, count), padded);
        table_.frequency[part] = padded;
    }

    for (const double w : frequencies.first(count)) {
        table_.largest = std::max(table_.largest, std::abs(w));
    }

    table_.source = source_.data();
    table_.identity = std::ranges::equal(source_, std::views::iota(0, static_cast<std::int32_t>(columns)));

    const std::size_t rows = table_.reach * table_.padded_columns, tiles = table_.tile_reach * table_.padded_columns;
    step_.assign(2 * (rows + tiles), 0.0);
    double* const row_cos = step_.data();
    double* const tile_cos = row_cos + rows;
    double* const row_sin = tile_cos + tiles;
    double* const tile_sin = row_sin + rows;
    std::fill(row_cos, row_sin, 1.0);
    fill_steps(table_, 1.0, table_.reach, row_cos, row_sin);
    fill_steps(table_, static_cast<double>(2 * table_.reach + 1), table_.tile_reach, tile_cos, tile_sin);
    table_.row_cos = row_cos;
    table_.row_sin = row_sin;
    table_.tile_cos = tile_cos;
    table_.tile_sin = tile_sin;
}

std::size_t OwnedTable::nbytes() const noexcept {
    return (frequency_.size() + step_.size()) * sizeof(double) + source_.size() * sizeof(std::int32_t);
}

std::size_t workspace_size(const Table& table) noexcept {
    return table.padded_trig + 4 * table.padded_columns + table.shared_rows * table.columns;
}

Workspace make_workspace(const Table& table) {
    const std::size_t bytes = workspace_size(table) * sizeof(double);
    return Workspace(static_cast<double*>(::operator new(bytes, std::align_val_t{64})));
}

}  // namespace posenc
