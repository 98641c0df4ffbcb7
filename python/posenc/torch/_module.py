"""The module that stands for that of PyTorch's tutorial, and its copies."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import torch

from .. import _conventions, _validate
from .._encoding import Encoding, spectra
from . import _checkpoint
from ._functions import Numbers, added
from ._route import refuse_trace


class PositionalEncoding(torch.nn.Module):  # type: ignore[misc]
    """Adds positional encodings, then drops out: ``dropout(x * scale + PE)``.

    It has no buffer, no longest sequence, and nothing in its state_dict; so it is on every device and of every dtype,
    those of its input. Loading a checkpoint of a module that kept its table (`pe`, `P`, `weights`, ...) drops that, and
    warns if it is of another encoding.

    Parameters
    ----------
    d_model : int
        Number of channels D.
    dropout : float, default 0.1
        The probability of a zero, in training.
    max_len : int, optional
        Nothing depends on it; the tutorial's module has it.
    batch_first : bool
        Whether inputs are (B, L, D), or (L, B, D) as in the tutorial. The wrong one would go unnoticed, so there is no
        default. With False, positions and masks of all rows are (L, B) as well.
    scale : float or "sqrt_dim", optional
        Factor for inputs; "sqrt_dim" is the square root of D, by which models multiply embeddings (the tutorial's does
        so outside of its module). Default: 1.
    encoding : str or Encoding, optional
        Which one, by name or as an `Encoding`. Default: that of the paper, and the tutorial.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind or value described above, or the encoding can't have D channels.

    Examples
    --------
    >>> import torch, posenc.torch
    >>> module = posenc.torch.PositionalEncoding(4, dropout=0.0, batch_first=True)
    >>> module(torch.zeros(1, 2, 4))
    tensor([[[0.0000, 1.0000, 0.0000, 1.0000],
             [0.8415, 0.5403, 0.0100, 0.9999]]])
    >>> module.state_dict()
    OrderedDict()
    """

    def __init__(
        self,
        d_model: int,
        dropout: float = 0.1,
        max_len: int | None = None,
        *,
        batch_first: bool,
        scale: float | str | None = None,
        encoding: str | Encoding | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(batch_first, bool):
            raise TypeError(
                f"batch_first: expected True for (B, L, D), or False for (L, B, D), got {batch_first!r}; "
                "`batch_first=False` is what the tutorial's module takes"
            )
        self.d_model = d_model
        self.batch_first = batch_first
        self.scale = scale
        self.encoding = _conventions.resolve(encoding)
        spectra(self.encoding, _validate.integer(d_model, "d_model", minimum=1))  # refuses what can't be
        if not batch_first and self.encoding.axes > 1:
            raise ValueError(
                f"batch_first: expected True for an encoding over {self.encoding.axes} axes, (B, H, W, D), got False; "
                "posenc.add takes seq_axis="
            )
        if max_len is not None:
            _validate.integer(max_len, "max_len")
        self._x_scale = _x_scale(scale, d_model)
        self.dropout = torch.nn.Dropout(_probability(dropout), inplace=True)  # of what `forward` has just made

    def forward(
        self, x: torch.Tensor, *, start: Numbers = 0, positions: Numbers | None = None, mask: Numbers | None = None
    ) -> torch.Tensor:
        """Return dropout(x * scale + PE), a new tensor.

        Parameters
        ----------
        x : tensor of shape (B, L, D), or (L, B, D) without `batch_first`; (L, D) for one sequence
            float32, float64, float16 or bfloat16, on any device. For an encoding over two axes: (B, H, W, D).
        start, positions, mask
            As for `posenc.torch.add`; rows that are not real are only dropped out.

        Returns
        -------
        tensor of the shape, dtype and device of `x`

        Raises
        ------
        TypeError, ValueError
            As `posenc.torch.add`; also if `x` has not D channels.
        RuntimeError
            Within torch.jit.trace, whose graph would have the length of its example.
        """
        refuse_trace()
        if isinstance(x, torch.Tensor) and not x.is_nested and x.ndim and x.shape[-1] != self.d_model:
            raise ValueError(
                f"x: expected {self.d_model} channels in the last dimension, got shape {tuple(x.shape)}; channels that "
                "come first are moved by `x.movedim(1, -1)`"
            )
        return self.dropout(
            added(x, start, positions, mask, self._x_scale, self.encoding, sequence_first=not self.batch_first)
        )

    def extra_repr(self) -> str:
        """What `repr` shows of it."""
        parts = [f"{self.d_model}, batch_first={self.batch_first}"]
        if self.scale is not None:
            parts.append(f"scale={self.scale!r}")
        if self.encoding != Encoding():
            parts.append(f"encoding={self.encoding!r}")
        return ", ".join(parts)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        metadata: Any,
        strict: bool,
        missing: Any,
        unexpected: Any,
        errors: list[str],
    ) -> None:
        _checkpoint.take(state_dict, prefix, self.d_model, self.encoding, errors)
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, unexpected, errors)


def _probability(dropout: Any) -> Any:
    """`dropout`, checked: torch takes NaN for one."""
    if isinstance(dropout, bool) or not isinstance(dropout, numbers.Real):
        raise TypeError(
            f"dropout: expected a probability, got {dropout!r} ({type(dropout).__name__}); `dropout=0.0` drops nothing"
        )
    if not 0.0 <= float(dropout) <= 1.0:
        raise ValueError(f"dropout: expected a probability from 0 to 1, got {dropout}; `dropout=0.0` drops nothing")
    return dropout


def _x_scale(scale: Any, dim: int) -> Any:
    """`scale`, checked, as x_scale=."""
    if scale is None:
        return 1.0
    try:
        _validate.x_scale(scale, np.dtype(np.float32), dim)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("x_scale", "scale")) from None  # as it is called here
    return scale if isinstance(scale, str) else float(scale)
