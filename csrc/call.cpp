// Pieces are numbered, and threads take the next number until there is none: no thread waits for another, and which
// one makes a row changes nothing about it.
#include "call.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <system_error>
#include <thread>

#include "dispatch.hpp"

namespace posenc {
namespace {

constexpr std::size_t kPieceElements = std::size_t{1} << 22;   // about a millisecond
constexpr std::size_t kThreadElements = std::size_t{1} << 18;  // less work than this does not pay for a thread

std::size_t divide_up(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

// A grid of pieces: groups, times parts of each group's arrays, times parts of their rows.
struct Pieces {
    const Call& call;
    std::size_t arrays, array_step, array_parts, row_step, row_parts;

    Pieces(const Call& whole, std::size_t threads) : call(whole) {
        const std::size_t columns = call.table.table().columns;
        arrays = call.groups == 1 ? call.target.count : 1;
        const std::size_t elements = arrays * call.groups * call.rows * columns;
        // On several threads, enough pieces that the last one to finish does not keep the others waiting.
        const std::size_t most = threads > 1 ? std::min(kPieceElements, elements / (4 * threads) + 1) : kPieceElements;
        row_step = std::clamp<std::size_t>(most / (arrays * columns), std::min<std::size_t>(call.rows, 64), call.rows);
        array_step = std::clamp<std::size_t>(most / (row_step * columns), 1, arrays);
        row_parts = divide_up(call.rows, row_step);
        array_parts = divide_up(arrays, array_step);
    }

    std::size_t count() const { return call.groups * array_parts * row_parts; }
    std::size_t elements() const { return row_step * array_step * call.table.table().columns; }

    void run(const Table& table, Run kernel, std::size_t number, double* workspace) const {
        const std::size_t row = number % row_parts * row_step;
        const std::size_t array = number / row_parts % array_parts * array_step;
        const std::size_t group = number / row_parts / array_parts;
        const std::size_t address = call.groups == 1 ? array : group;
        Target target = call.target;
        target.to.address += address;
        target.from.address += address;
        target.count = std::min(array_step, arrays - array);
        Rows rows{nullptr, 0.0, row, std::min(row_step, call.rows - row)};
        if (call.starts) {
            rows.start = call.positions[group];
        } else {
            rows.position = call.positions + group * call.rows;
        }
        kernel(table, rows, target, workspace);
    }
};

// The table as a call sees it: with its ready rows, if some group needs no others.
Table table_for(const Call& call, Run kernel) {
    Table table = call.table.table();
    if (call.target.element == Element::f32 && call.starts) {
        const auto last = static_cast<double>(table.ready_rows) - static_cast<double>(call.rows);
        if (std::any_of(call.positions, call.positions + call.groups,
                        [&](double p) { return p >= 0.0 && p <= last; })) {
            table.ready = call.table.ready(kernel);
        }
    }
    return table;
}

// The calling thread's, kept for its next call: to get it from the system takes longer than a short call.
double* own_workspace(const Table& table) {
    thread_local AlignedDoubles workspace;
    thread_local std::size_t size = 0;
    if (const std::size_t needed = workspace_size(table); needed > size) {
        size = 0;
        workspace = make_workspace(table);
        size = needed;
    }
    return workspace.get();
}

}  // namespace

void run_small_call(const Call& call) {
    const Run kernel = active_level().run;
    const Table table = table_for(call, kernel);
    kernel(table, {nullptr, *call.positions, 0, call.rows}, call.target, own_workspace(table));
}

void run_call(const Call& call, std::size_t threads, const std::function<void()>& poll) {
    if (call.rows == 0 || call.groups == 0 || call.target.count == 0) {
        return;
    }
    const Run kernel = active_level().run;
    const Table table = table_for(call, kernel);
    const std::size_t elements = call.groups * call.rows * table.columns * (call.groups == 1 ? call.target.count : 1);
    threads = std::clamp<std::size_t>(elements / kThreadElements, 1, threads);
    const Pieces pieces(call, threads);
    std::atomic<std::size_t> next{0};
    const auto work = [&](double* workspace, const std::function<void()>* between) {
        std::size_t since_poll = 0;
        for (std::size_t number = next++; number < pieces.count(); number = next++) {
            pieces.run(table, kernel, number, workspace);
            since_poll += pieces.elements();
            if (between != nullptr && since_poll >= kPieceElements) {
                since_poll = 0;
                (*between)();
            }
        }
    };

    double* const own = own_workspace(table);
    std::vector<AlignedDoubles> workspaces(std::min(threads, pieces.count()) - 1);  // those of the other threads
    std::ranges::generate(workspaces, [&] { return make_workspace(table); });
    std::vector<std::thread> others;
    others.reserve(workspaces.size());
    std::exception_ptr failure;
    try {
        for (const AlignedDoubles& workspace : workspaces) {
            others.emplace_back(work, workspace.get(), nullptr);
        }
    } catch (const std::system_error&) {
        // No more threads to be had: those that there are do the work.
    }
    try {
        work(own, &poll);
    } catch (...) {
        failure = std::current_exception();
        next = pieces.count();
    }
    for (std::thread& other : others) {
        other.join();
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
}

}  // namespace posenc
