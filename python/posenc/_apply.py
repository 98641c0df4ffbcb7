"""How every verb is applied: view -> plan -> place -> check -> write. Nothing is written before the last step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import (
    _arrays,
    _axes,
    _backend,
    _conventions,
    _encoding,
    _lookup,
    _positions,
    _refusals,
    _rotate,
    _rows,
    _threads,
    _turns,
    _validate,
    _ways,
    _where,
)
from ._encoding import Encoding
from ._lookup import Lookup
from ._protocol import Backend
from ._where import Where


class How(NamedTuple):
    """What a user says about the encoding, and about who makes it."""

    encoding: Any = None
    threads: Any = None
    backend: Any = None


class Operands(NamedTuple):
    """The arrays of a verb, as views (see `_arrays`).

    Attributes
    ----------
    name : str
        Of the argument that has the shape.
    shape : tuple of int
    x : ndarray, or None
        What is added to; None to fill.
    out : ndarray
        What is written, or a function that makes it once all is checked.
    result : object
        What the user gets back for `out`, or a function that makes it from `out`.
    lookup : Lookup, or None
        Where rows to add to are to be found, instead of in `x`.
    turn : str, or None
        Of a verb that turns `x` instead of adding to it: "forth", "back", or "gradient" for what `back` is where the
        amplitude is none of 1.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    x: NDArray[Any] | None
    out: NDArray[Any] | Callable[[], NDArray[Any]]
    result: Any
    lookup: Lookup | None = None
    turn: str | None = None


def filled(out: Any) -> Operands:
    """Of a verb that writes `out`, whatever it held."""
    view = _validate.writable(out, "out")
    return Operands("out", view.shape, view.dtype, None, view, out)


def updated(x: Any, name: str = "x") -> Operands:
    """Of a verb that changes `x`."""
    view = _validate.writable(x, name)
    return Operands("x", view.shape, view.dtype, view, view, x)


def combined(x: Any, out: Any, name: str = "x") -> Operands:
    """Of a verb that reads `x` and writes `out`, or a new array if that is None."""
    view = _validate.readable(x, name)
    if out is None:
        made = _arrays.Made(x, view)
        return Operands("x", view.shape, view.dtype, view, made.view, made.array)
    target = _validate.writable(out, "out")
    _validate.same_form(target, view)
    return Operands("x", view.shape, view.dtype, view, target, out)


def created(shape: tuple[int, ...], dtype: np.dtype[Any], own: Any) -> Operands:
    """Of a verb that makes an array, of the dtypes that `_arrays.dtype` returns."""
    return Operands(
        "positions", shape, dtype, None, lambda: np.empty(shape, dtype), lambda array: _arrays.wrap(array, own)
    )


def turned_in_place(x: Any, inverse: Any) -> Operands:
    """Of a verb that turns `x`."""
    return updated(x, _ways.TURNED)._replace(turn=_sense(inverse))


def turned(x: Any, out: Any, inverse: Any, gradient: bool = False) -> Operands:
    """Of a verb that turns `x` and writes that to `out`, or a new array if that is None."""
    operands = combined(x, out, _ways.TURNED)
    return operands._replace(turn="gradient" if gradient else _sense(inverse))


def _sense(inverse: Any) -> str:
    if not isinstance(inverse, (bool, np.bool_)):
        raise _refusals.rotation_flag(inverse)
    return "back" if inverse else "forth"


def looked_up(ids: Any, table: Any, out: Any) -> Operands:
    """Of a verb that reads the rows of `table` that `ids` name and writes `out`, or a new array if that is None."""
    lookup = _lookup.lookup(ids, table)
    dtype, shape = lookup.table.dtype, (*lookup.ids.shape, lookup.table.shape[1])
    if out is None:
        made = _arrays.Made(table, lookup.table, shape)
        return Operands("ids", shape, dtype, None, made.view, made.array, lookup)
    target = _validate.writable(out, "out")
    if target.dtype != dtype:
        raise _refusals.embedded("dtype", _arrays.float_name(dtype), _arrays.float_name(target.dtype))
    if target.shape != shape:
        raise _refusals.embedded("shape", shape, target.shape)
    _lookup.refuse_overlap(target, lookup)
    return Operands("ids", shape, dtype, None, target, out, lookup)


def apply(operands: Operands, where: Where, how: How, x_scale: Any = 1.0) -> Any:
    """Check all that a user said, then write x * x_scale + PE, or PE; return the array that was written."""
    name, shape, dtype, x, out, result, lookup, turn = operands
    target = None if callable(out) else out

    # plan
    if turn is not None and how.encoding is None:
        raise _refusals.no_rotation()
    rule = _conventions.resolve(how.encoding)
    if lookup is not None and rule.axes > 1:
        raise _refusals.token_axes(rule.axes)
    given = None
    if where.positions is not None:
        given = _rows.owned(_positions.numbers(where.positions, "positions"), target)
    axes = _where.axes(shape, name, rule.axes, where, None if given is None else given.shape)
    dim = shape[-1 if axes.order is None else axes.order[-1]]
    spectra = _encoding.spectra(rule, dim)
    pairs = None
    if turn is not None:
        pairs = _turns.runs(rule, dim)
        if turn == "back" and not spectra[0].unscaled:
            raise _refusals.scaled_rotation(rule.amplitude)
    threads = _threads.resolve(how.threads)
    run = _backend.get(how.backend)

    # place
    rows: _rows.Rows | None = None
    if len(spectra) == 1:
        rows = _rows.place(axes, spectra[0].offset, where, given, target)
    else:
        places = _axes.place(axes, [spectrum.offset for spectrum in spectra], where, given, target)

    # check
    scale, ids = 1.0, None
    if pairs is not None:
        pass
    elif x is not None:
        scale = _validate.x_scale(x_scale, dtype, dim)
    elif lookup is not None:
        assert rows is not None
        scale = _validate.x_scale(x_scale, dtype, dim, "table[ids]", "table")
        ids = lookup.checked(rows.mask)

    # write
    if target is None:
        assert callable(out)
        target = out()
        result = result(target)
    elif target.size:
        _arrays.written(result)
    if not target.size:
        return result
    alone = pairs is not None and 2 * pairs.pairs < dim
    if (
        x is not None
        and x is not target
        and (where.mask is not None or axes.prefix or alone or np.may_share_memory(target, x))
    ):
        np.copyto(target, x)  # rows without a position, and columns without a partner, are those of x
        x = target
    view = axes.view(target)
    old = view if x is target else None if x is None else axes.view(x)
    if pairs is not None:
        assert old is not None
        stands = _rotate.of_places(places, axes.leading) if rows is None else _rotate.of_rows(rows)
        _rotate.Job(run, spectra, pairs, turn != "forth", threads).write(old, view, stands)
        return result
    cells = axes.cells(view)
    if cells.size:
        before = cells if old is view else None if old is None else axes.cells(old)
        if rows is None:
            try:
                _axes.Job(run, before, cells, spectra, scale, threads).at(places)
            except BaseException as error:
                error.add_note("posenc: an encoding over several axes is written in parts; that counts one of them")
                raise
        elif lookup is not None:
            assert ids is not None
            _embed_rows(run, ids, lookup.table, cells, spectra[0], rows.unmasked(), scale, threads)
        else:
            _write_rows(run, before, cells, spectra[0], rows, scale, threads)
    if axes.prefix and x is None:  # at last: until then, memory may be lacking
        view[(*(slice(None),) * len(axes.leading), slice(axes.prefix))] = 0
    return result


def _embed_rows(
    run: Backend,
    ids: NDArray[np.int64],
    table: NDArray[Any],
    out: NDArray[Any],
    spectrum: _encoding.Spectrum,
    rows: _rows.Rows,
    scale: float,
    threads: int,
) -> None:
    for index, positions in rows.parts():
        here = () if index is None else index
        some = np.ascontiguousarray(ids[here[:-1]])  # without the channels
        run.embed(some, table, out[here], spectrum, positions, scale, threads)


def _write_rows(
    run: Backend,
    x: NDArray[Any] | None,
    out: NDArray[Any],
    spectrum: _encoding.Spectrum,
    rows: _rows.Rows,
    scale: float,
    threads: int,
) -> None:
    """Write the rows of an encoding over one axis, in as many backend calls as it takes."""
    parts = 0
    try:
        for index, positions in rows.parts():
            here, old = out, x
            if index is not None:
                here = out[index]
                old = here if x is out else None if x is None else x[index]
            if old is None:
                run.fill(here, spectrum, positions, threads)
            else:
                run.add(old, here, spectrum, positions, scale, threads)
            parts += 1
    except BaseException as error:
        if parts:
            error.add_note(f"posenc: that counts one part of the array; {parts} before it have been written")
        raise


def length_or_positions(value: Any, rule: Encoding) -> tuple[tuple[int, ...], NDArray[Any] | None]:
    """What `encode` is told: the shape of the rows, and their positions unless it is a length."""
    if type(value) is int or isinstance(value, np.integer):
        if rule.axes > 1:
            raise ValueError(
                f"positions: expected coordinates, shape (..., {rule.axes}), for this encoding, got {value}; "
                f"`positions=posenc.grid({', '.join('8' * rule.axes)})` are those of a grid"
            )
        return (_validate.integer(value, "positions", minimum=0),), None
    given = _arrays.numbers(value, "positions")
    shape = given.shape
    if rule.axes > 1:
        if len(shape) < 2:
            way_out = ""
            if shape == (rule.axes,):
                way_out = "; `positions=[positions]` for one cell"
            raise ValueError(
                f"positions: expected coordinates, shape (..., {rule.axes}), for this encoding, got shape {shape}"
                f"{way_out or '; posenc.grid() makes those of a grid'}"
            )
        return shape[:-1], given
    if not shape:
        way_out = "encode([t], dim) for one position; a length is a Python or NumPy integer"
        if given.dtype.kind in "iuf":
            way_out = (
                "`positions=[positions]` is one position (encode([t], dim)); a length is a Python or NumPy integer"
            )
        raise TypeError(
            f"positions: expected an integer, or an array of at least 1 dimension, got {_shown(value)}; {way_out}"
        )
    return shape, given


def _shown(value: Any) -> str:
    text = _validate.shown(value)
    return f"{text} of shape ()" if isinstance(value, np.ndarray) else text
