// Producer: rows of float64, by angle addition from a fixed grid. Included by kernel.inl.hpp only.
//
// A whole position is +-(64 q + r). Sine and cosine of 64 q w, its anchor, and of r w, its turn, are evaluated, and
// added by one fixed sequence of operations, none of them fused: an element depends on its position, its column and
// nothing else. Positions that are not whole are anchors themselves, and their turn is 0, which changes nothing.
// Neighbours share anchors, and all share turns. A workspace keeps the last of each, from one call of a table to the
// next. The same operations, one by one, stand in python/posenc/_formula.py.
//
// Error: docs/accuracy.md, section 9. Order of the elements: that of the columns.

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

class DoubleMaker {
public:
    // `memory` holds table.turns turns and an anchor, as `kept` says; `trig` is used in between.
    DoubleMaker(const Table& table, Kept& kept, double* memory, double* trig)
        : table_(table), kept_(kept), memory_(memory), trig_(trig) {}

    // `row` has room for kPadding more than all columns.
    void make(double position, double* row) const {
        const GridPosition at = on_grid(position);
        const Trig anchor = anchor_at(at.anchor), turn = turn_by(at.turn);
        const bool cos_first = table_.cos_first;
        const std::size_t half = table_.columns / 2;
        switch (table_.order) {
            case Order::interleaved:
                for (std::size_t k = 0; k < table_.frequencies; k += kLanes) {
                    POSENC_MCA_LOOP(k);
                    const Angle sum = add(anchor, turn, at.flip, k);
                    const f64s first = cos_first ? sum.cos : sum.sin, second = cos_first ? sum.sin : sum.cos;
                    store(row + 2 * k, weave_low(first, second));
                    store(row + 2 * k + kLanes, weave_high(first, second));
                }
                break;
            case Order::concatenated:
                // Backwards: seconds over firsts' padding.
                for (std::size_t k = (half + kLanes - 1) / kLanes * kLanes; k > 0;) {
                    k -= kLanes;
                    const Angle sum = add(anchor, turn, at.flip, k);
                    store(row + k, cos_first ? sum.cos : sum.sin);
                    store(row + half + k, cos_first ? sum.sin : sum.cos);
                }
                break;
            case Order::any:
                for (std::size_t k = 0; k < table_.frequencies; k += kLanes) {
                    const Angle sum = add(anchor, turn, at.flip, k);
                    store(trig_ + 2 * k, weave_low(sum.sin, sum.cos));
                    store(trig_ + 2 * k + kLanes, weave_high(sum.sin, sum.cos));
                }
                for (std::size_t j = 0; j < table_.columns; ++j) {
                    row[j] = table_.source[j] < 0 ? 0.0 : trig_[table_.source[j]];
                }
                break;
        }
    }

private:
    const Table& table_;
    Kept& kept_;
    double* memory_;
    double* trig_;

    [[gnu::always_inline]] Angle add(const Trig& anchor, const Trig& turn, std::uint64_t flip, std::size_t k) const {
        const f64s a_sin = load<f64s>(anchor.sin + k), a_cos = load<f64s>(anchor.cos + k);
        const f64s b_sin = load<f64s>(turn.sin + k), b_cos = load<f64s>(turn.cos + k);
        const f64s sin = a_sin * b_cos + a_cos * b_sin, cos = a_cos * b_cos - a_sin * b_sin;
        return {(f64s)((u64s)sin ^ flip) * table_.amplitude + 0.0, cos * table_.amplitude + 0.0};  // no negative zeros
    }

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

    Trig anchor_at(double position) const {
        const bool is_there = kept_.has_anchor != 0 && kept_.anchor == position;
        kept_.has_anchor = 1;
        kept_.anchor = position;
        return evaluated(table_.turns, position, is_there);
    }

    Trig turn_by(std::size_t rows) const {
        const std::size_t place = table_.turns == kGrid ? rows : rows % table_.turns;
        const bool is_there = kept_.turn[place] == rows + 1;
        kept_.turn[place] = static_cast<std::uint8_t>(rows + 1);
        return evaluated(place, static_cast<double>(rows), is_there);
    }
};

}  // namespace
}  // namespace posenc
