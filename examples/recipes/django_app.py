"""
Django in one file; in a project, `client` is a module that the views import.

    JSONRPCC_SERVERS=localhost:9999 gunicorn --chdir examples/recipes django_app
"""

import os
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

import jsonrpcc

SERVERS = os.environ.get("JSONRPCC_SERVERS", "localhost:9999")
client = jsonrpcc.Client(SERVERS, name="django", timeout=0.5)


def add(_: HttpRequest, a: int, b: int) -> JsonResponse:
    """Call the server."""
    return JsonResponse({"sum": client.call("add", [a, b], idempotent=True)})


class RpcErrors:
    """Middleware: what a browser sees when a call fails."""

    def __init__(self, get_response: Any) -> None:
        """Keep what answers."""
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        """Answer."""
        return self._get_response(request)

    def process_exception(self, _: HttpRequest, error: Exception) -> Any:
        """Answer for a view whose call failed; None leaves other errors to Django."""
        if isinstance(error, jsonrpcc.RemoteError):
            return JsonResponse({"error": error.message}, status=502)
        if isinstance(error, jsonrpcc.JsonRpcError):
            return JsonResponse({"error": "no server"}, status=503)
        return None


settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=[f"{__name__}.RpcErrors"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY", "only for this example"),
)
urlpatterns = [path("sum/<int:a>/<int:b>", add)]
application = get_wsgi_application()
