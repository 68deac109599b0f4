"""A push from end to end: what a version leaves in doubt, chosen, put on pages, and sent once.

The one idea: all that a push rests on is known before the server is asked, and the choice is a
function of the version alone, so a push that was cut short is ended by giving it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

import connectors
import finetune
from curator import annotating_pages as pages
from curator import schema
from curator.about import RunAbout
from curator.annotating_doubts import (
    Material,
    findings_in,
    found_now,
    influence_in,
    label_texts,
    material_of,
    nearest_rows,
)
from curator.annotating_forms import Form, Row, form_of, missing_in, prediction_of
from curator.annotating_log import Asked, Site, State, keep_labels, keep_project
from curator.annotating_push import (
    SETTLE_S,
    Found,
    Pushed,
    Task,
    one_pusher,
    reconcile,
    refresh,
    repair,
    send,
    sweep_doubles,
)
from curator.annotating_ranking import Chosen, Control, Doubt, Shares, choose
from curator.annotating_site import Server, check_host, find_project, recipe_of, site_of
from curator.context import Context, served
from curator.errors import StepError, StoreError
from curator.labels import Label, load_labels
from curator.masking import shown
from curator.progress import SILENT, Progress
from curator.query import rows_of
from curator.recipe import Recipe, load
from curator.replaying import context_of, labels_of, run_of
from curator.versions.manifest import Version
from curator.versions.store import Store

TAB = "By priority"
_LONG = 3.0  # seconds a listing may take without being called a wait
HIDDEN = (
    "tasks:annotations_results", "tasks:predictions_results", "tasks:file_upload",
    "tasks:storage_filename", "tasks:data.near", "tasks:data.given_about",
    "tasks:data.suggested_about", "tasks:data.row_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PushPlan:
    """What to push.

    budget: Tasks the project is to hold altogether; those that are there count.
    shares: Of blind controls and known answers; overlap: annotations per task.
    batch: Tasks per request; settle_s: how long a request of a killed push is waited for, seconds.
    language: Of the words around the labels; None: the corpus's own.
    findings, influence: Files that say what is in doubt and what rows do; None: checks, unknown.
    where: SQL expression over the columns of a row: only these rows are asked.
    put_back: Replace a configuration that was changed by hand.
    """

    budget: int
    shares: Shares = field(default_factory=Shares)
    overlap: int = 1
    batch: int = 250
    settle_s: float = SETTLE_S
    language: str | None = None
    findings: Path | None = None
    where: str | None = None
    influence: Path | None = None
    recipe: Path | None = None
    put_back: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class PushDone:
    """What became of a push: the project, its tasks, and what a person should know.

    planned: New tasks by control kind; flagged: how many of them are likelier wrong than right.
    """

    url: str
    project: int | None
    title: str
    version: str
    tasks: Pushed
    planned: Mapping[str, int]
    flagged: int
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        values = asdict(self)
        return {**values, "notes": list(self.notes), "planned": dict(self.planned)}


def push(
    store: Store,
    ref: str,
    server: Server,
    project: str | None,
    plan: PushPlan,
    *,
    progress: Progress = SILENT,
) -> PushDone:
    """Give doubtful rows of a version to annotators; what is there already is not sent again.

    Args:
        store: Holds the version.
        ref: The version.
        server: Where to.
        project: Title or number of the project, made where there is none; None: named by the run.
        plan: What to push.
        progress: Told what happens.

    Raises:
        StoreError: Another push is at work, the host is not allowed, or the project has another
            configuration than it needs.
        connectors.StudioError: The server cannot be reached or refuses.
    """
    scene = _scene(store, store.version(ref), plan, progress)
    title = project or f"{scene.name} review"
    with connectors.Studio(server.url, server.token) as studio:
        check_host(studio, scene.egress)
        studio.whoami()
        with one_pusher(store.cache, schema.hash_fields(studio.url, title)):
            return _push(store, studio, title, scene, plan, progress)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a push rests on, all of it known before the server is asked."""

    version: Version
    name: str
    material: Material
    context: Context
    labels: Mapping[str, pages.LabelText]
    language: str | None
    recipe: Recipe | None
    form: Form
    notes: tuple[str, ...]

    @property
    def egress(self) -> tuple[str, ...]:
        return self.recipe.egress if self.recipe else ()

    def marks(self, asked: Asked) -> list[dict[str, Any]]:
        """Give what is marked beforehand on the page of a row."""
        return prediction_of(self.form.task, asked.control, asked.suggested)

    def text(self, text: str) -> str:
        """Give a text as annotators may see it."""
        return shown(text, self.recipe.examples if self.recipe else "masked") or ""


def _scene(store: Store, version: Version, plan: PushPlan, progress: Progress) -> _Scene:
    form = form_of(version.task)
    about = run_of(store, version)
    recipe = load(plan.recipe) if plan.recipe else recipe_of(about)
    if recipe is not None and recipe.examples == "none":
        raise StoreError(
            "annotate push: the recipe says `examples: none`, and annotators cannot judge what "
            "they may not read; say masked or full"
        )
    context = context_of(store, version, about, cache=store.cache, progress=progress)
    rows = served(store.rows(version), version.transforms)
    findings, notes = _findings(rows, context, form, plan)
    influence = influence_in(plan.influence) if plan.influence else {}
    wanted = None
    if plan.where is not None:
        wanted = frozenset(rows_of(store, version.id, where=plan.where)["id"].to_pylist())
    material = material_of(rows, findings, form=form, influence=influence, wanted=wanted)
    language = plan.language or about.language
    known = _known_labels(about, recipe) if form.has_label else {}
    texts = label_texts(material.classes, known, language)
    scene = _Scene(version, about.name, material, context, texts, language, recipe, form, notes)
    scene = _readable(scene)
    if any(doubt.is_wanted and doubt.p_wrong > 0 for doubt in scene.material.doubts):
        return scene
    raise StoreError(
        f"annotate push: nothing to ask in version {version.short}: no check of task {form.task!r} "
        "flags a training row; name rows with --where, or give --findings"
        + "".join(f". {note}" for note in scene.notes)
    )


def _findings(
    rows: pa.Table, context: Context, form: Form, plan: PushPlan
) -> tuple[pa.Table, tuple[str, ...]]:
    """Give what is in doubt; rows that are named may be asked although no check can run."""
    if plan.findings:
        return findings_in(plan.findings), ()
    try:
        return found_now(rows, context, form.task), ()
    except (finetune.FitError, StepError) as fault:
        if plan.where is None:
            raise
        note = f"no check could be asked ({fault}); rows are in the order of their ids"
        return schema.FINDING_SCHEMA.empty_table(), (note,)


def _readable(scene: _Scene) -> _Scene:
    """Leave out rows whose answer is about the very characters, where some may not be shown."""
    if not scene.form.needs_text:
        return scene
    cells, doubts = scene.material.cells, scene.material.doubts
    kept = tuple(d for d in doubts if _masked(cells[d.row_id], scene) == cells[d.row_id])
    hidden = {d.row_id for d in doubts if d.is_wanted and d.p_wrong > 0} - {d.row_id for d in kept}
    material = replace(scene.material, doubts=kept)
    note = (
        f"{len(hidden):,} doubted rows hold personal data that `examples: masked` hides; marks "
        "and rewrites are about the text as it is, so they are not asked (`examples: full` does)"
    )
    notes = (*scene.notes, note) if hidden else scene.notes
    return replace(scene, material=material, notes=notes)


def _masked(row: Row, scene: _Scene) -> dict[str, Any]:
    """Give the cells of a row as annotators may see them."""
    said = {
        name: [{**message, "content": scene.text(message["content"])} for message in row[name]]
        for name in ("messages", "prompt", "chosen", "rejected")
        if name in row
    }
    return {**row, **said, **({"text": scene.text(row["text"])} if "text" in row else {})}


def _known_labels(about: RunAbout, recipe: Recipe | None) -> dict[str, Label]:
    """Give what is known about labels: by the labels file where the recipe still leads to it."""
    if recipe is None or recipe.labels is None:
        return labels_of(about)
    return load_labels(recipe.labels, base=recipe.base)


def _push(
    store: Store,
    studio: connectors.Studio,
    title: str,
    scene: _Scene,
    plan: PushPlan,
    progress: Progress,
) -> PushDone:
    labels = list(scene.labels.values())
    wanted = scene.form.config(labels, scene.language)
    found = find_project(studio, title, must=False)
    if plan.dry_run:
        state = site_of(store, studio, found).state if found else State()
        chosen = _chosen(scene, plan, state)
        return _done(studio, found, title, scene, Pushed(unchanged=len(state.asked)), chosen, [])
    if found is None:
        found = studio.create_project(title, wanted, overlap=plan.overlap)
    site = site_of(store, studio, found)
    keep_project(store, site.log.key, studio.url, found)
    notes = _settle(studio, found, wanted, scene.form, plan)
    keep_labels(site, sorted(scene.labels))
    there, told = reconcile(
        site, labels=sorted(scene.labels), settle_s=plan.settle_s, progress=progress
    )
    chosen = _chosen(scene, plan, site.state)
    _send_all(site, scene, plan, chosen, there, told, progress)
    return _done(studio, found, title, scene, told, chosen, notes)


def _settle(
    studio: connectors.Studio,
    found: connectors.StudioProject,
    wanted: str,
    form: Form,
    plan: PushPlan,
) -> list[str]:
    """Bring the configuration of a project up to date, but not over what a person changed."""
    notes = []
    if found.overlap != plan.overlap:
        studio.change_project(found.id, maximum_annotations=plan.overlap)
        notes.append(f"tasks now take {plan.overlap} annotations instead of {found.overlap}")
    if found.config == wanted:
        return notes
    if pages.is_untouched(found.config) or plan.put_back:
        studio.change_project(found.id, label_config=wanted)
        return [*notes, "the labelling configuration was brought up to date"]
    if missing := missing_in(found.config, form, wanted):
        raise StoreError(
            f"project {found.id} ({found.title!r}): its labelling configuration was changed by "
            f"hand and lacks {', '.join(missing[:5])}{' and more' if len(missing) > 5 else ''}, "  # noqa: PLR2004
            "so answers could not be understood; nothing was pushed. --put-back replaces it"
        )
    return [*notes, "the labelling configuration was changed by hand and is left as it is"]


def _chosen(scene: _Scene, plan: PushPlan, state: State) -> list[Chosen]:
    """Choose what is still to be asked; a task that somebody deleted counts and stays away."""
    held: dict[str, Control] = {row: one.control for row, one in state.asked.items()}
    held |= dict.fromkeys(state.gone, "open")
    # Where what a row teaches is never shown, every task is a blind one.
    shares = plan.shares if scene.form.shows_given else replace(plan.shares, blind=1.0)
    return choose(scene.material.doubts, plan.budget, shares=shares, asked=held)


def _send_all(
    site: Site,
    scene: _Scene,
    plan: PushPlan,
    chosen: Sequence[Chosen],
    there: Mapping[str, Found],
    told: Pushed,
    progress: Progress,
) -> None:
    model_version = f"curator-{scene.version.short}"
    changed = [
        asked
        for row, asked in sorted(site.state.asked.items())
        if row in there and scene.material.content.get(row, asked.content) != asked.content
    ]
    lost = [site.state.asked[row] for row, one in sorted(there.items())
            if not one.predictions and row in site.state.asked]  # fmt: skip
    told.unchanged = len(there) - len(changed)
    told.strange = sum(row not in scene.material.content for row in there)
    repair(site, [(one, scene.marks(one)) for one in lost], told, model_version)
    by_id = {doubt.row_id: doubt for doubt in scene.material.doubts}
    again = [
        Chosen(by_id[one.row_id], one.control, one.priority)
        for one in changed
        if one.row_id in by_id
    ]
    wanted = [one.doubt.row_id for one in (*chosen, *again)]
    shows_near = scene.form.shows_near and wanted
    near = nearest_rows(scene.material, wanted, scene.context) if shows_near else {}

    def page(one: Chosen) -> Task:
        return _task(scene, one, near.get(one.doubt.row_id, ()))

    refresh(site, [page(one) for one in again], there, told)
    send(
        site, [page(one) for one in chosen], told,
        model_version=model_version, batch=plan.batch, progress=progress,
    )  # fmt: skip
    sweep_doubles(site, there, told, labels=sorted(scene.labels))
    site.studio.add_view(site.project, TAB, order="-tasks:data.priority", hidden=HIDDEN)
    if told.created or told.repaired:
        site.studio.change_project(site.project, model_version=model_version)


def _task(scene: _Scene, one: Chosen, near: tuple[tuple[str, float, str], ...]) -> Task:
    """Put together what is remembered of a row and what its page shows."""
    doubt, material = one.doubt, scene.material
    given, suggested = doubt.given, doubt.suggested
    if one.control == "swapped":
        given, suggested = suggested or given, given
    asked = Asked(
        row_id=doubt.row_id, control=one.control, given=given, suggested=suggested,
        content=material.content[doubt.row_id], input=material.inputs[doubt.row_id],
        version=scene.version.id, priority=one.worth,
    )  # fmt: skip
    page = pages.Page(
        row_id=doubt.row_id,
        text=scene.text(material.texts[doubt.row_id]),
        given=given,
        suggested=None if one.control == "blind" and scene.form.shows_given else suggested,
        neighbours=tuple((label, like, scene.text(text)) for label, like, text in near),
        priority=one.worth,
        conflict=material.conflicts.get(doubt.row_id),
        why=scene.text(material.why.get(doubt.row_id, "")),
        is_swapped=one.control == "swapped",
    )
    row = _masked(material.cells[doubt.row_id], scene)
    data = scene.form.data(page, row, scene.labels, scene.language)
    return Task(asked, data, scene.marks(asked))


def _done(
    studio: connectors.Studio,
    project: connectors.StudioProject | None,
    title: str,
    scene: _Scene,
    told: Pushed,
    chosen: Sequence[Chosen],
    notes: Sequence[str],
) -> PushDone:
    counts = Counter(one.control for one in chosen)
    flagged = sum(_is_flagged(one.doubt) for one in chosen if one.control in ("open", "blind"))
    return PushDone(
        url=studio.url,
        project=project.id if project else None,
        title=title,
        version=scene.version.id,
        tasks=told,
        planned=dict(sorted(counts.items())),
        flagged=flagged,
        notes=(*notes, *scene.notes, *_warnings(told)),
    )


def _is_flagged(doubt: Doubt) -> bool:
    return doubt.p_wrong >= 0.5  # noqa: PLR2004 - likelier wrong than right


def _warnings(told: Pushed) -> list[str]:
    found = (
        (told.foreign, "tasks of the project were not pushed by Curator; they are left alone"),
        (
            told.strange,
            "tasks are about rows that this version does not hold: gone, or of another store",
        ),
        (told.held, "tasks are about rows that changed, and somebody has begun with them: held"),
        (told.gone, "tasks were deleted on the server; they count, and are not made again"),
        (
            len(told.doubles),
            "rows have several tasks that people answered; each person counts once",
        ),
    )
    waited = [f"waited {told.waited_s:.0f} s for a push that was cut short"] * (
        told.waited_s > _LONG
    )
    return waited + [f"{count:,} {what}" for count, what in found if count]
