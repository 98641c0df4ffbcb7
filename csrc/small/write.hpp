// Writes a small call, in the thread that makes it. No Python.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "../call.hpp"
#include "../memory.hpp"
#include "place.hpp"

namespace posenc::small {

// What is known of an encoding at one width: of each of its axes a table, and what is added to positions.
struct Axis {
    std::shared_ptr<const OwnedTable> table;
    double offset = 0.0;
};
using Axes = std::vector<Axis>;

// out = PE, or from * scale + PE, or from[ids] * scale + PE. All memory that it takes is there before anything is
// written.
class Write {
public:
    Write(const View& out, const View& from, Operation operation, double scale);

    // Finds out where everything goes. False: what was said is wrong, or may be. Throws std::bad_alloc.
    bool prepare(const Axes& axes, const Where& where);

    // Takes what is to be embedded, once it is known where that goes. False: as above. Throws std::bad_alloc.
    bool look_up(const Values& ids);

    // Throws std::bad_alloc, and has written nothing then.
    void run();

private:
    bool prepare_rows(const Where& where);
    bool prepare_grid(const Where& where);
    void run_rows() noexcept;
    void run_grid();
    void copy_masked() const noexcept;
    void write_head() const noexcept;
    Target target(int inner);

    const View &out_, &from_;
    Operation operation_;
    double scale_;
    const Axes* axes_ = nullptr;
    Few<char*> to_addresses_, from_addresses_;
    Few<std::int64_t> ids_;           // of all rows; -1: it is masked
    Placement placement_;             // of the rows of one axis
    std::vector<Few<double>> lines_;  // the positions along each axis of a grid
    std::optional<CallWorkspace> workspace_;
    Target target_{};
    View head_to_, head_from_;
    AlignedDoubles rows_;  // of the axes of a grid
};

}  // namespace posenc::small
