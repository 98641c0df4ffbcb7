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
//   store      rows that are ready, to arrays of any strides
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
#include "lists.inl.hpp"
#include "recur.inl.hpp"
#include "store.inl.hpp"

#include "embed.inl.hpp"

namespace posenc {
namespace {

struct Workspace {
    double* trig;  // what evaluate_row writes; for strips, their anchor
    Anchor anchor, next;
    Start start;    // [kBlock + 2 kStrip] each
    double* steps;  // kStepArrays of a table's frequencies each
    void* tile;     // rows that several arrays share, or that are not written from registers
};

Workspace divide(const Table& table, double* memory) {
    constexpr std::size_t size = kStartColumns;
    double* const start = memory + table.padded_trig;
    double *const steps = start + 4 * size, *const next = steps + kStepArrays * table.padded_frequencies;
    return {memory,
            {memory, memory + table.padded_frequencies},
            {next, next + table.padded_frequencies},
            {start, start + size, start + 2 * size, start + 3 * size},
            steps,
            next + 2 * table.padded_frequencies};
}

// Whether every position is one more than the one before, exactly. Fractional starts are rounded row by row.
bool is_run(const Rows& rows) {
    return rows.position == nullptr && static_cast<double>(static_cast<std::int64_t>(rows.start)) == rows.start;
}

template <class Consumer>
void walk_strips(const Tile& tile, const Start& start, std::size_t column, std::size_t first, std::size_t count,
                 char* to, const char* from, const Consumer& consumer) {
    constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(typename Consumer::Element));
    for (std::size_t j = first; j < first + count; j += kStrip, to += kStrip * size, from += kStrip * size) {
        const std::size_t some = smaller(kStrip, first + count - j);
        bool alternating = false;
        for (std::size_t i = 0; i < kStrip; i += kLanes) {
            alternating |= any((u32s)((i64s)load<f64s>(start.error + j + i) < 0));
        }
        const auto walk = some > kVector
                              ? (alternating ? walk_strip<2, true, Consumer> : walk_strip<2, false, Consumer>)
                              : (alternating ? walk_strip<1, true, Consumer> : walk_strip<1, false, Consumer>);
        walk(tile, start, column + j, j, some, to, from, consumer);
    }
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

// Positions may deviate from a progression as far as a rounding test bears it: by 2^-44 of the fastest angle.
Progression progression_of(const Table& table, const Rows& rows) {
    const double first = position_of(rows, rows.first), last = position_of(rows, rows.first + rows.count - 1);
    const double most = 0x1p-44 / (1.5708 * (table.largest + 0x1p-200)), largest = farther(first, last);
    if (is_run(rows)) {
        return {1.0, 0.0, 0, true};
    }
    if (rows.position == nullptr) {  // start + i, rounded
        const std::size_t i = rows.first + (absolute(first) > absolute(last) ? 0 : rows.count - 1);
        const bool exact = position_of(rows, i) - rows.start == static_cast<double>(i) && largest < 0x1p52;
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
        const auto above = static_cast<std::ptrdiff_t>(done), below = static_cast<std::ptrdiff_t>(height);
        for (std::size_t j = 0; j < table.columns; j += kBlock) {
            const std::size_t count = smaller(kBlock, table.columns - j);
            const auto offset = static_cast<std::ptrdiff_t>(j) * size;
            make_start(tile, work.anchor, j, count, work.start);
            // A tile of few columns is followed by the one below it; of many, by its next columns.
            const bool last = j + count == table.columns;
            consumer.go_on(table.columns <= 2 * kBlock || last ? below * consumer.from_stride - (last ? offset : 0)
                                                               : static_cast<std::ptrdiff_t>(kBlock) * size);
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

// Rows one after the other in memory, past the caches: in strips of whole cache lines, the last of which goes on in the
// next row. Rows that begin alike with regard to a line, every `period` rows, are walked down together. Writes neither
// what the first row has before its first whole line nor the last rows; tells how many rows are done but for that.
template <class E>
std::size_t stream_run(const Table& table, const Rows& rows, char* to, const Workspace& work) {
    constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(E));
    const std::size_t columns = table.columns, period = rows_of_whole_lines(columns, kLine / sizeof(E));
    const auto stride = static_cast<std::ptrdiff_t>(columns) * size;
    const auto before_line = [&](const char* row) {
        return (0 - reinterpret_cast<std::uintptr_t>(row)) % kLine / sizeof(E);
    };
    const Steps steps = period == 1 ? table.unit_steps : prepare(table, static_cast<double>(period), work.steps);
    const Fill<E, true> consumer{static_cast<std::ptrdiff_t>(period) * stride, 0};
    Anchors anchors{table, steps, work.anchor};
    const std::size_t whole = (rows.count - 1) / period * period;
    for (std::size_t done = 0; done < whole; done += kRows * period) {
        const std::size_t height = smaller(kRows, (whole - done) / period);
        for (std::size_t o = 0; o < period; ++o) {
            Tile tile{table, steps, rows, rows.first + done + o, period, height, 0.0, 0.0, __builtin_inf(), 0, false};
            anchors.since = period == 1 ? anchors.since : kRotations;
            anchors.make(tile, tile.position(height - 1) + 1.0);
            char* const row = to + static_cast<std::ptrdiff_t>(done + o) * stride;
            const std::size_t from_lane = before_line(row), next_lanes = before_line(row + stride);
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
                char* const there = row + static_cast<std::ptrdiff_t>(j + from_lane) * size;
                walk_strips(tile, work.start, j, from_lane, count - from_lane + more, there, there, consumer);
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

template <class E>
bool can_stream(const Table& table, const Rows& rows, const Target& target) {
    constexpr bool whole_lines = kStrip * sizeof(E) % kLine == 0;
    return whole_lines && target.stream && is_run(rows) && rows.count > 64 && table.columns >= kLine / sizeof(E) &&
           target.to.row_stride == static_cast<std::ptrdiff_t>(table.columns * sizeof(E));
}

// One array of contiguous rows.
template <class E>
void run_single(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const std::ptrdiff_t to_stride = target.to.row_stride, from_stride = target.from.row_stride;
    if (target.operation == Operation::add) {
        const auto scale = static_cast<float>(target.scale);
        if (scale != 1.0F) {
            make_rows(table, rows, target.to, target.from, work, Add<E, true>{to_stride, from_stride, 0, scale});
        } else {
            make_rows(table, rows, target.to, target.from, work, Add<E, false>{to_stride, from_stride, 0, scale});
        }
        return;
    }
    const Fill<E, false> fill{to_stride, to_stride};
    if (!can_stream<E>(table, rows, target)) {
        make_rows(table, rows, target.to, target.to, work, fill);
        return;
    }
    const std::size_t done = stream_run<E>(table, rows, row_of(target.to, 0, rows.first), work);
    // Rows of which a part may be missing.
    make_rows(table, {nullptr, rows.start, rows.first, 1}, target.to, target.to, work, fill);
    make_rows(table, {nullptr, rows.start, rows.first + done, rows.count - done}, target.to, target.to, work, fill);
}

// Makes rows of V in the workspace. `ahead` tells Fill what to prefetch meanwhile.
template <class V, class Consumer>
const V* make_tile(const Table& table, const Rows& rows, const Workspace& work, const Consumer& ahead) {
    // The addresses of row 0, which may lie before the tile: positions are counted from there, and rounded once.
    const auto first = static_cast<std::ptrdiff_t>(rows.first);
    char* const to = static_cast<char*>(work.tile) - first * ahead.to_stride;
    char* const from = nullptr;
    make_rows(table, rows, {&to, ahead.to_stride, sizeof(V)}, {&from, ahead.from_stride, sizeof(V)}, work, ahead);
    return static_cast<const V*>(work.tile);
}

const double* evaluated_tile(const Table& table, const Rows& rows, const Workspace& work) {
    auto* const tile = static_cast<double*>(work.tile);
    for (std::size_t r = 0; r < rows.count; ++r) {
        evaluated_doubles(table, position_of(rows, rows.first + r), work.trig, tile + r * table.columns);
    }
    return tile;
}

// Several arrays, or strides: by way of tiles of V.
template <class E, class V>
void run_tiles(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const auto row_bytes = static_cast<std::ptrdiff_t>(table.columns * sizeof(V));
    const std::size_t end = rows.first + rows.count, height = table.shared_rows * (sizeof(double) / sizeof(V));
    for (std::size_t i = rows.first; i < end; i += height) {
        const std::size_t count = smaller(height, end - i);
        const V* const tile =
            make_tile<V>(table, {rows.position, rows.start, i, count}, work, Fill<V, false>{row_bytes, 0});
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
    const bool shared = target.cells > 1 || (target.count > 1 && rows.count <= height);
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

template <>
void run_rows<double>(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    if (target.operation == Operation::embed) {
        embed_rows<double>(table, rows, target, work);
        return;
    }
    const std::size_t height = target.count == 1 ? 1 : table.shared_rows, end = rows.first + rows.count;
    for (std::size_t i = rows.first; i < end; i += height) {
        const Rows some{rows.position, rows.start, i, smaller(height, end - i)};
        write_rows<double>(table.columns, target, i, some.count, evaluated_tile(table, some, work));
    }
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

Steps POSENC_LEVEL(prepare)(const Table& table, double step, double* memory) noexcept {
    return prepare(table, step, memory);
}

}  // namespace posenc

#include "embed_rows.inl.hpp"
