"""Every rendered file of every stage is what was reviewed; `pytest tests/render --update-golden` renews them."""

from __future__ import annotations

import shutil

import pytest

from tests.render.conftest import GOLDEN
from tests.render.families import families
from watoto_infra.rendering import use_cases
from watoto_infra.servers.registry import family_names

STAGES = ("phase1", "phase2", "phase3")


@pytest.mark.parametrize("family", family_names())
@pytest.mark.parametrize("stage", STAGES)
def test_each_family_renders_what_was_reviewed(stage, family, stage_inputs, templates, update_golden):
    files = use_cases.render(families(family), stage_inputs(stage), templates)
    folder = GOLDEN / stage / family
    if update_golden:
        shutil.rmtree(folder, ignore_errors=True)
        for file in files:
            target = GOLDEN / stage / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file.text, encoding="utf-8")
    expected = {str(path.relative_to(GOLDEN / stage)) for path in folder.rglob("*") if path.is_file()}
    assert {file.path for file in files} == expected, "files were added or removed; look, then use --update-golden"
    for file in files:
        assert file.text == (GOLDEN / stage / file.path).read_text(encoding="utf-8"), file.path


def test_the_same_inputs_give_the_same_files(stage_inputs, templates):
    first, second = (use_cases.render(families(*family_names()), stage_inputs(), templates) for _ in range(2))
    assert first == second


def test_every_file_that_can_hold_a_comment_says_which_template_made_it(stage_inputs, templates):
    for file in use_cases.render(families(*family_names()), stage_inputs(), templates):
        if not file.path.endswith(".json"):
            assert f"templates/{file.template}" in "".join(file.text.splitlines(keepends=True)[:2]), file.path
