// Angle addition from a fixed grid of positions. Included by kernel.inl.hpp only.
//
// A whole position is +-(64 q + r). Sine and cosine of 64 q w, its anchor, and of r w, its turn, are evaluated, and
// added. Positions that are not whole are anchors themselves, and their turn is 0, which changes nothing. Neighbours
// share anchors, and all share turns: a workspace keeps the last ones, from one call of a table to the next.
//
// Error: docs/accuracy.md, section 9.

namespace posenc {
namespace {

// Of an element, times the amplitude, apart from the error of the angle (kAngleError).
[[maybe_unused]] constexpr double kDoubleError = 0x1.1p-50;

struct GridPosition {
    double anchor;       // 0 or more
    std::size_t turn;    // rows from there
    std::uint64_t flip;  // the sign bit of sines
};

inline GridPosition on_grid(double position) {
    const double p = absolute(position);
    const auto whole = static_cast<std::uint64_t>(p);
    const std::uint64_t flip = position < 0.0 ? std::uint64_t{1} << 63 : 0;
    if (static_cast<double>(whole) != p) {
        return {p, 0, flip};
    }
    return {static_cast<double>(whole / kGrid * kGrid), whole % kGrid, flip};
}

// Sines and cosines of every frequency at one position: kPart sines, their cosines, and so on, whatever the ISA level.
// Side by side, they pass twice as many bytes as rows of float32: where the last bits of the addresses are those of the
// row, so that loads wait for stores, they are soon other ones.
struct Trig {
    static constexpr std::size_t kPart = 8;
    static_assert(kPart % kLanes == 0 && kPadding % kPart == 0);
    const double* memory;

    static std::size_t sin_at(std::size_t k) { return k / kPart * 2 * kPart + k % kPart; }
    static std::size_t cos_at(std::size_t k) { return sin_at(k) + kPart; }
    f64s sin(std::size_t k) const { return load<f64s>(memory + sin_at(k)); }
    f64s cos(std::size_t k) const { return load<f64s>(memory + cos_at(k)); }
};

// What a workspace keeps: `memory` holds table.turns turns and table.anchors anchors, as `kept` says.
class Grid {
public:
    Grid(const Table& table, Kept& kept, double* memory) : table_(table), kept_(kept), memory_(memory) {}

    // Whether the anchor and the turn of a position have been asked for before: what is wanted once is cheaper to
    // evaluate quickly than to keep.
    bool is_known(const GridPosition& at) const {
        std::uint8_t& asked = kept_.asked[place_of(at.turn)];
        const auto turn = static_cast<std::uint8_t>(at.turn + 1);
        const bool known = find(kept_.asked_anchors, at.anchor).is_there && asked == turn;
        asked = turn;
        return known;
    }

    Trig anchor_at(double position) const {
        const Found found = find(kept_.anchors, position);
        return evaluated(table_.turns + found.place, position, found.is_there);
    }

    Trig turn_by(std::size_t rows) const {
        const std::size_t place = place_of(rows);
        const bool is_there = kept_.turn[place] == rows + 1;
        kept_.turn[place] = static_cast<std::uint8_t>(rows + 1);
        return evaluated(place, static_cast<double>(rows), is_there);
    }

private:
    const Table& table_;
    Kept& kept_;
    double* memory_;

    struct Found {
        std::size_t place;
        bool is_there;
    };

    // From now on it is there.
    Found find(Kept::Few& few, double position) const {
        const std::size_t known = smaller(few.count, table_.anchors);
        for (std::size_t place = 0; place < known; ++place) {
            if (few.position[place] == position) {
                return {place, true};
            }
        }
        const std::size_t place = few.count++ % table_.anchors;
        few.position[place] = position;
        return {place, false};
    }

    std::size_t place_of(std::size_t rows) const { return table_.turns == kGrid ? rows : rows % table_.turns; }

    // Evaluates number `number` of what memory_ holds.
    Trig evaluated(std::size_t number, double position, bool is_there) const {
        double* const memory = memory_ + number * 2 * table_.padded_frequencies;
        if (!is_there) {
            for (std::size_t k = 0; k < table_.padded_frequencies; k += kLanes) {
                const Angle angle = evaluate<false>(position + f64s{}, load<f64s>(table_.frequency[0] + k),
                                                    load<f64s>(table_.frequency[1] + k));
                store(memory + Trig::sin_at(k), angle.sin + 0.0);  // sums at position 0 are no negative zeros
                store(memory + Trig::cos_at(k), angle.cos + 0.0);
            }
        }
        return {memory};
    }
};

// The sums of an anchor and a turn.
class GridSums {
public:
    GridSums(const Table& table, const Trig& anchor, const Trig& turn, std::uint64_t flip)
        : anchor_(anchor), turn_(turn), flip_(flip), amplitude_(table.amplitude), cos_first_(table.cos_first) {}

    // Of frequencies k, k + 1 ... Fused, they err no more, and may be negative zeros.
    template <bool fuse>
    [[gnu::always_inline]] Angle angle(std::size_t k) const {
        const f64s a_sin = anchor_.sin(k), a_cos = anchor_.cos(k), b_sin = turn_.sin(k), b_cos = turn_.cos(k);
        const f64s sin = multiply_add<fuse>(a_sin, b_cos, a_cos * b_sin);
        const f64s cos = multiply_add<fuse>(a_cos, b_cos, -(a_sin * b_sin));
        const Angle scaled{(f64s)((u64s)sin ^ flip_) * amplitude_, cos * amplitude_};
        return fuse ? scaled : Angle{scaled.sin + 0.0, scaled.cos + 0.0};
    }

    // The same as columns.
    template <bool fuse>
    [[gnu::always_inline]] Pairs pair(std::size_t k) const {
        const Angle sum = angle<fuse>(k);
        return {cos_first_ ? sum.cos : sum.sin, cos_first_ ? sum.sin : sum.cos};
    }

private:
    Trig anchor_, turn_;
    std::uint64_t flip_;
    double amplitude_;
    bool cos_first_;
};

}  // namespace
}  // namespace posenc
