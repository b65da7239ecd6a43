"""The docs' diagram is the table."""

from pathlib import Path

from graylane.rollouts.diagram import stages, steps

GOLDEN = Path(__file__).parents[2] / "golden" / "rollouts"


def test_the_stages_are_drawn_as_in_the_golden_file() -> None:
    assert stages() + "\n" == (GOLDEN / "stages.mermaid").read_text()


def test_the_steps_are_drawn_as_in_the_golden_file() -> None:
    assert steps() + "\n" == (GOLDEN / "steps.mermaid").read_text()
