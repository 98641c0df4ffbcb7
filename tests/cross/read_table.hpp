// A table as Python wrote it (tests/compiled.py), for programs that run the compiled core without Python.
#pragma once

#include <cstdint>
#include <istream>
#include <span>
#include <vector>

#include "../../csrc/table.hpp"

template <class T>
std::vector<T> read(std::istream& file, std::size_t count) {
    std::vector<T> values(count);
    file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(T)));
    return values;
}

template <class T>
std::vector<T> read_counted(std::istream& file) {
    return read<T>(file, read<std::uint64_t>(file, 1)[0]);
}

inline posenc::OwnedTable read_table(std::istream& file, posenc::Prepare prepare) {
    const auto size = read<std::uint64_t>(file, 2);  // D, K
    const auto amplitude = read<double>(file, 7);    // itself, whether angles count full turns, and its special values
    constexpr std::size_t kWords = sizeof(posenc::Number) / sizeof(std::uint64_t);
    const auto factor = read<std::uint64_t>(file, kWords);
    const auto frequencies = read<double>(file, 2 * size[1]);
    const auto index = read_counted<std::int64_t>(file);
    const auto exact = read_counted<std::uint64_t>(file), powers = read_counted<std::uint64_t>(file);
    const auto factors = read_counted<double>(file);
    const auto source = read<std::int32_t>(file, size[0]);
    return {frequencies,
            source,
            amplitude[0],
            factor,
            {index, exact, powers, factors},
            std::span{amplitude}.subspan(2),
            amplitude[1] != 0.0,
            prepare};
}
