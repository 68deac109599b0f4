"""Files that an installed package brought, found by its record of files; nothing is imported.

The one idea: a package is a way to ship data and models to machines without a network. Importing it
could run anything, so its installed metadata is read instead.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path, PurePosixPath

from .errors import SourceError, closest


def packaged_path(path: str, *, address: str) -> Path:
    """Find a file or folder of an installed package.

    Args:
        path: `NAME/PATH`. NAME is the distribution's or the import package's name, hyphens and
            underscores alike. PATH is as the package's record of files has it, or relative to
            the import package.
        address: The whole address, for messages.

    Raises:
        SourceError: The package is not installed, or it has no such file.
    """
    name, _, inner = path.partition("/")
    inner = inner.strip("/")
    if not inner:
        raise SourceError(f"{address}: name a file of the package too, as package:{name}/PATH")
    found = _distribution(name, address)
    record = [str(PurePosixPath(*file.parts)) for file in found.files or ()]
    tops = sorted({file.split("/")[0] for file in record if "/" in file and _is_package(file)})
    for candidate in (inner, *(f"{top}/{inner}" for top in tops)):
        if candidate in record or any(file.startswith(f"{candidate}/") for file in record):
            return Path(str(found.locate_file(candidate)))
    files = [file for file in record if _is_package(file)]
    folders = {str(folder) for file in files for folder in PurePosixPath(file).parents} - {"."}
    known = [*files, *sorted(folders)]
    near = closest(inner, known) or closest(f"{tops[0]}/{inner}" if tops else inner, known)
    raise SourceError(
        f"{address}: the package {found.name} {found.version} installed no file {inner!r}; "
        f"it brought {len(files)} files, the first are {files[:5]}{near}"
    )


def _is_package(file: str) -> bool:
    return not file.startswith("..") and ".dist-info/" not in file and "__pycache__" not in file


def _distribution(name: str, address: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        pass
    plain = _plain(name)
    for package, owners in metadata.packages_distributions().items():
        if _plain(package) == plain:
            return metadata.distribution(owners[0])
    installed = sorted({str(d.name) for d in metadata.distributions() if d.name})
    raise SourceError(
        f"{address}: no package {name!r} is installed; pip install {name}, "
        f"or give the data as file:PATH{closest(name, installed)}"
    )


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
