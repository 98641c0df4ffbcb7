"""Positional encodings for torch: a module, and functions that are differentiable, compiled and exported.

>>> import torch, posenc.torch
>>> encode_positions = posenc.torch.PositionalEncoding(512, batch_first=True)  # instead of the tutorial's module
>>> encode_positions(torch.zeros(32, 128, 512)).shape
torch.Size([32, 128, 512])

Names beginning with "torch" are torch's own here, never this package's: imports are absolute.
"""

try:
    import torch as _torch
except ModuleNotFoundError as _error:
    if _error.name != "torch":
        raise
    raise ImportError(
        'posenc.torch: expected torch to be installed, got none; `pip install "posenc[torch]"`, or `pip install torch` '
        "(https://pytorch.org/get-started tells which one is for your devices)"
    ) from None
if not hasattr(_torch.library, "register_vmap"):
    raise ImportError(
        f"posenc.torch: expected torch 2.5 or newer, got {_torch.__version__}; `pip install --upgrade torch`"
    )

from ._functions import add, embed, encode, rotate
from ._module import PositionalEncoding

__all__ = ["PositionalEncoding", "add", "embed", "encode", "rotate"]
