// The kernels for ISA level "avx512"; CMakeLists.txt gives this file its flags.
#include "kernel.inl.hpp"

namespace posenc {

void run_avx512(const Table& table, const Rows& rows, const Target& target, double* workspace) noexcept {
    run(table, rows, target, workspace);
}

}  // namespace posenc
