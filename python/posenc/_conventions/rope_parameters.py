"""The `rope_parameters` of a transformers configuration as an encoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _validate
from .._encoding import Encoding
from .lookup import get_encoding

# What a dictionary may have, by rope_type, beside rope_theta: key there and option of the name here; "!" if required.
TYPES: dict[str, tuple[str, dict[str, str]]] = {
    "default": ("rope_hf", {}),
    "linear": ("rope_linear", {"factor": "factor!"}),
    "dynamic": ("rope_dynamic", {"factor": "factor!"}),
    "yarn": (
        "rope_yarn",
        {
            "factor": "factor",
            "original_max_position_embeddings": "original!",
            "beta_fast": "beta_fast",
            "beta_slow": "beta_slow",
            "truncate": "truncate",
            "attention_factor": "attention_factor",
            "mscale": "mscale",
            "mscale_all_dim": "mscale_all_dim",
        },
    ),
    "longrope": (
        "rope_longrope",
        {"factor": "factor", "original_max_position_embeddings": "original!", "attention_factor": "attention_factor"},
    ),
    "llama3": (
        "rope_llama3",
        {
            "factor": "factor!",
            "low_freq_factor": "low!",
            "high_freq_factor": "high!",
            "original_max_position_embeddings": "original!",
        },
    ),
    "proportional": ("rope_gemma4", {"factor": "factor", "partial_rotary_factor": "partial"}),
}
OLDER = {"su": "longrope", "mrope": "default"}
FLOATS = ("factor", "beta_fast", "beta_slow", "low", "high", "partial", "attention_factor", "mscale", "mscale_all_dim")


def from_rope_parameters(
    parameters: Mapping[str, Any],
    dim: int,
    *,
    seq_len: int | None = None,
    max_position_embeddings: int | None = None,
) -> Encoding:
    """Return the encoding that `rope_parameters` of a transformers configuration describe.

    Parameters
    ----------
    parameters : dict
        ``config.rope_parameters``, or one of its layer types; of older configurations ``config.rope_scaling`` with
        "rope_theta" added. "rope_type" is one of default, linear, dynamic, yarn, longrope, llama3 and proportional.
    dim : int
        How many columns are turned: the head's, or ``int(head_dim * partial_rotary_factor)``, of a view ``x[...,
        :dim]``. With "proportional", the head's in any case.
    seq_len : int, optional
        The largest position of a call, plus 1. Scalings "dynamic" and "longrope" depend on it: keys that were cached
        under another one have to be turned back with the former encoding, and on with the new one.
    max_position_embeddings : int, optional
        Of the configuration, where it matters: with "dynamic", and with "yarn" or "longrope" without a factor.

    Returns
    -------
    Encoding
        Halves are pairs, as in transformers. `replace` makes others.

    Raises
    ------
    TypeError, ValueError
        If `parameters` is no such dictionary, or lacks what its type needs.

    Examples
    --------
    >>> import posenc
    >>> posenc.from_rope_parameters({"rope_type": "default", "rope_theta": 5e5}, 128)
    Encoding(layout='concatenated', cos_first=True, base=500000.0, odd='error')
    """
    if not isinstance(parameters, Mapping):
        raise TypeError(
            f"parameters: expected a dictionary, got {_validate.shown(parameters)}; `config.rope_parameters` is one"
        )
    width = _validate.integer(dim, "dim", minimum=1)
    given = {key: value for key, value in parameters.items() if value is not None}
    layers = [key for key, value in given.items() if isinstance(value, Mapping)]
    if layers:
        raise ValueError(
            f"parameters: expected those of one type of layers, got {', '.join(map(repr, layers))}; take one, "
            f"`parameters=parameters[{layers[0]!r}]`"
        )
    named = given.get("rope_type", given.get("type", "default"))
    kind = OLDER.get(named, named)
    if kind not in TYPES:
        raise ValueError(
            f"parameters: expected a rope_type of {', '.join(TYPES)}, got {named!r}; posenc.Encoding(frequencies=...) "
            "takes a model's own inv_freq"
        )
    name, keys = TYPES[kind]
    options: dict[str, Any] = {"base": float(given.get("rope_theta", 10000.0))}
    for key, option in keys.items():
        plain = option.rstrip("!")
        if key in given:
            options[plain] = float(given[key]) if plain in FLOATS else given[key]
        elif option.endswith("!"):
            raise _missing(key, kind)
    if "mrope_section" in given:
        if kind != "default":
            raise ValueError(
                f"parameters: expected rope_type 'default' with mrope_section, got {named!r}; leave mrope_section out "
                "for text alone, where all axes are alike"
            )
        interleaved = bool(given.get("mrope_interleaved", False))
        sections = tuple(given["mrope_section"])
        return get_encoding("rope_mrope", dim=width, sections=sections, interleaved=interleaved, **options)
    if kind in ("yarn", "longrope") and "factor" not in options:
        if max_position_embeddings is None:
            raise _missing("factor", kind, " or max_position_embeddings=")
        most = _validate.integer(max_position_embeddings, "max_position_embeddings", minimum=1)
        options["factor"] = most / options["original"]
    if kind == "longrope":
        longer = seq_len is not None and seq_len > options["original"]
        key = "long_factor" if longer else "short_factor"
        if key not in given:
            raise _missing(key, kind)
        options["factors"] = given[key]
    if kind == "dynamic":
        if max_position_embeddings is None:
            raise _missing("max_position_embeddings", kind, " as an argument")
        options |= {"seq_len": seq_len, "max_position_embeddings": max_position_embeddings}
    if kind == "proportional":
        options.setdefault("partial", 1.0)
    if kind not in ("default", "linear"):
        options["dim"] = width
    return get_encoding(name, **options)


def _missing(key: str, kind: str, how: str = "") -> ValueError:
    return ValueError(f"parameters: expected {key}{how} with rope_type {kind!r}, got none; add it to the dictionary")
