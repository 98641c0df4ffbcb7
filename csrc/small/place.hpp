// Where the rows of a small call stand: what python/posenc/_rows.py does, for what needs no explanation. No Python.
#pragma once

#include <optional>

#include "few.hpp"
#include "view.hpp"

namespace posenc::small {

struct Where {
    Values start;
    std::optional<Values> positions, mask, bounds;
    View head_to, head_from;  // rows before those of a grid, which have no position, if there are axes
};

// Starts, one of each group, or the positions of its rows. Arrays of a group, which follow each other, share them.
struct Placement {
    Few<double> positions;
    bool starts = true;
    std::size_t groups = 1;
    bool masked = false;  // some are no numbers
};

// Places the rows of an array whose axes are those of `out`, channels last. False: what was said is wrong, or may be.
bool place(const View& out, const Where& where, double offset, Placement& placement);

// Places `size` cells along one of the axes of a grid, whose starts are one for all, or one of each of `count`.
bool place_line(const Values& start, int axis, int count, std::int64_t size, double offset, Few<double>& line);

}  // namespace posenc::small
