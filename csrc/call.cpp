// Pieces are numbered, and threads take the next number until there is none: no thread waits for another, and which
// one makes a row changes nothing about it.
#include "call.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <new>
#include <span>
#include <system_error>
#include <thread>

#include "dispatch.hpp"
#include "shared.hpp"

namespace posenc {
namespace {

std::size_t divide_up(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

// How often a row of float32 has to be added to make it worth having it ready; 0: never.
std::size_t worth_sharing(const Target& target) {
    const bool is_half = target.element == Element::f16 || target.element == Element::bf16;
    const std::ptrdiff_t next = is_half ? 2 : 4;
    if (target.operation != Operation::add || target.element == Element::f64 || target.cells != 1 ||
        target.to.column_stride != next || target.from.column_stride != next) {
        return 0;
    }
    return is_half ? kSharingHalves : kSharingArrays;
}

// Whether columns are contiguous, of 4 bytes or less an element: channels before the sequence.
bool has_columns(const Target& target) {
    const std::ptrdiff_t next = target.element == Element::f32 ? 4 : 2;
    return target.operation != Operation::embed && target.element != Element::f64 && target.cells == 1 &&
           target.to.row_stride == next && target.from.row_stride == next;
}

// Rows that the workspace of a call needs room for beyond what a table's has, so that all `arrays` can have them one
// after the other; 0: it is faster to make them again for each.
std::size_t rows_to_share(const Table& table, const Target& target, std::size_t rows, std::size_t arrays) {
    const std::size_t most = kSharedTableBytes / (table.columns * sizeof(float));
    if (has_columns(target)) {
        return arrays >= kSharingColumns && rows <= most ? rows : 0;
    }
    const std::size_t worth = worth_sharing(target);
    return worth != 0 && arrays >= worth ? std::min(rows, most) : 0;
}

// Rows that a call, a batch of sequences, packed or padded, adds again and again, if they fit.
Common rows_in_common(const Call& call, std::size_t arrays) {
    static std::atomic<std::uint64_t> calls{0};
    const std::size_t columns = call.table.table().columns, worth = worth_sharing(call.target);
    if (worth == 0 || call.groups * call.rows * arrays < worth) {
        return {};
    }
    double low = HUGE_VAL, high = -HUGE_VAL;
    std::size_t times = 0;
    for (const double position : std::span(call.positions, call.groups * (call.starts ? 1 : call.rows))) {
        if (std::isnan(position)) {
            continue;
        }
        if (std::rint(position) != position) {
            return {};
        }
        low = std::min(low, position);
        high = std::max(high, position);
        ++times;
    }
    if (times == 0) {
        return {};
    }
    times *= arrays;
    if (call.starts) {
        high += static_cast<double>(call.rows - 1);
        times *= call.rows;
    }
    const double rows = high - low + 1.0, bytes = rows * static_cast<double>(columns * sizeof(float));
    if (bytes > static_cast<double>(kSharedTableBytes) ||
        rows * static_cast<double>(worth) > static_cast<double>(times)) {
        return {};
    }
    const std::size_t element = call.target.element == Element::f32 ? 4 : 2;
    const bool is_past_caches = times * columns * element >= caches().last_level / 2;
    const auto copies = is_past_caches ? static_cast<std::size_t>(static_cast<double>(kSharedTableBytes) / bytes) : 1;
    // Where the first array's rows meet a line, values do, too.
    const std::size_t before = (0 - reinterpret_cast<std::uintptr_t>(call.target.to.address[0])) % kLine / element;
    return {low, static_cast<std::size_t>(rows), copies, (0 - before * sizeof(float)) % kLine, ++calls};
}

// A grid of pieces: groups, times parts of each group's arrays, times parts of their rows.
struct Pieces {
    const Call& call;
    std::size_t arrays, array_step, array_parts, row_step, row_parts, shared_rows;
    Common common;

    Pieces(const Call& whole, std::size_t threads) : call(whole) {
        const std::size_t columns = call.table.table().columns * call.target.cells;
        arrays = call.groups == 1 ? call.target.count : 1;
        const std::size_t elements = arrays * call.groups * call.rows * columns;
        const std::size_t least = call.target.element == Element::f64 ? kDoubleRows : kTileRows;
        common = rows_in_common(call, arrays);
        shared_rows = common.rows == 0 ? rows_to_share(call.table.table(), call.target, call.rows, arrays) : 0;
        // Of many arrays, if they share rows, since each piece makes them.
        const std::size_t largest = shared_rows != 0 ? kSharedPieces * kPieceElements : kPieceElements;
        const std::size_t most = threads > 1 ? std::min(largest, elements / (kPiecesPerThread * threads) + 1) : largest;
        row_step = std::clamp<std::size_t>(most / columns, std::min(call.rows, least), call.rows);
        if (call.target.operation == Operation::embed && arrays >= kEmbedShared) {  // which share a tile at a time
            row_step = std::min(row_step, embedded_rows(call.table.table(), call.target.element));
        }
        row_parts = divide_up(call.rows, row_step);
        const std::size_t most_arrays = std::clamp<std::size_t>(most / (row_step * columns), 1, arrays);
        array_step = divide_up(arrays, divide_up(arrays, most_arrays));  // alike, so that all share rows or none
        array_parts = divide_up(arrays, array_step);
    }

    std::size_t count() const { return call.groups * array_parts * row_parts; }
    // What the first pieces write: whole groups and arrays, and the first rows of those that are under way.
    std::size_t written(std::size_t pieces) const {
        const std::size_t row = pieces % row_parts * row_step;
        const std::size_t array = pieces / row_parts % array_parts * array_step;
        const std::size_t group = pieces / row_parts / array_parts;
        const std::size_t rows = (group * arrays + array) * call.rows + std::min(array_step, arrays - array) * row;
        return rows * call.table.table().columns * call.target.cells;
    }

    std::size_t elements() const { return row_step * array_step * call.table.table().columns * call.target.cells; }

    void run(const Table& table, Run kernel, std::size_t number, double* workspace) const {
        const std::size_t row = number % row_parts * row_step;
        const std::size_t array = number / row_parts % array_parts * array_step;
        const std::size_t group = number / row_parts / array_parts;
        const std::size_t address = call.groups == 1 ? array : group;
        Target target = call.target;
        target.to.address += address;
        target.from.address += address;
        target.count = std::min(array_step, arrays - array);
        target.shared_rows = shared_rows;
        target.common = common;
        Rows rows{nullptr, 0.0, row, std::min(row_step, call.rows - row)};
        if (call.starts) {
            rows.start = call.positions[group];
        } else {
            rows.position = call.positions + group * call.rows;
        }
        kernel(table, rows, target, workspace);
    }
};

// The other threads of a call, each with a workspace. As many as can be had: without memory or threads for more, those
// that there are do the work.
class Others {
public:
    template <class Work>
    void start(std::size_t count, std::size_t workspace_size, const Work& work) {
        try {
            workspaces_.reserve(count);
            threads_ = std::make_unique<std::vector<std::thread>>();
            threads_->reserve(count);
            while (count-- > 0) {
                workspaces_.push_back(make_aligned(workspace_size));
                threads_->emplace_back(work, workspaces_.back().get());
            }
        } catch (const std::bad_alloc&) {     // NOLINT(bugprone-empty-catch)
        } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
        }
    }

    Others() = default;
    Others(const Others&) = delete;
    Others& operator=(const Others&) = delete;
    ~Others() {
        if (threads_ != nullptr) {
            std::ranges::for_each(*threads_, &std::thread::join);
        }
    }

    bool any() const noexcept { return threads_ != nullptr && !threads_->empty(); }

    // In a child, which has not got these threads: they can be neither joined nor detached there.
    void forget() noexcept { static_cast<void>(threads_.release()); }

private:
    std::vector<AlignedDoubles> workspaces_;
    std::unique_ptr<std::vector<std::thread>> threads_;
};

// Calls piece(number, workspace) for every number below `count`; a piece writes about `elements`, and the first n of
// them written(n).
template <class Piece, class Written>
Outcome run_pieces(std::size_t count, std::size_t elements, std::size_t threads, std::size_t workspace_size, bool keeps,
                   Poll& poll, const Piece& piece, const Written& written) {
    const CallWorkspace own(workspace_size, keeps);
    const std::size_t born = forks();
    std::atomic<std::size_t> next{0};
    Others others;  // goes first: it waits for them
    others.start(std::min(threads, count) - 1, workspace_size, [&](double* workspace) {
        for (std::size_t number = next++; number < count; number = next++) {
            piece(number, workspace);
        }
    });
    std::size_t since_poll = 0;
    for (std::size_t number = next++; number < count; number = next++) {
        piece(number, own.get());
        since_poll += elements;
        if (since_poll < kPieceElements) {
            continue;
        }
        since_poll = 0;
        const bool go_on = poll.go_on();
        const bool alone = forks() != born && others.any();
        if (alone) {
            others.forget();
        }
        if (!go_on || alone) {
            next = count;
            poll.written = {written(number + 1), written(count), !others.any() && !alone};
            return go_on ? Outcome::forked : Outcome::stopped;
        }
    }
    return Outcome::finished;
}

std::size_t useful_threads(std::size_t elements, std::size_t threads) {
    return std::clamp<std::size_t>(elements / kThreadElements, 1, threads);
}

}  // namespace

std::size_t value_bytes(Element element, Operation operation) {
    if (element == Element::f64) {
        return 8;
    }
    return element == Element::f32 || operation == Operation::add || operation == Operation::turn ? 4 : 2;
}

bool are_pairs(const std::vector<PairRun>& runs, std::size_t columns) noexcept {
    return std::ranges::all_of(runs, [&](const PairRun& run) {
        const std::size_t last = std::max(run.cos, run.sin);
        return run.count != 0 && run.step != 0 && last < columns && (columns - 1 - last) / run.step >= run.count - 1;
    });
}

std::optional<Target> as_rows(const Target& target) noexcept {
    const auto step = [](const Arrays& arrays, std::size_t i) { return arrays.address[i] - arrays.address[i - 1]; };
    if (target.count < 2) {
        return std::nullopt;
    }
    Target one = target;
    one.to.row_stride = step(target.to, 1);
    one.from.row_stride = step(target.from, 1);
    one.count = 1;
    for (std::size_t i = 2; i < target.count; ++i) {
        if (step(target.to, i) != one.to.row_stride || step(target.from, i) != one.from.row_stride) {
            return std::nullopt;
        }
    }
    return one;
}

Outcome run_call(const Call& call, std::size_t threads, Poll& poll) {
    if (call.rows == 0 || call.groups == 0 || call.target.count == 0) {
        return Outcome::finished;
    }
    if (call.rows == 1 && call.groups == call.target.count && call.target.operation != Operation::embed) {
        if (const auto one = as_rows(call.target)) {
            return run_call(Call{call.table, call.positions, false, 1, call.groups, *one}, threads, poll);
        }
    }
    const Run kernel = active_level().run;
    const Table& table = call.table.table();
    const std::size_t elements =
        call.groups * call.rows * table.columns * call.target.cells * (call.groups == 1 ? call.target.count : 1);
    threads = useful_threads(elements, threads);
    const Pieces pieces(call, threads);
    return run_pieces(
        pieces.count(), pieces.elements(), threads,
        workspace_size(table) +
            divide_up(std::max(pieces.shared_rows, pieces.common.rows * pieces.common.copies) * table.columns, 2),
        true, poll, [&](std::size_t number, double* workspace) { pieces.run(table, kernel, number, workspace); },
        [&](std::size_t number) { return pieces.written(number); });
}

Outcome run_call(const MergeCall& call, std::size_t threads, Poll& poll) {
    if (call.groups == 0 || call.columns == 0) {
        return Outcome::finished;
    }
    const std::size_t inner = call.lengths.back(), arrays = call.target.count / call.groups;
    std::size_t outer = call.lengths.size() - 1, rows = inner, cells = 1;
    // The last axis but one goes on where the last one ends: its rows are the same array's.
    const bool goes_on = outer != 0 &&
                         call.to_steps[outer - 1] == static_cast<std::ptrdiff_t>(inner) * call.target.to.row_stride &&
                         call.from_steps[outer - 1] == static_cast<std::ptrdiff_t>(inner) * call.target.from.row_stride;
    if (goes_on) {
        rows *= call.lengths[--outer];
    }
    for (std::size_t axis = 0; axis < outer; ++axis) {
        cells *= call.lengths[axis];
    }
    if (cells * rows * arrays == 0) {
        return Outcome::finished;
    }
    cells *= call.groups;
    const Merge kernel = active_level().merge;
    const std::size_t size = value_bytes(call.target.element, call.target.operation);
    const std::size_t row_bytes = call.columns * size;
    const bool adds = call.target.operation == Operation::add;
    const std::size_t most = adds ? kSharedPieces * kPieceElements : kPieceElements;
    const std::size_t row_step = std::clamp<std::size_t>(kPieceElements / call.columns, 1, rows);
    const std::size_t height =
        std::clamp<std::size_t>((adds ? kSharedTableBytes : kSharedBytes) / row_bytes, 1, row_step);
    const std::size_t array_step =
        std::clamp<std::size_t>(most / (row_step * call.columns), 1, std::min(arrays, kMostArrays));
    const std::size_t row_parts = divide_up(rows, row_step), array_parts = divide_up(arrays, array_step);
    const bool ready = goes_on && outer == 0;  // there is one outer axis, whose rows are used as they are
    const std::size_t bases = ready ? 0 : goes_on ? std::min((row_step - 1) / inner + 2, rows / inner) : 1;
    const std::size_t base_size = divide_up(bases * row_bytes, kLine) * (kLine / sizeof(double)),
                      own_size = base_size + divide_up(2 * array_step, 8) * 8;

    return run_pieces(
        cells * array_parts * row_parts, row_step * array_step * call.columns,
        useful_threads(cells * rows * arrays * call.columns, threads),
        kKeptDoubles + own_size + divide_up(height * row_bytes, 8), false, poll,
        [&](std::size_t number, double* workspace) {
            workspace += kKeptDoubles;
            const std::size_t row = number % row_parts * row_step;
            const std::size_t array = number / row_parts % array_parts * array_step;
            std::size_t cell = number / row_parts / array_parts;
            const std::size_t group = cell / (cells / call.groups);
            const auto part = [&](std::size_t axis, std::size_t i) {
                return call.parts[axis] + (group * call.lengths[axis] + i) * row_bytes;
            };
            char* const base = reinterpret_cast<char*>(workspace);
            auto** const to = reinterpret_cast<char**>(workspace + base_size);
            auto** const from = to + array_step;
            const std::size_t count = std::min(array_step, arrays - array), here = std::min(row_step, rows - row);
            std::copy_n(call.target.to.address + group * arrays + array, count, to);
            std::copy_n(call.target.from.address + group * arrays + array, count, from);
            const std::size_t first = row / inner;
            const std::size_t base_bytes = ready ? 0 : ((row + here - 1) / inner - first + 1) * row_bytes;
            if (goes_on) {
                std::copy_n(part(outer, first), base_bytes, base);
            } else {
                std::fill_n(base, base_bytes, char{0});
            }
            for (std::size_t axis = outer; axis-- > 0; cell /= call.lengths[axis]) {
                const std::size_t i = cell % call.lengths[axis];
                const char* const own = part(axis, i);
                for (std::size_t done = 0; done < base_bytes; done += row_bytes) {
                    std::transform(own, own + row_bytes, base + done, base + done,
                                   [](char a, char b) { return static_cast<char>(a | b); });
                }
                std::for_each(to, to + count,
                              [&](char*& a) { a += static_cast<std::ptrdiff_t>(i) * call.to_steps[axis]; });
                std::for_each(from, from + count,
                              [&](char*& a) { a += static_cast<std::ptrdiff_t>(i) * call.from_steps[axis]; });
            }
            Target target = call.target;
            target.to.address = to;
            target.from.address = from;
            target.count = count;
            const char* const outer_rows = ready ? part(0, first) : base;
            kernel({outer_rows, part(call.parts.size() - 1, 0), inner, call.columns, height}, row, here, target,
                   workspace + own_size);
        },
        [&](std::size_t number) {
            const std::size_t row = number % row_parts * row_step;
            const std::size_t array = number / row_parts % array_parts * array_step;
            const std::size_t cell = number / row_parts / array_parts;
            return ((cell * arrays + array) * rows + std::min(array_step, arrays - array) * row) * call.columns;
        });
}

Outcome run_call(const TurnCall& call, std::size_t threads, Poll& poll) {
    const std::size_t elements = call.turning.count * call.turning.columns;
    if (elements * call.groups * call.target.count == 0) {
        return Outcome::finished;
    }
    const Turn kernel = active_level().turn;
    threads = useful_threads(elements * call.target.count, threads);
    const std::size_t arrays = call.target.count / call.groups;
    const std::size_t most =
        threads > 1 ? std::min(kPieceElements, elements * call.target.count / (kPiecesPerThread * threads) + 1)
                    : kPieceElements;
    const std::size_t step = std::clamp<std::size_t>(most / elements, 1, arrays), parts = divide_up(arrays, step);
    const std::size_t bytes = elements * value_bytes(call.target.element, call.target.operation);
    return run_pieces(
        call.groups * parts, step * elements, threads, kKeptDoubles, false, poll,
        [&](std::size_t number, double*) {
            const std::size_t group = number / parts, first = number % parts * step;
            Turning turning = call.turning;
            turning.rows += group * bytes;
            Target target = call.target;
            target.to.address += group * arrays + first;
            target.from.address += group * arrays + first;
            target.count = std::min(step, arrays - first);
            kernel(turning, target);
        },
        [&](std::size_t number) {
            return (number / parts * arrays + std::min(number % parts * step, arrays)) * elements;
        });
}

}  // namespace posenc
