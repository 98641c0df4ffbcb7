// Writes a small call, in the thread that makes it. No Python.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "../call.hpp"
#include "../memory.hpp"
#include "place.hpp"

namespace posenc::small {

// What is known of an encoding at one width: of each of its axes the table of its columns, the first of them, and what
// is added to positions.
struct Axis {
    std::shared_ptr<const OwnedTable> table;
    std::size_t first_column = 0;
    double offset = 0.0;
};
using Axes = std::vector<Axis>;

// Its columns as pairs; `unscaled`: of amplitude 1, so that a turn can be undone.
struct Pairs {
    std::vector<PairRun> runs;
    bool unscaled = false;
};

struct Encoding {
    Axes axes;
    std::optional<Pairs> pairs;  // once somebody has turned by them
};

// out = PE, or from * scale + PE, or from[ids] * scale + PE, or from turned by PE, or back. All memory that it takes is
// there before anything is written.
class Write {
public:
    Write(const View& out, const View& from, Operation operation, double scale, bool inverse);

    // Finds out where everything goes. False: what was said is wrong, or may be. Throws std::bad_alloc. What is given
    // here is used until the end.
    bool prepare(const Encoding& encoding, const Where& where);

    // Takes what is to be embedded, once it is known where that goes. False: as above. Throws std::bad_alloc.
    bool look_up(const Values& ids);

    // Throws std::bad_alloc, and has written nothing then.
    void run();

private:
    bool prepare_rows(const Where& where);
    bool prepare_grid(const Where& where);
    bool can_turn() const noexcept;
    void make_rows(const Axis& axis, const Rows& rows, char* to) const noexcept;
    void run_rows() noexcept;
    void turn_rows() noexcept;
    void run_grid();
    void copy_masked() const noexcept;
    void write_head(const View& head, const View& head_from) const noexcept;
    Target target(int inner);

    const View &out_, &from_;
    Operation operation_;
    double scale_;
    bool inverse_;
    const Axes* axes_ = nullptr;
    const Where* where_ = nullptr;
    const Pairs* pairs_ = nullptr;
    Few<char*> to_addresses_, from_addresses_;
    Few<std::int64_t> ids_;           // of all rows; -1: it is masked
    Placement placement_;             // of the rows of one axis
    std::vector<Few<double>> lines_;  // the positions along each axis of a grid
    std::optional<CallWorkspace> workspace_;
    Target target_{};
    AlignedDoubles rows_;      // of the axes of a grid
    char* turning_ = nullptr;  // rows to turn by, behind the workspace
};

}  // namespace posenc::small
