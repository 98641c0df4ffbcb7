// Which producer and which walk rows get, by how their arrays lie in memory. Included by kernel.inl.hpp only.

namespace posenc {
namespace {

// Rows of one array, straight from registers.
template <class Consumer>
void make_rows(const Table& table, Rows rows, const Arrays& to_arrays, const Arrays& from_arrays, const Workspace& work,
               const Consumer& consumer) {
    char* to = row_of(to_arrays, 0, rows.first);
    const char* from = row_of(from_arrays, 0, rows.first);
    if (rows.count >= kRun && are_narrow(table, consumer) && is_run(rows)) {
        const std::size_t done = walk_narrow(table, rows, to, from, work, consumer);
        rows.first += done;
        rows.count -= done;
        to += static_cast<std::ptrdiff_t>(done) * consumer.to_stride;
        from += static_cast<std::ptrdiff_t>(done) * consumer.from_stride;
    }
    if (rows.count >= kRun) {
        const Progression progression = progression_of(table, rows);
        if (progression.found && (progression.step == 1.0 || rows.count >= kSteppedRun)) {
            walk_run(table, rows, progression, to, from, work, consumer);
            return;
        }
    }
    const RowMaker<Consumer> maker(table, consumer, {table, *work.kept, work.turns}, work.trig);
    for (std::size_t i = rows.first; i < rows.first + rows.count; ++i) {
        maker.make(position_of(rows, i), to, from);
        to += consumer.to_stride;
        from += consumer.from_stride;
    }
}

// Whether rows of both sides can be written from registers.
template <class E>
bool is_contiguous(const Target& target) {
    const auto fits = [&](const Arrays& arrays) {
        std::uintptr_t address = static_cast<std::uintptr_t>(arrays.row_stride);
        for (std::size_t a = 0; a < target.count; ++a) {
            address |= reinterpret_cast<std::uintptr_t>(arrays.address[a]);
        }
        return arrays.column_stride == sizeof(E) && address % alignof(E) == 0;
    };
    return fits(target.to) && fits(target.from);
}

// Whether rows are walked in whole cache lines: the arrays' rows, one after the other, are long and begin alike.
template <class E>
bool has_lines(const Table& table, const Rows& rows, const Target& target) {
    constexpr bool whole_lines = kStrip * sizeof(E) % kLine == 0;
    const auto bytes = static_cast<std::ptrdiff_t>(table.columns * sizeof(E));
    const auto apart = reinterpret_cast<std::uintptr_t>(target.to.address[0]) -
                       reinterpret_cast<std::uintptr_t>(target.from.address[0]);
    return whole_lines && is_run(rows) && rows.count >= kLineRows &&
           table.columns >= (target.stream ? kLine / sizeof(E) : kStrip) && target.to.row_stride == bytes &&
           target.from.row_stride == bytes && apart % kLine == 0 &&
           (target.stream || rows_of_whole_lines(table.columns, kLine / sizeof(E)) <= kLinePeriod);
}

// Columns [first, end) of one row, by way of a row of V.
template <class E, class V>
void write_part(const Table& table, const Rows& rows, std::size_t row, std::size_t first, std::size_t end,
                const Target& target, const Workspace& work) {
    char* const tile = static_cast<char*>(work.tile);
    const Arrays there{&tile, 0, sizeof(V)};
    make_rows(table, {nullptr, position_of(rows, row), 0, 1}, there, there, work, Fill<V, false>{0, 0});
    Target plain = target;
    plain.stream = false;
    const auto offset = static_cast<std::ptrdiff_t>(first * sizeof(E));
    write_contiguous(plain, reinterpret_cast<E*>(row_of(target.to, 0, row) + offset),
                     reinterpret_cast<const E*>(row_of(target.from, 0, row) + offset),
                     reinterpret_cast<const V*>(tile) + first, end - first);
}

template <class E, class V, class Consumer>
void run_lines(const Table& table, const Rows& rows, const Target& target, const Workspace& work,
               const Consumer& consumer) {
    char* const to = row_of(target.to, 0, rows.first);
    const std::size_t whole = walk_lines(table, rows, to, row_of(target.from, 0, rows.first), work, consumer);
    const std::size_t next = rows.first + whole, rest = rows.count - whole;
    const auto before = [&](std::size_t row) { return before_line<E>(row_of(target.to, 0, row)); };
    write_part<E, V>(table, rows, rows.first, 0, before(rows.first), target, work);
    write_part<E, V>(table, rows, next, before(next), table.columns, target, work);
    Target plain = target;
    plain.stream = false;
    run_single<E>(table, {nullptr, rows.start, next + 1, rest - 1}, plain, work);
}

// One array of contiguous rows.
template <class E>
void run_single(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const std::ptrdiff_t to_stride = target.to.row_stride, from_stride = target.from.row_stride;
    const auto scale = static_cast<float>(target.scale);
    const auto run = [&](auto value, const auto& consumer) {
        if (has_lines<E>(table, rows, target)) {
            run_lines<E, decltype(value)>(table, rows, target, work, consumer);
        } else {
            make_rows(table, rows, target.to, target.from, work, consumer);
        }
    };
    if (target.operation == Operation::fill && target.stream && has_lines<E>(table, rows, target)) {
        run_lines<E, E>(table, rows, target, work, Fill<E, true>{to_stride, from_stride});
    } else if (target.operation == Operation::fill) {
        run(E{}, Fill<E, false>{to_stride, from_stride});
    } else if (scale == 1.0F) {
        run(float{}, Add<E, false>{to_stride, from_stride, 0, scale});
    } else {
        run(float{}, Add<E, true>{to_stride, from_stride, 0, scale});
    }
}

// Makes rows of V in the workspace, `offset` bytes on. `ahead` tells Fill what to prefetch meanwhile.
template <class V, class Consumer>
const V* make_tile(const Table& table, const Rows& rows, const Workspace& work, const Consumer& ahead,
                   std::size_t offset = 0) {
    // The addresses of row 0, which may lie before the tile: positions are counted from there, and rounded once.
    const auto first = static_cast<std::ptrdiff_t>(rows.first);
    char* const tile = static_cast<char*>(work.tile) + offset;
    char* const to = tile - first * ahead.to_stride;
    char* const from = nullptr;
    make_rows(table, rows, {&to, ahead.to_stride, sizeof(V)}, {&from, ahead.from_stride, sizeof(V)}, work, ahead);
    return reinterpret_cast<const V*>(tile);
}

const double* make_doubles(const Table& table, const Rows& rows, const Workspace& work) {
    const DoubleMaker maker(table, {table, *work.kept, work.turns}, work.trig);
    auto* const tile = static_cast<double*>(work.tile);
    for (std::size_t r = 0; r < rows.count; ++r) {
        maker.make(position_of(rows, rows.first + r), tile + r * table.columns);
    }
    return tile;
}

// Whether rows of both sides are one element apart, so that columns can be written from registers.
template <class E>
bool goes_down(const Rows& rows, const Target& target) {
    const auto fits = [&](const Arrays& arrays) {
        auto address = static_cast<std::uintptr_t>(arrays.column_stride);
        for (std::size_t a = 0; a < target.count; ++a) {
            address |= reinterpret_cast<std::uintptr_t>(arrays.address[a]);
        }
        return arrays.row_stride == sizeof(E) && address % alignof(E) == 0;
    };
    return is_run(rows) && rows.count >= kStrip && fits(target.to) && fits(target.from);
}

// Several arrays whose columns are contiguous: by way of a tile of V whose columns are.
template <class E, class V>
void run_columns(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    constexpr auto step = static_cast<std::ptrdiff_t>(kStrip * sizeof(V));
    const auto column = static_cast<std::ptrdiff_t>(rows.count * sizeof(V));
    char* const tile = static_cast<char*>(work.tile);
    walk_down(table, rows, tile, column, tile, column, work, Fill<V, false>{step, step});
    const auto turned = [](const Arrays& of) { return Arrays{of.address, of.column_stride, of.row_stride}; };
    Target columns = target;
    columns.to = turned(target.to);
    columns.from = turned(target.from);
    write_rows<E>(rows.count, columns, 0, table.columns, reinterpret_cast<const V*>(tile));
}

// Several arrays, or strides: by way of tiles of V.
template <class E, class V>
void run_tiles(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    if (rows.first == 0 && rows.count <= target.shared_rows && goes_down<E>(rows, target)) {
        run_columns<E, V>(table, rows, target, work);
        return;
    }
    const auto row_bytes = static_cast<std::ptrdiff_t>(table.columns * sizeof(V));
    const std::size_t end = rows.first + rows.count, few = table.shared_rows * (sizeof(double) / sizeof(V));
    const std::size_t height = few > target.shared_rows ? few : target.shared_rows;
    // Where the first array's rows meet a line, values do, too.
    const std::size_t offset = (0 - before_line<E>(target.to.address[0]) * sizeof(V)) % kLine;
    for (std::size_t i = rows.first; i < end; i += height) {
        const std::size_t count = smaller(height, end - i);
        const V* const tile =
            make_tile<V>(table, {rows.position, rows.start, i, count}, work, Fill<V, false>{row_bytes, 0}, offset);
        write_rows<E>(table.columns, target, i, count, tile);
    }
}

template <class E>
void embed_rows(const Table& table, const Rows& rows, const Target& target, const Workspace& work);

template <class E>
void run_down(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    constexpr auto step = static_cast<std::ptrdiff_t>(kStrip * sizeof(E));
    const auto walk = [&](const auto& consumer) {
        walk_down(table, rows, row_of(target.to, 0, rows.first), target.to.column_stride,
                  row_of(target.from, 0, rows.first), target.from.column_stride, work, consumer);
    };
    const auto scale = static_cast<float>(target.scale);
    if (target.operation == Operation::fill) {
        walk(Fill<E, false>{step, step});
    } else if (scale == 1.0F) {
        walk(Add<E, false>{step, step, 0, scale});
    } else {
        walk(Add<E, true>{step, step, 0, scale});
    }
}

template <class E>
void run_rows(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    if (target.operation == Operation::embed) {
        embed_rows<E>(table, rows, target, work);
        return;
    }
    const bool float32 = kSame<E, float> || target.operation == Operation::add;
    const std::size_t height = table.shared_rows * (sizeof(double) / (float32 ? sizeof(float) : sizeof(E)));
    // Rows that several arrays or cells share are made once, and stay in the caches.
    const bool shared = target.cells > 1 || (target.count > 1 && (rows.count <= height || target.shared_rows != 0));
    for (std::size_t a = 0; a < (shared ? 1 : target.count); ++a) {
        Target part = target;
        part.to.address += a;
        part.from.address += a;
        part.count = shared ? target.count : 1;
        if (!shared && is_contiguous<E>(part)) {
            run_single<E>(table, rows, part, work);
        } else if (!shared && goes_down<E>(rows, part)) {
            run_down<E>(table, rows, part, work);
        } else if (float32) {
            run_tiles<E, float>(table, rows, part, work);
        } else {
            run_tiles<E, E>(table, rows, part, work);
        }
    }
}

// Calls write(i, count) for parts of all rows, of at most `most` each: where there is no room for all turns, in an
// order that evaluates each of them once.
template <class Write>
void in_order_of_turns(const Table& table, const Rows& rows, std::size_t most, const Write& write) {
    const std::size_t end = rows.first + rows.count;
    if (table.turns == kGrid) {
        for (std::size_t i = rows.first; i < end; i += most) {
            write(i, smaller(most, end - i));
        }
        return;
    }
    for (std::size_t turn = 0; turn < kGrid; turn += table.turns) {
        for (std::size_t i = rows.first, count = 0; i < end; i += count) {
            count = 0;
            while (count < most && i + count < end && on_grid(position_of(rows, i + count)).turn - turn < table.turns) {
                ++count;
            }
            if (count != 0) {
                write(i, count);
            } else {
                count = 1;
            }
        }
    }
}

template <>
void run_rows<double>(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    if (target.operation == Operation::embed) {
        embed_rows<double>(table, rows, target, work);
        return;
    }
    const bool shared = target.count > 1 || target.cells > 1 || rows_are_close(target.to);
    const std::size_t few = kTileDoubles / table.columns != 0 ? kTileDoubles / table.columns : 1;
    const std::size_t height = shared ? table.shared_rows : smaller(few, table.shared_rows);
    in_order_of_turns(table, rows, height, [&](std::size_t i, std::size_t count) {
        const double* const tile = make_doubles(table, {rows.position, rows.start, i, count}, work);
        write_rows<double>(table.columns, target, i, count, tile);
    });
}

}  // namespace
}  // namespace posenc
