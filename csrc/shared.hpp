// What calls share, and how it survives a fork. No Python, no mathematics.
#pragma once

#include <cstddef>
#include <mutex>

namespace posenc {

// Guards all that calls share and change: the tables that small calls memoize, the spare workspaces. It is held for a
// few instructions at a time; whoever holds it makes no memory, waits for nothing, and runs no Python, which a DECREF
// can. No thread holds it at the moment of a fork, so that the child finds it free.
std::mutex& shared_mutex() noexcept;

// Counts the forks that led to this process. A call that sees the number change has lost its other threads.
std::size_t forks() noexcept;

// Makes forks do what is said above. Once, before the first call; throws std::bad_alloc.
void watch_forks();

}  // namespace posenc
