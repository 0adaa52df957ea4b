"""Digits drawn from fonts: training data that is made, with as many labels as wanted.

The fonts are those that come with matplotlib: DejaVu, STIX and Computer Modern, 20 in all. A drawn
digit can go through a camera that is not held straight: turned, slanted, stretched, blurred, in
uneven light, with noise. These are steps that DeepFont used for its training data (Wang and others
2015, arXiv:1507.03196); its other one, the spacing of letters, needs words.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

SIDE = 32  # pixels of a side of what is drawn, before it is made as small as the real images
FAMILIES = {
    "DejaVu Sans": ("", "-Bold", "-Oblique", "-BoldOblique"),
    "DejaVu Sans Mono": ("", "-Bold", "-Oblique", "-BoldOblique"),
    "DejaVu Serif": ("", "-Bold", "-Italic", "-BoldItalic"),
    "STIX General": ("", "Bol", "Italic", "BolIta"),
    "cm": ("r10", "b10", "ss10", "tt10"),  # Computer Modern
}
_LARGE = 160  # points: glyphs are drawn so large, and then made smaller


@dataclass(frozen=True)
class Camera:
    """How strongly a camera may change what is drawn; 0: not at all. Each image draws its own.

    turn: degrees to either side; slant: of a standing line, pixels to the side for each pixel of
    height; stretch: by how much width and height may differ from what they were, as a share;
    wobble: standard deviation of how far a place moves, its neighbours nearly along, in pixels;
    blur: largest standard deviation, in pixels of the 32×32; shadow: largest share of the light
    that is missing at the dark end; noise: largest standard deviation, where ink is 1.
    """

    turn: float = 0.0
    slant: float = 0.0
    stretch: float = 0.0
    wobble: float = 0.0
    blur: float = 0.0
    shadow: float = 0.0
    noise: float = 0.0

    def only(self, *names: str) -> "Camera":
        """The camera with these changes alone."""
        others = {one.name: 0.0 for one in fields(self) if one.name not in names}
        return replace(self, **others)


@dataclass(frozen=True, eq=False, repr=False)
class Glyphs:
    """The ten digits in each of some fonts: x (fonts, 10, 32, 32) float32, 0 (paper) to 1 (ink)."""

    names: tuple[str, ...]
    x: NDArray[np.float32]

    def of(self, *families: str) -> "Glyphs":
        """Those of the fonts whose names begin so."""
        kept = [at for at, name in enumerate(self.names) if name.startswith(families)]
        return Glyphs(tuple(self.names[at] for at in kept), self.x[kept])

    def __repr__(self) -> str:
        return f"ten digits in {len(self.names)} fonts, {SIDE}×{SIDE} pixels each"


def glyphs(fill: float = 1.0) -> Glyphs:
    """The digits of all fonts, each as high as `fill` (a share) of its image and in its middle."""
    names = [f"{family}{style}" for family, styles in FAMILIES.items() for style in styles]
    return Glyphs(tuple(names), np.stack([_digits(_file(name), fill) for name in names]))


def drawn(
    count: int, source: Glyphs, camera: Camera | None = None, *, side: int = 8, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """(x, y): digits of random fonts, x (count, 1, side, side) float32, 0 to 1, y (count,) int64.

    Every digit comes as often as any other, or once more. The same ones for the same seed. side:
    a divisor of 32; each pixel is the mean of those that it covers.
    """
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(count) % 10)
    ink = torch.from_numpy(source.x[rng.integers(len(source.names), size=count), y])[:, None]
    if camera is None:
        return F.avg_pool2d(ink, SIDE // side), torch.from_numpy(y)
    seen = F.avg_pool2d(_seen(ink, camera, rng), SIDE // side)
    strength = _between(rng, 0, camera.noise, (count, 1, 1, 1))
    noise = torch.from_numpy(rng.normal(size=seen.shape)).float()
    return (seen + strength * noise).clip(0, 1), torch.from_numpy(y)


def _seen(ink: Tensor, camera: Camera, rng: np.random.Generator) -> Tensor:
    """ink (N, 1, 32, 32): turned, slanted, stretched, wobbling, blurred and in a shadow."""
    count = len(ink)
    box = _half_sizes(ink)
    grid = F.affine_grid(_matrices(camera, rng, box), list(ink.shape), align_corners=False)
    if camera.wobble:
        coarse = (
            torch.from_numpy(rng.normal(size=(count, 2, 4, 4))).float() * camera.wobble * 2 / SIDE
        )
        field = F.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=True)
        grid = grid + field.permute(0, 2, 3, 1)
    ink = F.grid_sample(ink, grid, align_corners=False)
    if camera.blur:
        ink = _blurred(ink, _between(rng, 0.01, camera.blur, (count, 1)))
    angle = _between(rng, 0, 2 * math.pi, (count, 1, 1, 1))
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, SIDE)] * 2, indexing="ij")
    along = (x * angle.cos() + y * angle.sin()) / math.sqrt(2)  # −1 to 1
    dark = _between(rng, 0, camera.shadow, (count, 1, 1, 1)) * (1 - along) / 2
    return ink + dark * (1 - ink)


def _half_sizes(ink: Tensor) -> Tensor:
    """(N, 2): half the width and height of what is drawn, where the image has 2 by 2."""
    dark = ink[:, 0] > 0.5
    return torch.stack([dark.any(axis).sum(dim=1) / SIDE for axis in (1, 2)], dim=1)


def _matrices(camera: Camera, rng: np.random.Generator, box: Tensor) -> Tensor:
    """(N, 2, 3): where in the drawing a place of the image is taken from.

    The digit is turned, slanted and stretched, and then made as high as the image, as the makers of
    handwritten data sets cut their digits out. box: (N, 2), as `_half_sizes` has it.
    """
    count = len(box)
    turn = _between(rng, -1, 1, (count,)) * math.radians(camera.turn)
    slant = _between(rng, -1, 1, (count,)) * camera.slant
    wide = torch.exp(_between(rng, -1, 1, (count,)) * math.log1p(camera.stretch))
    cos, sin = turn.cos(), turn.sin()
    rows = [cos * wide, -sin - slant * cos, sin * wide, cos - slant * sin]
    there = torch.stack(rows, dim=1).reshape(count, 2, 2)  # from the drawing to the image
    reach = (there.abs() @ box[:, :, None])[..., 0].amax(dim=1)
    scale = box.amax(dim=1) / reach
    back = torch.linalg.inv(scale[:, None, None] * there)
    return torch.cat((back, torch.zeros(count, 2, 1)), dim=2)


def _blurred(x: Tensor, deviations: Tensor) -> Tensor:
    """Each image blurred with its own standard deviation; deviations: (N, 1)."""
    reach = torch.arange(-6.0, 7.0)
    kernels = torch.exp(-(reach**2) / (2 * deviations**2))
    kernels = (kernels / kernels.sum(dim=1, keepdim=True))[:, None]
    rows = F.conv2d(x.transpose(0, 1), kernels[:, :, None], padding=(0, 6), groups=len(x))
    both = F.conv2d(rows, kernels[..., None], padding=(6, 0), groups=len(x))
    return both.transpose(0, 1)


def _between(rng: np.random.Generator, low: float, high: float, shape: Sequence[int]) -> Tensor:
    return torch.from_numpy(rng.uniform(low, high, size=shape)).float()


def _file(name: str) -> Path:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return folder / f"{name.replace(' ', '')}.ttf"


def _digits(file: Path, fill: float) -> NDArray[np.float32]:
    font = ImageFont.truetype(str(file), _LARGE)
    return np.stack([_digit(font, str(digit), fill) for digit in range(10)])


def _digit(font: ImageFont.FreeTypeFont, text: str, fill: float) -> NDArray[np.float32]:
    """(32, 32), the digit cut out and made as high as it shall be, its width along with it."""
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text))
    large = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(large).text((-left, -top), text, fill=255, font=font)
    high = round(fill * SIDE)
    wide = min(SIDE, max(1, round(high * large.width / large.height)))
    small = np.asarray(large.resize((wide, high), Image.Resampling.BOX), dtype=np.float32)
    x = np.zeros((SIDE, SIDE), np.float32)
    up, aside = (SIDE - high) // 2, (SIDE - wide) // 2
    x[up : up + high, aside : aside + wide] = small / 255
    return x
