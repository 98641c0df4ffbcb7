// Small calls as Python sees them: the class SmallCalls.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "../table.hpp"

namespace posenc {

using TableOf = std::shared_ptr<const OwnedTable> (*)(pybind11::handle);

// Adds SmallCalls to the module. `table_of` finds what an object of Python's class Table holds, or throws.
void add_small_calls(pybind11::module_& module, TableOf table_of);

}  // namespace posenc
