"""tools/mca.py finds the loops that it simulates."""

from __future__ import annotations

from .scripts import script

mca = script("tools/mca.py")


def test_loops_are_found_in_assembly() -> None:
    """By the way that takes the fewest branches forward, once around."""
    text = ["f:", "\tjmp\t.L2", ".L1:", "\taddq\t$1, %rax", ".L2:", "\t# LLVM-MCA-LOOP", "\tvaddpd\ta", "\tjne\t.L9"]
    text += ["\tvmulpd\tb", "\tcmpq\tc", "\tjb\t.L1", "\tret", ".L9:", "\tjmp\t.L2", "\t.size\tf, .-f"]
    assert list(mca.loops(text)) == [["vaddpd\ta", "jne\t.L9", "vmulpd\tb", "cmpq\tc", "jb\t.L1", "addq\t$1, %rax"]]
    names = {target.level for target in mca.TARGETS}
    assert all(mca.flags(target)[-1].startswith("-") for target in mca.TARGETS)
    assert names == {"avx512", "avx2", "baseline"}
