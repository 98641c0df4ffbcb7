#include "shared.hpp"

#include <atomic>
#include <new>

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace posenc {
namespace {

std::mutex mutex;
std::atomic<std::size_t> fork_count{0};

}  // namespace

std::mutex& shared_mutex() noexcept { return mutex; }

std::size_t forks() noexcept { return fork_count.load(std::memory_order_relaxed); }

void watch_forks() {
#if !defined(_WIN32)
    static bool watched = false;
    if (!watched && pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); },
                                   [] {
                                       ++fork_count;
                                       mutex.unlock();
                                   }) != 0) {
        throw std::bad_alloc();
    }
    watched = true;
#endif
}

}  // namespace posenc
