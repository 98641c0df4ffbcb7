// The kernels for ISA level "avx2"; CMakeLists.txt gives this file its flags.
#include "kernel.inl.hpp"

namespace posenc {

void run_avx2(const Table& table, const Rows& rows, const Target& target, double* workspace) noexcept {
    run(table, rows, target, workspace);
}

void merge_avx2(const Parts& parts, std::size_t first, std::size_t count, const Target& target,
                double* workspace) noexcept {
    merge(parts, first, count, target, workspace);
}

}  // namespace posenc
