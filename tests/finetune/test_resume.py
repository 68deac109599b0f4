import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from finetune import FitError, Training, default_spec, fit_scores, open_encoder, read_record

TEXTS = tuple(f"{a} {b}" for a in ("card", "cash") for b in ("lost", "late", "fee", "pin", "my"))
LABELS = tuple("card" if "card" in text else "cash" for text in TEXTS)
TEST = ["card stolen", "cash stolen how"]
ROOT = Path(__file__).resolve().parents[2]

SPECS = {
    # More batches than rows: some have none, and a step without rows moves by its momentum alone.
    "empty batches": {"tier": "top-layers", "batches": 9, "epochs": 2},
    "dropout": {"tier": "top-layers", "batches": 2, "epochs": 4, "dropout": 0.3, "clip": 0.1},
    "all layers": {"tier": "all-layers", "batches": 3, "epochs": 2, "precision": "float32"},
    "stopping": {
        "tier": "top-layers", "batches": 2, "epochs": 9, "validation": 0.3, "patience": 2,
        "learning_rate": 0.05, "schedule": "cosine", "warmup": 0.2, "loss": "sce",
    },
    "full": {"tier": "all-layers", "batches": 2, "epochs": 2, "method": "full",
             "precision": "float32"},
    "prefix": {"tier": "all-layers", "batches": 2, "epochs": 2, "method": "prefix",
               "precision": "float32", "virtual_tokens": 3, "max_tokens": 64},
}  # fmt: skip


def fit(encoder, cache, spec, progress=None, checkpoint_s=0.0):
    return fit_scores(
        Training(TEXTS, LABELS, np.ones(10)), TEST, classes=("card", "cash"),
        spec=default_spec(**{"rows": 10, "max_tokens": 64, **spec}), seeds=[3], model=encoder,
        projection=None, cache=cache, progress=progress, checkpoint_s=checkpoint_s,
    )[0]  # fmt: skip


def interrupt_at(step):
    def progress(at):
        if at.stage == "step" and at.done == step:
            raise KeyboardInterrupt

    return progress


def learnt(cache, key):
    stored = read_record(cache, key)
    arrays = stored.state | {f"row {n}": v for n, v in stored.rows.items()}
    return {name: value.tobytes() for name, value in arrays.items()}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_fit_interrupted_after_any_step_comes_to_the_same_bits(spec, tiny_bert, tmp_path):
    encoder = open_encoder(tiny_bert, max_tokens=64)
    straight = fit(encoder, tmp_path / "straight", spec)
    cache, went_on = tmp_path / "cut", []
    for step in range(1, spec["batches"] * spec["epochs"] + 1):
        try:
            done = fit(encoder, cache, spec, interrupt_at(step))
            break
        except KeyboardInterrupt:
            went_on.append(step)
    else:
        done = fit(encoder, cache, spec)

    assert len(went_on) > 1
    assert done.record["resumed"] == went_on[-1]
    assert learnt(tmp_path / "straight", straight.key) == learnt(cache, done.key)
    assert straight.probabilities.tobytes() == done.probabilities.tobytes()
    assert list((cache / "checkpoints").iterdir()) == []


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from finetune import open_encoder
from test_resume import fit_words
encoder, cache = open_encoder(Path(sys.argv[1])), Path(sys.argv[2])
tell = lambda p: print(p.stage, p.done, p.total, flush=True)
try:
    fit_words(encoder, cache, tell)
except KeyboardInterrupt:
    print("interrupted", flush=True)
fit_words(encoder, cache, tell)
"""


def fit_words(encoder, cache, progress=None):
    words = ["card", "cash", "lost", "late", "fee", "pin", "my", "bank", "rate", "swap"]
    texts = tuple(f"{a} {b}" for a in words for b in words)
    return fit_scores(
        Training(texts, tuple(text.split()[0] for text in texts), np.ones(len(texts))),
        texts[:9], classes=tuple(sorted(words)), seeds=[1], model=encoder, projection=None,
        spec=default_spec("top-layers", rows=100, batches=10, epochs=4, dropout=0.1),
        cache=cache, progress=progress, checkpoint_s=0.0,
    )[0]  # fmt: skip


@pytest.mark.slow
def test_a_process_stopped_by_ctrl_c_and_then_killed_is_gone_on_with_in_another_to_the_same_bits(
    tiny_bert, tmp_path
):
    draw = np.random.default_rng()
    stopped, killed = int(draw.integers(2, 12)), int(draw.integers(24, 34))  # any steps must do
    here = str(Path(__file__).parent)
    command = [sys.executable, "-W", "ignore", "-c", KILLED, tiny_bert, tmp_path / "cut", here]
    due = [(stopped, signal.SIGINT), (killed, signal.SIGKILL)]
    said = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
    ) as process:
        for line in process.stdout:
            said.append(line)
            over = len(due) == 2 or "interrupted\n" in said
            if due and over and line.startswith("step") and int(line.split()[1]) >= due[0][0]:
                os.kill(process.pid, due.pop(0)[1])
    encoder = open_encoder(tiny_bert)
    done, straight = (fit_words(encoder, tmp_path / name) for name in ("cut", "straight"))

    assert -signal.SIGKILL == process.returncode
    first = next(line for line in said[said.index("interrupted\n") :] if line.startswith("step"))
    assert int(first.split()[1]) > stopped
    assert done.record["resumed"] >= killed
    assert learnt(tmp_path / "straight", straight.key) == learnt(tmp_path / "cut", done.key)
    assert straight.probabilities.tobytes() == done.probabilities.tobytes()


def test_a_damaged_checkpoint_is_an_error_that_names_the_file(tiny_bert, tmp_path):
    encoder, spec = open_encoder(tiny_bert, max_tokens=64), SPECS["dropout"]
    with pytest.raises(KeyboardInterrupt):
        fit(encoder, tmp_path, spec, interrupt_at(3))
    next((tmp_path / "checkpoints").iterdir()).write_bytes(b"PK broken")

    with pytest.raises(FitError, match=r"this checkpoint is damaged .* delete it"):
        fit(encoder, tmp_path, spec)


def test_without_time_for_a_checkpoint_a_fit_starts_anew_and_comes_to_the_same_bits(
    tiny_bert, tmp_path
):
    encoder, spec = open_encoder(tiny_bert, max_tokens=64), SPECS["dropout"]
    with pytest.raises(KeyboardInterrupt):
        fit(encoder, tmp_path / "cut", spec, interrupt_at(3), checkpoint_s=1000.0)
    done = fit(encoder, tmp_path / "cut", spec)

    assert done.record["resumed"] == 0
    assert (
        fit(encoder, tmp_path / "straight", spec).probabilities.tobytes()
        == done.probabilities.tobytes()
    )


def test_progress_tells_the_steps_of_all_fits_that_are_due_and_none_of_those_cached(
    tiny_bert, tmp_path
):
    encoder = open_encoder(tiny_bert, max_tokens=64)
    spec = default_spec("top-layers", rows=10, batches=3, max_tokens=64)
    seen = []

    def run(seeds):
        fit_scores(
            Training(TEXTS, LABELS, np.ones(10)), TEST, classes=("card", "cash"), spec=spec,
            seeds=seeds, model=encoder, projection=None, cache=tmp_path,
            progress=lambda at: seen.append((at.stage, at.done, at.total)),
        )  # fmt: skip

    run([1])
    seen.clear()
    run([0, 1, 2])

    assert [("step", done, 12) for done in range(1, 13)] == [s for s in seen if s[0] == "step"]
    assert [s for s in seen if s[0] == "fit"] == [("fit", done, 3) for done in (1, 2, 3)]
