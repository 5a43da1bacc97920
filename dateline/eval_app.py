"""The command groups `dateline eval` and `dateline tune`, which several modules add commands to."""

from __future__ import annotations

import typer

eval_app = typer.Typer(no_args_is_help=True, help="Measure how good the answers are.")
tune_app = typer.Typer(no_args_is_help=True, help="Choose settings by measuring them.")


@eval_app.callback()
def about_eval() -> None:
    """Measure how good the answers are."""


@tune_app.callback()
def about_tune() -> None:
    """Choose settings by measuring them."""
