"""Spoken digits: recordings where they are, tones otherwise, strings of both, and what is wrong."""

import io
import os
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest

from utils.data import root as data_root
from utils.data import speech
from utils.data.root import DataError

REAL_DATA = os.environ.get("LAB_DATA", "")


def recording(samples: np.ndarray, rate: int = speech.RATE, channels: int = 1) -> bytes:
    """A wav file's bytes."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def recordings() -> dict[str, bytes]:
    """Two speakers, each digit twice; a digit's samples all have its number times 100."""
    return {
        f"{digit}_{speaker}_{take}.wav": recording(np.full(40 + take, 100 * digit))
        for speaker in ("ann", "bob")
        for digit in range(10)
        for take in (0, 1)
    }


def fill(root: Path, files: dict[str, bytes], packed: bool = False) -> Path:
    """Lay recordings into a root, as single files or as an archive."""
    folder = root / speech.FOLDER
    folder.parent.mkdir(parents=True)
    if not packed:
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return folder
    with tarfile.open(root / speech.ARCHIVE, "w:gz") as archive:
        for name, content in files.items():
            about = tarfile.TarInfo(f"fsdd/recordings/{name}")
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return root / speech.ARCHIVE


def test_without_recordings_there_are_tones_and_the_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = speech.load(tmp_path)
    line = capsys.readouterr().out
    assert loaded.name == "tones"
    assert line.count("\n") == 1
    assert line.startswith("tones: 960 single digits by 8 speakers")
    assert f"since root is {tmp_path}" in line
    assert "python -m utils.data.speech" in line


def test_the_tones_are_always_the_same_and_no_two_are_alike() -> None:
    first, second = speech.tones(), speech.tones()
    for one, other in zip(first.waves, second.waves, strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(one.dtype == np.float32 for one in first.waves)
    assert len({one.tobytes() for one in first.waves}) == len(first.waves)
    assert max(float(abs(one).max()) for one in first.waves) <= 1
    assert (np.bincount(first.digits) == 96).all()
    assert (np.bincount(first.voices) == 120).all()


def test_a_tone_has_the_two_pitches_of_its_key() -> None:
    spoken = speech.tones()
    one = spoken.waves[int(np.flatnonzero(spoken.digits == 5)[0])]
    loud = abs(np.fft.rfft(one, 8 * len(one)))
    hertz = np.fft.rfftfreq(8 * len(one), 1 / speech.RATE)
    for low, high, wanted in ((600, 1050, 770), (1100, 1600, 1336)):
        inside = (hertz > low) & (hertz < high)
        found = hertz[inside][loud[inside].argmax()]
        assert abs(found / wanted - 1) < 0.11


@pytest.mark.parametrize("packed", [False, True])
def test_recordings_are_read_from_a_folder_or_an_archive(
    tmp_path: Path, packed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    place = fill(tmp_path, {**recordings(), "README.txt": b"no sound"}, packed)
    loaded = speech.load(tmp_path)
    assert str(place) in capsys.readouterr().out
    assert (loaded.name, loaded.speakers) == ("Free Spoken Digit Dataset", ("ann", "bob"))
    assert len(loaded.waves) == 40
    for sound, digit in zip(loaded.waves, loaded.digits, strict=True):
        assert sound.dtype == np.float32
        np.testing.assert_allclose(sound, 100 * digit / 32768, rtol=1e-6)
    assert np.bincount(loaded.voices).tolist() == [20, 20]


def test_lab_data_names_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, recordings())
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    assert speech.load().speakers == ("ann", "bob")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"3_ann_0.wav": b"RIFF no sound"}, "3_ann_0.wav in .* is no wav file"),
        ({"3_ann_0.wav": recording(np.ones(9), rate=16000)}, "16,000 samples a second"),
        ({"3_ann_0.wav": recording(np.ones(8), channels=2)}, r"2 channel\(s\)"),
        ({"3_cid_0.wav": recording(np.ones(9))}, "has no 0 by cid"),
    ],
)
def test_what_is_wrong_with_a_recording_is_told_in_one_sentence(
    tmp_path: Path, change: dict[str, bytes], words: str
) -> None:
    fill(tmp_path, {**recordings(), **change})
    with pytest.raises(DataError, match=words) as error:
        speech.load(tmp_path)
    assert "\n" not in str(error.value)


def test_a_broken_archive_and_a_nearly_empty_folder_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    place = fill(broken, recordings(), packed=True)
    place.write_bytes(place.read_bytes()[:200])
    with pytest.raises(DataError, match="cannot be read"):
        speech.load(broken)
    few = tmp_path / "few"
    fill(few, dict(list(recordings().items())[:3]))
    with pytest.raises(DataError, match="3 recordings named like"):
        speech.load(few)


def test_a_string_is_its_digits_one_after_another_by_one_speaker(tmp_path: Path) -> None:
    fill(tmp_path, recordings())
    spoken = speech.load(tmp_path)
    made = speech.strings(spoken, ["bob"], 30, (2, 4), seed=3, pause=(0.01, 0.02))
    assert len(made) == 30
    assert {len(digits) for _, digits in made} == {2, 3, 4}
    for sound, digits in made:
        assert (sound.dtype, digits.dtype) == (np.float32, np.int64)
        heard = np.round(sound * 32768 / 100 / 10) * 10  # noise is of 0.003
        assert len(heard) >= 40 * len(digits) + 80 * (len(digits) + 1)
    again = speech.strings(spoken, ["bob"], 30, (2, 4), seed=3, pause=(0.01, 0.02))
    np.testing.assert_array_equal(made[7][0], again[7][0])
    other = speech.strings(spoken, ["bob"], 30, (2, 4), seed=4, pause=(0.01, 0.02))
    assert any(a.tolist() != b.tolist() for (_, a), (_, b) in zip(made, other, strict=True))


def test_an_unknown_speaker_is_named() -> None:
    with pytest.raises(ValueError, match="no speaker 'zoe': there are voice a"):
        speech.strings(speech.tones(), ["zoe"], 1)


def test_the_command_line_says_what_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(data_root, "REPOSITORY", tmp_path)
    monkeypatch.delenv("LAB_DATA", raising=False)
    assert speech.main([]) == 0
    told = capsys.readouterr().out
    assert speech.SOURCE in told
    assert str(tmp_path / "data" / speech.FOLDER) in told
    full = tmp_path / "full"
    fill(full, recordings())
    assert speech.main(["--root", str(full)]) == 0
    assert speech.SOURCE not in capsys.readouterr().out
    (full / speech.FOLDER / "0_ann_0.wav").write_bytes(b"")
    assert speech.main(["--root", str(full)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(not REAL_DATA, reason="LAB_DATA is not set, so no recordings were read")
def test_the_real_recordings_have_six_speakers() -> None:
    loaded = speech.load()
    assert len(loaded.waves) == 3000
    assert len(loaded.speakers) == 6
