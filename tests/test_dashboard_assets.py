"""The dashboard's files: nothing from other hosts, what is vendored is what was published, every module is there."""

import hashlib
import re
from pathlib import Path

import pytest

from monitor.dashboard.pages import PAGES, read_assets

STATIC = Path(__file__).resolve().parent.parent / "monitor" / "dashboard" / "static"
ECHARTS = "vendor/echarts.esm.min.mjs"
ECHARTS_SHA256 = "28515f26aa57f87eb1e4ed4eb446927eaf329b5f5e02b4bfd4b0264fea40d1da"
"""Of dist/echarts.esm.min.mjs in the published package echarts 6.1.0."""
OURS = sorted(
    str(path.relative_to(STATIC)) for path in STATIC.rglob("*") if path.is_file() and "vendor" not in str(path)
)
IMPORT = re.compile(r'from "(\.[^"]+)"')


def test_the_chart_library_is_the_published_one() -> None:
    """ECharts is vendored unchanged, beside its licence and notice."""
    assert hashlib.sha256((STATIC / ECHARTS).read_bytes()).hexdigest() == ECHARTS_SHA256
    assert "Apache License" in (STATIC / "vendor" / "echarts.LICENSE.txt").read_text()
    assert (STATIC / "vendor" / "echarts.NOTICE.txt").exists()


@pytest.mark.parametrize("name", OURS)
def test_no_file_names_another_host(name: str) -> None:
    """Nothing is loaded from elsewhere, and no markup carries scripts or styles of its own."""
    text = (STATIC / name).read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", text)
    assert "innerHTML" not in text and "style=" not in text and "onclick=" not in text


@pytest.mark.parametrize("name", [name for name in OURS if name.endswith(".js")])
def test_modules_import_what_is_there(name: str) -> None:
    """Each import leads to a file that is served; lines of code can be read."""
    text = (STATIC / name).read_text()
    for target in IMPORT.findall(text):
        assert ((STATIC / name).parent / target).resolve().is_file()
    assert text.startswith("/** ")


def test_all_files_are_served() -> None:
    """What is in the folder is in memory, with a tag, compressed, and of a known type."""
    assets = read_assets()
    assert set(OURS) | {ECHARTS} <= set(assets)
    assert all(asset.tag.startswith('"') and asset.media_type for asset in assets.values())
    assert len(assets[ECHARTS].compressed) < 400_000


def test_each_page_has_its_address() -> None:
    """The page's own list of addresses is the server's."""
    known = set(re.findall(r'"(/[a-z]*)": \{ title', (STATIC / "app.js").read_text()))
    assert known == set(PAGES)
