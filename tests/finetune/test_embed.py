import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from finetune.embed import count_missing, embed, open_encoder
from finetune.errors import FitError
from finetune.shards import SHARD_TEXTS

TEXTS = ["my card is lost", "how late is the transfer", "pin", "swap " * 40, "top up the bank fee"]


def test_a_text_has_the_same_bits_alone_in_company_and_in_any_place(tiny_bert):
    encoder = open_encoder(tiny_bert, max_tokens=40)
    together = encoder.transform(TEXTS * 9)
    turned = encoder.transform(TEXTS[::-1])

    for i, text in enumerate(TEXTS):
        alone = encoder.transform([text])[0].tobytes()
        assert {alone} == {together[j].tobytes() for j in range(i, 45, 5)}
        assert alone == turned[4 - i].tobytes()
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(45), abs=1e-6)


def test_more_workers_change_no_bit_and_torch_keeps_its_thread_count(tiny_bert):
    import torch

    before = torch.get_num_threads()
    found = set()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.add(open_encoder(tiny_bert, max_tokens=40).transform(TEXTS * 30).tobytes())
        assert threads == torch.get_num_threads()
    torch.set_num_threads(before)

    assert len(found) == 1


def test_importing_the_package_loads_no_heavy_library():
    code = "import sys, finetune; print({'torch', 'transformers', 'sklearn'} & set(sys.modules))"
    root = Path(__file__).resolve().parents[2]
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root
    )

    assert told.stdout.strip() == "set()"


@pytest.mark.model
def test_minilm_gives_the_same_bits_alone_in_company_and_in_any_place(minilm):
    encoder = open_encoder(minilm)
    fillers = [f"question {i} about a card" for i in range(70)]
    asked = ["Where is my card?", "I still have not received it, " * 5]
    found = {
        text: {
            encoder.transform([*fillers[:place], text, *fillers[place:]])[place].tobytes()
            for place in (0, 1, 31, 70)
        }
        | {encoder.transform([text])[0].tobytes()}
        for text in asked
    }

    assert [len(bits) for bits in found.values()] == [1, 1]
    a, b, c = encoder.transform(["my card is lost", "I cannot find my card", "exchange rates"])
    assert a @ b > a @ c


def test_a_second_call_computes_nothing_and_a_new_text_only_itself(tiny_bert, tmp_path):
    encoder = open_encoder(tiny_bert)
    first = embed(TEXTS, encoder, cache=tmp_path)
    seen = []
    second = embed([*TEXTS, *TEXTS, "cash"], encoder, cache=tmp_path, progress=seen.append)

    assert first.tobytes() == second[:5].tobytes() == second[5:10].tobytes()
    assert (seen[-1].done, seen[-1].total, seen[-1].cached) == (6, 6, 5)
    assert count_missing([*TEXTS, "rate"], encoder, cache=tmp_path) == 1
    fresh = open_encoder(tiny_bert)
    assert second.tobytes() == embed([*TEXTS, *TEXTS, "cash"], fresh, cache=tmp_path).tobytes()
    assert fresh._model is None, "what is cached needs no model"


def test_other_weights_or_another_cut_are_another_revision(tiny_bert, tmp_path):
    for file in tiny_bert.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    same = open_encoder(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-6}))

    assert open_encoder(tiny_bert).revision == same.revision
    assert same.revision != open_encoder(tmp_path).revision
    assert same.revision != open_encoder(tiny_bert, max_tokens=32).revision


KILLED = """
import sys
from pathlib import Path
from finetune.embed import embed, open_encoder
texts = [f"card {i} fee " + "pin " * (i % 30) for i in range(4000)]
embed(texts, open_encoder(Path(sys.argv[1]), max_tokens=40), cache=Path(sys.argv[2]),
      progress=lambda p: print(p.done, flush=True))
"""


def test_kill_9_in_the_middle_costs_at_most_one_shard(tiny_bert, tmp_path):
    command = [sys.executable, "-c", KILLED, str(tiny_bert), str(tmp_path)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        done = 0
        while done < 3 * SHARD_TEXTS:
            done = int(process.stdout.readline())
        time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        told = [done, *map(int, process.stdout.read().split())][-1]
    texts = [f"card {i} fee " + "pin " * (i % 30) for i in range(4000)]
    encoder = open_encoder(tiny_bert, max_tokens=40)

    missing = count_missing(texts, encoder, cache=tmp_path)
    assert 4000 - told - SHARD_TEXTS <= missing <= 4000 - told
    assert missing > 0
    seen = []
    found = embed(texts, encoder, cache=tmp_path, progress=seen.append)
    assert missing == seen[-1].done - seen[-1].cached
    assert found[3999].tobytes() == encoder.transform([texts[3999]])[0].tobytes()


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("config.json", "config.json is missing"),
        ("model.safetensors", "no weights; expected one of model.safetensors"),
        ("vocab.txt", "no tokenizer; expected one of tokenizer.json"),
    ],
)
def test_an_incomplete_folder_is_an_error_that_names_the_file(tiny_bert, tmp_path, gone, message):
    for file in tiny_bert.iterdir():
        if file.name not in (gone, "tokenizer.json"):
            (tmp_path / file.name).write_bytes(file.read_bytes())

    with pytest.raises(FitError, match=message):
        open_encoder(tmp_path)


def test_weights_cut_short_are_an_error_that_says_so(tiny_bert, tmp_path):
    for file in tiny_bert.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.truncate(500)

    with pytest.raises(FitError, match=r"cannot be loaded .* cut short"):
        open_encoder(tmp_path).transform(["pin"])


def test_a_missing_folder_and_a_hub_name_out_of_reach_fail_fast_and_say_what_to_do(tmp_path):
    with pytest.raises(FitError, match="no such model folder"):
        open_encoder(tmp_path / "absent")
    with pytest.raises(FitError, match="not on this machine"):
        open_encoder("hf:nobody/nothing")
    with pytest.raises(FitError, match="not a hub name"):
        open_encoder("hf:a/b/c/d")
    started = time.monotonic()
    with pytest.raises(FitError, match="the hub did not give this model"):
        open_encoder("hf:nobody/nothing", download=True)
    assert time.monotonic() - started < 30


def test_a_damaged_shard_is_an_error_that_names_the_folder_to_delete(tiny_bert, tmp_path):
    encoder = open_encoder(tiny_bert)
    embed(TEXTS, encoder, cache=tmp_path)
    shard = next(tmp_path.rglob("*.values"))
    shard.write_bytes(shard.read_bytes()[:-8])

    with pytest.raises(FitError, match=r"is damaged .*; delete the folder"):
        embed(TEXTS, encoder, cache=tmp_path)
