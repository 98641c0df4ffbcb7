// One call: cut into pieces, on one thread or several, with a look at signals in between. No Python, no mathematics.
#pragma once

#include <optional>
#include <vector>

#include "table.hpp"

namespace posenc {

struct Call {
    const OwnedTable& table;
    const double* positions;  // starts, one of each group; or `rows` positions of each group
    bool starts;
    std::size_t groups;  // 1: all arrays share them; otherwise one of each array
    std::size_t rows;
    Target target;
};

// Arrays of one row each that are evenly apart, as in a batch that is decoded: as one array, if that is what they are.
std::optional<Target> as_rows(const Target& target) noexcept;

// Rows over several axes: of each axis a the rows parts[a], in the type of `Parts` (kernel.hpp), lengths[a] of them for
// each of `groups` times as many arrays. The arrays of `target` are those of the last axis, at the origin of the
// others, which they leave by steps of bytes.
struct MergeCall {
    std::vector<const char*> parts;  // of the first group; those of the next one follow
    std::size_t groups;
    std::vector<std::size_t> lengths;
    std::vector<std::ptrdiff_t> to_steps, from_steps;  // of all axes but the last
    std::size_t columns;
    Target target;
};

// Turns of `groups` times as many arrays, those of a group by rows that they share.
struct TurnCall {
    std::vector<PairRun> runs;
    Turning turning;  // of the first group; those of the next one follow
    std::size_t groups;
    Target target;
};

// Whether all pairs of `runs` are columns, of which there are so many.
bool are_pairs(const std::vector<PairRun>& runs, std::size_t columns) noexcept;

// The size of the values that are written, added to elements, or turn them.
std::size_t value_bytes(Element element, Operation operation);

// What the calling thread asks every few milliseconds. Anything may happen in there, other calls and forks too: a call
// keeps nothing but what it owns itself.
class Poll {
public:
    virtual bool go_on() noexcept = 0;

    // How many elements had been written when a call was stopped, if it ran on one thread: these are the first ones.
    struct Written {
        std::size_t elements, of;
        bool one_thread;
    } written{};

protected:
    Poll() = default;
    ~Poll() = default;
};

enum class Outcome : std::uint8_t {
    finished,
    stopped,  // by the poll
    forked,   // this is a child, and what the other threads had begun is not finished
};

// Runs `call` with the active ISA level on at most `threads` threads, the calling one among them; none is left behind.
// Throws std::bad_alloc, and has done nothing then.
Outcome run_call(const Call& call, std::size_t threads, Poll& poll);
Outcome run_call(const MergeCall& call, std::size_t threads, Poll& poll);
Outcome run_call(const TurnCall& call, std::size_t threads, Poll& poll);

}  // namespace posenc
