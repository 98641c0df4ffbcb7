// The kernels for ISA level "baseline"; CMakeLists.txt gives this file its flags.
#include "kernel.inl.hpp"

namespace posenc {

void run_baseline(const Table& table, const Rows& rows, const Target& target, double* workspace) noexcept {
    run(table, rows, target, workspace);
}

void merge_baseline(const Parts& parts, std::size_t first, std::size_t count, const Target& target,
                    double* workspace) noexcept {
    merge(parts, first, count, target, workspace);
}

}  // namespace posenc
