// A vector of numbers or addresses that needs no allocation while it is short.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace posenc::small {

template <class T, std::size_t kFew = 16>
class Few {
public:
    Few() {}  // NOLINT(modernize-use-equals-default): what is kept here stays as it is
    Few(const Few&) = delete;
    Few& operator=(const Few&) = delete;

    // Gives up what was in there. Throws std::bad_alloc.
    void resize(std::size_t count) {
        if (count > kFew) {
            many_.reset(new T[count]);
        }
        count_ = count;
    }

    T* data() noexcept { return count_ > kFew ? many_.get() : few_; }
    const T* data() const noexcept { return count_ > kFew ? many_.get() : few_; }
    std::size_t size() const noexcept { return count_; }
    T& operator[](std::size_t i) noexcept { return data()[i]; }
    T* begin() noexcept { return data(); }
    T* end() noexcept { return data() + count_; }

private:
    std::size_t count_ = 0;
    T few_[kFew];
    std::unique_ptr<T[]> many_;
};

}  // namespace posenc::small
