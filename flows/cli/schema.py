"""``labelpulse schema``: the event contract as JSON Schema."""

import json

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("schema")(print_schema)


def print_schema() -> None:
    """Print the JSON Schema of the events, for producers and validators.

    Example: labelpulse schema > events.schema.json
    """
    from schemas.events import event_json_schema

    print(json.dumps(event_json_schema(), indent=2, ensure_ascii=False))
