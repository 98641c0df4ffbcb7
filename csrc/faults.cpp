// All that this module allocates comes from its operator new: arrays, containers, the closures of threads. No other
// library sees these functions, as the module exports nothing.
#include "faults.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace posenc {
namespace {

std::atomic<long> left{0};
std::atomic<int> fallible{0};

}  // namespace

void fail_allocation(long number) noexcept { left = number; }

long allocations_left() noexcept { return left; }

Fallible::Fallible() noexcept { ++fallible; }
Fallible::~Fallible() { --fallible; }

}  // namespace posenc

void* operator new(std::size_t bytes) {
    if (posenc::fallible > 0 && posenc::left > 0 && --posenc::left == 0) {
        throw std::bad_alloc();
    }
    void* const memory = std::malloc(bytes != 0 ? bytes : 1);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
