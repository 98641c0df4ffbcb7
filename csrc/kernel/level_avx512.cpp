// The kernels for ISA level "avx512"; CMakeLists.txt gives this file its flags.
#define POSENC_LEVEL(name) name##_avx512
#include "kernel.inl.hpp"
