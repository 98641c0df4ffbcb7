// The verbs as users call them: the class Verb.
#pragma once

#include <pybind11/pybind11.h>

namespace posenc {

// Adds Verb to the module, which has SmallCalls.
void add_verbs(pybind11::module_& module);

}  // namespace posenc
