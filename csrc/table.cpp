// Frequencies come from Python; here they get their padding and their rotation steps.
#include "table.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <new>
#include <ranges>
#include <stdexcept>

namespace posenc {
namespace {

std::size_t round_up(std::size_t n) { return (n + kPadding - 1) / kPadding * kPadding; }

double sine_of_sixteenths(std::size_t i) {
    constexpr double kSines[] = {0.0, 0x1.87de2a6aea963p-2, 0x1.6a09e667f3bcdp-1, 0x1.d906bcf328d46p-1, 1.0};
    const std::size_t half = i % 8;
    const double sine = kSines[half <= 4 ? half : 8 - half];
    return i % 16 < 8 ? sine : -sine;
}

template <class T>
std::vector<T> from_words(std::span<const std::uint64_t> words) {
    std::vector<T> result(words.size_bytes() / sizeof(T));
    if (!result.empty()) {
        std::memcpy(result.data(), words.data(), result.size() * sizeof(T));
    }
    return result;
}

// Whether columns are those of an order whose pairs begin with a sine (`swap` 0) or a cosine (1).
bool is_interleaved(std::span<const std::int32_t> source, std::int32_t swap) {
    std::int32_t next = 0;
    return std::ranges::all_of(source, [&](std::int32_t s) { return s == (next++ ^ swap); });
}

bool is_concatenated(std::span<const std::int32_t> source, std::int32_t swap) {
    const auto half = static_cast<std::int32_t>(source.size() / 2);
    std::int32_t next = 0;
    return source.size() % 2 == 0 && std::ranges::all_of(source, [&](std::int32_t s) {
               const std::int32_t j = next++;
               return s == ((j < half ? 2 * j : 2 * (j - half) + 1) ^ swap);
           });
}

}  // namespace

OwnedTable::OwnedTable(std::span<const double> frequencies, std::span<const std::int32_t> source, double amplitude,
                       std::span<const std::uint64_t> factor, const PackedNumbers& numbers,
                       std::span<const double> special, bool full_turns, Prepare prepare)
    : source_(source.begin(), source.end()),
      index_(numbers.index.begin(), numbers.index.end()),
      exact_(from_words<Number>(numbers.exact)),
      powers_(from_words<Power>(numbers.powers)),
      factors_(numbers.factors.begin(), numbers.factors.end()) {
    const std::size_t count = frequencies.size() / 2, columns = source.size();
    const std::size_t anchors = (count + Numbers::kLanes - 1) / Numbers::kLanes;
    const bool all_exact = exact_.size() == count, has_factors = factors_.size() == count + 1;
    if (factor.size_bytes() != sizeof(Number) || special.size() != 5) {
        throw std::invalid_argument("factor, special: expected ten words, and five values");
    }
    if (index_.size() != exact_.size() || !std::ranges::is_sorted(index_) || factors_.empty() ||
        !(all_exact || has_factors || powers_.size() >= Numbers::kLanes + anchors)) {
        throw std::invalid_argument("numbers: expected one for each frequency");
    }
    std::memcpy(&factor_, factor.data(), sizeof(Number));
    std::ranges::copy(special, special_);
    table_.factor = &factor_;
    table_.numbers = {exact_.size(), index_.data(), exact_.data(), powers_.data(), has_factors ? &factors_[1] : nullptr,
                      factors_[0]};
    table_.special = special_;
    table_.full_turns = full_turns;
    if (std::ranges::any_of(source,
                            [&](std::int32_t s) { return s < -1 || s >= static_cast<std::int64_t>(2 * count); })) {
        throw std::invalid_argument("source: expected twice a frequency's index, one more, or -1");
    }
    table_.columns = columns;
    table_.frequencies = count;
    table_.padded_columns = round_up(columns + kPadding);
    table_.padded_frequencies = round_up(count);
    table_.padded_trig = std::max(2 * table_.padded_frequencies, table_.padded_columns);
    const std::size_t row_bytes = std::max<std::size_t>(columns, 1) * sizeof(double);
    table_.shared_rows = std::clamp<std::size_t>(kSharedBytes / row_bytes, 1, kTileRows);
    table_.turns = std::clamp<std::size_t>(kTurnDoubles / std::max<std::size_t>(2 * table_.padded_frequencies, 1),
                                           kLeastTurns, kGrid);
    table_.anchors = std::clamp<std::size_t>(table_.turns / 4, 1, kMostAnchors);
    static std::atomic<std::uint64_t> tables{0};
    table_.serial = ++tables;

    doubles_ = (2 + kStepArrays) * table_.padded_frequencies;
    memory_ = make_aligned(doubles_);
    std::fill_n(memory_.get(), doubles_, 0.0);

    table_.amplitude = amplitude;
    table_.order = Order::any;
    for (const std::int32_t swap : {1, 0}) {
        const bool interleaved = is_interleaved(source_, swap);
        if (interleaved || is_concatenated(source_, swap)) {
            table_.order = interleaved ? Order::interleaved : Order::concatenated;
            table_.cos_first = swap != 0;
        }
    }
    // Sines and cosines of x are, for -x, the second and the first column of a pair that begins with the cosine.
    for (std::size_t i = 0; i < kSixteenths; ++i) {
        const double sin = sine_of_sixteenths(i), cos = sine_of_sixteenths(i + kSixteenths / 4);
        sixteenths_[0][i] = amplitude * (table_.cos_first ? cos : sin) + 0.0;  // no negative zeros
        sixteenths_[1][i] = amplitude * (table_.cos_first ? -sin : cos) + 0.0;
    }
    table_.sixteenths[0] = sixteenths_[0];
    table_.sixteenths[1] = sixteenths_[1];

    double* free = memory_.get();
    for (std::size_t part = 0; part < 2; ++part, free += table_.padded_frequencies) {
        std::ranges::copy(frequencies.subspan(part * count, count), free);
        table_.frequency[part] = free;
    }

    for (const double w : frequencies.first(count)) {
        table_.largest = std::max(table_.largest, std::abs(w));
    }

    table_.source = source_.data();

    table_.unit_steps = prepare(table_, 1.0, free);
}

std::size_t OwnedTable::nbytes() const noexcept {
    return sizeof *this + doubles_ * sizeof(double) + source_.size() * sizeof(std::int32_t) +
           index_.size() * sizeof(std::int64_t) + exact_.size() * sizeof(Number) + powers_.size() * sizeof(Power) +
           factors_.size() * sizeof(double);
}

std::size_t workspace_size(const Table& table) noexcept {
    return kKeptDoubles + (table.turns + table.anchors) * 2 * table.padded_frequencies + table.padded_trig +
           5 * kStartColumns + (kStepArrays + 2) * table.padded_frequencies + table.shared_rows * table.columns +
           kPadding;
}

}  // namespace posenc
