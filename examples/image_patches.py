"""Add positions to the patches of a real photo: projected, then PE over two axes, in place; and draw what was added.

The photo is china.jpg of scikit-learn, 640 x 427 pixels. It is cut into patches of 16 x 16 pixels, 26 rows of 40, which
are projected onto their principal components, as a linear patch embedding would do it. The encoding is that of MAE
(`encoding="mae"`): half of the channels know the column of a patch, half its row. The picture shows the photo, some
channels of the encoding, and which patches' encodings are like that of one patch.

From the root of the repository:

    pip install ".[examples]" && python examples/image_patches.py image_patches.png
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
import posenc
from numpy.typing import NDArray

PATCH = 16
DIM = 384
REPEATS = 30
MARKED = (8, 29)  # row and column of one patch


def main() -> None:
    try:
        import matplotlib as mpl
        from sklearn.datasets import load_sample_image
    except ImportError as error:
        raise SystemExit(f"{error}\n\n{__doc__}") from None
    mpl.use("Agg")
    photo = load_sample_image("china.jpg")
    patches = cut(photo)
    x = project(patches.astype(np.float32) / 255)
    height, width, dim = x.shape
    print(f"photo {' x '.join(map(str, photo.shape))}, {height} x {width} patches of {PATCH} x {PATCH} pixels")
    print(f"projected: {' x '.join(map(str, x.shape))} {x.dtype}, {x.nbytes / 1e6:.1f} MB")

    table = usual_table(height, width, dim)
    want = x + table
    ways = {
        'posenc.add_(x[None], encoding="mae")': lambda: posenc.add_(x[None], encoding="mae"),
        "x += table": lambda: np.add(x, table, out=x),
        "x += make_table()": lambda: np.add(x, usual_table(height, width, dim), out=x),
    }
    before = x.copy()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS + 1):  # in turns, so that a slow moment of the machine hits everybody
        for name, way in ways.items():
            x[...] = before
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
            if not np.array_equal(x, want):
                raise SystemExit(f"{name}: not what MAE computes")
    print("equal to x + table, bit for bit, the table as MAE makes it in float64: yes")
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}  # the first one warms up
    for name, median in medians.items():
        print(f"    {name:<32} {median * 1e3:8.3f} ms {median / min(medians.values()):6.1f}x")

    target = sys.argv[1] if len(sys.argv) > 1 else "image_patches.png"
    draw(photo, posenc.encode(posenc.grid(height, width), dim, encoding="mae"), target)
    print(f"picture: {target}")


def cut(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The whole patches of a photo, (rows, columns, 3 * PATCH * PATCH)."""
    height, width = (size // PATCH for size in photo.shape[:2])
    whole = photo[: height * PATCH, : width * PATCH]
    return whole.reshape(height, PATCH, width, PATCH, 3).swapaxes(1, 2).reshape(height, width, -1)


def project(patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """Patches on their DIM principal components, in units of one standard deviation."""
    flat = patches.reshape(-1, patches.shape[-1])
    centred = flat - flat.mean(axis=0)
    _, deviation, components = np.linalg.svd(centred, full_matrices=False)
    projected = centred @ (components[:DIM] / deviation[:DIM, None]).T * np.float32(len(flat) ** 0.5)
    return np.ascontiguousarray(projected, np.float32).reshape(*patches.shape[:2], DIM)


def usual_table(height: int, width: int, dim: int) -> NDArray[np.float32]:
    """What is usually copied: of every cell of a grid, sines and cosines of its column, then of its row, in float64."""
    omega = 1.0 / 10000 ** (np.arange(dim // 4) / (dim / 4.0))
    row, column = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    parts = [f(where[..., None] * omega) for where in (column, row) for f in (np.sin, np.cos)]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def draw(photo: NDArray[np.uint8], encoding: NDArray[np.float32], target: str) -> None:
    """The photo in patches; channels of the encoding as pictures; the likeness of all patches' positions to one's."""
    from matplotlib import pyplot as plt
    from matplotlib.patches import Rectangle

    height, width, dim = encoding.shape
    figure, axes = plt.subplots(2, 4, figsize=(14, 5.2), layout="constrained")
    row, column = MARKED
    axes[0, 0].imshow(photo[: height * PATCH, : width * PATCH])
    axes[0, 0].set_xticks(np.arange(0, width + 1) * PATCH - 0.5, [])
    axes[0, 0].set_yticks(np.arange(0, height + 1) * PATCH - 0.5, [])
    axes[0, 0].tick_params(length=0)
    axes[0, 0].grid(color="white", linewidth=0.3)
    mark = {"fill": False, "edgecolor": "red", "linewidth": 1.5}
    axes[0, 0].add_patch(Rectangle((column * PATCH, row * PATCH), PATCH, PATCH, **mark))
    axes[0, 0].set_title(f"{height} x {width} patches")

    likeness = encoding @ encoding[row, column] / (dim / 2)  # sin and cos of a pair make 1
    figure.colorbar(axes[1, 0].imshow(likeness), ax=axes[1, 0], shrink=0.8)
    axes[1, 0].add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **mark))
    axes[1, 0].set_title("likeness to the marked position")

    quarter = dim // 4
    for panel, k in zip(axes[:, 1:].T, (8, 24, 40), strict=True):
        for axis, first, letter in zip(panel, (0, 2 * quarter), "xy", strict=True):
            picture = axis.imshow(encoding[..., first + k], vmin=-1, vmax=1, cmap="RdBu_r")
            axis.set_title(f"channel {first + k}: sin({letter} / {10000 ** (k / quarter):.3g})")
    for axis in axes.flat[1:]:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.colorbar(picture, ax=axes[:, 3], shrink=0.6)
    figure.savefig(target, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
