"""Character n-gram TF-IDF reduced by truncated SVD: features where no encoder speaks the language.

The one idea: a fitted vectoriser is a model like any other. It is fitted once on the training rows
of the import version, stored without pickle, and its content hash is its revision; test rows are
never in the fit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .errors import FitError
from .keys import FloatArray, hash_parts
from .logistic import blas_threads
from .shards import write_whole

NGRAMS = (1, 3)
MAX_TERMS = 200_000
"""Most n-grams kept, the most frequent first; a vocabulary that was cut says so in its name."""

MIN_TEXTS = 2
"""An n-gram of a single text is left out: it tells that text from all others and no more."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What n-grams say about texts.

    weights: TF-IDF weight of each n-gram, sparse by row, shape (n, terms), rows of unit length.
    reduced: The same texts on the model's axes, shape (n, d), float32; (n, 0) where these are the
        features already.
    """

    weights: Any
    reduced: FloatArray


@dataclass(frozen=True)
class TfidfModel:
    """A fitted vectoriser.

    terms: n-grams, sorted. idf: shape (terms,). axes: shape (terms, d). All that is stored.
    """

    terms: tuple[str, ...]
    idf: FloatArray
    axes: FloatArray

    @property
    def name(self) -> str:
        """What it is, for people."""
        cut = f", the {MAX_TERMS} most frequent" if len(self.terms) == MAX_TERMS else ""
        return f"character {NGRAMS[0]}-{NGRAMS[1]}-gram TF-IDF, SVD {self.dimensions}{cut}"

    @property
    def dimensions(self) -> int:
        """Numbers per vector."""
        return int(self.axes.shape[1])

    @cached_property
    def revision(self) -> str:
        """Hash of all that is stored; 32 hexadecimal digits."""
        return hash_parts("tfidf", *self.terms, self.idf.tobytes().hex(), self.axes.tobytes().hex())

    @property
    def numerics(self) -> str:
        """Library and threads, as they enter cache keys."""
        from .embed import library_version

        return f"scikit-learn {library_version('scikit-learn')}, cpu, 1 thread"

    @cached_property
    def _vectoriser(self) -> Any:
        found = _vectoriser({term: i for i, term in enumerate(self.terms)})
        found.idf_ = self.idf
        return found

    def transform(self, texts: Sequence[str]) -> FloatArray:
        """Give the vector of each text, shape (n, d), float32, unit length.

        A text of unknown n-grams alone gives zeros.
        """
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        # Sparse times dense goes row by row, so a text's bits do not depend on its company.
        vectors = np.asarray(self._vectoriser.transform(texts) @ self.axes)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)

    def terms_of(self, texts: Sequence[str], *, reduced: bool) -> Terms:
        """Give the n-gram weights of texts, and on demand their vectors.

        Args:
            texts: n texts.
            reduced: Give vectors too, as `transform` does.
        """
        vectors = self.transform(texts) if reduced else np.zeros((len(texts), 0), np.float32)
        return Terms(self._vectoriser.transform(texts), vectors)

    def save(self, path: Path) -> None:
        """Write the model as npz, whole or not at all."""
        terms = np.frombuffer(json.dumps(self.terms).encode(), dtype=np.uint8)
        write_whole(
            path,
            lambda file: np.savez_compressed(file, terms=terms, idf=self.idf, axes=self.axes),
        )


def load_tfidf(path: Path) -> TfidfModel:
    """Read a saved model.

    Raises:
        FitError: The file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return TfidfModel(
                terms=tuple(json.loads(stored["terms"].tobytes())),
                idf=stored["idf"],
                axes=stored["axes"],
            )
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise FitError(
            f"{path}: no TF-IDF model can be read here ({error}); fit it again"
        ) from error


def fit_tfidf(texts: Sequence[str], *, dimensions: int = 256, seed: int = 0) -> TfidfModel:
    """Fit TF-IDF of character 1- to 3-grams (sublinear) and a truncated SVD.

    Args:
        texts: Training texts; their order does not matter.
        dimensions: Axes kept; fewer where the texts or n-grams are fewer.
        seed: Of the randomised SVD.

    Raises:
        FitError: Fewer than two different texts, or no n-gram in them.

    Source: Halko, Martinsson and Tropp 2011 (randomised SVD), through scikit-learn.
    """
    from sklearn.decomposition import TruncatedSVD

    ordered = sorted(texts)
    if len(set(ordered)) <= 1:
        raise FitError(f"TF-IDF needs two different texts; got {len(set(ordered))}")
    vectoriser = _vectoriser(None)
    try:
        matrix = vectoriser.fit_transform(ordered)
    except ValueError as error:
        raise FitError(f"TF-IDF cannot be fitted to these {len(ordered)} texts: {error}") from error
    kept = min(dimensions, min(matrix.shape) - 1)
    if kept < 1:
        raise FitError(f"TF-IDF found {matrix.shape[1]} n-grams; at least 2 are needed")
    with blas_threads(1):
        axes = TruncatedSVD(kept, random_state=seed).fit(matrix).components_.T
    return TfidfModel(
        terms=tuple(vectoriser.get_feature_names_out().tolist()),
        idf=np.asarray(vectoriser.idf_, dtype=np.float32),
        axes=np.ascontiguousarray(axes, dtype=np.float32),
    )


def _vectoriser(vocabulary: dict[str, int] | None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        analyzer="char",
        ngram_range=NGRAMS,
        sublinear_tf=True,
        min_df=1 if vocabulary else MIN_TEXTS,
        max_features=None if vocabulary else MAX_TERMS,
        vocabulary=vocabulary,
        dtype=np.float32,
    )
