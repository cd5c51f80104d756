"""gunicorn: the master imports this and makes the client; its workers inherit it."""

from collections.abc import Callable, Iterable
from typing import Any

import work

work.client()


def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Make the calls of the task whose first call stands in the path."""
    work.by_callback(int(environ["PATH_INFO"].strip("/")))
    start("200 OK", [("Content-Length", "0")])
    return []
