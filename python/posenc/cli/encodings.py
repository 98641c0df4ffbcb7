"""List encodings, or tell everything about one: by its name, or by an argument that a framework has for it."""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
import textwrap
from typing import Any

from posenc._conventions import ROWS, Row, absent, get_encoding, lookup
from posenc._conventions.evidence import Evidence
from posenc._encoding import Encoding
from posenc._notation import lines as formula
from posenc._notation import short

from . import table

HELP = "what encodings there are, what each computes, and its traps"

# Options without a default, as examples have them.
EXAMPLES = {"dim": 8, "seq_len": 512}

# What frameworks call it: their arguments, whose they are, and what to give posenc instead.
ARGUMENTS = [
    (
        "d_model, dim, embed_dim, embedding_dim, hidden_size, channels, dims",
        "everyone",
        "the last axis; `encode(..., dim)`",
    ),
    ("max_len, max_seq_len, init_size, max_position_embeddings", "everyone", "nothing: there is no table to outgrow"),
    ("position_ids, positions, timesteps, given_position", "everyone", "`positions=`"),
    ("offset, step, start_index, past_key_values_length, seq_start_pos", "decoders", "`start=`"),
    ("incremental_state, timestep", "fairseq", "`start=`, counted from 0"),
    ("attention_mask, padding mask", "everyone", "`mask=`, and `positions_from_mask(mask)`"),
    ("scale_embedding, embed_scale, xscale, scale_up_input", "translation, speech", '`x_scale="sqrt_dim"`'),
    ("dropout", "everyone", "nothing: apply it to the result"),
    ("padding_idx", "fairseq, M2M100, NLLB, Seamless", "`position_offset` = padding_idx + 1"),
    ("shift", "Demucs", "`position_offset`, or `start=`"),
    ("max_timescale, max_wavelength, max_period, max_positions", "Whisper, MaxText, diffusion models", "`base`"),
    ("theta, temperature, T, n", "x-transformers, DETR, ViTs, L-TAE", "`base`"),
    ("temperatureH, temperatureW", "DINO", "`base`, one per axis"),
    ("base_freq", "PyTorch Geometric", "`base` = 1 / base_freq"),
    (
        "min_timescale, max_timescale, min_scale, max_scale",
        "tensor2tensor, Flax",
        "`position_scale` = min, `base` = max / min",
    ),
    ("min_wavelength, max_wavelength", "depthcharge", "`Encoding.from_wavelengths`"),
    ("min_freq, max_freq", "MLX", "`position_scale` = max_freq, `base` = max_freq / min_freq"),
    ("full_turns", "MLX", "`full_turns`"),
    ("downscale_freq_shift", "diffusers", "`freq_shift`"),
    ("endpoint", "EDM", "`freq_shift` = 1 if it is True"),
    ("flip_sin_to_cos, cos_first", "diffusers, MLX", "`cos_first`"),
    ("enc_type", "OpenNMT-py", "`layout`; SinusoidalConcat has `freq_shift` = 1, too"),
    ("scale", "diffusers", "`position_scale`"),
    ("scale", "MLX, x-transformers", "`amplitude`"),
    ("scale, normalize", "DETR", "`position_scale` or `full_turns`; `grid(..., normalize=True)`"),
    ("time_factor", "Flux", "`position_scale`"),
    ("granularity", "PyTorch Geometric", "`position_scale` = 1 / granularity"),
    ("alpha, positional_scale, scale_down_positions", "ESPnet, AudioCraft, Sockeye", "`amplitude`"),
    ("inv_freq, freqs, bands, div_term", "buffers of checkpoints", "`frequencies`"),
    ("num_freqs, multires", "NeRF", "`frequencies` = 1, 2, 4 ..."),
    ("num_pos_feats, num_feats", "DETR", "dim / 2"),
    ("n_head", "L-TAE, U-TAE", "`tile`"),
    ("grid_size, base_size, interpolation_scale", "diffusers", "`position_scale`, one per axis"),
    ("interleave_sin_cos", "timm", '`nesting`: "tak", or "atk" if it is True'),
    ("uniform_power", "V-JEPA", '`axis_widths` = "ceil"'),
    ("data_format, channel_first, Permute", "images", "`channel_axis=`"),
]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", nargs="?", help="an encoding; or a word to look for among names, models and frameworks' arguments"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    known = None if args.name is None else lookup.known_name(args.name)
    rows = ROWS if args.name is None else [row for row in ROWS if known in row.names]
    hints: list[tuple[str, str, str]] = []
    if not rows:
        rows, hints = search(args.name)
    if args.json:
        print(json.dumps([as_dict(row) for row in rows], indent=2))
    elif len(rows) == 1:
        print(details(rows[0]))
    elif rows:
        lines = [table.Row((row.names[0], row.summary)) for row in rows]
        table.show(("name", "what"), 2, [lines])
    for argument, whose, parameter in hints if not args.json else []:
        print(f"\n{argument} ({whose}): {parameter}")
    if args.name is not None and known is None and (not (rows or hints) or absent.explanation(args.name)):
        try:
            lookup.row(args.name)
        except ValueError as error:
            print(f"posenc: {error}", file=sys.stderr)
        return 1
    return 0


def search(word: str) -> tuple[list[Row], list[tuple[str, str, str]]]:
    """The rows and the lines of ARGUMENTS in which a word stands."""
    pattern = re.compile(rf"\b{re.escape(word)}", re.I)
    rows = [row for row in ROWS if any(map(pattern.search, (*row.names, row.summary, row.source, *row.options)))]
    return rows, [line for line in ARGUMENTS if pattern.search(line[0])]


def example(row: Row) -> tuple[str, Encoding]:
    """A call that makes the encoding of a row, and what it returns."""
    options = {
        name: EXAMPLES[name] if default is inspect.Parameter.empty else default for name, default in row.options.items()
    }
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    return f"posenc.get_encoding({row.names[0]!r}{given})".replace("'", '"'), get_encoding(row.names[0], **options)


def as_dict(row: Row) -> dict[str, Any]:
    call, encoding = example(row)
    return {
        "names": list(row.names),
        "summary": row.summary,
        "source": row.source,
        "evidence": {name: evidence._asdict() for name, evidence in row.evidence.items()},
        "call": call,
        "encoding": repr(encoding),
        "formula": formula(encoding),
        "traps": list(row.traps),
    }


def details(row: Row) -> str:
    """Everything about one encoding, as text."""
    call, encoding = example(row)
    lines = [
        f"{', '.join(row.names)}: {row.summary}",
        f"source: {row.source}",
        *established(row),
        "",
        call,
        f"= {short(encoding)}",
        "",
    ]
    lines += [f"  {line}" for line in formula(encoding)]
    if row.traps:
        lines += ["", *(f"- {trap}" for trap in row.traps)]
    return "\n".join(textwrap.fill(line, 100, subsequent_indent="    ", drop_whitespace=True) for line in lines)


# What the grades of evidence mean.
GRADES = {
    "ran": "compared with what the running original computes",
    "read": "read in its source",
    "paper": "from the formula of a paper",
}


def established(row: Row) -> list[str]:
    """How the names of a row were established, a line for those that were in the same way."""
    groups: dict[Evidence, list[str]] = {}
    for name, evidence in row.evidence.items():
        groups.setdefault(evidence, []).append(name)
    return [f"{', '.join(names)}: {GRADES[e.grade]}: {e.where}" for e, names in groups.items()]
