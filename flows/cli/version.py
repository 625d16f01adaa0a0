"""``labelpulse version``: what is installed."""

import platform

import typer

PACKAGES_SHOWN = ("bytewax", "river", "clickhouse-connect", "chdb", "confluent-kafka", "pydantic", "numpy")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("version")(print_version)


def print_version() -> None:
    """Print the versions of labelpulse, of Python and of the packages that figures depend on."""
    print(f"labelpulse {installed_version('labelpulse')}")
    print(f"python {platform.python_version()}")
    for package in PACKAGES_SHOWN:
        print(f"{package} {installed_version(package)}")


def installed_version(package: str) -> str:
    """Return the version of an installed package, or ``not installed``."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
