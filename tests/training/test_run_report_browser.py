"""The page of a run in a real browser."""

from __future__ import annotations

from chromium import NEEDS_BROWSER, chromium
from training.small_runs import train

pytestmark = NEEDS_BROWSER


def test_the_page_of_a_run_draws_its_curves_and_complains_of_nothing(
    tmp_path, small_recipe, small_data
):
    assert train(small_recipe, "--data", small_data, "--run", tmp_path / "run") == 0
    with chromium() as browser:
        for width in (1100, 400):
            browser.size(width, 900)
            browser.open((tmp_path / "run" / "report.html").as_uri())
            drawn = "[...document.querySelectorAll('svg path[stroke]')]"
            assert browser.run(f"return {drawn}.every(p => p.getTotalLength() > 10)")
            assert browser.run(f"return {drawn}.length") >= 8
            assert browser.run("return document.documentElement.scrollWidth") <= width
        assert browser.complaints() == []
