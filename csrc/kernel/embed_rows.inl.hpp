// Which way rows go onto embeddings, and the walk through memory. Included by kernel.inl.hpp only.

namespace posenc {
namespace {

// Onto embeddings. Past the caches all rows begin alike with regard to a line; of the line that two rows share, each
// brings its part to a line of its own first.
template <class E, bool scaled>
void walk_columns(const Tile& tile, const Start& start, std::size_t column, std::size_t count, char* to, const char*,
                  const Embed<E, scaled>& consumer) {
    const auto scale = static_cast<float>(consumer.target.scale);
    const auto byte = [](std::size_t element) { return static_cast<std::ptrdiff_t>(element * sizeof(E)); };
    const char* rows[kRows + kEmbedRowsAhead];
    for (std::size_t row = 0; row < tile.rows + kEmbedRowsAhead; ++row) {
        rows[row] = row < tile.rows ? embedding_of(consumer.target, 0, tile.first + row)
                                    : later_embedding_of(consumer.target, tile.first + row);
    }
    const auto* const from = reinterpret_cast<const char*>(rows);
    const auto walk = [&](std::size_t first, std::size_t some, char* there, auto strip) {
        for (std::size_t j = 0; j < some; j += kStrip) {
            strip.first = byte(column + first + j);
            walk_strips(tile, start, column, first + j, smaller(kStrip, some - j), there + byte(j), from, strip);
        }
    };
    if (!consumer.in_lines) {
        walk(0, count, to, EmbedStrip<E, scaled, false>{consumer.to_stride, 0, scale});
        return;
    }
    constexpr std::size_t elements = kLine / sizeof(E);
    const std::size_t head = (0 - reinterpret_cast<std::uintptr_t>(to)) % kLine / sizeof(E);
    const std::size_t middle = (count - head) / elements * elements, tail = count - head - middle;
    alignas(kLine) char lines[kRows + 1][kLine];  // the one before each row, and after the last
    const EmbedStrip<E, scaled, false> aside{kLine, 0, scale};
    walk(0, head, lines[0] + kLine - byte(head), aside);
    walk(head, middle, to + byte(head), EmbedStrip<E, scaled, true>{consumer.to_stride, 0, scale});
    walk(head + middle, tail, lines[1], aside);
    if (head == 0) {
        return;
    }
    copy(to, lines[0] + kLine - byte(head), head * sizeof(E));
    for (std::size_t row = 1; row < tile.rows; ++row) {
        to += consumer.to_stride;
        for (std::size_t j = 0; j < kLine; j += sizeof(u32s)) {
            stream(to + byte(head) - kLine + j, load<u32s>(lines[row] + j));
        }
    }
    copy(to + byte(head + middle), lines[tile.rows], tail * sizeof(E));
}

// Rows of a few arrays, straight from registers. False: they are no progression, and nothing was done.
template <class E>
bool embed_directly(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    const bool few = target.count < kEmbedShared && rows.count >= kRun && has_plain_rows<E>(target);
    const bool in_lines = can_stream_embedded<E>(table, target);
    if (!few || (target.stream && !in_lines)) {
        return false;
    }
    const Progression progression = progression_of(table, rows);
    if (!progression.found || (progression.step != 1.0 && rows.count < kSteppedRun)) {
        return false;
    }
    for (std::size_t a = 0; a < target.count; ++a) {
        Target part = target;
        part.to.address += a;
        part.from.address += a;
        char* const to = row_of(part.to, 0, rows.first);
        if (part.scale == 1.0) {
            walk_run(table, rows, progression, to, to, work, Embed<E, false>{part.to.row_stride, part, in_lines});
        } else {
            walk_run(table, rows, progression, to, to, work, Embed<E, true>{part.to.row_stride, part, in_lines});
        }
    }
    return true;
}

// Tiles of rows, which all arrays share.
template <class E>
void embed_rows(const Table& table, const Rows& rows, const Target& target, const Workspace& work) {
    using V = typename ValueOf<E>::type;
    if constexpr (!kSame<V, double>) {
        if (embed_directly<E>(table, rows, target, work)) {
            return;
        }
    }
    const std::size_t end = rows.first + rows.count, height = embedded_rows(table, target.element);
    for (std::size_t i = rows.first; i < end; i += height) {
        const Rows some{rows.position, rows.start, i, smaller(height, end - i)};
        const V* tile = nullptr;
        if constexpr (kSame<V, double>) {
            tile = make_doubles(table, some, work);
        } else {
            const auto row_bytes = static_cast<std::ptrdiff_t>(table.columns * sizeof(V));
            tile = make_tile<V>(table, some, work, Fill<V, false>{row_bytes, 0});
        }
        write_embedded<E>(table.columns, target, i, some.count, tile);
    }
}

}  // namespace
}  // namespace posenc
