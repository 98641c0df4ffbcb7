// The kernels for ISA level "avx2"; CMakeLists.txt gives this file its flags.
#define POSENC_LEVEL(name) name##_avx2
#include "kernel.inl.hpp"
