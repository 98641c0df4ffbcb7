"""Refusals of what users say about positions and axes, each with its way out.

Code in backquotes is what to pass instead, and works as it stands where a way out is that simple: the arguments are
called by their own names.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _validate


def shape(
    name: str,
    got: tuple[int, ...],
    common: tuple[int, ...],
    whole: tuple[int, ...],
    leading: tuple[int, ...] | None,
) -> ValueError:
    """Of positions or a mask. `leading` are the axes before the last of `whole`, if that is the sequence."""
    expected = " or ".join(map(str, dict.fromkeys([common, whole])))
    way_out = "an axis of length 1 stands for all, in an array of as many dimensions as the last of these"
    if len(got) == 2 and got[::-1] in (common, whole):
        way_out = f"`{name}=np.transpose({name})`"
    elif got[-1:] == (1,) and got[:-1] in (common, whole):
        way_out = f"`{name}=np.squeeze({name}, -1)`"
    elif got[:-1] == whole and name == "mask":
        way_out = f"a row is real or not: `{name}=np.any({name}, -1)` for those with a real channel"
    elif leading and got == leading:
        way_out = f"for one per sequence `{name}=np.expand_dims({name}, -1)`"
        if name == "positions":
            way_out += ", or `positions=None, start=positions` to count on from it"
    elif got and got == whole[-len(got) :]:
        way_out = f"for all along the first axes `{name}=np.reshape({name}, {(1,) * (len(whole) - len(got)) + got})`"
    return ValueError(f"{name}: expected shape {expected}, got {got}; {way_out}")


def starts(got: tuple[int, ...], wanted: tuple[int, ...]) -> ValueError:
    way_out = "an axis of length 1 stands for all"
    if math.prod(got) == math.prod(wanted) > 0:
        way_out = f"`start=np.reshape(start, {wanted})`"
    return ValueError(f"start: expected a number or one per sequence, shape {wanted}, got shape {got}; {way_out}")


# ---- axes -----------------------------------------------------------------------------------------------------------


def too_few_dimensions(name: str, shape: tuple[int, ...]) -> ValueError:
    way_out = f"`{name}[None]` is a sequence of one row" if shape else "make it an array of rows"
    return ValueError(
        f"{name}: expected at least 2 dimensions (a sequence axis and channels), got shape {shape}; {way_out}"
    )


def too_few_axes(name: str, shape: tuple[int, ...], count: int, length: int) -> ValueError:
    return ValueError(
        f"{name}: expected {count} axes for the encoding, and channels, got shape {shape}; {_grid_of(length, count)} "
        f"if its {length} rows are the cells of a grid"
    )


def ambiguous(name: str, shape: tuple[int, ...], outer: tuple[int, ...]) -> ValueError:
    count = len(outer)
    return ValueError(
        f"{name}: expected shape (..., *grid, channels) with a batch axis before the {count} axes of the encoding, or "
        f"seq_axis= or grid=, got shape {shape}, which may be one grid or a batch of sequences; "
        f"`seq_axis={outer}` if it is one grid of {' x '.join(str(shape[axis]) for axis in outer)}, "
        f"{_grid_of(shape[outer[-1]], count)} if its {shape[outer[-1]]} rows are the cells of one"
    )


def _grid_of(length: int, count: int) -> str:
    """grid= for `length` rows: as near to a square as it can be, after a class token if that is nearer."""
    candidates = [(_sizes(length - prefix, count), prefix) for prefix in (0, 1) if length - prefix > 0]
    sizes, prefix = min(candidates or [((0,) * count, 0)], key=lambda item: (max(item[0]) - min(item[0]), item[1]))
    return f"`grid={sizes}{f', prefix={prefix}' if prefix else ''}` (or what its sizes are)"


def _sizes(cells: int, count: int) -> tuple[int, ...]:
    """Sizes of a grid of so many cells, as equal as they can be."""
    if count == 1 or not cells:
        return (cells,) * count
    few = min(cells, 2**40)  # of more, no more factors are tried: that would take for ever
    first = next(n for n in range(max(1, round(few ** (1 / count) + 1e-9)), 0, -1) if cells % n == 0)
    return (first, *_sizes(cells // first, count - 1))


def sequence_axes(seq_axis: Any, count: int) -> Exception:
    many = "an integer" if count == 1 else f"a tuple of {count} integers for the encoding"
    way_out = (
        "an encoding over several axes takes several"
        if count == 1
        else "with grid= it is the one axis of the tokens, with positions= that of the rows"
    )
    return (TypeError if count == 1 else ValueError)(f"seq_axis: expected {many}, got {seq_axis!r}; {way_out}")


def sequence_axis(axis: int, name: str, shape: tuple[int, ...], channel: int) -> ValueError:
    return ValueError(
        f"seq_axis: expected an axis of {name} other than {channel}, which holds the channels; got {axis} for shape "
        f"{shape}; channel_axis= names another one for them"
    )


def prefix_without_grid(prefix: int, sequence: tuple[int, ...], count: int) -> ValueError:
    text = f"prefix: expected 0 without grid=, got {prefix}; "
    if len(sequence) == 1 and sequence[0] >= prefix:
        text += f"`grid={_sizes(sequence[0] - prefix, count)}` for the rest of the rows, or "
    return ValueError(f"{text}mask= for rows that have no position")


def grid_axes(expected: str, sizes: tuple[int, ...], count: int) -> ValueError:
    return ValueError(
        f"grid: expected {expected}, got {sizes}; `grid={_sizes(math.prod(sizes), count)}` has as many cells, or take "
        f"an encoding over {len(sizes)} axes"
    )


def token_grid(sizes: tuple[int, ...], prefix: int, length: int) -> ValueError:
    cells = math.prod(sizes)
    came = f"{prefix} + {' * '.join(map(str, sizes))} = {prefix + cells}"
    if cells == length:
        way_out = "`prefix=0`: the cells are all the rows"
    elif cells < length:
        way_out = f"`prefix={length - cells}` if the other {length - cells} come first, as class tokens do"
    elif length > prefix:
        way_out = f"{length - prefix} rows after the prefix would be `grid={_sizes(length - prefix, len(sizes))}`"
    else:
        way_out = f"there are not even as many rows as the prefix has, {prefix}"
    return ValueError(
        f"grid: expected prefix and cells to be the {length} rows of the sequence axis, got {came}; {way_out}"
    )


# ---- packed sequences -----------------------------------------------------------------------------------------------


def packed_shape(expected: str, shape: tuple[int, ...]) -> ValueError:
    way_out = "begin with 0 and end with the number of rows"
    if math.prod(shape) > 1 and sum(n > 1 for n in shape) == 1:
        way_out = "`cu_seqlens=np.ravel(cu_seqlens)`"
    return ValueError(f"{expected}, got shape {shape}; {way_out}")


def packed_kind(expected: str, given: Any, bounds: NDArray[Any]) -> TypeError:
    way_out = ""
    if bounds.dtype.kind == "f" and np.isfinite(bounds).all() and (bounds == np.floor(bounds)).all():
        way_out = "; `cu_seqlens=np.asarray(cu_seqlens, int)`"
    elif bounds.dtype.kind == "b":
        way_out = "; where sequences begin, in numbers of rows: np.flatnonzero() of flags, and the number of rows"
    return TypeError(f"{expected}, got {_validate.shown(given, bounds)}{way_out}")


def packed_ends(expected: str, bounds: NDArray[Any], length: int, rising: bool, own_starts: bool) -> ValueError:
    first, last = int(bounds[0]), int(bounds[-1])
    way_out = "sequences are cut from the rows one after the other"
    if rising and first == 0 and 0 <= last < length:
        more = ", start=[*start, 0]" if own_starts else ""
        way_out = (
            f"`cu_seqlens=[*cu_seqlens, {length}]{more}` if the last {length - last} rows are a sequence, "
            f"`cu_seqlens=[*cu_seqlens, {length}]{more}, mask=np.arange({length}) < {last}` if they are padding"
        )
    elif rising and first > 0 and last == length:
        more = ", start=[0, *start]" if own_starts else ""
        way_out = f"`cu_seqlens=[0, *cu_seqlens]{more}` if the first {first} rows are a sequence"
    elif bounds.min() >= 0 and bounds.max() <= length and int(bounds.sum(dtype=np.int64)) == length:
        way_out = "`cu_seqlens=np.cumsum([0, *cu_seqlens])` if these are the lengths of sequences"
    return ValueError(f"{expected}, got {first} to {last}; {way_out}")


def packed_order(expected: str, before: int, after: int) -> ValueError:
    return ValueError(
        f"{expected}, got {before} before {after}; `cu_seqlens=np.sort(cu_seqlens)` if they are bounds in disorder"
    )


def packed_axes(count: int, given: Any) -> ValueError:
    return ValueError(
        f"cu_seqlens: expected None for an encoding over {count} axes, got {given!r}; coordinates tell where the cells "
        "of packed images stand: positions= with those of posenc.grid() for each, one image after the other"
    )


# ---- tokens ---------------------------------------------------------------------------------------------------------


def token(value: int, place: tuple[int, ...], count: int, masked: bool) -> IndexError:
    """Of an id that is none of a row of the table; `masked`: which the user's mask does not hide."""
    real = f"np.{'greater_equal(ids, 0)' if value < 0 else f'less(ids, {count})'}"
    if masked:
        real = f"np.logical_and(mask, {real})"
    wanted = f"from 0 to {count - 1}" if count else "none at all"
    where = ", ".join(map(str, place))
    return IndexError(
        f"ids: expected ids of the {count} rows of table, {wanted}, got ids[{where}] = {value}; if it is that of "
        f"padding, `mask={real}` leaves such rows out"
    )


def token_kind(given: Any, array: NDArray[Any]) -> TypeError:
    kind, way_out = array.dtype.kind, "; a tokenizer makes integers of tokens"
    if kind == "b":
        way_out = "; a mask is passed as mask=; ids that are 0 and 1 are `ids=np.asarray(ids, int)`"
    elif kind == "f" and np.isfinite(array).all() and (array == np.floor(array)).all():
        way_out = "; they are whole numbers: `ids=np.asarray(ids).astype(int)`"
    elif kind in "fc":
        way_out = "; the ids come first, the table after them: posenc.embed(ids, table)"
    return TypeError(f"ids: expected integers, got {_validate.shown(given, array)}{way_out}")


def table_shape(got: tuple[int, ...]) -> ValueError:
    way_out = "`table=np.reshape(table, (-1, 1))` has a row of one channel for each id"
    if len(got) > 2:
        way_out = f"`table=np.reshape(table, (-1, {got[-1]}))` if its rows count on along the first axes"
    return ValueError(f"table: expected 2 dimensions, (V, D), got shape {got}; {way_out}")


def token_axes(count: int) -> ValueError:
    return ValueError(
        f"encoding: expected one over a single axis, as tokens of a sequence have one number each, got one over "
        f"{count} axes; if they are the cells of a grid, posenc.add(table[ids], grid=...) with this encoding"
    )


def embedded(name: str, wanted: Any, got: Any) -> Exception:
    """Of an `out` of another dtype, or shape."""
    kind = TypeError if name == "dtype" else ValueError
    source = "table" if name == "dtype" else "ids, and D of table"
    return kind(f"out: expected the {name} of {source}, {wanted}, got {got}; `out=None` makes a new array")


# ---- rotations ------------------------------------------------------------------------------------------------------


def no_rotation() -> TypeError:
    return TypeError(
        "encoding: expected an Encoding, or the name of one, got None (NoneType); rotations have no default: "
        "`encoding='rope_hf'` turns halves, as Hugging Face's models do, `encoding='rope_meta'` adjacent columns"
    )


def scaled_rotation(amplitude: float | str) -> ValueError:
    return ValueError(
        f"inverse: expected False with an encoding whose amplitude is not 1, got True with {amplitude!r}, as it is not "
        "clear what becomes of the factor: use `encoding=encoding.replace(amplitude=1.0)`, and divide to undo, or "
        "multiply for a gradient"
    )


def rotation_flag(value: object) -> TypeError:
    return TypeError(f"inverse: expected True or False, got {_validate.shown(value)}; use `inverse=bool(inverse)`")
