// The contract between the bindings and the compiled kernels: what a table holds, what a call writes, how exact it is.
// No Python, no SIMD, no mathematics. Every ISA level implements the one function type `Run` (see dispatch.hpp).
#pragma once

#include <cstddef>
#include <cstdint>

#include "tuning.hpp"

namespace posenc {

// Orders of columns that have short ways: pairs (sin, cos) one after the other, or all the first of them, then all the
// second.
enum class Order : std::uint8_t { interleaved, concatenated, any };

// mantissa * 2^exponent / divisor exactly or, if the divisor is 0, a number strictly between mantissa * 2^exponent and
// (mantissa + 2) * 2^exponent. As python/posenc/_frequencies.py packs it.
struct Number {
    static constexpr int kLimbs = 8;
    std::uint64_t mantissa[kLimbs];  // lowest first
    std::uint64_t divisor;           // odd, below 2^55
    std::int64_t exponent;
};

// mantissa * 2^exponent, to 2^-550 of a power of a progression's ratio.
struct Power {
    static constexpr int kLimbs = Number::kLimbs + 1;
    std::uint64_t mantissa[kLimbs];  // lowest first
    std::int64_t exponent;
};

// Frequencies without their signs, each made when the last stage of rounding asks for it. Number k is one of `exact`,
// whose k stand in `index`, in ascending order; else scale * factor[k] if there are factors; else, shortened to 511
// bits, the product of power[k % kLanes] and power[kLanes + k / kLanes]. As in python/posenc/_frequencies.py.
struct Numbers {
    static constexpr std::size_t kLanes = 64;
    std::size_t exact_count;
    const std::int64_t* index;
    const Number* exact;
    const Power* power;
    const double* factor;
    double scale;
};

// What the recurrence needs of the angles w between rows, [K] each: with f the difference of w /
// 2 from the nearest quarter turn, sin 2f and 2 sin^2 f. Where that quarter turn is an odd one, cos w < 0; values
// alternate then, and the second number has a negative sign.
struct Steps {
    const double* sin;
    const double* versine;
    const double* turn_sin;  // sin and cos of the angle by which anchors are rotated: kTileRows w but in prepare_down
    const double* turn_cos;
    bool has_quarters;  // whether some w is a whole number of quarter turns
    bool has_exact;     // whether some frequency is a double
};
constexpr std::size_t kStepArrays = 4;

// One encoding at one width, along one axis. Built once (table.cpp), then shared read-only between calls and threads.
//
// Angles are counted in quarter turns: reducing one is a multiplication, a rounding and a subtraction, at any
// position. Arrays are padded so that vectors may read past their end and kernels never need a tail: frequencies and
// sines with 0, cosines with 1.
struct Table {
    std::size_t columns;             // D
    std::size_t frequencies;         // K
    std::size_t padded_columns;      // kPadding more than D, or the multiple of kPadding after that
    std::size_t padded_frequencies;  // K or the multiple of kPadding after it
    std::size_t padded_trig;         // room for the sin and cos of every frequency, and for padding after D
    const double* frequency[2];      // [K] each: quarter turns per unit of position = their sum, to 2^-106 of itself
    Numbers numbers;                 // the same in radians or, with full_turns, turns, without their signs
    const Number* factor;            // the amplitude, without its sign
    const double* special;           // [5] amplitude * sin where that is a double, for 4 sin^2 = 0, 1, 2, 3, 4; or NaN
    bool full_turns;                 // whether angles are rational multiples of pi (see docs/accuracy.md)
    double largest;                  // the largest frequency in magnitude
    const std::int32_t* source;      // [D] column -> 2k for sin(p w_k), 2k + 1 for cos(p w_k), -1 for a column of zeros
    double amplitude;                // a factor of every column, correctly rounded
    Order order;                     // what there is to know of `source`
    bool cos_first;                  // in both of the orders that are not `any`
    const double* sixteenths[2];     // [16] the first and the second column of a pair, at i sixteenths of a turn
    Steps unit_steps;                // of rows whose positions are 1 apart
    std::size_t shared_rows;         // how many rows to make at a time where several arrays share them
    std::size_t turns, anchors;      // how many of single rows a workspace keeps, up to kGrid and kMostAnchors
    std::uint64_t serial;            // 1 or more; no other table has it
};

constexpr std::size_t kLine = 64;                             // bytes of a cache line
constexpr std::size_t kPadding = 16;                          // twice the lanes of the widest ISA level
constexpr std::size_t kStartColumns = kBlock + 8 * kPadding;  // room for a tile's columns, and what stands behind them

// Rows of float64 are turned from every kGrid-th whole position (kernel/double.inl.hpp). Their bits depend on it.
constexpr std::size_t kGrid = 64;

// Sequences of a batch that are decoded at the same time have an anchor each. Measured on Zen 4, 8 x 1 x 512 with a
// start for each sequence: 2.4 us with one anchor, 1.7 with 16.
constexpr std::size_t kMostAnchors = 16;

// What a workspace keeps of single rows from one call to the next: of which table, which anchor, and which turns, and
// which ones float32 rows have asked for; and of ready rows from one piece of a call to the next. It stands at the
// beginning of the workspace, and is zero in a new one.
struct Kept {
    // The last positions: number i of all is at place i % table.anchors.
    struct Few {
        std::uint64_t count;
        double position[kMostAnchors];
    };

    std::uint64_t table;  // its serial number
    Few anchors, asked_anchors;
    std::uint8_t turn[kGrid], asked[kGrid];  // 1 more than its rows; 0: none
    std::uint64_t ready;                     // of which call its tile holds the rows in common; 0: of none
    std::uint64_t copy;                      // of those rows, which was added last
};
constexpr std::size_t kKeptDoubles = 56;
static_assert(sizeof(Kept) <= kKeptDoubles * sizeof(double));

// Rows [first, first + count) of an array: row i stands at position[i] or, where `position` is null, at start + i,
// rounded to double. Positions are at most 2^53 in magnitude; one that is not a number masks its row.
struct Rows {
    const double* position;
    double start;
    std::size_t first;
    std::size_t count;
};

enum class Operation : std::uint8_t { fill, add, embed, turn };  // the last one is that of `Turn`, the others of `Run`
enum class Element : std::uint8_t { f32, f64, f16, bf16 };

// Arrays of shape (rows, columns) with the same byte strides: aligned or not, negative strides too.
struct Arrays {
    char* const* address;
    std::ptrdiff_t row_stride;
    std::ptrdiff_t column_stride;
};

// Rows of a vocabulary, `stride` bytes apart, which tokens' ids name.
struct Embeddings {
    const char* rows;
    std::ptrdiff_t stride;
    const char* ids_end;  // of what may be read to prefetch: ids of all arrays, which lie one after the other
};

// Whole positions low, low + 1, ... among which all rows of a call stand, several at each: float32 rows which a
// workspace makes once for that call. They begin `offset` bytes on in its tile, copy by copy.
struct Common {
    double low;
    std::size_t rows;  // 0: none
    std::size_t copies;
    std::size_t offset;
    std::uint64_t call;  // 1 or more; no other call has it
};

// Where the rows go, and what they are added to. No two elements of `to` overlap; `from` is the same as `to`, or
// somewhere else altogether. Masked rows become zeros, or stay what they are if they are added to.
//
// To embed, `from` holds the id of each row, an aligned int64 (row_stride bytes apart), and the row of `embeddings` of
// that id is what is added to, its elements column_stride bytes apart. An id below 0 masks its row. There are no cells.
struct Target {
    Arrays to;
    Arrays from;
    std::size_t count;  // of arrays, which share the rows
    std::size_t cells;  // elements for each row and column of an array, `to_cell` and `from_cell` bytes apart
    std::ptrdiff_t to_cell, from_cell;
    Element element;
    Operation operation;  // to = PE, or to = from * scale + PE, each operation rounded once
    double scale;
    bool stream;  // write past the caches: only for outputs far larger than they are
    Embeddings embeddings{};
    std::size_t shared_rows = 0;  // of float32, that the workspace has room for if they are more than the table's
    Common common{};
};

// The rows of a tile, which arrays share, of what an element is computed in.
[[maybe_unused]] static std::size_t embedded_rows(const Table& table, Element element) {
    return table.shared_rows * (element == Element::f64 ? 1 : sizeof(double) / sizeof(float));
}

// Writes every row of `rows` to every array of `target`.
//
// f32: the encoding is the correctly rounded value of the real-number formula, whatever path computed it; that is why
// slices, batches, threads, ISA levels and backends agree bit for bit, and why fused multiply-add is harmless there.
// f64: one fixed sequence of IEEE operations per element, never contracted (kernel/double.inl.hpp).
// f16, bf16: filled, the correctly rounded value; added to, in float32 arithmetic on the encoding in float32, then
// rounded once.
// `workspace` has workspace_size(table) doubles (table.hpp), and is new or comes from another `Run`. No allocation, no
// exception, no global state.
using Run = void (*)(const Table&, const Rows&, const Target&, double* workspace) noexcept;

// Rows of an encoding over several axes: row i is the bitwise or of row i / count of the outer axes and row i % count
// of the last one, both [columns], in the type of the elements, or for sums on 16-bit elements in float32. Either has
// zeros where the other has not.
struct Parts {
    const char* outer;  // from the first row that is wanted on
    const char* inner;  // `count` rows
    std::size_t count, columns;
    std::size_t height;  // how many rows to make at a time
};

// Writes rows [first, first + count) to every array of `target`. `workspace` holds parts.height rows.
using Merge = void (*)(const Parts&, std::size_t first, std::size_t count, const Target&, double* workspace) noexcept;

// Pairs of columns, cos + i step and sin + i step, i below `count`.
struct PairRun {
    std::size_t cos, sin, count, step;
};

// Ready rows of an encoding, one after the other, [columns] each, in float32 or, for float64 elements, in double, that
// turn pairs of columns: u cos - v sin and v cos + u sin or, inverse, by the opposite angle. A row that begins with NaN
// is masked.
struct Turning {
    const char* rows;
    std::size_t count, columns;
    const PairRun* runs;
    std::size_t run_count;
    bool inverse;
};

// Turns the first `count` rows of every array of `target`; those that are masked, and columns without a partner, stay
// as they are. No operation is fused. Of `target`, cells and scale do not matter.
using Turn = void (*)(const Turning&, const Target& target) noexcept;

// Makes the steps of a table in `memory`, kStepArrays times padded_frequencies.
using Prepare = Steps (*)(const Table&, double step, double* memory) noexcept;

// A double that rounds to any shorter format as the column's value does. Kernels call it for the few elements whose
// rounding a double can't decide.
double exact_odd(const Table&, double position, std::int32_t source) noexcept;

}  // namespace posenc
