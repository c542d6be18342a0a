"""The check that operators run, as they run it: a process of its own that gets a page."""

import subprocess
import sys
from pathlib import Path

from scnet_hub.demo.embedded import EmbeddedCentre, Settings, centre_toml

CHECK = "import sys; from scnet_hub.conformance import check; sys.exit(check(sys.argv[1], words=('-k', sys.argv[2])))"


def checked(page: Path, which: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHECK, str(page), which], capture_output=True, text=True, timeout=120, cwd=page.parent
    )


def test_a_centre_that_keeps_its_page_passes_and_one_that_does_not_fails(short_path: Path) -> None:
    centre = EmbeddedCentre(short_path / "c", Settings(name="alpha", nodes=1, cores=2))
    page = short_path / "centre.toml"
    text = centre_toml(centre, title="Alpha", python=sys.executable, directory=short_path / "sessions")
    page.write_text(text)
    centre.start()
    try:
        good = checked(page, "refusal or asked or by_its_name or page_offers")
        assert good.returncode == 0, good.stdout + good.stderr
        assert "4 passed" in good.stdout
        page.write_text(text.replace("cores = 2", "cores = 64"))
        assert checked(page, "page_offers").returncode == 1
    finally:
        centre.stop()
