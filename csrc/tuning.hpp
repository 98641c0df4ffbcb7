// Every threshold that decides how fast results come, and nothing about what they are. Constants that carry an error
// bound stand where it is derived. Each says what it is, and what was measured or, failing that, what it was chosen by.
// Tests take their sizes from here (`_core.tuning()`). No Python, no mathematics.
#pragma once

#include <cstddef>
#include <cstdint>

namespace posenc {

// ---- calls (call.cpp) ----
// Elements of a piece: the time between two looks at signals. Chosen: 0.6 to 1.7 ms of
// float32 at 10 to 27 GB/s.
constexpr std::size_t kPieceElements = std::size_t{1} << 22;
// Elements from which on another thread is worth starting. Chosen by the time of a start, some 30 us. Measured:
// nothing.
constexpr std::size_t kThreadElements = std::size_t{1} << 18;
// Pieces for each thread, so that the last one to finish does not keep the others waiting. Measured: nothing.
constexpr std::size_t kPiecesPerThread = 4;
// Arrays of a piece of several axes, whose addresses are copied: 64 KiB of them. Measured: nothing.
constexpr std::size_t kMostArrays = 4096;

// ---- small calls (bindings.cpp) ----
// Elements up to which a call is made without looking at signals. Chosen: 50 us
// or so. Measured: nothing.
constexpr std::size_t kSmallElements = std::size_t{1} << 18;
// Elements up to which a call keeps the GIL: about a microsecond, not worth letting other threads
// run. Measured: nothing.
constexpr std::size_t kTinyElements = std::size_t{1} << 12;
// Bytes of what small calls remember: encodings, and their tables. Chosen: some hundred widths of a model's
// size. Measured: nothing.
constexpr std::size_t kMemoBytes = std::size_t{4} << 20;

// ---- memory (memory.cpp) ----
// Spare workspaces, and the size of the largest: 4 MiB in all. Chosen by the budget of all caches. Measured: nothing.
constexpr std::size_t kSpares = 4;
constexpr std::size_t kSpareDoubles = std::size_t{1} << 17;

// ---- the kernel: shapes ----
// Rows of a strip. Measured on Zen 4, sketches, add in DRAM: 64 rows 18 to 21 GB/s, 96 rows 22 to 24, but the error of
// the recurrence grows with them, and with it the results that are evaluated again.
constexpr std::size_t kTileRows = 64;
// Columns of a tile: its start, 4 x 8 KiB, stays in the first level. Measured: nothing.
constexpr std::size_t kBlock = 1024;
// Rows from which on a strip beats single rows. Chosen by counting operations. Measured: nothing.
constexpr std::size_t kRun = 6;
// The same where steps have to be prepared first, at the cost of some rows. Chosen by counting operations.
constexpr std::size_t kSteppedRun = 24;
// Tiles whose anchor is rotated from the one before, until one is evaluated again. Chosen by the bound of its error.
constexpr std::size_t kRotations = 4;
// Bytes of rows that several arrays share: they stay in the second level. Measured: nothing.
constexpr std::size_t kSharedBytes = std::size_t{128} << 10;
// Rows and columns that are transposed at a time: 4 KiB of float32, in the first level. Measured: nothing.
constexpr std::size_t kTransposedRows = 64;
constexpr std::size_t kTransposedColumns = 16;
// Elements of a strided line, or copies of one value, that are gathered at a time. In the first level. Measured:
// nothing.
constexpr std::size_t kGathered = 256;
// Bytes of a row up to which it does not pay to begin at the beginning of a cache line. Measured: nothing.
constexpr std::size_t kShortBytes = 512;
// Bytes of embeddings to prefetch ahead of the one that is read, and two of them in any case. Measured on Zen 4, a
// sketch, 32 x 512 tokens of 30000 x 768, GB/s read and written, uniform and Zipf ids: two rows ahead 33 and 49, four
// 34 and 50, none 19 and 36; into the first level 29 and 45. Copying the rows with memcpy 22 and 31.
constexpr std::size_t kEmbedAhead = std::size_t{6} << 10;
// How much smaller than others an output may be that is written past the caches: as much is read to make it. Measured
// there, last level 32 MiB, 24 MiB written of float32 or bfloat16: 15 to 18 in the caches, 25 past them; 12 MiB: alike.
constexpr std::size_t kEmbedStreamShare = 2;
// Arrays from which on they share tiles of the encoding; for fewer it is made anew, strip by strip, and goes to memory
// from registers. Measured there, one sequence of 16384 x 768: strips 27, tiles 16; in the caches 27 and 20.
constexpr std::size_t kEmbedShared = 3;
// Bytes to prefetch ahead down a column, where the hardware foresees the rest. Measured: nothing recorded.
constexpr std::size_t kDownAhead = 2048;

// ---- the kernel: windows of the rounding tests (round.inl.hpp), in units of a double's last place ----
// Any will do, since an error bound's floor follows from it. Larger ones find more results too close to a tie, smaller
// ones more that are below the floor. Chosen by counting both. Measured: nothing.
constexpr std::uint32_t kQuickWindow = 1U << 14;
constexpr std::uint32_t kEvaluateWindow = 1U << 4;

// ---- caches (tuning.cpp) ----
// Where the system does not tell the sizes of its caches. Chosen: those of a server's core.
constexpr std::size_t kSecondLevelBytes = std::size_t{1} << 20;
constexpr std::size_t kLastLevelBytes = std::size_t{32} << 20;
// Bounds of what is written past the caches: a last level of more is shared by dozens of cores. Measured on Zen 4
// (32 MiB): 256 MiB past the caches 25 to 27 GB/s, through them 8.
constexpr std::size_t kLeastStreamBytes = std::size_t{4} << 20;
constexpr std::size_t kMostStreamBytes = std::size_t{64} << 20;

// Asked of the system.
struct Caches {
    std::size_t second_level, last_level;
};
Caches caches() noexcept;

// The output from which on it is written past the caches: it is not smaller than the last of them.
std::size_t stream_bytes() noexcept;

}  // namespace posenc
