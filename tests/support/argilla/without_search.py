"""Argilla's server without its search engine; runs in the server's own environment: ``python without_search.py PORT``.

What tests ask of Argilla (data sets, records, responses, webhooks) lives in its database. Its search engine is told of
all of it and asked for nothing, so one that keeps nothing serves as well.
"""

import sys
from typing import Any

import uvicorn
from argilla_server.search_engine import SearchEngine


async def _nothing(self: Any, *arguments: Any, **options: Any) -> None:
    """Take note of nothing."""


async def _yes(self: Any) -> bool:
    return True


async def _new_instance(cls: type) -> Any:
    return cls()


_methods: dict[str, Any] = {name: _nothing for name in SearchEngine.__abstractmethods__}
_methods |= {"ping": _yes, "new_instance": classmethod(_new_instance)}
SearchEngine.register(engine_name="none")(type("NoSearchEngine", (SearchEngine,), _methods))

if __name__ == "__main__":
    uvicorn.run("argilla_server:app", host="127.0.0.1", port=int(sys.argv[1]), access_log=False)
