// Producer: rows of float64, by angle addition from a fixed grid (grid.inl.hpp). Included by kernel.inl.hpp only.
//
// All angles are added by one fixed sequence of operations, none of them fused: an element depends on its position, its
// column and nothing else. The same operations, one by one, stand in python/posenc/_formula.py.
//
// Error: docs/accuracy.md, section 9. Order of the elements: that of the columns.

namespace posenc {
namespace {

class DoubleMaker {
public:
    // `trig` is used in between.
    DoubleMaker(const Table& table, const Grid& grid, double* trig) : table_(table), grid_(grid), trig_(trig) {}

    // `row` has room for kPadding more than all columns.
    void make(double position, double* row) const {
        const GridPosition at = on_grid(position);
        const GridSums sums(table_, grid_.anchor_at(at.anchor), grid_.turn_by(at.turn), at.flip);
        const std::size_t half = table_.columns / 2;
        switch (table_.order) {
            case Order::interleaved:
                for (std::size_t k = 0; k < table_.frequencies; k += kLanes) {
                    POSENC_MCA_LOOP(k);
                    const Pairs pair = sums.pair<false>(k);
                    store(row + 2 * k, weave_low(pair.first, pair.second));
                    store(row + 2 * k + kLanes, weave_high(pair.first, pair.second));
                }
                break;
            case Order::concatenated:
                // Backwards: seconds over firsts' padding.
                for (std::size_t k = (half + kLanes - 1) / kLanes * kLanes; k > 0;) {
                    k -= kLanes;
                    const Pairs pair = sums.pair<false>(k);
                    store(row + k, pair.first);
                    store(row + half + k, pair.second);
                }
                break;
            case Order::any:
                for (std::size_t k = 0; k < table_.frequencies; k += kLanes) {
                    const Angle sum = sums.angle<false>(k);
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
    Grid grid_;
    double* trig_;
};

}  // namespace
}  // namespace posenc
