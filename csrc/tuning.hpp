// Every threshold that decides how fast results come, and nothing about what they are. Constants that carry an error
// bound stand where it is derived. Each says what it is, and what was measured or, failing that, what it was chosen by.
// Tests take their sizes from here (`_core.tuning()`). No Python, no mathematics.
#pragma once

#include <cstddef>
#include <cstdint>

namespace posenc {

// ---- calls (call.cpp) ----
// Elements of a piece: the time between two looks at signals. Chosen: 0.6 to 1.7 ms of float32 at 10 to 27 GB/s.
constexpr std::size_t kPieceElements = std::size_t{1} << 22;
// Elements from which on another thread is worth starting. Measured on Zen 4, fill of float32, us on one thread and
// two: 2^19 elements 96 and 127, 2^20 179 and 169.
constexpr std::size_t kThreadElements = std::size_t{1} << 20;
// Rows of a piece, at least, of float64: each piece evaluates the turns of wide rows. At 2^20 columns, 0.4 s.
constexpr std::size_t kDoubleRows = 256;
// Pieces for each thread, so that the last one to finish does not keep the others waiting. Measured on Zen 4, fill of
// 256 MiB on two threads, GB/s of 1, 2, 4 and 8 pieces: 28, 49, 49 and 49.
constexpr std::size_t kPiecesPerThread = 4;
// Arrays of a piece of several axes, whose addresses are copied: 64 KiB of them. Measured on Zen 5, sums on 4096 x 8 x
// 8 x 64 of "mae", GB/s of 512, 4096 and 32768: 24.5, 26.2 and 24.8.
constexpr std::size_t kMostArrays = 4096;

// ---- small calls (bindings.cpp) ----
// Elements up to which a call is made without looking at signals. Chosen by the time that a fill of float32 takes: 46
// us on Zen 4, 24 on Zen 5.
constexpr std::size_t kSmallElements = std::size_t{1} << 18;
// Elements up to which a call keeps the GIL: letting go of it takes some 0.15 us, where a call takes 0.6 to 2.5.
// Measured on Zen 4, us of fills of 1024, 2048 and 4096 elements that keep it and that let go: 0.59 and 0.87, 0.86 and
// 0.95, 2.49 and 2.64.
constexpr std::size_t kTinyElements = std::size_t{1} << 12;
// Bytes of what small calls remember: encodings, and their tables. Chosen: some hundred widths of a model's size. It
// bounds memory; calls with what it holds all take the same time.
constexpr std::size_t kMemoBytes = std::size_t{4} << 20;

// ---- memory (memory.cpp) ----
// Spare workspaces, and the size of the largest, for kSharedTableBytes: 12 MiB in all. A process whose threads call at
// once needs one for each. Measured on Zen 5 with one thread, sums on 32 x 512 x 768 float16: 1 and 4 alike.
constexpr std::size_t kSpares = 4;
constexpr std::size_t kSpareDoubles = std::size_t{3} << 17;

// ---- the kernel: shapes ----
// Rows of a strip. More of them share the cost of its start, but the error of the recurrence grows with them, and with
// it the results that are evaluated again. Measured on Zen 4, D = 512, GB/s of 64, 128 and 256 rows: fill in DRAM 22.9,
// 24.3 and 25.5, add in DRAM 17.0, 19.3 and 20.6.
constexpr std::size_t kTileRows = 256;
// Rows of a strip after which the next strip has its turn, where rows are a multiple of so many bytes apart: all of
// them lie in the same set of the first level, of eight ways, or in few sets, and in few channels of the memory.
// Measured with rows 4096 bytes apart (D = 1024), GB/s of 8, 16, 32 and 256 rows: add in DRAM on Zen 4 19.5, 15.2, -
// and 15.0, fill of 16 MiB on Zen 5 37, 35, 20 and 13. 2048 bytes (D = 512), on Zen 5, of 8, 16, 32, 64 and 256 rows:
// fill of 16 MiB 34, 37, 39, 41 and 25, in DRAM 1.42, 1.38, 1.42, 1.23 and 1.05 times as fast as x.fill, add in DRAM
// 0.78, 0.77, 0.81, 0.75 and 0.68 times as fast as x *= a. 2560 bytes (D = 640): fill in DRAM 1.47, 1.38, 1.44, 1.20
// and 1.08 times; 1920 and 2304 bytes: 1.3 to 1.5 times with any of them.
constexpr std::size_t kSamePlace = 4096;
constexpr std::size_t kSamePlaceRows = 8;
constexpr std::size_t kNearPlace = 512;
constexpr std::size_t kNearPlaceRows = 32;
// Rows from which on it pays to walk in whole cache lines, at the cost of two single rows. Chosen by counting
// operations.
constexpr std::size_t kLineRows = 65;
// Rows after which they begin alike with regard to a line, up to which whole lines pay but past the caches: rows
// between are read at other times. Measured on Zen 4, add in DRAM, D = 100 and 513, 4 and 16 rows: 18.8 and 14.2 GB/s;
// D = 512 21.1.
constexpr std::size_t kLinePeriod = 4;
// Bytes of rows to prefetch ahead down a strip. Measured on Zen 4, add in DRAM, GB/s of 96, 160, 224 and 320 KiB: D =
// 512 18.5, 20.1, 20.6 and 19.7; D = 768 18.0, 22.6, 21.5 and 21.6.
constexpr std::size_t kAheadBytes = std::size_t{192} << 10;
// Columns of a tile. Of its start, 36 KiB, what a strip needs is read once per strip. Measured on Zen 4, fill of 2048 x
// 4096, GB/s of 512, 1024 and 2048: 22.8, 23.7 and 24.6; in DRAM 1024 and 2048 alike, 24.7.
constexpr std::size_t kBlock = 1024;
// Rows from which on a strip beats single rows. Measured on Zen 4, D = 512, a start that moves, us for each row of 6,
// 8, 10 and 12 rows: strips 0.36, 0.28, 0.24 and 0.22, single rows 0.30, 0.27, 0.25 and 0.23.
constexpr std::size_t kRun = 10;
// The same where steps have to be prepared first, at the cost of some rows. Chosen by counting operations.
constexpr std::size_t kSteppedRun = 24;
// Tiles whose anchor is rotated from the one before, until one is evaluated again. Chosen by the bound of its error.
constexpr std::size_t kRotations = 4;
// Bytes of rows that several arrays share: they stay in the second level. Measured on Zen 4, sums on 64 arrays of every
// second column, GB/s of 16, 32, 64 KiB and more: 4.0, 4.2 and 5.1; without strides, 16 KiB to 1 MiB alike.
constexpr std::size_t kSharedBytes = std::size_t{128} << 10;
// Bytes of ready float32 rows that are added again and again, one array after the other; and how often, to float32, to
// 16 bits and to columns (channels first), to make that worth it: for fewer, rows are made again. All rows of a
// sequence, if they fit: memory is read in order. Measured on Zen 4, 32 x 512 x 768 in a sketch, GB/s with tiles of 42,
// 128 and 512 rows: bfloat16 in DRAM 11.9, 12.5 and 21.5, made again 9.0; float32 20.0, 23.4 and 30.0, made again 22.9.
// Adding ready rows in DRAM, a plain loop over 48 MiB, GB/s of 128 and 512 KiB and 1 and 2 MiB of
// them: 18.0, 18.5, 21.5 and 21.2; so fewer rows are repeated in the workspace. Why those in the second level are
// slower is not known.
constexpr std::size_t kSharedTableBytes = std::size_t{2} << 20;
constexpr std::size_t kSharingArrays = 12;
constexpr std::size_t kSharingHalves = 3;
constexpr std::size_t kSharingColumns = 3;
// How much larger their pieces are: each makes the rows. Chosen: 3 to 7 ms of float32.
constexpr std::size_t kSharedPieces = 4;
// Bytes to prefetch ahead, into the second level, where ready rows are added. Measured on Zen 4, that loop, 48 MiB of
// float32 by rows of 1 MiB, GB/s of none, 2, 4, 8 and 16 KiB: 19.1, 20.7, 21.5, 21.2 and 20.9; 192
// MiB 17.5, 19.0, 19.9, 20.1 and 18.5; into the first level, 4 KiB, 19.9 and 18.0.
constexpr std::size_t kLinearAhead = std::size_t{8} << 10;
// Bytes of rows that turn one array after the other before the next rows have their turn: they stay in the first level.
// Measured on Zen 4, 32 x 4096 x 128 float32, ms of 8 and 16 KiB: 4.1 and 2.9, x *= a 2.1 to 2.5; before, with x *= a
// at 2.7, of 16, 32, 64 and 256 KiB: 3.3, 6.6, 3.8 and 4.1.
constexpr std::size_t kTurnBytes = std::size_t{16} << 10;
// Bytes to prefetch ahead, into the second level, where arrays are turned. Measured there, ms of none, 4, 8 and 16 KiB:
// 9.4, 3.5, 3.3 and 3.6; 4 KiB into the first level: 8.3.
constexpr std::size_t kTurnAhead = std::size_t{8} << 10;
// Float64 elements of rows that are made before they are written: 4 KiB. Measured on Zen 4, D = 512, GB/s of fills of
// 128 MiB and 8 MiB: 25.4 and 23.7; with half as many 25.3 and 23.9.
constexpr std::size_t kTileDoubles = std::size_t{1} << 9;
// Sines and cosines that float64 rows are turned by: 512 KiB, those of all 64 rows between anchors up to 1024 columns,
// stay in the second level. Of wider ones, at least those of a few rows, or an anchor would be evaluated for every row.
// Chosen by counting evaluations.
constexpr std::size_t kTurnDoubles = std::size_t{1} << 16;
constexpr std::size_t kLeastTurns = 8;
// Rows and columns that are transposed at a time: 4 KiB of float32, in the first level. Measured on Zen 5, sums on 32 x
// 768 x 512 float16, channels first, GB/s of 32, 64 and 128 rows: 22.3, 21.8 and 22.7; of 32 columns 23.0.
constexpr std::size_t kTransposedRows = 64;
constexpr std::size_t kTransposedColumns = 16;
// Elements of a strided line that are gathered at a time, in the first level. Measured on Zen 5, sums on every second
// column of 8 x 512 x 1024, GB/s of 64, 256 and 1024: 5.4, 3.6 and 3.6.
constexpr std::size_t kGathered = 64;
// Copies of one value for the cells that share it. Measured on Zen 5, 8 x 256 x 64 x 64 along its first axis, GB/s of
// sums and fills of 64, 256 and 1024: 29 and 23, 32 and 42, 39 and 42.
constexpr std::size_t kRepeated = 1024;
// Bytes of a row up to which it does not pay to begin at the beginning of a cache line. Measured on Zen 4, sums on rows
// of 16 to 1000 columns that begin anywhere: no difference, whichever of them do.
constexpr std::size_t kShortBytes = 512;
// Bytes of embeddings to prefetch ahead of the one that is read, and two of them in any case. Measured on Zen 4, a
// sketch, 32 x 512 tokens of 30000 x 768, GB/s read and written, uniform and Zipf ids: two rows ahead 33 and 49, four
// 34 and 50, none 19 and 36; into the first level 29 and 45. Copying the rows with memcpy 22 and 31.
constexpr std::size_t kEmbedAhead = std::size_t{6} << 10;
// Rows whose embeddings are prefetched ahead down strips. Measured with 64 rows of 3 KiB.
constexpr std::size_t kEmbedRowsAhead = 64;
// How much smaller than others an output may be that is written past the caches: as much is read to make it. Measured
// there, last level 32 MiB, 24 MiB written of float32 or bfloat16: 15 to 18 in the caches, 25 past them; 12 MiB: alike.
constexpr std::size_t kEmbedStreamShare = 2;
// Arrays from which on they share tiles of the encoding; for fewer it is made anew, strip by strip, and goes to memory
// from registers. Measured there, one sequence of 16384 x 768: strips 27, tiles 16; in the caches 27 and 20.
constexpr std::size_t kEmbedShared = 3;
// Bytes to prefetch ahead down a column, beyond its end into the next one. Measured on Zen 4, add in DRAM, 8 x 512 x
// 4096 channels first, GB/s of 2 and 16 KiB: 11.9 and 18.9; x *= a 30.
constexpr std::size_t kDownAhead = std::size_t{16} << 10;

// ---- the kernel: windows of the rounding tests (round.inl.hpp), in units of a double's last place ----
// Any will do, since an error bound's floor follows from it. Larger ones find more results too close to a tie, smaller
// ones more that are below the floor. Chosen by counting both. Measured on Zen 5, fills at reals up to 1e4 and 1e15,
// windows a quarter, four and eight times as large: no difference.
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
