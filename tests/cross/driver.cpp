// Runs the compiled core without Python, so that it can run on another processor (tests/test_cross.py).
//
// Reads the tables that Python wrote, makes many calls at every ISA level there is, and prints a digest of each level's
// results. Bytes between and around the elements must stay as they were. No mathematics: what is right is checked
// elsewhere, here only that it is the same.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "../../csrc/call.hpp"
#include "../../csrc/dispatch.hpp"
#include "read_table.hpp"

namespace {

using namespace posenc;

// Numbers that are the same everywhere: integers, scaled by powers of two.
struct Random {
    std::uint64_t state = 1;
    std::uint64_t bits() { return state = state * 6364136223846793005U + 1442695040888963407U; }
    double number(double scale) { return static_cast<double>(static_cast<std::int64_t>(bits()) >> 20) * scale; }
};

struct Digest {
    std::uint64_t value = 14695981039346656037U;  // FNV-1a, but of words
    void add(const std::vector<std::uint64_t>& words) {
        for (const std::uint64_t word : words) {
            value = (value ^ word) * 1099511628211U;
            value ^= value >> 32;
        }
    }
};

// Three arrays in one buffer, with bytes around and between their elements.
struct Layout {
    std::size_t column_step;  // in elements
    bool backwards;           // the rows
    std::size_t offset;       // in bytes, of the first element
};
constexpr Layout kLayouts[] = {{1, false, 64}, {1, false, 4}, {1, true, 1}, {2, false, 16}, {3, true, 2}};
constexpr std::size_t kArrays = 3;

struct Kind {
    Element element;
    std::size_t size;
};
constexpr Kind kKinds[] = {{Element::f32, 4}, {Element::f64, 8}, {Element::f16, 2}, {Element::bf16, 2}};

// A number of any sign and magnitude below 2, subnormal ones too, in any of the formats: less one bit of its exponent,
// which would make it large, infinite or not a number (what becomes of those differs between processors).
void put_number(char* place, std::size_t size, std::uint64_t bits) {
    bits = (bits >> (64 - 8 * size)) & ~(std::uint64_t{1} << (8 * size - 2));
    std::memcpy(place, &bits, size);  // little-endian
}

struct Places {
    std::vector<double> positions;
    bool starts;
    std::size_t groups;
};

std::vector<Places> places(std::size_t rows) {
    Random random;
    std::vector<double> real(rows), whole(kArrays * rows), run(rows, std::nan(""));
    std::ranges::generate(real, [&] { return random.number(0x1p-20); });
    std::ranges::generate(whole, [&] { return random.number(1.0); });
    for (std::size_t i = 0; i < rows; ++i) {  // some are masked
        run[i] = i % 7 == 3 ? run[i] : static_cast<double>(i) - 5.0;
    }
    return {{{0.0}, true, 1},
            {{-7.0}, true, 1},
            {{1000000.25}, true, 1},
            {{9007199254740992.0 - static_cast<double>(rows)}, true, 1},
            {{3.0, -50.0, 0.5}, true, kArrays},
            {real, false, 1},
            {run, false, 1},
            {whole, false, kArrays}};
}

// The arrays of one call, and what must be left of the bytes around them.
class Buffer {
public:
    Buffer(const Layout& layout, const Kind& kind, std::size_t rows, std::size_t columns)
        : layout_(layout),
          kind_(kind),
          rows_(rows),
          columns_(columns),
          row_bytes_((columns * layout.column_step + 1) * kind.size),
          words_((kArrays * rows * row_bytes_ + 128) / 8 + 1) {
        Random random;
        std::ranges::generate(words_, [&] { return random.bits(); });
        for (std::size_t i = 0; i < kArrays; ++i) {
            char* const first = bytes(words_) + layout.offset + i * rows * row_bytes_;
            address_.push_back(layout.backwards ? first + (rows - 1) * row_bytes_ : first);
        }
        for_all([&](std::size_t place) { put_number(bytes(words_) + place, kind.size, random.bits()); });
        before_ = words_;
    }

    std::ptrdiff_t row_stride() const {
        const auto stride = static_cast<std::ptrdiff_t>(row_bytes_);
        return layout_.backwards ? -stride : stride;
    }

    Arrays arrays() const {
        return {address_.data(), row_stride(), static_cast<std::ptrdiff_t>(layout_.column_step * kind_.size)};
    }

    void add_to(Digest& digest) const { digest.add(words_); }

    bool rest_is_untouched() {
        for_all([&](std::size_t place) { std::copy_n(bytes(words_) + place, kind_.size, bytes(before_) + place); });
        return before_ == words_;
    }

private:
    static char* bytes(std::vector<std::uint64_t>& words) { return reinterpret_cast<char*>(words.data()); }

    template <class F>
    void for_all(const F& f) const {
        for (std::size_t row = 0; row < kArrays * rows_; ++row) {
            for (std::size_t j = 0; j < columns_; ++j) {
                f(layout_.offset + row * row_bytes_ + j * layout_.column_step * kind_.size);
            }
        }
    }

    const Layout& layout_;
    const Kind& kind_;
    std::size_t rows_, columns_, row_bytes_;
    std::vector<std::uint64_t> words_, before_;
    std::vector<char*> address_;
};

// What all calls do, and print.
struct Never : Poll {
    bool go_on() noexcept override { return true; }
} poll;

struct Session {
    Digest digest{};
    std::size_t calls = 0;
    bool stayed = true;

    void take(Buffer& buffer) {
        buffer.add_to(digest);
        stayed = stayed && buffer.rest_is_untouched();
        ++calls;
    }

    void run(const OwnedTable& table, std::size_t rows, const Places& where, const Layout& layout, const Kind& kind,
             double scale) {
        Buffer buffer(layout, kind, rows, table.table().columns);
        const Arrays arrays = buffer.arrays();
        const Operation operation = scale == 0.0 ? Operation::fill : Operation::add;
        const bool stream = operation == Operation::fill && rows == 13;
        run_call({table,
                  where.positions.data(),
                  where.starts,
                  where.groups,
                  rows,
                  {arrays, arrays, kArrays, 1, 0, 0, kind.element, operation, scale, stream}},
                 2, poll);
        take(buffer);
    }

    // An encoding over two axes, of parts that could come from anywhere.
    void merge(std::size_t columns, const Layout& layout, const Kind& kind, double scale) {
        constexpr std::size_t kLengths[] = {5, 7};
        const Operation operation = scale == 0.0 ? Operation::fill : Operation::add;
        const std::size_t size = value_bytes(kind.element, operation);
        Random random;
        std::vector<std::vector<char>> parts;
        for (const std::size_t length : kLengths) {
            parts.emplace_back(length * columns * size);
            for (std::size_t i = 0; i < length * columns; ++i) {
                put_number(parts.back().data() + i * size, size, random.bits());
            }
        }
        Buffer buffer(layout, kind, kLengths[0] * kLengths[1], columns);
        const Arrays arrays = buffer.arrays();
        const std::ptrdiff_t step = static_cast<std::ptrdiff_t>(kLengths[1]) * buffer.row_stride();
        run_call(MergeCall{{parts[0].data(), parts[1].data()},
                           1,
                           {kLengths[0], kLengths[1]},
                           {step},
                           {step},
                           columns,
                           {arrays, arrays, kArrays, 1, 0, 0, kind.element, operation, scale, false}},
                 2, poll);
        take(buffer);
    }
};

void run_all(const OwnedTable& table, Session& session) {
    for (const Kind& kind : kKinds) {
        for (const Layout& layout : kLayouts) {
            for (const double scale : {0.0, 1.0, 1.5}) {  // 0: fill
                for (const std::size_t rows : {1, 13, 100}) {
                    for (const Places& where : places(rows)) {
                        session.run(table, rows, where, layout, kind, scale);
                    }
                }
                session.merge(table.table().columns, layout, kind, scale);
            }
        }
    }
}

}  // namespace

int main(int, char** files) {
    for (const Level& level : levels()) {
        if (!level.supported()) {
            continue;
        }
        use_level(level.name);
        for (char** file = files + 1; *file != nullptr; ++file) {
            std::ifstream stream(*file, std::ios::binary);
            stream.exceptions(std::ios::failbit);
            Session session;
            run_all(read_table(stream, active_level().prepare), session);
            std::cout << level.name << ' ' << *file << ": " << session.calls << " calls, " << std::hex
                      << session.digest.value << std::dec << (session.stayed ? "" : ", wrote outside") << '\n';
        }
    }
}
