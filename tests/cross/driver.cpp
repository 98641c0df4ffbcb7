// Runs the compiled core without Python, so that it can run on another processor (tests/test_cross.py).
//
// Reads the tables that Python wrote, makes many calls at every ISA level there is, and prints a digest of each level's
// results. Bytes between and around the elements must stay as they were. No mathematics: what is right is checked
// elsewhere, here only that it is the same.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "../../csrc/call.hpp"
#include "../../csrc/dispatch.hpp"

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

struct Places {
    std::vector<double> positions;
    bool starts;
    std::size_t groups;
};

std::vector<Places> places(std::size_t rows) {
    Random random;
    std::vector<double> real(rows), whole(kArrays * rows);
    std::ranges::generate(real, [&] { return random.number(0x1p-20); });
    std::ranges::generate(whole, [&] { return random.number(1.0); });
    return {{{0.0}, true, 1},
            {{-7.0}, true, 1},
            {{1000000.25}, true, 1},
            {{9007199254740992.0 - static_cast<double>(rows)}, true, 1},
            {{3.0, -50.0, 0.5}, true, kArrays},
            {real, false, 1},
            {whole, false, kArrays}};
}

template <class T>
bool run(const OwnedTable& table, Element element, std::size_t rows, const Layout& layout, const Places& where,
         Operation operation, double scale, bool stream, Digest& digest) {
    const std::size_t columns = table.table().columns;
    const std::size_t row_bytes = (columns * layout.column_step + 1) * sizeof(T), array_bytes = rows * row_bytes;
    std::vector<std::uint64_t> buffer((kArrays * array_bytes + 128) / 8 + 1);
    Random random;
    std::ranges::generate(buffer, [&] { return random.bits(); });
    std::vector<std::uint64_t> rest = buffer;
    char* const bytes = reinterpret_cast<char*>(buffer.data());
    char* const rest_bytes = reinterpret_cast<char*>(rest.data());
    std::vector<char*> address;
    for (std::size_t i = 0; i < kArrays; ++i) {
        char* const first = bytes + layout.offset + i * array_bytes;
        address.push_back(layout.backwards ? first + (rows - 1) * row_bytes : first);
        for (std::size_t r = 0; r < rows; ++r) {
            for (std::size_t j = 0; j < columns; ++j) {
                char* const place = first + r * row_bytes + j * layout.column_step * sizeof(T);
                const T number = static_cast<T>(random.number(0x1p-45));
                std::memcpy(place, &number, sizeof(T));
            }
        }
    }
    const auto stride = static_cast<std::ptrdiff_t>(row_bytes);
    const Arrays arrays{address.data(), layout.backwards ? -stride : stride,
                        static_cast<std::ptrdiff_t>(layout.column_step * sizeof(T))};
    run_call({table,
              where.positions.data(),
              where.starts,
              where.groups,
              rows,
              {arrays, arrays, kArrays, element, operation, scale, stream}},
             2, [] {});
    digest.add(buffer);

    for (std::size_t i = 0; i < kArrays * rows * columns; ++i) {  // all but the elements is as before
        const std::size_t place =
            layout.offset + i / columns * row_bytes + i % columns * layout.column_step * sizeof(T);
        std::copy_n(bytes + place, sizeof(T), rest_bytes + place);
    }
    return rest == buffer;
}

template <class T>
std::vector<T> read(std::istream& file, std::size_t count) {
    std::vector<T> values(count);
    file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(T)));
    return values;
}

OwnedTable read_table(std::istream& file) {
    const auto size = read<std::uint64_t>(file, 2);  // D, K
    const auto frequencies = read<double>(file, 3 * size[1]);
    return {frequencies, read<std::int32_t>(file, size[0]), 1.0};
}

}  // namespace

int main(int, char** files) {
    for (const Level& level : levels()) {
        if (!level.supported()) {
            continue;
        }
        use_level(level.name);
        std::size_t calls = 0;
        for (char** file = files + 1; *file != nullptr; ++file) {
            std::ifstream stream(*file, std::ios::binary);
            stream.exceptions(std::ios::failbit);
            const OwnedTable table = read_table(stream);
            Digest digest;
            bool stayed = true;
            for (const std::size_t rows : {1, 13, 100}) {
                for (const Places& where : places(rows)) {
                    for (const Layout& layout : kLayouts) {
                        for (const double scale : {0.0, 1.0, 1.5}) {  // 0: fill
                            const Operation operation = scale == 0.0 ? Operation::fill : Operation::add;
                            const bool past_caches = operation == Operation::fill && rows == 13;
                            stayed &= run<float>(table, Element::f32, rows, layout, where, operation, scale,
                                                 past_caches, digest);
                            stayed &= run<double>(table, Element::f64, rows, layout, where, operation, scale,
                                                  past_caches, digest);
                            calls += 2;
                        }
                    }
                }
            }
            std::cout << level.name << ' ' << *file << ' ' << std::hex << digest.value << std::dec
                      << (stayed ? "" : " and wrote outside") << '\n';
        }
        std::cout << level.name << " made " << calls << " calls\n";
    }
}
