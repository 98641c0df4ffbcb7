// The mathematics of the compiled backend, written once and compiled once per ISA level by level_<isa>.cpp.
// Not a header to share: everything lives in an anonymous namespace, because a template or inline function compiled
// with two sets of flags would leave one weak copy, and an old CPU would run the new one's instructions. For the same
// reason nothing of the standard library is included beyond integer types.
//
// Producers make rows in registers, as doubles, and each states its error bound; the rounding test turns them into
// float32; consumers put them where they belong. In the order of the files:
//   evaluate   producer: sin and cos of one position at a frequency, to 2^-51 of the result
//   quick      producer: the same with fewer operations and digits, for rows that stand alone
//   half       conversions of float16 and bfloat16
//   round      Ziv's rounding test: of a register at once, of its lanes one by one, by exact.cpp
//   consumers  fill, add
//   lists      single rows, by quick or evaluate
//   recur      producer: the recurrence down strips of columns, for rows in arithmetic progression
//   double     producer: rows of float64
//   store      rows that are ready, to arrays of any strides
//   rotate     pairs of columns, by rows that are ready
//   embed      rows in registers, or ready ones, onto rows of a vocabulary that ids name
// and here, and in embed_rows for embeddings: which producer and which consumer a call gets, and the walk through
// memory.
#include "../kernel.hpp"
#include "simd.inl.hpp"

#include "evaluate.inl.hpp"
#include "half.inl.hpp"
#include "quick.inl.hpp"
#include "round.inl.hpp"

#include "consumers.inl.hpp"
#include "double.inl.hpp"
#include "lists.inl.hpp"
#include "recur.inl.hpp"
#include "store.inl.hpp"

#include "embed.inl.hpp"
#include "rotate.inl.hpp"

namespace posenc {
namespace {

struct Workspace {
    Kept* kept;
    double* turns;  // sines and cosines of float64 rows, which are kept
    double* trig;   // what evaluate_row writes; for strips, their anchor
    Anchor anchor, next;
    Start start;    // [kBlock + 2 kStrip] each
    double* steps;  // kStepArrays of a table's frequencies each
    void* tile;     // rows that several arrays share, or that are not written from registers
};

Workspace divide(const Table& table, double* workspace) {
    constexpr std::size_t size = kStartColumns;
    double *const turns = workspace + kKeptDoubles, *const memory =
                                                        turns + (table.turns + 1) * 2 * table.padded_frequencies;
    double* const start = memory + table.padded_trig;
    double *const steps = start + 5 * size, *const next = steps + kStepArrays * table.padded_frequencies;
    return {reinterpret_cast<Kept*>(workspace),
            turns,
            memory,
            {memory, memory + table.padded_frequencies},
            {next, next + table.padded_frequencies},
            {start, start + size, start + 2 * size, start + 3 * size, reinterpret_cast<float*>(start + 4 * size)},
            steps,
            next + 2 * table.padded_frequencies};
}

// Whether every position is one more than the one before, exactly. Fractional starts are rounded row by row.
bool is_run(const Rows& rows) {
    return rows.position == nullptr && static_cast<double>(static_cast<std::int64_t>(rows.start)) == rows.start;
}

// Walks down columns [first, end) of a start, whose strips are whole and side by side, rows [row, below) of a tile.
template <class Consumer>
void walk_bands(const Tile& tile, const Start& start, std::size_t column, std::size_t first, std::size_t end,
                std::size_t row, std::size_t below, char* to, const char* from, const Consumer& consumer) {
    for (std::size_t j = first, next = first; j < end; j = next) {
        const bool alternating = alternates(start, j);
        do {
            next += kStrip;
        } while (next < end && alternates(start, next) == alternating);
        const auto walk = alternating ? walk_band<true, Consumer> : walk_band<false, Consumer>;
        const auto right = static_cast<std::ptrdiff_t>((j - first) * sizeof(typename Consumer::Element));
        walk(tile, start, column + j, j, smaller(next, end) - j, row, below, to + right, from + right, consumer);
    }
}

// Walks down strips side by side, a band of rows at a time; the last one, if it is not whole, with a start of its own,
// so that the lanes behind it stay as they are.
template <class Consumer>
void walk_strips(const Tile& tile, const Start& start, std::size_t column, std::size_t first, std::size_t count,
                 char* to, const char* from, const Consumer& consumer) {
    using Value = typename Consumer::Value;
    const std::size_t whole = count / kStrip * kStrip, band = whole > kStrip ? consumer.band() : kRows;
    for (std::size_t j = first; j < first + whole; j += kStrip) {
        ready_strip<Value>(tile, start, j);
    }
    for (std::size_t row = 0; row < tile.rows; row += band) {
        const auto down = static_cast<std::ptrdiff_t>(row);
        walk_bands(tile, start, column, first, first + whole, row, smaller(row + band, tile.rows),
                   to + down * consumer.to_stride, from + down * consumer.from_stride, consumer);
    }
    if (whole == count) {
        return;
    }
    alignas(64) double doubles[4][kStrip];
    alignas(64) float limit[kStrip];
    const Start rest = behind(start, first + whole), own{doubles[0], doubles[1], doubles[2], doubles[3], limit};
    copy(own.value, rest.value, kStrip);
    copy(own.difference, rest.difference, kStrip);
    copy(own.factor, rest.factor, kStrip);
    copy(own.error, rest.error, kStrip);
    ready_strip<Value>(tile, own, 0);
    const auto right = static_cast<std::ptrdiff_t>(whole * sizeof(typename Consumer::Element));
    walk_bands(tile, own, column + first + whole, 0, count - whole, 0, tile.rows, to + right, from + right, consumer);
}

template <class Consumer>
void walk_columns(const Tile& tile, const Start& start, std::size_t column, std::size_t count, char* to,
                  const char* from, const Consumer& consumer) {
    walk_strips(tile, start, column, 0, count, to, from, consumer);
}

double farther(double a, double b) { return absolute(a) > absolute(b) ? absolute(a) : absolute(b); }

// How positions of rows follow each other, if they do so nearly evenly.
struct Progression {
    double step, deviation;
    int grain;  // as that of a Tile
    bool found;
};

// Positions may deviate from a progression as far as a rounding test bears it: by 2^-38 of the fastest angle, which
// costs as much as one in fifty registers settled.
Progression progression_of(const Table& table, const Rows& rows) {
    const double first = position_of(rows, rows.first), last = position_of(rows, rows.first + rows.count - 1);
    const double most = 0x1p-38 / (1.5708 * (table.largest + 0x1p-200)), largest = farther(first, last);
    if (is_run(rows)) {
        return {1.0, 0.0, 0, true};
    }
    if (rows.position == nullptr) {  // start + i, rounded
        const std::size_t i = rows.first + (absolute(first) > absolute(last) ? 0 : rows.count - 1);
        // Fast2Sum: what the larger term leaves of a sum is exact, and is the smaller one if nothing was lost.
        const double position = position_of(rows, i), counted = static_cast<double>(i);
        const bool lost =
            absolute(rows.start) > counted ? position - rows.start != counted : position - counted != rows.start;
        const bool exact = !lost && largest < 0x1p52;
        const double deviation = exact ? 0.0 : largest * 0x1p-52;
        return {1.0, deviation, -1, deviation <= most};
    }
    const double step = (last - first) / static_cast<double>(rows.count - 1);
    double worst = 0.0;
    for (std::size_t i = 1; i < rows.count; ++i) {
        const double off = absolute(rows.position[rows.first + i] - (first + static_cast<double>(i) * step));
        if (!(off <= most)) {
            return {0.0, 0.0, -1, false};
        }
        worst = off > worst ? off : worst;
    }
    const auto whole = [](double x) {
        return absolute(x) < 0x1p52 && static_cast<double>(static_cast<std::int64_t>(x)) == x;
    };
    const bool exact = worst == 0.0 && largest < 0x1p31 && whole(first * 0x1p20) && whole(step * 0x1p20);
    // What the sum above lost, once for a row and once for the one a tile begins with.
    const double deviation = exact ? 0.0 : 2.0 * (worst + largest * 0x1p-50);
    return {step, deviation, exact ? 20 : -1, deviation <= most};
}

// The length of the shortest interval that holds 0, a and b: no angle between them is larger, and the rows of a strip
// that begins below 0 and ends above it count as well (docs/accuracy.md, section 6).
double span(double a, double b) {
    const double high = a > b ? a : b, low = a > b ? b : a;
    return (high > 0.0 ? high : 0.0) - (low < 0.0 ? low : 0.0);
}

// Makes the anchor of a tile: its first row. No row of it stands beyond `last`.
struct Anchors {
    const Table& table;
    const Steps& steps;
    const Anchor& anchor;
    std::size_t since = kRotations;
    double evaluated = 0.0;

    void make(Tile& tile, double last) {
        if (since < kRotations) {
            rotate_anchor(table, steps, anchor);
            ++since;
        } else {
            evaluated = tile.position(0);
            evaluate_anchor(table, evaluated, table.padded_frequencies, anchor);
            tile.first_error = table.largest * absolute(evaluated) * kAngleError * absolute(table.amplitude);
            since = 0;
        }
        tile.farthest = span(evaluated, last);
        since = tile.rows == kRows ? since : kRotations;
    }
};

// How far ahead to prefetch down strips that take so many bytes of a row.
std::ptrdiff_t rows_ahead(std::size_t bytes) { return static_cast<std::ptrdiff_t>(kAheadBytes / bytes + 1); }

// Rows in progression.
template <class Consumer>
void walk_run(const Table& table, const Rows& rows, const Progression& progression, char* to, const char* from,
              const Workspace& work, Consumer consumer) {
    constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(typename Consumer::Element));
    const Steps steps = progression.step == 1.0 ? table.unit_steps : prepare(table, progression.step, work.steps);
    Anchors anchors{table, steps, work.anchor};
    for (std::size_t done = 0; done < rows.count;) {
        const std::size_t left = rows.count - done;
        const std::size_t height = left >= kRows + kRun || left <= kRows ? smaller(left, kRows) : left / 2;
        Tile tile{table,
                  steps,
                  rows,
                  rows.first + done,
                  1,
                  height,
                  0.0,
                  progression.deviation,
                  __builtin_inf(),
                  progression.grain,
                  false};
        anchors.make(tile, tile.position(height - 1));
        const auto above = static_cast<std::ptrdiff_t>(done);
        for (std::size_t j = 0; j < table.columns; j += kBlock) {
            const std::size_t count = smaller(kBlock, table.columns - j);
            const auto offset = static_cast<std::ptrdiff_t>(j) * size;
            make_start(tile, work.anchor, j, count, work.start);
            consumer.go_on(rows_ahead(count * sizeof(typename Consumer::Element)) * consumer.from_stride);
            walk_columns(tile, work.start, j, count, to + above * consumer.to_stride + offset,
                         from + above * consumer.from_stride + offset, consumer);
        }
        done += height;
    }
}

// Rows at position, position + 1, ... of an array whose rows are one element apart: column by column, each strip
// holding kStrip rows. Both columns of a pair share what is evaluated.
template <class Consumer>
void walk_down(const Table& table, const Rows& rows, char* to, std::ptrdiff_t to_column, const char* from,
               std::ptrdiff_t from_column, const Workspace& work, Consumer consumer) {
    constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(typename Consumer::Element));
    const Steps steps = prepare(table, static_cast<double>(kStrip), work.steps);
    const Start second = behind(work.start, 2 * kStrip);
    consumer.go_on(kDownAhead);
    const auto column = [&](const Tile& tile, const Start& start, std::size_t done, std::size_t count, std::size_t j) {
        const auto at = static_cast<std::ptrdiff_t>(done) * size, c = static_cast<std::ptrdiff_t>(j);
        walk_strips(tile, start, j, 0, count, to + c * to_column + at, from + c * from_column + at, consumer);
    };
    const auto blocks = [&](std::size_t k, std::size_t a, std::size_t b, bool zero) {
        for (std::size_t done = 0; done < rows.count;) {
            const std::size_t left = rows.count - done, height = left < kStrip ? 1 : smaller(left / kStrip, kRows);
            const std::size_t count = smaller(left, kStrip), first = rows.first + done;
            const double farthest = span(position_of(rows, first), position_of(rows, first + height * count - 1));
            const double error = table.largest * farthest * kAngleError * absolute(table.amplitude);
            const Tile tile{table, steps, rows, first, kStrip, height, farthest, 0.0, error, 0, true};
            make_start_down(tile, k, work.start, second);
            if (zero) {
                clear_start(work.start);
                clear_start(second);
            }
            if (a < table.columns) {
                column(tile, work.start, done, count, a);
            }
            if (b < table.columns) {
                column(tile, second, done, count, b);
            }
            done += height * count;
        }
    };
    if (table.order == Order::any) {
        for (std::size_t j = 0; j < table.columns; ++j) {
            const auto source = static_cast<std::size_t>(table.source[j] < 0 ? 0 : table.source[j]);
            const bool is_second = (source & 1) != static_cast<std::size_t>(table.cos_first);
            blocks(source / 2, is_second ? table.columns : j, is_second ? j : table.columns, table.source[j] < 0);
        }
        return;
    }
    const bool interleaved = table.order == Order::interleaved;
    for (std::size_t k = 0; k < table.frequencies; ++k) {
        blocks(k, interleaved ? 2 * k : k, interleaved ? 2 * k + 1 : table.frequencies + k, false);
    }
}

std::size_t rows_of_whole_lines(std::size_t columns, std::size_t line) {  // line is a power of two
    std::size_t rows = 1;
    while (rows * columns % line != 0) {
        rows *= 2;
    }
    return rows;
}

// How many elements of E stand before the first whole cache line of `row`.
template <class E>
std::size_t before_line(const char* row) {
    return (0 - reinterpret_cast<std::uintptr_t>(row)) % kLine / sizeof(E);
}

// Rows one after the other in memory: in strips of whole cache lines, the last of which goes on in the next row. Rows
// that begin alike with regard to a line, every `period` rows, are walked down together. Leaves out what the first row
// has before its first whole line, and the last rows: tells how many are done, the next one up to its first whole line.
template <class Consumer>
std::size_t walk_lines(const Table& table, const Rows& rows, char* to, const char* from, const Workspace& work,
                       Consumer consumer) {
    using E = typename Consumer::Element;
    constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(E));
    const std::size_t columns = table.columns, period = rows_of_whole_lines(columns, kLine / sizeof(E));
    const auto stride = static_cast<std::ptrdiff_t>(columns) * size;
    const Steps steps = period == 1 ? table.unit_steps : prepare(table, static_cast<double>(period), work.steps);
    consumer.to_stride = consumer.from_stride = static_cast<std::ptrdiff_t>(period) * stride;
    Anchors anchors{table, steps, work.anchor};
    const std::size_t whole = (rows.count - 1) / period * period;
    for (std::size_t done = 0; done < whole; done += kRows * period) {
        const std::size_t height = smaller(kRows, (whole - done) / period);
        for (std::size_t o = 0; o < period; ++o) {
            Tile tile{table, steps, rows, rows.first + done + o, period, height, 0.0, 0.0, __builtin_inf(), 0, false};
            anchors.since = period == 1 ? anchors.since : kRotations;
            anchors.make(tile, tile.position(height - 1) + 1.0);
            const auto above = static_cast<std::ptrdiff_t>(done + o) * stride;
            const std::size_t from_lane = before_line<E>(to + above), next_lanes = before_line<E>(to + above + stride);
            for (std::size_t j = 0, count = 0; j < columns; j += count) {
                count = columns - j < kBlock + kLine ? columns - j : kBlock;  // the last one has a whole line
                make_start(tile, work.anchor, j, count, work.start);
                std::size_t more = from_lane;
                if (j + count < columns) {
                    make_start(tile, work.anchor, j + count, more, behind(work.start, count));
                } else if (more = next_lanes; more != 0) {
                    Tile next = tile;
                    ++next.first;
                    const bool few = table.order != Order::any;  // the frequencies of the first columns are the first
                    evaluate_anchor(table, next.position(0), few ? kLine / sizeof(E) : table.padded_frequencies,
                                    work.next);
                    make_start(next, work.next, 0, more, behind(work.start, count));
                }
                consumer.go_on(rows_ahead(count * sizeof(E)) * consumer.from_stride);
                const auto there = above + static_cast<std::ptrdiff_t>(j + from_lane) * size;
                walk_strips(tile, work.start, j, from_lane, count - from_lane + more, to + there, from + there,
                            consumer);
            }
        }
    }
    return whole;
}

// Rows of one array, straight from registers.
template <class Consumer>
void make_rows(const Table& table, const Rows& rows, const Arrays& to_arrays, const Arrays& from_arrays,
               const Workspace& work, const Consumer& consumer) {
    char* to = row_of(to_arrays, 0, rows.first);
    const char* from = row_of(from_arrays, 0, rows.first);
    if (rows.count >= kRun) {
        const Progression progression = progression_of(table, rows);
        if (progression.found && (progression.step == 1.0 || rows.count >= kSteppedRun)) {
            walk_run(table, rows, progression, to, from, work, consumer);
            return;
        }
    }
    const RowMaker<Consumer> maker(table, consumer, work.trig);
    for (std::size_t i = rows.first; i < rows.first + rows.count; ++i) {
        maker.make(position_of(rows, i), to, from);
        to += consumer.to_stride;
        from += consumer.from_stride;
    }
}

// Whether rows of both sides can be written from registers.
template <class E>
bool is_contiguous(const Target& target) {
    const auto fits = [&](const Arrays& arrays) {
        std::uintptr_t address = static_cast<std::uintptr_t>(arrays.row_stride);
        for (std::size_t a = 0; a < target.count; ++a) {
            address |= reinterpret_cast<std::uintptr_t>(arrays.address[a]);
        }
        return arrays.column_stride == sizeof(E) && address % alignof(E) == 0;
    };
    return fits(target.to) && fits(target.from);
}

// Whether rows are walked in whole cache lines: the arrays' rows, one after the other, are long and begin alike.
template <class E>
bool has_lines(const Table& table, const Rows& rows, const Target& target) {
    constexpr bool whole_lines = kStrip * sizeof(E) % kLine == 0;
    const auto bytes = static_cast<std::ptrdiff_t>(table.columns * sizeof(E));
    const auto apart = reinterpret_cast<std::uintptr_t>(target.to.address[0]) -
                       reinterpret_cast<std::uintptr_t>(target.from.address[0]);
    return whole_lines && is_run(rows) && rows.count >= kLineRows && table.columns >= kLine / sizeof(E) &&
           target.to.row_stride == bytes && target.from.row_stride == bytes && apart % kLine == 0 &&
           (target.stream || rows_of_whole_lines(table.columns, kLine / sizeof(E)) <= kLinePeriod);
}

// Columns [first, end) of one row, by way of a row of V.
template <class E, class V>
void write_part(const Table& table, const Rows& rows, std::size_t row, std::size_t first, std::size_t end,
                const Target& target, const Workspace& work) {
    char* const tile = static_cast<char*>(work.tile);
    const Arrays there{&tile, 0, sizeof(V)};
    make_rows(table, {nullptr, position_of(rows, row), 0, 1}, there, there, work, Fill<V, false>{0, 0});
    Target plain = target;
    plain.stream = false;
    const auto offset = static_cast<std::ptrdiff_t>(first * sizeof(E));
    write_contiguous(plain, reinterpret_cast<E*>(row_of(target.to, 0, row) + offset),
                     reinterpret_cast<const E*>(row_of(target.from, 0, row) + offset),
                     reinterpret_cast<const V*>(tile) + first, end - first);
}

template <class E, class V, class Consumer>
void run_lines(const Table& table, const Rows& rows, const Target& target, const Workspace& work,
               const Consumer& consumer) {
    char* const to = row_of(target.to, 0, rows.first);
    const std::size_t whole = walk_lines(table, rows, to, row_of(target.from, 0, rows.first), work, consumer);
    const std::size_t next = rows.first + whole, rest = rows.count - whole;
    const auto before = [&](std::size_t row) { return before_line<E>(row_of(target.to, 0, row)); };
    write_part<E, V>(table, rows, rows.first, 0, before(rows.first), target, work);
    write_part<E, V>(table, rows, next, before(next), table.columns, target, work);
    Target plain = target;
    plain.stream = false;
    run_single<E>(table, {nullptr, rows.start, next + 1, rest - 1}, plain, work);
}

// One array of contiguous rows.
template <class E>
void run_single(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const std::ptrdiff_t to_stride = target.to.row_stride, from_stride = target.from.row_stride;
    const auto scale = static_cast<float>(target.scale);
    const auto run = [&](auto value, const auto& consumer) {
        if (has_lines<E>(table, rows, target)) {
            run_lines<E, decltype(value)>(table, rows, target, work, consumer);
        } else {
            make_rows(table, rows, target.to, target.from, work, consumer);
        }
    };
    if (target.operation == Operation::fill && target.stream && has_lines<E>(table, rows, target)) {
        run_lines<E, E>(table, rows, target, work, Fill<E, true>{to_stride, from_stride});
    } else if (target.operation == Operation::fill) {
        run(E{}, Fill<E, false>{to_stride, from_stride});
    } else if (scale == 1.0F) {
        run(float{}, Add<E, false>{to_stride, from_stride, 0, scale});
    } else {
        run(float{}, Add<E, true>{to_stride, from_stride, 0, scale});
    }
}

// Makes rows of V in the workspace, `offset` bytes on. `ahead` tells Fill what to prefetch meanwhile.
template <class V, class Consumer>
const V* make_tile(const Table& table, const Rows& rows, const Workspace& work, const Consumer& ahead,
                   std::size_t offset = 0) {
    // The addresses of row 0, which may lie before the tile: positions are counted from there, and rounded once.
    const auto first = static_cast<std::ptrdiff_t>(rows.first);
    char* const tile = static_cast<char*>(work.tile) + offset;
    char* const to = tile - first * ahead.to_stride;
    char* const from = nullptr;
    make_rows(table, rows, {&to, ahead.to_stride, sizeof(V)}, {&from, ahead.from_stride, sizeof(V)}, work, ahead);
    return reinterpret_cast<const V*>(tile);
}

const double* make_doubles(const Table& table, const Rows& rows, const Workspace& work) {
    const DoubleMaker maker(table, *work.kept, work.turns, work.trig);
    auto* const tile = static_cast<double*>(work.tile);
    for (std::size_t r = 0; r < rows.count; ++r) {
        maker.make(position_of(rows, rows.first + r), tile + r * table.columns);
    }
    return tile;
}

// Several arrays, or strides: by way of tiles of V.
template <class E, class V>
void run_tiles(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const auto row_bytes = static_cast<std::ptrdiff_t>(table.columns * sizeof(V));
    const std::size_t end = rows.first + rows.count, few = table.shared_rows * (sizeof(double) / sizeof(V));
    const std::size_t height = few > target.shared_rows ? few : target.shared_rows;
    // Where the first array's rows meet a line, values do, too.
    const std::size_t offset = (0 - before_line<E>(target.to.address[0]) * sizeof(V)) % kLine;
    for (std::size_t i = rows.first; i < end; i += height) {
        const std::size_t count = smaller(height, end - i);
        const V* const tile =
            make_tile<V>(table, {rows.position, rows.start, i, count}, work, Fill<V, false>{row_bytes, 0}, offset);
        write_rows<E>(table.columns, target, i, count, tile);
    }
}

template <class E>
void embed_rows(const Table& table, const Rows& rows, const Target& target, const Workspace& work);

// Whether rows of both sides are one element apart, so that columns can be written from registers.
template <class E>
bool goes_down(const Rows& rows, const Target& target) {
    const auto fits = [](const Arrays& arrays) {
        return arrays.row_stride == sizeof(E) &&
               reinterpret_cast<std::uintptr_t>(arrays.address[0]) % alignof(E) == 0 &&
               arrays.column_stride % static_cast<std::ptrdiff_t>(alignof(E)) == 0;
    };
    return is_run(rows) && rows.count >= kStrip && fits(target.to) && fits(target.from);
}

template <class E>
void run_down(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    constexpr auto step = static_cast<std::ptrdiff_t>(kStrip * sizeof(E));
    const auto walk = [&](const auto& consumer) {
        walk_down(table, rows, row_of(target.to, 0, rows.first), target.to.column_stride,
                  row_of(target.from, 0, rows.first), target.from.column_stride, work, consumer);
    };
    const auto scale = static_cast<float>(target.scale);
    if (target.operation == Operation::fill) {
        walk(Fill<E, false>{step, step});
    } else if (scale == 1.0F) {
        walk(Add<E, false>{step, step, 0, scale});
    } else {
        walk(Add<E, true>{step, step, 0, scale});
    }
}

template <class E>
void run_rows(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    if (target.operation == Operation::embed) {
        embed_rows<E>(table, rows, target, work);
        return;
    }
    const bool float32 = kSame<E, float> || target.operation == Operation::add;
    const std::size_t height = table.shared_rows * (sizeof(double) / (float32 ? sizeof(float) : sizeof(E)));
    // Rows that several arrays or cells share are made once, and stay in the caches.
    const bool shared = target.cells > 1 || (target.count > 1 && (rows.count <= height || target.shared_rows != 0));
    for (std::size_t a = 0; a < (shared ? 1 : target.count); ++a) {
        Target part = target;
        part.to.address += a;
        part.from.address += a;
        part.count = shared ? target.count : 1;
        if (!shared && is_contiguous<E>(part)) {
            run_single<E>(table, rows, part, work);
        } else if (!shared && goes_down<E>(rows, part)) {
            run_down<E>(table, rows, part, work);
        } else if (float32) {
            run_tiles<E, float>(table, rows, part, work);
        } else {
            run_tiles<E, E>(table, rows, part, work);
        }
    }
}

// Calls write(i, count) for parts of all rows, of at most `most` each: where there is no room for all turns, in an
// order that evaluates each of them once.
template <class Write>
void in_order_of_turns(const Table& table, const Rows& rows, std::size_t most, const Write& write) {
    const std::size_t end = rows.first + rows.count;
    if (table.turns == kGrid) {
        for (std::size_t i = rows.first; i < end; i += most) {
            write(i, smaller(most, end - i));
        }
        return;
    }
    for (std::size_t turn = 0; turn < kGrid; turn += table.turns) {
        for (std::size_t i = rows.first, count = 0; i < end; i += count) {
            count = 0;
            while (count < most && i + count < end && on_grid(position_of(rows, i + count)).turn - turn < table.turns) {
                ++count;
            }
            if (count != 0) {
                write(i, count);
            } else {
                count = 1;
            }
        }
    }
}

template <>
void run_rows<double>(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    if (target.operation == Operation::embed) {
        embed_rows<double>(table, rows, target, work);
        return;
    }
    const bool shared = target.count > 1 || target.cells > 1 || rows_are_close(target.to);
    const std::size_t few = kTileDoubles / table.columns != 0 ? kTileDoubles / table.columns : 1;
    const std::size_t height = shared ? table.shared_rows : smaller(few, table.shared_rows);
    in_order_of_turns(table, rows, height, [&](std::size_t i, std::size_t count) {
        const double* const tile = make_doubles(table, {rows.position, rows.start, i, count}, work);
        write_rows<double>(table.columns, target, i, count, tile);
    });
}

// How many positions of a list, from the one at i on, are each one more than the one before.
std::size_t run_length(const Rows& rows, std::size_t i, std::size_t end) {
    const double first = rows.position[i];
    std::size_t count = 1;
    if (first >= -0x1p52 && first <= 0x1p52 && static_cast<double>(static_cast<std::int64_t>(first)) == first) {
        while (i + count < end && rows.position[i + count] == first + static_cast<double>(count)) {
            ++count;
        }
    }
    return count;
}

bool is_masked(double position) { return position != position; }

// How many positions of a list there are from the one at i to the next masked one, if they are a progression; else 0.
std::size_t even_part(const Table& table, const Rows& rows, std::size_t i, std::size_t end) {
    std::size_t count = 1;
    while (i + count < end && !is_masked(rows.position[i + count])) {
        ++count;
    }
    return count >= kSteppedRun && progression_of(table, {rows.position, 0.0, i, count}).found ? count : 0;
}

// Cuts a list into runs, which are made faster, masked rows, and what is left.
template <class E>
void run_list(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const std::size_t end = rows.first + rows.count;
    std::size_t done = rows.first;
    bool new_part = !kSame<E, double>;  // of the list, between masked rows
    const auto single_rows_until = [&](std::size_t i) {
        if (done < i) {
            run_rows<E>(table, {rows.position, 0.0, done, i - done}, target, work);
        }
        done = i;
    };
    for (std::size_t i = done; i < end;) {
        if (is_masked(rows.position[i])) {
            single_rows_until(i);
            for (++i; i < end && is_masked(rows.position[i]); ++i) {
            }
            if (target.operation != Operation::add) {
                clear_rows<E>(table.columns, target, done, i - done);
            }
            done = i;
            new_part = true;
        } else if (const std::size_t even = new_part ? even_part(table, rows, i, end) : 0; even != 0) {
            run_rows<E>(table, {rows.position, 0.0, i, even}, target, work);
            done = i += even;
        } else if (const std::size_t count = run_length(rows, i, end); count >= kRun) {
            single_rows_until(i);
            run_rows<E>(table, {nullptr, rows.position[i] - static_cast<double>(i), i, count}, target, work);
            done = i += count;
            new_part = false;
        } else {
            i += count;
            new_part = false;
        }
    }
    single_rows_until(end);
}

template <class E>
void run_elements(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    if (rows.position != nullptr) {
        run_list<E>(table, rows, target, work);
    } else {
        run_rows<E>(table, rows, target, work);
    }
}

void or_bytes(char* to, const char* a, const char* b, std::size_t bytes) {
    std::size_t j = 0;
    for (; j + sizeof(u32s) <= bytes; j += sizeof(u32s)) {
        store(to + j, load<u32s>(a + j) | load<u32s>(b + j));
    }
    for (; j < bytes; ++j) {
        to[j] = static_cast<char>(a[j] | b[j]);
    }
}

template <class E, class V>
void merge_rows(const Parts& parts, std::size_t first, std::size_t count, const Target& target, char* tile) {
    const std::size_t row_bytes = parts.columns * sizeof(V), height = kSharedBytes / row_bytes;
    for (std::size_t i = first; i < first + count;) {
        const std::size_t some = smaller(height != 0 ? height : 1, first + count - i);
        for (std::size_t r = 0; r < some; ++r) {
            or_bytes(tile + r * row_bytes, parts.base, parts.inner + (i + r) * row_bytes, row_bytes);
        }
        write_rows<E>(parts.columns, target, i, some, reinterpret_cast<const V*>(tile));
        i += some;
    }
}

void finish(const Target& target) {
    if (target.stream) {
        stream_fence();
    }
}

void run(const Table& table, const Rows& rows, const Target& target, double* workspace) noexcept {
    const Workspace work = divide(table, workspace);
    if (work.kept->table != table.serial) {
        *work.kept = {};
        work.kept->table = table.serial;
    }
    switch (target.element) {
        case Element::f32:
            run_elements<float>(table, rows, target, work);
            break;
        case Element::f64:
            run_elements<double>(table, rows, target, work);
            break;
        case Element::f16:
            run_elements<f16>(table, rows, target, work);
            break;
        case Element::bf16:
            run_elements<bf16>(table, rows, target, work);
            break;
    }
    finish(target);
}

void merge(const Parts& parts, std::size_t first, std::size_t count, const Target& target, double* workspace) noexcept {
    char* const tile = reinterpret_cast<char*>(workspace);
    const bool fill = target.operation == Operation::fill;
    switch (target.element) {
        case Element::f32:
            merge_rows<float, float>(parts, first, count, target, tile);
            break;
        case Element::f64:
            merge_rows<double, double>(parts, first, count, target, tile);
            break;
        case Element::f16:
            (fill ? merge_rows<f16, f16> : merge_rows<f16, float>)(parts, first, count, target, tile);
            break;
        case Element::bf16:
            (fill ? merge_rows<bf16, bf16> : merge_rows<bf16, float>)(parts, first, count, target, tile);
            break;
    }
    finish(target);
}

}  // namespace

void POSENC_LEVEL(run)(const Table& table, const Rows& rows, const Target& target, double* workspace) noexcept {
    run(table, rows, target, workspace);
}

void POSENC_LEVEL(merge)(const Parts& parts, std::size_t first, std::size_t count, const Target& target,
                         double* workspace) noexcept {
    merge(parts, first, count, target, workspace);
}

void POSENC_LEVEL(turn)(const Turning& turning, const Target& target) noexcept { turn(turning, target); }

Steps POSENC_LEVEL(prepare)(const Table& table, double step, double* memory) noexcept {
    return prepare(table, step, memory);
}

}  // namespace posenc

#include "embed_rows.inl.hpp"
