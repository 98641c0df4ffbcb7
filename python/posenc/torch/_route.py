"""Whether a call of posenc.torch can read memory, or has to become operations of torch."""

from __future__ import annotations

from typing import Any

import torch

from .. import _tensors, _threads

MANY = 2**18  # elements; fewer are not worth another thread

_functorch: Any = torch._C._functorch


def direct(*tensors: torch.Tensor) -> bool:
    """Whether posenc itself may be called: nobody records what is done, and the tensors are of this machine's memory.

    Those that posenc refuses, such as sparse ones, are left to it. A graph is recorded by torch.compile and
    torch.export; vmap and other transforms, and modes (fake tensors, make_fx) have tensors that are not what they seem.
    """
    if torch.compiler.is_compiling():
        return False
    refuse_trace()
    if torch._C._len_torch_dispatch_stack() or _functorch.peek_interpreter_stack() is not None:
        return False
    return all(
        tensor.device.type == "cpu"
        and type(tensor).__torch_dispatch__ is torch.Tensor.__torch_dispatch__
        and not torch._is_functional_tensor(tensor)
        for tensor in tensors
    )


def threads(elements: int) -> int | None:
    """How many threads make so many elements: as many as torch's own sums have, unless posenc was told another number.

    Users of torch say there how many they want, as its data loaders do, whose workers have one.
    """
    return None if elements < MANY or _threads.is_set() else torch.get_num_threads()


def refuse_trace() -> None:
    """Refuse to be recorded by torch.jit.trace, which takes what posenc writes for a constant."""
    if not torch.compiler.is_compiling():
        _tensors.refuse_trace()
