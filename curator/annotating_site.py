"""A server and one project on it, as every command of the annotation round trip finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import connectors
from curator.about import RunAbout
from curator.annotating_log import Log, Site, key_of
from curator.errors import StoreError
from curator.recipe import Recipe, load, loads
from curator.replaying import run_of
from curator.versions.store import Store


@dataclass(frozen=True, slots=True)
class Server:
    """Where Label Studio is: its address, and what it knows the user by."""

    url: str
    token: str = field(repr=False)


def check_host(studio: connectors.Studio, egress: Sequence[str]) -> None:
    """Let rows go to this machine, or to a host that the recipe names.

    Raises:
        StoreError: It is neither.
    """
    if not studio.is_loopback and studio.host not in egress:
        raise StoreError(
            f"{studio.url}: rows of the corpus may not leave this machine for {studio.host!r}; "
            f"let them by `egress: [{studio.host}]` in the recipe"
        )


def find_project(
    studio: connectors.Studio, title: str, *, must: bool = True
) -> connectors.StudioProject | None:
    """Find a project by its title or number.

    Raises:
        StoreError: Several have this title, or it must be there and is not.
    """
    if title.isdecimal():
        return studio.project(int(title))
    found = studio.projects(title)
    if len(found) > 1:
        numbers = ", ".join(str(p.id) for p in found)
        raise StoreError(
            f"{studio.url}: {len(found)} projects are called {title!r}; name one by its number "
            f"with --project: {numbers}"
        )
    if not found and must:
        raise StoreError(
            f"{studio.url}: no project is called {title!r}; `curator annotate push` makes it"
        )
    return found[0] if found else None


def site_of(store: Store, studio: connectors.Studio, project: connectors.StudioProject) -> Site:
    """Open the log of a project."""
    log = Log(store, key_of(project.created, project.id))
    return Site(studio, project.id, log, log.fold())


def egress_of(store: Store, recipe: Path | None) -> tuple[str, ...]:
    """Give the hosts that a recipe lets rows go to: that file's, else that of the last run."""
    if recipe is not None:
        found: Recipe | None = load(recipe)
    else:
        found = recipe_of(run_of(store, store.head()))
    return found.egress if found else ()


def recipe_of(about: RunAbout) -> Recipe | None:
    """Give the recipe of a run; None where it was made in Python, which keeps no text."""
    return loads(about.recipe_text, "recipe", base=about.base) if about.recipe_text else None
