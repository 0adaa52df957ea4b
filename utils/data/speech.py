"""Spoken digits and strings of them: recordings where a data root has them, else tones by code.

    spoken = speech.load()                                   # recordings, or tones
    speech.strings(spoken, spoken.speakers[:4], 100, (2, 4)) # waves, and the digits in each

The recordings are the Free Spoken Digit Dataset (Z. Jackson and others, CC BY-SA 4.0). Nothing here
downloads: `python -m utils.data.speech` says what is there, and what to put where.
"""

import re
import sys
import tarfile
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from utils.data.download import tell
from utils.data.root import DataError, data_root

Wave = NDArray[np.float32]

RATE = 8000  # samples a second
SOURCE = "https://github.com/Jakobovski/free-spoken-digit-dataset"
ARCHIVE, FOLDER = Path("speech") / "fsdd.tar.gz", Path("speech") / "recordings"
FEWEST = 20  # recordings: with fewer there is nothing to train on
_NAME = re.compile(r"(\d)_(\w+)_(\d+)\.wav$")

# What the telephone's keys sound like (ITU-T Q.23): a low tone for the row, a high one for the
# column, in Hz.
_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477)
_KEYS = ((3, 1), (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2))
_TONES_OF_EACH = 12  # of each digit and speaker


@dataclass(frozen=True, eq=False, repr=False)
class Spoken:
    """Single digits, each by one speaker.

    name: "Free Spoken Digit Dataset" or "tones"; waves: N arrays (samples,) float32, from −1 to 1,
    8,000 samples a second; digits, voices: (N,) int64, which digit, and whose: a place in speakers.
    """

    name: str
    speakers: tuple[str, ...]
    waves: Sequence[Wave]
    digits: NDArray[np.int64]
    voices: NDArray[np.int64]

    def __repr__(self) -> str:
        return (
            f"{self.name}: {len(self.waves):,} single digits by {len(self.speakers)} speakers, "
            f"{sum(map(len, self.waves)) / RATE / 60:.0f} minutes"
        )


def load(root: str | Path | None = None) -> Spoken:
    """The recordings from the data root, or tones made by code; one printed line says which.

    root: a folder that holds speech/recordings with the single files, or speech/fsdd.tar.gz.
    Without it LAB_DATA names the folder, and without that it is `data` in the repository.
    Raises DataError for recordings that are there and cannot be used.
    """
    folder, source = data_root(root)
    for place in (folder / FOLDER, folder / ARCHIVE):
        if place.exists():
            loaded, why = _recorded(place), f"from {place}"
            break
    else:
        missing = f", since {source} is {folder} and has no recordings" if source else ""
        why = f"made by code{missing}; `python -m utils.data.speech` says where there are some"
        loaded = tones()
    print(f"{loaded} ({why}).")
    return loaded


def tones() -> Spoken:
    """Digits as a telephone's keys, by eight made-up speakers; always the same ones.

    A speaker has a pitch, a pace, overtones and a noise of its own; no two tones are the same.
    """
    rng = np.random.default_rng(10)
    voices = [f"voice {letter}" for letter in "abcdefgh"]
    waves: list[Wave] = []
    digits: list[int] = []
    owners: list[int] = []
    for owner in range(len(voices)):
        manner = _Manner(
            pitch=float(rng.uniform(0.96, 1.04)),
            seconds=float(rng.uniform(0.16, 0.4)),
            overtone=float(rng.uniform(0, 0.6)),
            noise=float(rng.uniform(0.02, 0.25)),
        )
        for digit in range(10):
            for _ in range(_TONES_OF_EACH):
                waves.append(manner.says(digit, rng))
                digits.append(digit)
                owners.append(owner)
    return Spoken("tones", tuple(voices), waves, np.array(digits), np.array(owners))


def strings(
    spoken: Spoken,
    speakers: Sequence[str],
    count: int,
    digits: tuple[int, int] = (2, 4),
    *,
    seed: int = 0,
    pause: tuple[float, float] = (0.0, 0.2),
) -> list[tuple[Wave, NDArray[np.int64]]]:
    """So many strings of digits, each by one of these speakers: (wave, the digits (S,) int64).

    digits: how many digits a string has, at least and at most; pause: seconds between two of them,
    before the first and after the last. A digit may come twice in a row.
    """
    rng = np.random.default_rng(seed)
    places = {
        (speaker, digit): np.flatnonzero((spoken.voices == owner) & (spoken.digits == digit))
        for owner, speaker in enumerate(spoken.speakers)
        for digit in range(10)
    }
    unknown = [speaker for speaker in speakers if speaker not in spoken.speakers]
    if unknown:
        listed = ", ".join(spoken.speakers)
        raise ValueError(f"There is no speaker {unknown[0]!r}: there are {listed}.")
    made = []
    for _ in range(count):
        speaker = speakers[int(rng.integers(len(speakers)))]
        string = rng.integers(10, size=int(rng.integers(digits[0], digits[1] + 1)))
        parts = [_silence(rng, pause)]
        for digit in string.tolist():
            parts += [spoken.waves[int(rng.choice(places[speaker, digit]))], _silence(rng, pause)]
        sound = np.concatenate(parts)
        made.append((sound + rng.normal(0, 0.003, len(sound)).astype(np.float32), string))
    return made


@dataclass(frozen=True)
class _Manner:
    """How a made-up speaker sounds: a factor for pitch, seconds for a digit, strengths."""

    pitch: float
    seconds: float
    overtone: float
    noise: float

    def says(self, digit: int, rng: np.random.Generator) -> Wave:
        seconds = self.seconds * rng.uniform(0.75, 1.25)
        t = np.arange(round(seconds * RATE)) / RATE
        row, column = _KEYS[digit]
        sound = np.zeros(len(t))
        for hertz in (_ROWS[row], _COLUMNS[column]):
            turn = 2 * np.pi * hertz * self.pitch * rng.uniform(0.985, 1.015) * t
            turn += rng.uniform(0, 2 * np.pi)
            sound += np.sin(turn) + self.overtone * np.sin(2 * turn + 1)
        swell = np.sin(np.pi * np.arange(len(t)) / len(t)) ** 0.3
        sound = 0.15 * sound * swell + 0.15 * self.noise * rng.normal(size=len(t))
        return sound.astype(np.float32)


def _silence(rng: np.random.Generator, pause: tuple[float, float]) -> Wave:
    return np.zeros(round(RATE * rng.uniform(*pause)), np.float32)


def _recorded(place: Path) -> Spoken:
    waves: list[Wave] = []
    about: list[tuple[int, str]] = []
    for name, content in sorted(_files(place), key=lambda one: one[0]):
        found = _NAME.search(name)
        if found:
            waves.append(_read(content, f"{name} in {place}"))
            about.append((int(found[1]), found[2]))
    if len(waves) < FEWEST:
        raise DataError(
            f"{place} has {len(waves)} recordings named like 7_jackson_32.wav, too few to learn "
            f"from: take all of {SOURCE}, or move it away to use tones made by code."
        )
    speakers = tuple(sorted({speaker for _, speaker in about}))
    missing = [
        f"{digit} by {speaker}"
        for speaker in speakers
        for digit in range(10)
        if (digit, speaker) not in set(about)
    ]
    if missing:
        raise DataError(f"{place} has no {missing[0]}: take all recordings of {SOURCE}.")
    digits = np.array([digit for digit, _ in about], np.int64)
    voices = np.array([speakers.index(speaker) for _, speaker in about], np.int64)
    return Spoken("Free Spoken Digit Dataset", speakers, waves, digits, voices)


def _files(place: Path) -> Iterator[tuple[str, bytes]]:
    """The names and contents of the recordings in a folder or an archive."""
    try:
        if place.is_dir():
            yield from ((path.name, path.read_bytes()) for path in place.glob("*.wav"))
            return
        with tarfile.open(place, "r:gz") as archive:
            for member in archive:
                file: IO[bytes] | None = archive.extractfile(member) if member.isfile() else None
                if file is not None and member.name.endswith(".wav"):
                    yield Path(member.name).name, file.read()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise DataError(
            f"{place} cannot be read ({error}): take it anew from {SOURCE}, or move it away to use "
            "tones made by code."
        ) from error


def _read(content: bytes, name: str) -> Wave:
    """A wave of one channel, 16 bits and 8,000 samples a second, from −1 to 1."""
    try:
        with wave.open(BytesIO(content)) as file:
            form = file.getnchannels(), 8 * file.getsampwidth(), file.getframerate()
            samples = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise DataError(f"{name} is no wav file that can be read ({error}).") from error
    if form != (1, 16, RATE):
        raise DataError(
            f"{name} has {form[0]} channel(s), {form[1]} bits and {form[2]:,} samples a second: it "
            f"takes 1, 16 and {RATE:,}."
        )
    return np.frombuffer(samples, "<i2").astype(np.float32) / np.float32(32768)


def main(arguments: list[str] | None = None) -> int:
    """The command line: what is there, and what to put where. Returns the exit status."""
    remedy = (
        f"For recorded digits, take {SOURCE} (CC BY-SA 4.0, 3,000 recordings by six speakers) "
        "and put its folder `recordings` at {place}."
    )
    return tell("utils.data.speech", "Spoken digits", load, [FOLDER, ARCHIVE], remedy, arguments)


if __name__ == "__main__":
    sys.exit(main())
