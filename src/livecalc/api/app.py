"""The ASGI application: the route table behind its two doors."""

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import groupby

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Path

from livecalc.api import routes
from livecalc.api.call import Call, Site, Visit
from livecalc.api.doors import PRINCIPAL, REQUEST_ID, Authentication, FrontDoor
from livecalc.api.problems import Refusal, problem
from livecalc.api.query import read_query
from livecalc.api.route import Route
from livecalc.services import Platform

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def create_app(platform: Platform, *, lifespan: Lifespan | None = None, site: Site | None = None) -> Starlette:
    """Make the application on an open platform, whose closing is its owner's."""
    site = site or Site(platform=platform, routes=routes.ROUTES)
    app = Starlette(
        routes=[_path(site, template, list(group)) for template, group in _by_path(site.routes)],
        middleware=[
            Middleware(FrontDoor, site),
            Middleware(Authentication, site, [route.path for route in site.routes if route.public]),
        ],
        exception_handlers={HTTPException: _refuse},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _by_path(table: Sequence[Route]) -> "groupby[str, Route]":
    """Group neighbours: all methods of a path stand together, so that 405 can name them."""
    return groupby(table, key=lambda route: route.path)


def _path(site: Site, template: str, group: Sequence[Route]) -> Path:
    endpoints = {route.method: _endpoint(site, route) for route in group}

    async def serve(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    path = Path(template, serve, methods=list(endpoints))
    # Starlette's own pattern ends in `$`, before which a newline passes: /v1/jobs%0A would be /v1/jobs.
    path.path_regex = re.compile(path.path_regex.pattern.removesuffix("$") + r"\Z", re.DOTALL)
    return path


def _endpoint(site: Site, route: Route) -> Callable[[Request], Awaitable[Response]]:
    async def visit(request: Request) -> Response:
        return await route.endpoint(Visit(site=site, request=request, request_id=request.scope[REQUEST_ID]))

    async def call(request: Request) -> Response:
        query = read_query(route.query, request.scope["query_string"])
        return await route.endpoint(
            Call(
                site=site,
                request=request,
                request_id=request.scope[REQUEST_ID],
                principal=request.scope[PRINCIPAL],
                query=query,
            )
        )

    return visit if route.public else call


async def _refuse(request: Request, error: Exception) -> Response:
    """Turn the router's own 404 and 405 into problems."""
    assert isinstance(error, HTTPException)  # noqa: S101  (Starlette calls it for nothing else)
    path = request.url.path[:80]
    detail = {
        404: f"there is nothing at {path}: /docs lists what there is",
        405: f"{path} does not take {request.method[:20]}",
    }.get(error.status_code, error.detail)
    return problem(request.scope, Refusal(error.status_code, detail, error.headers))
