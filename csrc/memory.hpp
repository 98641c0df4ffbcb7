// Memory that starts on a cache line, and the workspaces of calls. No Python, no mathematics.
#pragma once

#include <cstddef>
#include <memory>

namespace posenc {

struct AlignedDelete {
    void operator()(double* memory) const noexcept;
};
using AlignedDoubles =
    std::unique_ptr<double, AlignedDelete>;  // on a cache line: vectors that straddle two cost double

// The first of them, what `Kept` is, are zero. Throws std::bad_alloc.
AlignedDoubles make_aligned(std::size_t doubles);

// The workspace of one call, which owns it until it ends: a call that begins in the midst of another one, on the same
// thread or not, gets memory of its own. A few workspaces of moderate size are kept for the next calls. Who does
// not keep what `Kept` is about may write over it, but not over the first kKeptDoubles: they say that there is nothing.
class CallWorkspace {
public:
    CallWorkspace(std::size_t doubles, bool keeps);
    ~CallWorkspace();
    CallWorkspace(const CallWorkspace&) = delete;
    CallWorkspace& operator=(const CallWorkspace&) = delete;

    double* get() const noexcept { return memory_.get(); }

private:
    AlignedDoubles memory_;
};

}  // namespace posenc
