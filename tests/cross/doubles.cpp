// The doubles of every producer of the kernel, each with the bound that the kernel believes: tests/test_doubles.py
// compares them with mpmath. Compiled once per ISA level, from the kernel's own text.
//
//   doubles TABLE START...   writes records to standard output
#include <array>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "read_table.hpp"
#define POSENC_LEVEL(name) name##_here
#include "../../csrc/kernel/kernel.inl.hpp"

namespace {

using namespace posenc;

enum Producer : std::int32_t { evaluated, near, far, strip, rotated, first_row, down, next, grid, sums, narrow };

struct Record {
    double position, value, bound;
    std::int32_t source, producer;
};

constexpr std::size_t kTiles = 7;

void write(Producer producer, double position, std::int32_t source, double value, double bound) {
    const Record record{position, value, bound, source, producer};
    std::cout.write(reinterpret_cast<const char*>(&record), sizeof record);
}

template <class Lanes>
double lane(Lanes lanes, std::size_t i) {
    return lanes[i];
}

void write_evaluated(const Table& table, double position) {
    for (std::size_t j = 0; j < table.columns; j += kLanes) {
        const Place place{table, position, j, kLanes, false};
        std::int32_t source[kLanes];
        double there[kLanes];
        const Evaluated lanes = evaluate_lanes(place, source, there);
        for (std::size_t i = 0; i < kLanes && j + i < table.columns; ++i) {
            write(evaluated, there[i], source[i], lanes.value[i], lanes.error[i]);
        }
    }
}

template <bool is_far>
void write_quick(const Table& table, double position) {
    const double angle = table.largest * absolute(position), amplitude = absolute(table.amplitude);
    const Errors bound = quick_errors<is_far>(angle, amplitude);
    for (std::size_t k = 0; k < table.frequencies; k += kLanes) {
        const Pairs pairs = evaluate_quickly<is_far>(table, table.cos_first ? -position : position, k);
        for (std::size_t i = 0; i < kLanes && k + i < table.frequencies; ++i) {
            const auto source = static_cast<std::int32_t>(2 * (k + i));
            const std::int32_t swap = table.cos_first ? 1 : 0;
            for (const std::int32_t second : {0, 1}) {
                const double value = second != 0 ? pairs.second[i] : pairs.first[i];
                write(is_far ? far : near, position, source + (second ^ swap), value, bound.of(value));
            }
        }
    }
}

// Rows of lanes whose sources and positions are given; lanes that alternate come back as they are meant.
template <class Source, class Position>
void walk(const Start& start, std::size_t lanes, std::size_t rows, Producer producer, double first_error,
          const Source& source, const Position& position) {
    for (std::size_t j = 0; j < lanes; j += kLanes) {
        f64s y = load<f64s>(start.value + j), d = load<f64s>(start.difference + j);
        const f64s k = load<f64s>(start.factor + j), error = load<f64s>(start.error + j);
        for (std::size_t row = 0; row < rows; ++row) {
            for (std::size_t i = 0; i < kLanes && j + i < lanes; ++i) {
                const bool flips = __builtin_signbit(lane(error, i)) && row % 2 != 0;
                const double value = flips ? -lane(y, i) : lane(y, i), bound = absolute(lane(error, i));
                write(producer, position(j + i, row), source(j + i), value, bound);
                if (row == 0 && first_error < __builtin_inf()) {
                    write(first_row, position(j + i, row), source(j + i), value,
                          least(error < 0.0 ? -error : error, magnitude(y) * kEvaluateError + first_error)[i]);
                }
            }
            advance(k, y, d);
        }
    }
}

void write_run(const Table& table, double position, double step, const Workspace& work) {
    std::array<double, kTiles * kRows + 1> list{};
    for (std::size_t i = 0; i < list.size(); ++i) {
        list[i] = position + static_cast<double>(i) * step;
    }
    const Rows rows{list.data(), 0.0, 0, list.size()};
    const Steps steps = step == 1.0 ? table.unit_steps : prepare(table, step, work.steps);
    Anchors anchors{table, steps, work.anchor};
    for (std::size_t done = 0; done < kTiles * kRows; done += kRows) {
        Tile tile{table, steps, rows, done, 1, kRows, 0.0, 0.0, __builtin_inf(), -1, false};
        anchors.make(tile, tile.position(kRows), step);
        make_start(tile, work.anchor, 0, table.columns, work.start);
        const auto source = [&](std::size_t j) { return table.source[j]; };
        const bool is_rotated = !(tile.first_error < __builtin_inf());
        walk(work.start, table.columns, tile.rows, is_rotated ? rotated : strip, tile.first_error, source,
             [&](std::size_t, std::size_t row) { return tile.position(row); });
        const std::size_t some = smaller(table.columns, kVector - 1);
        Tile after = tile;
        ++after.first;
        evaluate_anchor(table, after.position(0), table.padded_frequencies, work.next);
        make_start(after, work.next, 0, some, behind(work.start, kStrip * 8));
        walk(behind(work.start, kStrip * 8), some, tile.rows, next, tile.first_error, source,
             [&](std::size_t, std::size_t row) { return after.position(row); });
    }
}

// Whole positions, in an order in which neither anchors nor turns that are kept are always those that are wanted: as
// rows of float64, and as pairs of rows of float32.
void write_grid(const Table& table, double position, const Workspace& work) {
    const Grid kept(table, *work.kept, work.turns);
    const DoubleMaker maker(table, kept, work.trig);
    auto* const row = static_cast<double*>(work.tile);
    for (int i = 0; i < 400; ++i) {
        const double there = position + i * 37;
        const double bound = (kDoubleError + table.largest * absolute(there) * kAngleError) * absolute(table.amplitude);
        maker.make(there, row);
        for (std::size_t j = 0; j < table.columns; ++j) {
            write(grid, there, table.source[j], row[j], bound);
        }
        const GridPosition at = on_grid(there);
        const GridSums pairs(table, kept.anchor_at(at.anchor), kept.turn_by(at.turn), at.flip);
        for (std::size_t k = 0; k < table.frequencies; ++k) {
            const Pairs pair = pairs.pair<true>(k / kLanes * kLanes);
            const auto first = static_cast<std::int32_t>(2 * k + (table.cos_first ? 1 : 0));
            write(sums, there, first, lane(pair.first, k % kLanes), bound);
            write(sums, there, first ^ 1, lane(pair.second, k % kLanes), bound);
        }
    }
}

// As many rows side by side as a strip is wide, at least.
void write_narrow(const Table& table, double position, const Workspace& work) {
    const std::size_t together = kStrip;
    const Steps steps = prepare(table, static_cast<double>(together), work.steps);
    const Rows rows{nullptr, position, 0, kRows * together};
    Tile tile{table, steps, rows, 0, together, kRows, 0.0, 0.0, 0.0, -1, false};
    start_narrow(tile, together, work);
    walk(
        work.start, together * table.columns, kRows, narrow, tile.first_error,
        [&](std::size_t lane) { return table.source[lane % table.columns]; },
        [&](std::size_t lane, std::size_t row) {
            return tile.position(row) + static_cast<double>(lane / table.columns);
        });
}

void write_down(const Table& table, double position, const Workspace& work) {
    const Steps steps = prepare_down(table, work.steps);
    const Start second = behind(work.start, 2 * kStrip);
    const Rows rows{nullptr, position, 0, kRows * kStrip};
    const double last = span(position, position + static_cast<double>(kRows * kStrip));
    const Tile tile{table, steps, rows, 0, kStrip, kRows, last, 0.0, __builtin_inf(), -1, true};
    for (std::size_t k = 0; k < table.frequencies; ++k) {
        make_start_down(tile, k, work.start, second);
        const auto at = [&](std::size_t lane, std::size_t row) {
            return tile.position(row) + static_cast<double>(lane);
        };
        const auto sin = static_cast<std::int32_t>(2 * k), cos = sin + 1;
        walk(
            work.start, kStrip, kRows, down, tile.first_error, [&](std::size_t) { return table.cos_first ? cos : sin; },
            at);
        walk(
            second, kStrip, kRows, down, tile.first_error, [&](std::size_t) { return table.cos_first ? sin : cos; },
            at);
    }
}

}  // namespace

int main(int, char** arguments) {
    std::ifstream stream(arguments[1], std::ios::binary);
    stream.exceptions(std::ios::failbit);
    const OwnedTable owned = read_table(stream, prepare_here);
    const Table& table = owned.table();
    const AlignedDoubles memory = make_aligned(workspace_size(table));
    const Workspace work = divide(table, memory.get());
    for (char** argument = arguments + 2; *argument != nullptr; ++argument) {
        const double start = std::strtod(*argument, nullptr);
        for (int i = 0; i < 400; ++i) {
            const double position = start + i * 0x1.3c6ef372fe95p-1;
            const double angle = table.largest * absolute(position);
            write_evaluated(table, position);
            if (kFused && table.order != Order::any && angle < kNear) {
                write_quick<false>(table, position);
            }
            if (kFused && table.order != Order::any && angle < kFar) {
                write_quick<true>(table, position);
            }
        }
        for (const double step : {1.0, 0.25, -3.0, 1000.0}) {
            if (step == 1.0 || (start >= 0.0 && start < 0x1p30)) {  // exact positions
                write_run(table, start, step, work);
            }
        }
        write_down(table, start, work);
        write_narrow(table, start, work);
        write_grid(table, start, work);
    }
}
