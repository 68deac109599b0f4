"""What in a text gives its label away without being about it.

The one idea: a model takes the cheapest way. Where nearly all rows of a class, and nearly no
others, share one token or one outward property (length, a link, a capital), a model may learn that
instead of the class. Whether a word is a shortcut or the very subject of the class only a person
can say, so a shortcut is a doubt about the set, told with its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from curator.reading import FloatArray, doubts, labels_of, shown, terms_of, texts_of, together

CHECK = "shortcuts"
ISSUES = ("label_in_text", "shortcut")

PROPERTIES = {
    "a link": r"https?://|www\.",
    "an e-mail address": r"\S@\S+\.\w",
    "a digit": r"\p{N}",
    "an emoji": r"[\x{1F000}-\x{1FAFF}\x{2600}-\x{27BF}]",
    "markup": r"</?[a-zA-Z][^<>]*>",
    "brackets at the start": r"^\s*[\[(【（]",
    "white space at an end": r"^\s|\s$",
    "a line break": r"\n",
    "only capitals": r"^[^\p{Ll}]*\p{Lu}[^\p{Ll}]*\p{Lu}[^\p{Ll}]*$",
    "no capital": r"^[^\p{Lu}]*\p{Ll}[^\p{Lu}]*$",
    "a full stop at the end": r"[.。]\s*$",
    "a question mark at the end": r"[?？]\s*$",
    "an exclamation mark at the end": r"[!！]\s*$",
}
_MARKS = r"(?:label|class|category|intent|tag|标签|类别|分类|意图)"
_READ_CHARS = 20_000
_EXAMPLES = 3
_WORD = "the word "
_LENGTH = " characters"


def shortcuts(
    rows: pa.Table,
    *,
    min_class_share: float = 0.8,
    max_other_share: float = 0.02,
    min_lift: float = 0.6,
    level: float = 0.01,
) -> pa.Table:
    """Find labels that stand in the text, and tokens or properties that give a label away.

    Args:
        rows: Rows with id, group, text, label and split; the training rows are looked at.
        min_class_share: A token is a shortcut where this share of a class's groups has it, 0..1,
        max_other_share: and at most this share of the other groups, 0..1.
        min_lift: An outward property is one where its share in a class differs by this much from
            its share elsewhere, 0..1.
        level: Chance of a false alarm over all tokens, properties and classes together, 0..1.

    Returns:
        Findings: label_in_text by row; shortcut about the set, carried by three of its rows, the
        score being the share in the class less the share elsewhere; not flagged where the word
        stands in the label's own name.
    """
    train = pl.Series(rows["split"].to_pylist(), dtype=pl.String) == "train"
    at = train.arg_true()
    frame = pl.DataFrame({
        "at": at,
        "text": texts_of(rows).gather(at).str.slice(0, _READ_CHARS),
        "label": labels_of(rows).gather(at),
        "group": pl.Series(rows["group"].to_pylist(), dtype=pl.String).gather(at),
    }).explode("label").drop_nulls("label")  # fmt: skip
    tables = [_in_text(rows, frame)]
    if frame["label"].n_unique() > 1:
        least = (min_class_share, max_other_share, min_lift)
        tables += [_told(rows, found) for found in _found(frame, least, level)]
    return together(tables)


def _in_text(rows: pa.Table, frame: pl.DataFrame) -> pa.Table:
    """Find rows whose text states their label: `label: x`, or a key such as card_arrival."""
    likely = frame.filter(
        pl.col("text")
        .str.to_lowercase()
        .str.contains(pl.col("label").str.to_lowercase(), literal=True)
    )
    at, said = [], []
    for place, text, label in likely.select("at", "text", "label").iter_rows():
        name = re.escape(label)
        marked = re.search(rf"(?i){_MARKS}\w*[\"']?\s*[:=：]\s*[\"'\[]?{name}(?!\w)", text)
        key = re.search(r"[^\W\d]_\w|\w::\w|\w/\w", label) and re.search(
            rf"(?<!\w){name}(?!\w)", text
        )
        if match := marked or key:
            at.append(place)
            said.append(f"the text states its label: {shown(match.group())}")
    return doubts(rows, at, issue_type="label_in_text", check=CHECK, score=np.ones(len(at)),
                  evidence=said)  # fmt: skip


Found = tuple[str, str, float, float, list[int]]
"""What, class, share in the class, share elsewhere, positions of examples."""


def _found(frame: pl.DataFrame, least: tuple[float, float, float], level: float) -> Iterator[Found]:
    """Test tokens and properties class by class; a group counts once."""
    min_share, max_other, min_lift = least
    sizes = frame.group_by("label").agg(n=pl.col("group").n_unique().cast(pl.Int64))
    groups = frame["group"].n_unique()
    tokens, properties = _tokens(frame, min_share, sizes), _properties(frame)
    tested = _tests(tokens, len(sizes)) + _tests(properties, len(sizes))
    share, other = pl.col("share"), pl.col("other")
    common = _counted(tokens, sizes, groups, tokens.select("mark", "label").unique()).filter(
        (share >= min_share) & (other <= max_other)
    )
    every = properties.select("mark").unique().join(sizes.select("label"), how="cross")
    outward = _counted(properties, sizes, groups, every).filter((share - other).abs() >= min_lift)
    # Of all lengths only the one that parts a class best.
    outward = outward.with_columns(
        kind=pl.when(pl.col("mark").str.ends_with(_LENGTH)).then(pl.lit("")).otherwise("mark"),
        lift=(share - other).abs(),
    ).sort("lift", "mark", descending=[True, False])
    outward = outward.unique(["kind", "label"], keep="first", maintain_order=True)
    for marks, found in ((tokens, common), (properties, outward)):
        some = found.sort("mark", "label")
        p = _chance(some, groups)
        for record, chance in zip(some.iter_rows(named=True), p, strict=True):
            if chance * tested <= level:
                yield _record(frame, marks, record)


def _counted(
    marks: pl.DataFrame, sizes: pl.DataFrame, groups: int, pairs: pl.DataFrame
) -> pl.DataFrame:
    """Count the groups that have a mark, in each class and elsewhere.

    A class that is in every group has no elsewhere, so nothing can part it from the others.
    """
    have = marks.group_by("mark", "label").agg(have=pl.col("group").n_unique().cast(pl.Int64))
    whole = marks.group_by("mark").agg(all=pl.col("group").n_unique().cast(pl.Int64))
    counts = pairs.join(have, on=["mark", "label"], how="left").join(whole, on="mark")
    counts = counts.join(sizes, on="label").with_columns(pl.col("have").fill_null(0))
    rest = groups - pl.col("n")
    return counts.filter(rest > 0).with_columns(
        share=pl.col("have") / pl.col("n"),
        other=((pl.col("all") - pl.col("have")) / rest).clip(0, 1),
    )


def _tests(marks: pl.DataFrame, classes: int) -> int:
    return max(marks["mark"].n_unique() * classes, 1)


def _chance(some: pl.DataFrame, groups: int) -> FloatArray:
    """Give the one-sided probability of so many or more by chance, by Fisher's exact test."""
    from scipy.stats import hypergeom

    have, total, n = (some[c].to_numpy() for c in ("have", "all", "n"))
    more = hypergeom.sf(have - 1, groups, total, n)
    fewer = hypergeom.cdf(have, groups, total, n)
    return np.asarray(np.where(some["share"].to_numpy() >= some["other"].to_numpy(), more, fewer))


def _record(frame: pl.DataFrame, marks: pl.DataFrame, record: dict[str, object]) -> Found:
    mark, label = str(record["mark"]), str(record["label"])
    here = marks.filter((pl.col("mark") == mark) & (pl.col("label") == label))
    if not here.height:  # the class is told by what it lacks
        here = frame.filter(pl.col("label") == label)
    examples = here["at"].unique().sort()[:_EXAMPLES].to_list()
    return mark, label, float(str(record["share"])), float(str(record["other"])), examples


def _tokens(frame: pl.DataFrame, min_share: float, sizes: pl.DataFrame) -> pl.DataFrame:
    """Give (at, mark, label, group) for each token that could be common enough in a class."""
    told = frame.select("at", "label", "group", mark=terms_of(frame["text"]).list.unique())
    told = told.explode("mark").drop_nulls("mark")
    counts = told.group_by("mark").agg(n=pl.col("group").n_unique())
    common = counts.filter(pl.col("n") >= min_share * sizes["n"].min())  # type: ignore[operator]
    return told.join(common, on="mark", how="semi").with_columns(
        mark=pl.format(_WORD + "{}", pl.col("mark").map_elements(shown, pl.String))
    )


def _properties(frame: pl.DataFrame) -> pl.DataFrame:
    length = frame["text"].str.len_chars()
    masks = {name: frame["text"].str.contains(p) for name, p in PROPERTIES.items()}
    if len(frame):
        for share in (0.1, 0.25, 0.5, 0.75, 0.9):
            least = length.quantile(share) or 0.0
            masks[f"at most {least:.0f}{_LENGTH}"] = length <= least
            masks[f"at least {least:.0f}{_LENGTH}"] = length >= least
    parts = [
        frame.filter(mask).select("at", "label", "group", mark=pl.lit(name))
        for name, mask in masks.items()
    ]
    return pl.concat(parts) if parts else frame.select("at", "label", "group", mark="text")


def _told(rows: pa.Table, found: Found) -> pa.Table:
    mark, label, share, other, at = found
    named = mark.removeprefix(_WORD).strip("'")
    subject = mark.startswith(_WORD) and named in label.lower()
    why = (
        "its own name, so likely its subject" if subject else "a model may learn that in its place"
    )
    said = f"{mark}: in {share:.0%} of class {label!r}, in {other:.1%} of the others; {why}"
    return doubts(rows, at, issue_type="shortcut", check=CHECK, evidence=[said] * len(at),
                  flagged=not subject, score=np.full(len(at), abs(share - other)))  # fmt: skip
