// Everything comes from plain operator new, which may fail (faults.cpp makes it), and whose holes malloc uses again: of
// the holes that aligned operator new leaves, glibc 2.36 takes few, and a heap grows without end.
#include "memory.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <new>

#include "kernel.hpp"
#include "tuning.hpp"

namespace posenc {
namespace {

// In front of the memory that it describes.
struct Header {
    void* block;
    std::size_t doubles;
};
static_assert(sizeof(Header) <= kLine);

Header& header_of(double* memory) { return reinterpret_cast<Header*>(memory)[-1]; }

// Spare workspaces, taken and put back in one atomic operation each. Not thread_local: the C library ends the process
// where it has no memory for such variables, and each thread would keep one.
std::array<std::atomic<double*>, kSpares> spares{};

double* take_spare(std::size_t doubles) noexcept {
    for (std::atomic<double*>& spare : spares) {
        double* const memory = spare.exchange(nullptr, std::memory_order_acquire);
        if (memory != nullptr) {
            if (header_of(memory).doubles >= doubles) {
                return memory;
            }
            AlignedDelete{}(memory);  // a larger one takes its place
        }
    }
    return nullptr;
}

}  // namespace

void AlignedDelete::operator()(double* memory) const noexcept {
    if (memory != nullptr) {
        ::operator delete(header_of(memory).block);
    }
}

AlignedDoubles make_aligned(std::size_t doubles) {
    constexpr std::size_t kMore = 2 * kLine;  // for the header and the way to the next line
    if (doubles > (SIZE_MAX - kMore) / sizeof(double)) {
        throw std::bad_alloc();
    }
    void* const block = ::operator new(doubles * sizeof(double) + kMore);
    const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(block);
    auto* const memory = reinterpret_cast<double*>(static_cast<char*>(block) + (kMore - address % kLine));
    header_of(memory) = {block, doubles};
    std::fill_n(memory, std::min(doubles, kKeptDoubles), 0.0);
    return AlignedDoubles(memory);
}

CallWorkspace::CallWorkspace(std::size_t doubles, bool keeps) : memory_(take_spare(doubles)) {
    if (memory_ == nullptr) {
        memory_ = make_aligned(doubles);
    }
    if (!keeps) {
        std::fill_n(memory_.get(), std::min(doubles, kKeptDoubles), 0.0);
    }
}

CallWorkspace::~CallWorkspace() {
    if (header_of(memory_.get()).doubles > kSpareDoubles) {
        return;
    }
    for (std::atomic<double*>& spare : spares) {
        double* none = nullptr;
        if (spare.compare_exchange_strong(none, memory_.get(), std::memory_order_release, std::memory_order_relaxed)) {
            static_cast<void>(memory_.release());
            return;
        }
    }
}

}  // namespace posenc
