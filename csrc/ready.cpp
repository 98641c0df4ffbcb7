// All under one mutex, whose holder neither makes memory nor frees it: rows that go, go when it is free again.
#include "ready.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "shared.hpp"

namespace posenc {
namespace {

constexpr std::size_t kBudget = 8 * 1024 * 1024;  // bytes of all ready rows
std::size_t kept_bytes = 0;
ReadyRows *oldest = nullptr, *newest = nullptr;

}  // namespace

// Takes this table out of the list.
ReadyRows::Shared ReadyRows::drop() noexcept {
    if (rows_ != nullptr) {
        kept_bytes -= rows_->bytes;
        (older_ != nullptr ? older_->newer_ : oldest) = newer_;
        (newer_ != nullptr ? newer_->older_ : newest) = older_;
        older_ = newer_ = nullptr;
    }
    return std::exchange(rows_, nullptr);
}

// Puts it at the newer end.
void ReadyRows::put(Shared rows) noexcept {
    kept_bytes += rows->bytes;
    rows_ = std::move(rows);
    older_ = newest;
    (newest != nullptr ? newest->newer_ : oldest) = this;
    newest = this;
}

void ReadyRows::keep(Shared rows) noexcept {
    for (;;) {
        Shared dropped;  // freed between two rounds
        const std::scoped_lock lock(shared_mutex());
        if (rows != nullptr) {
            if (rows_ != nullptr && rows_->count >= rows->count) {
                return;  // another thread was faster
            }
            dropped = drop();
            put(std::exchange(rows, nullptr));
        } else if (kept_bytes > kBudget) {
            dropped = oldest->drop();
        } else {
            return;
        }
    }
}

ReadyRows::Answer ReadyRows::ask(std::size_t count, std::size_t end, std::size_t most) noexcept {
    const std::scoped_lock lock(shared_mutex());
    if (rows_ != nullptr && newest != this) {
        put(drop());
    }
    ++calls_;
    asked_ = std::min(asked_ + std::min(count, end), most);
    const std::size_t have = rows_ != nullptr ? rows_->count : 0;
    const bool grow = end > have && calls_ > 1 && 2 * asked_ >= end;
    return {rows_, grow ? std::min(std::max(end, 2 * have), most) : 0};
}

ReadyRows::~ReadyRows() {
    Shared dropped;
    const std::scoped_lock lock(shared_mutex());
    dropped = drop();
}

}  // namespace posenc
