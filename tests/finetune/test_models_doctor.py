import json
import shutil

import pytest
from typer.testing import CliRunner

from curator.cli import app
from curator.errors import CuratorError
from finetune import FitError, open_encoder
from finetune.folders import code_hash


def doctor(*words):
    return CliRunner().invoke(app, ["models", "doctor", *map(str, words)])


@pytest.mark.parametrize("name", ["tiny_bert", "tiny_gpt2", "tiny_llama"])
def test_a_whole_model_is_loaded_trained_two_steps_and_its_cost_told(name, request):
    folder = request.getfixturevalue(name)
    found = json.loads(doctor(folder, "--rows", 2000, "--json").stdout)

    assert found["layers"] == 4
    assert found["targets"] == list(open_encoder(folder).folder.targets)
    assert set(found["targets"]) <= set(found["linear"])
    assert [len(tier["losses"]) for tier in found["tiers"].values()] == [2, 2]
    assert found["embed_all_s"] == pytest.approx(2000 * found["embed_s"])
    for tier in found["tiers"].values():
        assert 0 < tier["row_epoch_s"] * 4000 < tier["fit_s"] < tier["measurement_s"]


def test_the_words_name_targets_device_and_the_cost_of_both_tiers(tiny_bert):
    told = doctor(tiny_bert).stdout

    assert "adapters go to query, value (of dense, key, query, value)" in told
    assert "top-layers: two steps trained, loss 0.69" in told
    assert "1,000 rows x 2 epochs: about" in told


def test_targets_that_are_not_there_are_told_with_those_that_are(tiny_bert):
    told = doctor(tiny_bert, "--target", "q_proj").stdout

    assert "none of the usual layers is here; write targets: from [dense, key" in told
    assert "all-layers: not possible: targets ['q_proj'] name no layer of this model" in told


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ("config.json", "config.json is missing; this is not a transformers folder"),
        ("model.safetensors", "no weights; expected one of model.safetensors"),
        ("tokenizer.json", "no tokenizer; expected one of tokenizer.json"),
    ],
)
def test_an_incomplete_folder_is_told_with_the_file_it_lacks(lost, told, tiny_llama, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama, folder)
    (folder / lost).unlink()
    found = doctor(folder)

    assert isinstance(found.exception, CuratorError)
    assert told in str(found.exception)


def test_weights_that_are_cut_short_are_told_as_such(tiny_llama, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama, folder)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    found = doctor(folder)

    assert isinstance(found.exception, FitError)
    assert "a large file may be cut short or a Git LFS pointer" in str(found.exception)


OWN_CODE = """
from transformers import BertConfig, BertModel
class OwnConfig(BertConfig):
    model_type = "own-bert"
class OwnModel(BertModel):
    config_class = OwnConfig
"""


@pytest.fixture
def own_code(tiny_bert, tmp_path):
    """A folder whose architecture only its own Python file knows."""
    folder = tmp_path / "own-bert"
    shutil.copytree(tiny_bert, folder)
    (folder / "own.py").write_text(OWN_CODE)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "own-bert",
        "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_models_own_code_is_not_run_unless_it_is_named_by_its_hash(own_code):
    with pytest.raises(FitError, match=f"remote_code: {code_hash(own_code)}"):
        open_encoder(own_code).transform(["card"])
    with pytest.raises(FitError, match="remote_code names 1234, the code in this folder has"):
        open_encoder(own_code, remote_code="1234")


def test_code_of_another_repository_is_refused_whatever_is_named(own_code):
    config = json.loads((own_code / "config.json").read_text())
    config["auto_map"]["AutoModel"] = "someone/else--own.OwnModel"
    (own_code / "config.json").write_text(json.dumps(config))

    with pytest.raises(FitError, match=r"code of another repository .*someone/else--own"):
        open_encoder(own_code, remote_code=code_hash(own_code))


def test_code_that_is_named_runs_and_gives_its_models_vectors(own_code, tiny_bert, monkeypatch):
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(own_code.parent / "modules")
    )
    encoder = open_encoder(own_code, remote_code=code_hash(own_code))

    assert (
        encoder.transform(["card"]).tobytes()
        == open_encoder(tiny_bert).transform(["card"]).tobytes()
    )
    assert encoder.revision != open_encoder(own_code).revision
