// The walk of strips through memory, for rows in arithmetic progression: tile of rows by tile, in the order of the
// array, along rows, in whole cache lines, or down columns. Included by kernel.inl.hpp only. Which walk a call gets,
// rows.inl.hpp says.

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
    double *const turns = workspace + kKeptDoubles, *const memory = turns + (table.turns + table.anchors) * 2 *
                                                                                table.padded_frequencies;
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

bool is_whole(double x) { return absolute(x) <= 0x1p53 && static_cast<double>(static_cast<std::int64_t>(x)) == x; }

double farther(double a, double b) { return absolute(a) > absolute(b) ? absolute(a) : absolute(b); }

// Whether start + i loses nothing: what the larger term leaves of a rounded sum is exact, and is the smaller term then
// (Fast2Sum).
bool is_exact(double start, std::size_t i) {
    const double position = start + static_cast<double>(i), counted = static_cast<double>(i);
    return absolute(start) > counted ? position - start == counted : position - counted == start;
}

// Whether every position is one more than the one before, exactly: the one farthest from 0 is, and has a last bit that
// is worth as much as that of any other, or more.
bool is_run(const Rows& rows) {
    const std::size_t last = rows.first + rows.count - 1;
    return rows.position == nullptr && is_exact(rows.start, rows.first) && is_exact(rows.start, last);
}

// Of which power of two the positions of a run are multiples, as a Tile has it.
int grain_of(const Rows& run) {
    const double largest = farther(run.start, run.start + static_cast<double>(run.first + run.count));
    return is_whole(run.start) ? 0 : largest < 0x1p31 && is_whole(run.start * 0x1p20) ? 20 : -1;
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

// All columns of a tile, side by side. embed_rows.inl.hpp has its own.
template <class Consumer>
void walk_columns(const Tile& tile, const Start& start, std::size_t column, std::size_t count, char* to,
                  const char* from, const Consumer& consumer) {
    walk_strips(tile, start, column, 0, count, to, from, consumer);
}

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
    if (rows.position == nullptr) {
        return {1.0, 0.0, grain_of(rows), is_run(rows)};
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
    const bool exact = worst == 0.0 && largest < 0x1p31 && is_whole(first * 0x1p20) && is_whole(step * 0x1p20);
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

// The absolute error of rows that are evaluated, from `first` to `last`.
double first_error(const Table& table, double first, double last) {
    return table.largest * absolute(farther(first, last)) * kAngleError * absolute(table.amplitude);
}

// Makes the anchor of a tile: its first row, beside which stand others up to `beyond` rows on. No row of the tile
// stands beyond `last`.
struct Anchors {
    const Table& table;
    const Steps& steps;
    const Anchor& anchor;
    std::size_t since = kRotations;
    double evaluated = 0.0;

    void make(Tile& tile, double last, double beyond = 0.0) {
        if (since < kRotations) {
            rotate_anchor(table, steps, anchor);
            ++since;
        } else {
            evaluated = tile.position(0);
            evaluate_anchor(table, evaluated, table.padded_frequencies, anchor);
            tile.first_error = first_error(table, evaluated, evaluated + beyond);
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
    const Steps steps = prepare_down(table, work.steps);
    const int grain = grain_of(rows);
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
            const Tile tile{table, steps, rows, first, kStrip, height, farthest, 0.0, __builtin_inf(), grain, true};
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
    const int grain = grain_of(rows);
    const std::size_t whole = (rows.count - 1) / period * period;
    for (std::size_t done = 0; done < whole; done += kRows * period) {
        const std::size_t height = smaller(kRows, (whole - done) / period);
        for (std::size_t o = 0; o < period; ++o) {
            Tile tile{table,           steps, rows, rows.first + done + o, period, height, 0.0, 0.0,
                      __builtin_inf(), grain, false};
            anchors.since = period == 1 ? anchors.since : kRotations;
            anchors.make(tile, tile.position(height - 1) + 1.0, 1.0);
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
                    // The frequencies of the first columns are the first, unless columns have an order of their own.
                    const std::size_t few = table.order != Order::any ? kLine / sizeof(E) : table.padded_frequencies;
                    evaluate_anchor(table, next.position(0), smaller(few, table.padded_frequencies), work.next);
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

// Whether rows are narrower than a strip, and one after the other in memory.
template <class Consumer>
bool are_narrow(const Table& table, const Consumer& consumer) {
    const auto bytes = static_cast<std::ptrdiff_t>(table.columns * sizeof(typename Consumer::Element));
    return table.columns < kStrip && consumer.to_stride == bytes &&
           (consumer.from_stride == bytes || !Consumer::kReads);
}

// Makes the start of a tile in which so many rows stand side by side, each of them evaluated.
void start_narrow(Tile& tile, std::size_t together, const Workspace& work) {
    const double first = tile.position(0), many = static_cast<double>(together);
    tile.farthest = span(first, tile.position(tile.rows - 1) + many);
    tile.first_error = first_error(tile.table, first, first + many);
    for (std::size_t r = 0; r < together; ++r) {
        Tile row = tile;
        row.first += r;
        evaluate_anchor(tile.table, row.position(0), tile.table.padded_frequencies, work.anchor);
        make_start(row, work.anchor, 0, tile.table.columns, behind(work.start, r * tile.table.columns));
    }
}

// Narrow rows of a run: as many of them as fill whole strips are walked down as one. Leaves out the last rows, and
// tells how many are done.
template <class Consumer>
std::size_t walk_narrow(const Table& table, const Rows& rows, char* to, const char* from, const Workspace& work,
                        Consumer consumer) {
    const std::size_t columns = table.columns, together = rows_of_whole_lines(columns, kStrip);
    const std::size_t whole = rows.count / together, lanes = together * columns;
    if (whole < kRun) {
        return 0;
    }
    const Steps steps = prepare(table, static_cast<double>(together), work.steps);
    const int grain = grain_of(rows);
    consumer.to_stride *= static_cast<std::ptrdiff_t>(together);
    consumer.from_stride *= static_cast<std::ptrdiff_t>(together);
    consumer.go_on(rows_ahead(lanes * sizeof(typename Consumer::Element)) * consumer.from_stride);
    for (std::size_t done = 0; done < whole; done += kRows) {
        const std::size_t height = smaller(kRows, whole - done);
        Tile tile{table, steps, rows, rows.first + done * together, together, height, 0.0, 0.0, 0.0, grain, false};
        start_narrow(tile, together, work);
        const auto above = static_cast<std::ptrdiff_t>(done);
        walk_columns(tile, work.start, 0, lanes, to + above * consumer.to_stride, from + above * consumer.from_stride,
                     consumer);
    }
    return whole * together;
}

}  // namespace
}  // namespace posenc
