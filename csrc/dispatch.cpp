// Detection and choice of the ISA level. An ordered table, read from the top.
#include "dispatch.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace posenc {

#define POSENC_DECLARE(level)                                                                    \
    void run_##level(const Table&, const Rows&, const Target&, double*) noexcept;                \
    void merge_##level(const Parts&, std::size_t, std::size_t, const Target&, double*) noexcept; \
    void turn_##level(const Turning&, const Target&) noexcept;                                   \
    Steps prepare_##level(const Table&, double, double*) noexcept;
POSENC_DECLARE(baseline)
POSENC_DECLARE(avx2)
POSENC_DECLARE(avx512)
#undef POSENC_DECLARE

namespace {

bool always() { return true; }

#if defined(__x86_64__)
// __builtin_cpu_supports also asks whether the operating system saves the registers; not all compilers know of F16C.
bool has_f16c() {
    unsigned int a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
bool has_avx2() { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && has_f16c(); }
bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
           __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
           __builtin_cpu_supports("avx512vbmi2") != 0;
}

constexpr std::array kLevels{
    Level{"avx512", has_avx512, run_avx512, merge_avx512, turn_avx512, prepare_avx512},
    Level{"avx2", has_avx2, run_avx2, merge_avx2, turn_avx2, prepare_avx2},
    Level{"baseline", always, run_baseline, merge_baseline, turn_baseline, prepare_baseline},
};
#else
constexpr std::array kLevels{Level{"baseline", always, run_baseline, merge_baseline, turn_baseline, prepare_baseline}};
#endif

std::atomic<const Level*> chosen{nullptr};

}  // namespace

std::span<const Level> levels() noexcept { return kLevels; }

const Level& active_level() noexcept {
    const Level* level = chosen.load(std::memory_order_acquire);
    if (level == nullptr) {
        level = std::ranges::find_if(kLevels, [](const Level& candidate) { return candidate.supported(); });
        chosen.store(level, std::memory_order_release);
    }
    return *level;
}

void use_level(std::string_view name) {
    const auto* level = std::ranges::find(kLevels, name, &Level::name);
    if (level == kLevels.end()) {
        std::string names;
        for (const Level& known : kLevels) {
            names += names.empty() ? "" : ", ";
            names += known.name;
        }
        throw std::invalid_argument("ISA level: expected one of " + names + ", got '" + std::string(name) + "'");
    }
    if (!level->supported()) {
        throw std::invalid_argument("ISA level '" + std::string(name) + "' is not supported by this processor");
    }
    chosen.store(level, std::memory_order_release);
}

}  // namespace posenc
