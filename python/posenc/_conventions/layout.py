"""The order of columns: from one convention's to another's, in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, _validate
from .._encoding import LAYOUTS, Encoding, columns, spectra
from .absent import spelled
from .lookup import resolve

# What decides which frequencies there are.
FREQUENCIES = ("base", "freq_shift", "frequencies", "full_turns", "position_scale", "odd", "tile", "axis_widths")


def convert_layout_(array: Any, source: str | Encoding, target: str | Encoding, axis: int = -1) -> Any:
    """Reorder the columns of one encoding into those of another, in place.

    For tables, and for weights that read them, of encodings that differ in the order of their columns only.

    Parameters
    ----------
    array : ndarray of any dtype, or a floating-point tensor
        It is only rearranged.
    source, target : str or Encoding
        What the columns are, and what they shall be: encodings, or names of them. "interleaved" and "concatenated"
        stand for the other encoding in that layout; with both of them the frequencies may be any.
    axis : int, default -1
        Along which the columns count.

    Returns
    -------
    ndarray or tensor
        `array` itself.

    Raises
    ------
    TypeError
        If `array` can't be written in place, or `source` or `target` is no encoding.
    ValueError
        If the encodings differ in more than the order of columns; if `array` is read-only, overlaps itself or does not
        fit the encodings. Nothing has been written then.

    Examples
    --------
    >>> import numpy as np, posenc
    >>> posenc.convert_layout_(np.arange(6), "paper", posenc.Encoding(layout="concatenated"))
    array([0, 2, 4, 1, 3, 5])
    >>> posenc.convert_layout_(np.array([["s0", "s1", "c0", "c1"]]), "concatenated", "interleaved", axis=1)
    array([['s0', 'c0', 's1', 'c1']], dtype='<U2')
    """
    view = _rearrangeable(array, axis)
    order = permutation(*_pair(source, target), view.shape[-1])
    rows = view if view.ndim > 1 else view[None]
    step = max(1, 2**16 // rows.shape[-1])
    for index in np.ndindex(rows.shape[:-2]):
        for start in range(0, rows.shape[-2], step):  # a few rows at a time, for they are copied on the way
            part = rows[index][start : start + step]
            part[...] = part[:, order]
    _arrays.written(array)
    return array


def _pair(source: str | Encoding, target: str | Encoding) -> tuple[Encoding, Encoding]:
    """The encodings that are meant, of which one or both may be given by a layout."""
    before, after = (
        spelled(given) if isinstance(given, str) and spelled(given) in LAYOUTS else None for given in (source, target)
    )
    if before is None:
        known = resolve(source)
        return known, resolve(target) if after is None else dataclasses.replace(known, layout=after, nesting=None)
    known = Encoding(layout=after) if after is not None else resolve(target)
    return dataclasses.replace(known, layout=before, nesting=None), known


def permutation(source: Encoding, target: Encoding, dim: int) -> NDArray[np.intp]:
    """For each of `dim` columns of `target`, which one of `source` it is."""
    if source.axes != target.axes:
        raise _unlike("axes", source, target, ["axes"])
    before, after = spectra(source, dim), spectra(target, dim)
    if any(a.offset != b.offset for a, b in zip(before, after, strict=True)):
        raise _unlike("first positions", source, target, ["position_offset"])
    if before[0].amplitude != after[0].amplitude:
        raise _unlike("amplitudes", source, target, ["amplitude"])
    order, kinds, frequencies = _sorted(source, dim)
    target_order, target_kinds, target_frequencies = _sorted(target, dim)
    # What differs by rounding only, as 1 / 0.0001 and 10000 might, is the same.
    if not (np.array_equal(kinds, target_kinds) and np.allclose(frequencies, target_frequencies, rtol=1e-14, atol=0.0)):
        raise _unlike("frequencies", source, target, FREQUENCIES)
    result = np.empty(dim, np.intp)
    result[target_order] = order
    return result


def _sorted(encoding: Encoding, dim: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The columns sorted by axis, phase and frequency; these axes and phases; these frequencies."""
    owner, source = columns(encoding, dim)
    frequency = np.zeros(dim)  # of columns that are 0
    for axis, spectrum in enumerate(spectra(encoding, dim)):
        frequency[owner == axis] = spectrum.frequencies[0, source[owner == axis] >> 1]
    kind = np.where(owner < 0, -1, 2 * owner + (source & 1))
    order = np.lexsort((frequency, kind))
    return order, kind[order], frequency[order]


def _unlike(what: str, source: Encoding, target: Encoding, fields: Sequence[str]) -> ValueError:
    pairs = [(name, getattr(source, name), getattr(target, name)) for name in fields]
    shown = ", ".join(f"{name} {a!r} and {b!r}" for name, a, b in pairs if a != b)
    return ValueError(
        f"target: expected an encoding that differs from source in the order of columns only, but their {what} differ"
        + (f" ({shown})" if shown else "")
    )


def _rearrangeable(array: Any, axis: Any) -> NDArray[Any]:
    """A view of `array` whose last axis is the one to rearrange."""
    if isinstance(array, np.ndarray) and not _arrays.is_masked(array):
        view = array.view(np.ndarray)  # of any dtype
    else:
        view = _arrays.view(array, "array", write=True)
    _validate.require_writable(view, "array")
    place = _validate.integer(axis, "axis")
    if not -view.ndim <= place < view.ndim:
        raise ValueError(f"axis: expected an axis of array, got {place} for shape {view.shape}")
    if not view.shape[place]:
        raise ValueError(f"array: expected at least 1 column, got shape {view.shape}")
    return np.moveaxis(view, place, -1)
