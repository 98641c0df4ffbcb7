// The kernels for ISA level "baseline"; CMakeLists.txt gives this file its flags.
#define POSENC_LEVEL(name) name##_baseline
#include "kernel.inl.hpp"
