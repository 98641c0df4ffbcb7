// The ISA levels compiled into this library, which of them this processor can run, and which one runs. No mathematics.
#pragma once

#include <span>
#include <string_view>

#include "kernel.hpp"

namespace posenc {

struct Level {
    std::string_view name;
    bool (*supported)();
    Run run;
    Merge merge;
    Turn turn;
    Prepare prepare;
};

std::span<const Level> levels() noexcept;  // fastest first; the last one runs everywhere
const Level& active_level() noexcept;      // the first supported one, unless use_level chose another
void use_level(std::string_view name);     // throws std::invalid_argument: unknown, or not supported here

}  // namespace posenc
