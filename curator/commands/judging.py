"""Verbs that look into a model and a chain of steps, and claim nothing by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from curator import show
from curator.session import Json, Ref, print_json, progress, seen_values, store_here

Recipe = Annotated[Path | None, typer.Option(help="Take the spec from this recipe.")]
Of = Annotated[str, typer.Argument(help="Version id (6 digits or more), branch or tag.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    for verb in (attribution, rivals, scores, rescore, explore):
        app.command()(verb)
    app.command(name="learning-curve")(learning_curve)


def attribution(
    version: Of = "main",
    decisions: Annotated[
        str, typer.Option(help="frozen: as decided in the run; rerun: ask each check again.")
    ] = "frozen",
    by: Annotated[
        str | None, typer.Option(help="Column to sum the ridge influence by, as annotator.")
    ] = None,
    recipe: Recipe = None,
    as_json: Json = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Share the effect of a chain of steps out among them: waterfall, leave-one-out, Shapley."""
    from curator.attributing import attribution as attribute

    found = attribute(
        store_here(), version, decisions=decisions, by=by, recipe=recipe,  # type: ignore[arg-type]
        progress=progress(),
    )  # fmt: skip
    if as_json:
        print_json(found)
        return
    ways = ("waterfall", "leave_one_out", "shapley")
    records = [
        (s["step"], *(_share(s[way]) for way in ways), s["ridge_margin"]) for s in found["steps"]
    ]
    records.append(("all", _share(found["total"]), "", "", None))
    show.say(found["sentence"])
    columns = ("step", *(way.replace("_", " ") for way in ways), "ridge margin")
    title = "points of accuracy [95 % interval]; * cannot be told from nothing"
    show.table(columns, records, title=title)
    for name in (n for n in found["influence"] if n.startswith("by_")):
        sums = [(s["name"], s["rows"], s["sum"]) for s in _ends(found["influence"][name])]
        columns = (name.removeprefix("by_"), "rows", "sum of influence")
        title = "exact ridge influence on the ridge margin, the most harmful first"
        show.table(columns, sums, title=title)


def _share(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return "not computed"
    span = f"{100 * told['effect']:+.2f} [{100 * told['low']:+.2f}, {100 * told['high']:+.2f}]"
    return span if told["separable"] else f"{span} *"


def _ends(told: Sequence[Mapping[str, Any]], most: int = 5) -> Iterable[Mapping[str, Any]]:
    return told if len(told) <= 2 * most else (*told[:most], *told[-most:])


def rivals(
    step: Annotated[str, typer.Argument(help="Name of the step, such as label_errors.")],
    actions: Annotated[
        str, typer.Option(help="What its findings may lead to, with commas.")
    ] = "drop,relabel,weight",
    of: Annotated[str, typer.Option(help="Version, branch or tag whose history has it.")] = "main",
    recipe: Recipe = None,
    as_json: Json = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Set the actions one step's findings could lead to side by side; measure the best anew."""
    from curator.rivals import rivals as compare_rivals

    wanted = [name.strip() for name in actions.split(",") if name.strip()]
    found = compare_rivals(
        store_here(), step, actions=wanted, ref=of, recipe=recipe, progress=progress()
    )
    if as_json:
        print_json(found)
        return
    show.say(found["sentence"])
    records = [
        (r["action"], r["rows"], *(_points(r[name]) for name in ("effect", "low", "high")), when)
        for r, when in [*((r, "choosing") for r in found["rivals"]), (found["again"], "anew")]
    ]
    show.table(("action", "rows", "effect", "low", "high", "seeds"), records, title="points")


def scores(
    version: Of = "main",
    tier: Annotated[str, typer.Option(help="probe, top-layers or all-layers.")] = "probe",
    recipe: Recipe = None,
    as_json: Json = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Score a version on its frozen test rows, and show where its model goes wrong."""
    from curator.scoring import scores as score

    found = seen_values(score(store_here(), version, tier=tier, recipe=recipe, progress=progress()))
    if as_json:
        print_json(found)
        return
    metrics = [(name, *(m[at] for at in ("value", "low", "high"))) for name, m in
               found["metrics"].items()]  # fmt: skip
    show.table(("metric", "score", "low", "high"), metrics)
    c = found["calibration"]
    show.say(
        f"calibration: ECE {c['ece']:.3f}, {c['ece_at_temperature']:.3f} at temperature "
        f"{c['temperature']:.2f} (from {c['temperature_from']})"
    )
    lowest = [tuple(s.values()) for s in found["slices"][:15]]
    show.table(("slice", "name", "rows", "accuracy", "low", "high"), lowest, title="lowest slices")
    confused = [
        (p["label"], p["predicted"], p["rows"], *[t["text"] for t in p["texts"][:1]])
        for p in found["confused"][:10]
    ]
    show.table(("label", "predicted", "rows", "such as"), confused, title="taken for each other")
    hardest = [(h["id"][:12], h["label"], h["predicted"], h["p_label"], h["text"])
               for h in found["hardest"][:10]]  # fmt: skip
    show.table(("row", "label", "predicted", "P(label)", "text"), hardest, title="hardest rows")
    for note in found["notes"]:
        show.say(note)


def rescore(
    benchmark: Annotated[str, typer.Argument(help="Tag or branch with the corrected test labels.")],
    as_json: Json = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Score every stored comparison again under corrected test labels, without training."""
    from curator.rescoring import rescore as score_again

    found = score_again(store_here(), benchmark)
    if as_json:
        print_json(found)
        return
    show.say(found["sentence"])
    records = [
        (one["before"][:12], one["after"][:12], one["tier"], one["labels_changed"],
         *(f"{one[of]['before_score']:.3f} -> {one[of]['after_score']:.3f} "
           f"({_points(one[of]['effect'])})" for of in ("given", "corrected")))
        for one in found["comparisons"]
    ]  # fmt: skip
    show.table(("before", "after", "tier", "labels changed", "given", "corrected"), records)
    if found["left_out"]:
        show.say(f"{found['left_out']} comparisons are left out: their predictions were not kept")


def explore(
    a: Ref,
    b: Ref,
    folds: Annotated[int, typer.Option(help="Parts of the training rows, by group.")] = 5,
    tier: Annotated[str, typer.Option(help="probe, top-layers or all-layers.")] = "probe",
    recipe: Recipe = None,
    as_json: Json = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Screen a change on held-out training rows: as often as you like, no test row is spent."""
    from curator.exploring import explore as screen

    found = screen(store_here(), a, b, folds=folds, tier=tier, recipe=recipe, progress=progress())
    print_json(found) if as_json else show.say(found["sentence"])


def learning_curve(
    version: Of = "main",
    recipe: Recipe = None,
    as_json: Json = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Say how the score grew with the rows, and what up to twice as many may bring."""
    from curator.curving import learning_curve as curve

    found = curve(store_here(), version, recipe=recipe, progress=progress())
    if as_json:
        print_json(found)
        return
    show.say(found["sentence"])
    records = [(p["rows"], p["score"], p["low"], p["high"], "measured" if p["measured"] else
                "drawn on") for p in found["points"]]  # fmt: skip
    show.table(("training rows", "accuracy", "low", "high", ""), records)


def _points(share: float) -> str:
    return f"{100 * share:+.2f}"
