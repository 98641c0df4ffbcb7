// Builds and owns what a kernel needs to know of one encoding at one width. Immutable once made.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kernel.hpp"

namespace posenc {

class OwnedTable {
public:
    // `frequencies` holds K leading parts, then K second and K third ones; `source` is Table::source.
    // Throws std::invalid_argument where a source names no frequency.
    OwnedTable(std::span<const double> frequencies, std::span<const std::int32_t> source);

    const Table& table() const noexcept { return table_; }
    std::size_t nbytes() const noexcept;  // of the arrays it owns

private:
    Table table_{};
    std::vector<double> frequency_, step_;
    std::vector<std::int32_t> source_;
};

std::size_t workspace_size(const Table&) noexcept;  // in doubles

struct AlignedDelete {
    void operator()(double* memory) const noexcept { ::operator delete(memory, std::align_val_t{64}); }
};
using Workspace = std::unique_ptr<double, AlignedDelete>;
Workspace make_workspace(const Table&);

}  // namespace posenc
