"""`file:` addresses: off, unless the setting allows them; and then for steps and `goto` alone."""

from pathlib import Path
from typing import Any

import pytest

from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.errors import Forbidden, InvalidContent
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.settings import Settings
from tests.sidecar.browser.parts import make_job


@pytest.mark.browser
async def test_only_where_the_setting_allows_them(tmp_path: Path) -> None:
    """Off: the field is named before a browser is touched. On: the file is read; scripts and downloads stay refused."""
    (tmp_path / "page.html").write_text("<title>A file</title>")
    url = (tmp_path / "page.html").as_uri()
    pool = BrowserPool(Settings(), Clock())
    off = BrowserJobRunner(pool, lambda: tmp_path, Clock())
    on = BrowserJobRunner(pool, lambda: tmp_path, Clock(), allow_files=True)
    goto: dict[str, Any] = {"goto": url}
    download: dict[str, Any] = {"download": {"url": url}}
    for job, field in [
        (make_job(url), "steps[0].url"),
        (make_job("about:blank", actions=[goto]), "steps[0].actions[0].goto.url"),
    ]:
        with pytest.raises(InvalidContent) as checked:
            off.plan(job)
        with pytest.raises(InvalidContent) as failed:
            await off.run(job)
        assert checked.value.details == failed.value.details == {"field": field}
    try:
        assert (await on.run(make_job(url))).steps[0].title == "A file"
        assert (await on.run(make_job("about:blank", actions=[goto]))).steps[0].title == "A file"
        with pytest.raises(InvalidContent, match="file: URLs are refused"):
            await on.run(make_job("about:blank", actions=[download]))
        with pytest.raises(Forbidden, match="file: URLs are refused"):
            await on.run(make_job("about:blank", actions=[f"page.goto('{url}')"]))
    finally:
        await pool.close()
