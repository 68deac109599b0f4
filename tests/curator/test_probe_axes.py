"""How many axes a probe on n-grams gets: the usual, or one per class where there are more."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pyarrow as pa
import pytest

from curator.context import Context
from finetune import PROBE_AXES
from finetune.probe import fit_projection

LETTERS = "bcdfghjklm"


def rows(classes):
    names = ["".join(some) for some in product(LETTERS, repeat=3)][:classes]
    texts = [f"{name} {a}{b} {name}" for name in names for a, b in ("xy", "yz", "zx")]
    return pa.table(
        {
            "id": [f"r{i:04d}" for i in range(len(texts))],
            "text": texts,
            "label": [name for name in names for _ in range(3)],
            "split": ["train"] * len(texts),
        }
    )


def context(classes, folder):
    return Context(folder, rows(classes), "tfidf", "en", Path())


@pytest.mark.parametrize(("classes", "axes"), [(40, PROBE_AXES), (96, PROBE_AXES), (110, 110)])
def test_a_probe_on_n_grams_has_an_axis_per_class(tmp_path, classes, axes):
    made = context(classes, tmp_path)

    assert min(axes, made.model.dimensions) == made.projection.axes.shape[1]


def test_up_to_the_usual_number_of_classes_the_projection_is_the_one_without_a_rule(tmp_path):
    made = context(60, tmp_path)
    texts = sorted(set(made.root["text"].to_pylist()))

    assert fit_projection(made.embed(texts)).revision == made.projection.revision
