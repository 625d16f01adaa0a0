"""The dashboard's page and its assets, read once and kept in memory."""

import gzip
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

PAGES = ("/", "/project", "/annotators", "/annotator", "/items", "/alerts", "/health")
"""Addresses of the dashboard; each is the same page, which shows what its address says."""
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the dashboard.

    Parameters
    ----------
    content, compressed
        Its bytes, and the same with gzip.
    tag
        Names the bytes.
    media_type
        What it is.
    """

    content: bytes
    compressed: bytes
    tag: str
    media_type: str


def read_assets() -> dict[str, Asset]:
    """Return all assets by path below the static folder."""
    root = files("monitor.dashboard").joinpath("static")
    found: dict[str, Asset] = {}
    folders = [("", root)]
    for prefix, folder in folders:
        for entry in folder.iterdir():
            name = f"{prefix}{entry.name}"
            if entry.is_dir():
                folders.append((f"{name}/", entry))
            elif (media_type := MEDIA_TYPES.get(PurePosixPath(name).suffix)) is not None:
                content = entry.read_bytes()
                tag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
                found[name] = Asset(content, gzip.compress(content, 6, mtime=0), tag, media_type)
    return found


def pages_router() -> APIRouter:
    """Return the addresses of the dashboard."""
    router = APIRouter(include_in_schema=False)
    assets = read_assets()

    async def page(request: Request) -> Response:
        return _sent(assets["index.html"], request)

    for path in PAGES:
        router.add_api_route(path, page, methods=["GET", "HEAD"], name=f"page {path}")

    @router.get("/favicon.ico")
    async def icon(request: Request) -> Response:
        return _sent(assets["icon.svg"], request)

    @router.get("/static/{name:path}")
    async def asset(name: str, request: Request) -> Response:
        if name not in assets:
            raise HTTPException(404, "there is no such file")
        return _sent(assets[name], request)

    return router


def _sent(asset: Asset, request: Request) -> Response:
    headers = {"ETag": asset.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if asset.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.compressed, media_type=asset.media_type, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)
