// Angle addition from a fixed grid of positions. Included by kernel.inl.hpp only.
//
// A whole position is +-(64 q + r). Sine and cosine of 64 q w, its anchor, and of r w, its turn, are evaluated, and
// added. Positions that are not whole are anchors themselves, and their turn is 0, which changes nothing. Neighbours
// share anchors, and all share turns: a workspace keeps the last of each, from one call of a table to the next.
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

// Sines and cosines of every frequency at one position.
struct Trig {
    const double *sin, *cos;
};

// What a workspace keeps: `memory` holds table.turns turns and an anchor, as `kept` says.
class Grid {
public:
    Grid(const Table& table, Kept& kept, double* memory) : table_(table), kept_(kept), memory_(memory) {}

    // Whether the anchor and the turn of a position have been asked for before, the anchor last: what is wanted once is
    // cheaper to evaluate quickly than to keep.
    bool is_known(const GridPosition& at) const {
        std::uint8_t& asked = kept_.asked[place_of(at.turn)];
        const auto turn = static_cast<std::uint8_t>(at.turn + 1);
        const bool known = kept_.has_asked != 0 && kept_.asked_anchor == at.anchor && asked == turn;
        kept_.has_asked = 1;
        kept_.asked_anchor = at.anchor;
        asked = turn;
        return known;
    }

    Trig anchor_at(double position) const {
        const bool is_there = kept_.has_anchor != 0 && kept_.anchor == position;
        kept_.has_anchor = 1;
        kept_.anchor = position;
        return evaluated(table_.turns, position, is_there);
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

    std::size_t place_of(std::size_t rows) const { return table_.turns == kGrid ? rows : rows % table_.turns; }

    // Evaluates number `number` of what memory_ holds.
    Trig evaluated(std::size_t number, double position, bool is_there) const {
        double* const sin = memory_ + number * 2 * table_.padded_frequencies;
        double* const cos = sin + table_.padded_frequencies;
        if (!is_there) {
            for (std::size_t k = 0; k < table_.padded_frequencies; k += kLanes) {
                const Angle angle = evaluate<false>(position + f64s{}, load<f64s>(table_.frequency[0] + k),
                                                    load<f64s>(table_.frequency[1] + k));
                store(sin + k, angle.sin);
                store(cos + k, angle.cos);
            }
        }
        return {sin, cos};
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
        const f64s a_sin = load<f64s>(anchor_.sin + k), a_cos = load<f64s>(anchor_.cos + k);
        const f64s b_sin = load<f64s>(turn_.sin + k), b_cos = load<f64s>(turn_.cos + k);
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
