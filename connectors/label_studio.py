"""A Label Studio server: its projects, tasks, predictions and annotations, over HTTP.

The one idea: a 201 is not believed and a time-out is not a failure. What was sent is counted, what
was asked for is paged by task id, and who repeats a request first looks what is there.

`label-studio-sdk` does what it does well: both kinds of token, projects, views. Tasks go through
HTTP directly, as its pager asks for every field of every task, which takes minutes for 10,000.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlsplit

from .errors import SourceError

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
"""The only form of a time that the server's filters take; any other is answered with a 500."""

PAGE_TASKS = 1000
UNAUTHORIZED, NOT_FOUND, SERVER_FAULT = 401, 404, 500
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SAID = 300  # characters of an answer that a message quotes


class StudioError(SourceError):
    """A Label Studio server refused a request, or cannot be reached.

    is_unsure: the request may have been carried out all the same, now or in a minute.
    is_gone: what it was about is not there.
    """

    def __init__(self, message: str, *, is_unsure: bool = False, is_gone: bool = False) -> None:
        super().__init__(message)
        self.is_unsure, self.is_gone = is_unsure, is_gone


@dataclass(frozen=True, slots=True)
class StudioProject:
    """A project: its number, title, labelling configuration and how many annotations a task takes.

    created: when it was made, as the server writes it; with the number it tells a project from
        another one that got its number after a restore.
    """

    id: int
    title: str
    config: str
    overlap: int
    created: str


@dataclass(frozen=True, slots=True)
class SentTasks:
    """What the server says about an import: task ids in the order sent, and predictions kept."""

    tasks: tuple[int, ...]
    predictions: int


class Studio:
    """A session with a server; a context manager, as it holds connections.

    The token is a legacy token or a personal access token (which is exchanged for a short-lived
    one as often as needed). It is sent to this server alone, and stands in no message.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = 300.0) -> None:
        """Open a session.

        Args:
            url: Address of the server, perhaps with a path, such as https://host/label-studio.
            token: What the server knows the user by.
            timeout_s: How long one request may take, seconds.

        Raises:
            StudioError: The address is none, the token is empty or expired, or the extra is not
                installed.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise StudioError(
                f"{url!r} is no address of a Label Studio server; expected such as "
                "http://127.0.0.1:8080 or https://host/label-studio, without a user or a token"
            )
        if not token.strip():
            raise StudioError(f"{url}: the token is empty; see Account & Settings of Label Studio")
        self.host = parts.hostname
        self.url = url.rstrip("/")
        self._secret = token.strip()
        self._open(timeout_s)

    def _open(self, timeout_s: float) -> None:
        try:
            import httpx
            from label_studio_sdk.client import LabelStudio
            from label_studio_sdk.core.api_error import ApiError
            from label_studio_sdk.tokens.client_ext import TokensClientExt
        except ModuleNotFoundError as fault:
            raise StudioError(
                f"Label Studio needs the package {fault.name!r}: install corpus-curator[studio]"
            ) from fault
        self._transport = httpx
        self._http = httpx.Client(timeout=timeout_s, follow_redirects=False)
        # The slash keeps a path such as /label-studio when the SDK renews a token.
        where = self.url + "/"
        try:
            self._sdk = LabelStudio(  # type: ignore[no-untyped-call]
                base_url=where, api_key=self._secret, httpx_client=self._http
            )
            self._tokens = TokensClientExt(where, self._secret, _Holder(_Holder(self._http)))
        except ApiError as fault:
            raise self._refused("token", fault.status_code or 0, fault.body) from None
        self._api_error = ApiError
        self._is_personal = self._tokens.jwt_token_type(self._secret) is not None

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine, so that nothing leaves it."""
        return self.host in _LOOPBACK

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # Who and what is there

    def whoami(self) -> Mapping[str, Any]:
        """Give the user the token stands for: id, email.

        Raises:
            StudioError: There is no Label Studio at this address, or it does not take the token.
        """
        found = self._get("api/current-user/whoami")
        if not isinstance(found, dict) or "email" not in found:
            raise StudioError(f"{self.url}: answers, but not as Label Studio does; check the path")
        return found

    def users(self) -> dict[int, str]:
        """Give the members of the organisation: e-mail address by user id."""
        return {user["id"]: user["email"] for user in self._get("api/users/")}

    def projects(self, title: str) -> list[StudioProject]:
        """Give the projects of exactly this title, the oldest first."""
        found = self._by_sdk("projects", lambda: list(self._sdk.projects.list(title=title)))
        ids = sorted(project.id for project in found if project.title == title)
        return [self.project(number) for number in ids]

    def project(self, number: int) -> StudioProject:
        """Give a project by its number.

        Raises:
            StudioError: There is none, or this user may not see it (`is_gone`).
        """
        found = self._by_sdk(f"project {number}", lambda: self._sdk.projects.get(number))
        return _project(found)

    def create_project(self, title: str, config: str, *, overlap: int = 1) -> StudioProject:
        """Make a project whose tasks each take as many annotations as `overlap` says."""
        made = self._by_sdk(
            f"project {title!r}",
            lambda: self._sdk.projects.create(
                title=title,
                label_config=config,
                maximum_annotations=overlap,
                show_skip_button=True,
                enable_empty_annotation=False,
                request_options={"max_retries": 0},
            ),
        )
        return self.project(int(made.id))

    def change_project(self, number: int, **values: Any) -> None:
        """Change settings of a project, such as label_config or model_version."""
        self._by_sdk(f"project {number}", lambda: self._sdk.projects.update(number, **values))

    def delete_project(self, number: int) -> None:
        """Delete a project and all it holds."""
        self._by_sdk(f"project {number}", lambda: self._sdk.projects.delete(number))

    def add_view(self, project: int, title: str, *, order: str, hidden: Sequence[str]) -> None:
        """Add a tab that lists tasks in an order such as `-tasks:data.priority`."""
        data: dict[str, Any] = {
            "title": title, "ordering": [order], "type": "list", "target": "tasks",
            "hiddenColumns": {"explore": list(hidden), "labeling": list(hidden)},
        }  # fmt: skip
        known = self._by_sdk("views", lambda: self._sdk.views.list(project=project))
        if all((view.data or {}).get("title") != title for view in known):
            self._by_sdk("views", lambda: self._sdk.views.create(project=project, data=data))

    # Tasks

    def import_tasks(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> SentTasks:
        """Add tasks in one request.

        Returns:
            Ids in the order sent. The number of predictions must be compared with what was sent:
            a server that found its database locked drops them and answers 201 all the same.

        Raises:
            StudioError: The request failed; where `is_unsure`, tasks may be there or still come.
        """
        where = f"api/projects/{project}/import?return_task_ids=true&commit_to_project=true"
        found = self._send("POST", where, list(tasks))
        ids = found.get("task_ids")
        if not isinstance(ids, list) or len(ids) != len(tasks):
            raise StudioError(
                f"{self.url}: sent {len(tasks)} tasks, and the server gave "
                f"{len(ids) if isinstance(ids, list) else 'no'} ids",
                is_unsure=True,
            )
        return SentTasks(tuple(ids), int(found.get("prediction_count") or 0))

    def add_predictions(self, project: int, predictions: Sequence[Mapping[str, Any]]) -> int:
        """Add predictions (task, result, score, model_version) to tasks; gives how many."""
        where = f"api/projects/{project}/import/predictions"
        return int(self._send("POST", where, list(predictions)).get("created") or 0)

    def tasks(
        self,
        project: int,
        include: Sequence[str],
        filters: Sequence[tuple[str, str, str, Any]] = (),
        *,
        page_size: int = PAGE_TASKS,
    ) -> Iterator[dict[str, Any]]:
        """List tasks by id, page by page; an edit while paging skips none.

        Args:
            project: Its number.
            include: Fields of tasks, and of the annotations within them.
            filters: (field, operator, type, value), such as
                ("tasks:updated_at", "greater", "Datetime", "2026-01-01T00:00:00.000000Z").
            page_size: Tasks per request.
        """
        last = 0
        while True:
            after = ("tasks:id", "greater", "Number", last)
            page = self._page(project, include, (*filters, after), page_size)
            yield from page
            if len(page) < page_size:
                return
            last = page[-1]["id"]

    def _page(
        self,
        project: int,
        include: Sequence[str],
        filters: Sequence[tuple[str, str, str, Any]],
        size: int,
    ) -> list[dict[str, Any]]:
        items = [{"filter": f"filter:{f}", "operator": o, "type": t, "value": v}
                 for f, o, t, v in filters]  # fmt: skip
        query = {"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"]}
        params = {
            "project": project, "query": json.dumps(query), "fields": "all",
            "include": ",".join(include), "page_size": size,
        }  # fmt: skip
        found = self._request("GET", "api/tasks/", params=params)
        if isinstance(found, dict) and isinstance(found.get("tasks"), list):
            return list(found["tasks"])
        raise StudioError(f"{self.url}: the list of tasks of project {project} cannot be read")

    def task(self, number: int) -> dict[str, Any]:
        """Give one task with its annotations and drafts.

        Raises:
            StudioError: There is none (`is_gone`).
        """
        found: dict[str, Any] = self._get(f"api/tasks/{number}/")
        return found

    def change_task(self, number: int, **values: Any) -> None:
        """Change data or meta of a task; each is replaced as a whole."""
        self._send("PATCH", f"api/tasks/{number}/", values)

    def delete_task(self, number: int) -> None:
        """Delete a task; one that is gone already is fine."""
        try:
            self._request("DELETE", f"api/tasks/{number}/")
        except StudioError as fault:
            if not fault.is_gone:
                raise

    # HTTP

    def _get(self, path: str) -> Any:
        return self._request("GET", path)

    def _send(self, method: str, path: str, body: Any) -> dict[str, Any]:
        found = self._request(method, path, json=body)
        return found if isinstance(found, dict) else {}

    def _authorization(self) -> str:
        kind = "Bearer" if self._is_personal else "Token"
        return f"{kind} {self._by_sdk('token', lambda: self._tokens.api_key)}"

    def _request(self, method: str, path: str, **what: Any) -> Any:
        """Ask the server; gives JSON, or None where the answer is empty."""
        http = self._transport
        headers = {"Authorization": self._authorization()}
        try:
            answer = self._http.request(method, f"{self.url}/{path}", headers=headers, **what)
        except http.ConnectError as fault:
            raise self._unreachable(fault) from None
        except http.TransportError as fault:  # a time-out, or a server that went down meanwhile
            raise StudioError(
                f"{self.url}: no answer to {method} {path.partition('?')[0]} "
                f"({type(fault).__name__}); it may be carried out all the same. Run the command "
                "again: it first looks what is there",
                is_unsure=method != "GET",
            ) from None
        if not answer.is_success:
            raise self._refused(f"{method} {path.partition('?')[0]}", answer.status_code,
                                answer.text)  # fmt: skip
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError:
            raise StudioError(
                f"{self.url}: {path.partition('?')[0]} gave a web page, not JSON; is this the "
                "address of Label Studio, with its path if it has one?"
            ) from None

    def _by_sdk(self, about: str, ask: Any) -> Any:
        """Ask through the SDK, whose own errors print the headers, session cookie included."""
        http = self._transport
        try:
            with warnings.catch_warnings():
                # The SDK renews tokens by a method that pydantic no longer likes.
                warnings.filterwarnings("ignore", message="The `parse_obj` method is deprecated")
                return ask()
        except self._api_error as fault:
            raise self._refused(about, fault.status_code or 0, fault.body) from None
        except http.ConnectError as fault:
            raise self._unreachable(fault) from None
        except http.TransportError as fault:
            raise StudioError(
                f"{self.url}: no answer about {about} ({type(fault).__name__}); run again",
                is_unsure=True,
            ) from None
        except ValueError:  # no JSON
            raise StudioError(
                f"{self.url}: {about} gave no JSON; is this the address of Label Studio, with its "
                "path if it has one?"
            ) from None

    def _unreachable(self, fault: Exception) -> StudioError:
        return StudioError(
            f"{self.url}: no server answers there ({self._clean(fault)}); start Label Studio, or "
            "give another --url. Nothing was changed"
        )

    def _refused(self, about: str, status: int, body: Any) -> StudioError:
        said = self._clean(body)
        if status == UNAUTHORIZED:
            return StudioError(f"{self.url}: the token is not taken ({said}). {_advice(said)}")
        if status == NOT_FOUND:
            return StudioError(
                f"{self.url}: {about}: there is none, or this user may not see it ({said})",
                is_gone=True,
            )
        return StudioError(
            f"{self.url}: {about} was answered with {status}: {said}",
            is_unsure=status >= SERVER_FAULT,
        )

    def _clean(self, said: Any) -> str:
        """Give what a server said, in one line, cut, and without the token."""
        if isinstance(said, str) and said.startswith("{"):
            with contextlib.suppress(ValueError):
                said = json.loads(said)
        if isinstance(said, Mapping):
            said = said.get("validation_errors") or said.get("detail") or dict(said)
        text = " ".join(str(said).split())
        if "<html" in text.lower():
            text = "a web page"
        return text.replace(self._secret, "TOKEN")[:_SAID]


@dataclass(frozen=True, slots=True)
class _Holder:
    """Holds a connection where the SDK's tokens look for it."""

    httpx_client: Any


def _advice(said: str) -> str:
    low = said.lower()
    if "legacy" in low and "disabled" in low:
        return (
            "Take a personal access token (Account & Settings), or let an owner switch legacy "
            "tokens on (Organization > API Tokens Settings)"
        )
    if "expired" in low or "blacklist" in low or "token is" in low:
        return "Make a new one in Account & Settings of Label Studio"
    return "Copy it again from Account & Settings of Label Studio"


def _project(found: Any) -> StudioProject:
    return StudioProject(
        id=int(found.id),
        title=found.title or "",
        config=found.label_config or "",
        overlap=int(found.maximum_annotations or 1),
        created=found.created_at.astimezone(UTC).isoformat() if found.created_at else "",
    )


def studio_time(when: datetime) -> str:
    """Write a time as the server's filters take it."""
    return when.astimezone(UTC).strftime(TIME_FORMAT)
