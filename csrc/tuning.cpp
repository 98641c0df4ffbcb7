// What the system tells of its caches.
#include "tuning.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__linux__)
#include <unistd.h>
#endif

namespace posenc {
namespace {

#if defined(__linux__)
// Of a cache of the first processor, where it holds data; 0: there is none. Virtual machines tell sysconf other sizes,
// which count the caches of many cores as one.
std::size_t size_in_sysfs(int level) noexcept {
    constexpr int kMostCaches = 8;
    std::array<char, 64> path{};
    const auto open = [&](int index, const char* what) {
        std::snprintf(path.data(), path.size(), "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, what);
        return std::fopen(path.data(), "re");
    };
    for (int index = 0; index < kMostCaches; ++index) {
        int found = 0;
        if (std::FILE* const file = open(index, "level")) {
            found = std::fscanf(file, "%d", &found) == 1 ? found : 0;  // NOLINT(cert-err34-c)
            std::fclose(file);
        }
        std::size_t kibibytes = 0;
        if (found == level && level > 1) {
            if (std::FILE* const file = open(index, "size")) {
                kibibytes = std::fscanf(file, "%zuK", &kibibytes) == 1 ? kibibytes : 0;  // NOLINT(cert-err34-c)
                std::fclose(file);
            }
        }
        if (kibibytes != 0) {
            return kibibytes << 10;
        }
    }
    return 0;
}
#endif

// Of the caches of a level above the first; 0: not told.
std::size_t told(int level) noexcept {
#if defined(__APPLE__)
    std::size_t bytes = 0, length = sizeof bytes;
    return sysctlbyname(level == 2 ? "hw.l2cachesize" : "hw.l3cachesize", &bytes, &length, nullptr, 0) == 0 ? bytes : 0;
#elif defined(__linux__)
    if (const std::size_t bytes = size_in_sysfs(level); bytes != 0) {
        return bytes;
    }
#if defined(_SC_LEVEL2_CACHE_SIZE)
    const long bytes = sysconf(level == 2 ? _SC_LEVEL2_CACHE_SIZE : _SC_LEVEL3_CACHE_SIZE);
    return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
#else
    return 0;
#endif
#else
    static_cast<void>(level);
    return 0;
#endif
}

}  // namespace

Caches caches() noexcept {
    const std::size_t second = told(2), third = told(3);
    const bool any = second != 0 || third != 0;
    return {second != 0 ? second : kSecondLevelBytes, any ? std::max(second, third) : kLastLevelBytes};
}

std::size_t stream_bytes() noexcept { return std::clamp(caches().last_level, kLeastStreamBytes, kMostStreamBytes); }

}  // namespace posenc
