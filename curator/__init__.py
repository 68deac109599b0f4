"""Curate text corpora in versions and measure what each data change did to the model.

    import curator

    recipe = curator.load("recipe.yaml")            # or curator.from_mapping({...}) with frames
    store = curator.open_store(".curator", create=True)
    result = curator.run(recipe, store)
    print(curator.why(store, "3f2a9c"))
    print(curator.compare(store, "main~1", "main")["sentence"])

The names load what they need when they are first used: `import curator` loads neither torch nor
transformers.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_HOMES = {
    "CuratorError": "curator.errors",
    "check": "curator.python",
    "compare": "curator.comparing",
    "draft": "curator.init",
    "export": "curator.exporting",
    "from_mapping": "curator.recipe",
    "load": "curator.recipe",
    "open_store": "curator.versions",
    "rows": "curator.python",
    "run": "curator.running",
    "why": "curator.python",
}

__all__ = [*_HOMES]  # noqa: PLE0604 - the keys are the names


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"curator has no {name!r}; it has {sorted(_HOMES)}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)


def _check_siblings() -> None:
    """Refuse to start when another package of the same name hides one of ours."""
    ours = Path(__file__).resolve().parent.parent
    for name in ("connectors", "augmenters", "finetune", "reports"):
        spec = find_spec(name)
        where = Path(spec.origin).resolve() if spec and spec.origin else None
        if where is None or where.parent.parent != ours:
            raise ImportError(
                f"package {name!r} of Curator is hidden by {where}: rename that file or folder, "
                f"or run from another folder (ours is {ours / name})"
            )


_check_siblings()
