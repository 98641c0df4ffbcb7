// Allocations that fail when a test wants them to, in builds with POSENC_FAULTS. Otherwise nothing.
#pragma once

namespace posenc {

#if defined(POSENC_FAULTS)

// The `number`th allocation from now on fails, once; 0: none does. Only what is made while a `Fallible` lives counts:
// pybind11's own books, kept before and after a call, end the process where they find no memory.
void fail_allocation(long number) noexcept;

// How many allocations there are until then; 0 if it has been.
long allocations_left() noexcept;

class Fallible {
public:
    Fallible() noexcept;
    ~Fallible();
    Fallible(const Fallible&) = delete;
    Fallible& operator=(const Fallible&) = delete;
};

#else

struct Fallible {
    ~Fallible() {}  // NOLINT(modernize-use-equals-default): so that no compiler calls it unused
};

#endif

}  // namespace posenc
