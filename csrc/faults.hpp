// Allocations that fail when a test wants them to. Only in builds with POSENC_FAULTS.
#pragma once

namespace posenc {

// The `number`th allocation from now on fails, once; 0: none does.
void fail_allocation(long number) noexcept;

// How many allocations there are until then; 0 if it has been.
long allocations_left() noexcept;

}  // namespace posenc
