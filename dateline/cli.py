"""The command line: `dateline --help` is its table of contents."""

from __future__ import annotations

import typer

from dateline import (
    archive_commands,
    captions_commands,
    dev_cluster_command,
    diagnosis_commands,
    embed_command,
    eval_app,
    eval_commands,  # noqa: F401 - adds its commands to eval_app
    eval_compare_command,  # noqa: F401
    eval_datasets_command,  # noqa: F401
    eval_gate_command,  # noqa: F401
    eval_report_command,  # noqa: F401
    eval_run_command,  # noqa: F401
    eval_score_command,  # noqa: F401
    index_commands,
    ingest_command,
    jobs_commands,
    migrate_command,
    migration_commands,
    models_commands,
    search_command,
    serve_command,
    shots_command,
    suggest_command,
    tune_fusion_command,  # noqa: F401
    tune_growth_command,  # noqa: F401
    tune_hnsw_command,  # noqa: F401
    understand_command,
    worker_command,
)

# The headings of `dateline --help`.
_USE = "Archive and search"
_CARE = "Care of the archive"
_MEDIA = "Photos and videos"
_QUALITY = "Quality and models"
_OPENSEARCH = "OpenSearch"

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Dateline: hybrid search for a news agency's archive and wire.\n\n"
    "Settings come from dateline.toml, DATELINE_ variables and flags, in rising order of weight; "
    "`dateline settings` shows what is in force.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("ingest", no_args_is_help=True, rich_help_panel=_USE)(ingest_command.ingest)
app.command("search", rich_help_panel=_USE)(search_command.search)
app.command("suggest", no_args_is_help=True, rich_help_panel=_USE)(suggest_command.suggest)
app.command("shots", no_args_is_help=True, rich_help_panel=_MEDIA)(shots_command.shots)
app.command("understand", no_args_is_help=True, rich_help_panel=_USE)(understand_command.understand)
app.command("serve", rich_help_panel=_USE)(serve_command.serve)
app.command("status", rich_help_panel=_USE)(diagnosis_commands.status)
app.command("doctor", rich_help_panel=_CARE)(diagnosis_commands.doctor)
app.command("settings", rich_help_panel=_CARE)(diagnosis_commands.settings)
app.command("set-status", no_args_is_help=True, rich_help_panel=_USE)(archive_commands.set_status)
app.command("clock", rich_help_panel=_CARE)(archive_commands.clock)
app.command("embed", rich_help_panel=_CARE)(embed_command.embed)
app.command("rebuild", rich_help_panel=_CARE)(archive_commands.rebuild)
app.command("migrate", rich_help_panel=_CARE)(migrate_command.migrate)
app.command("backup", no_args_is_help=True, rich_help_panel=_CARE)(archive_commands.backup)
app.command("restore", no_args_is_help=True, rich_help_panel=_CARE)(archive_commands.restore)
app.add_typer(eval_app.eval_app, name="eval", rich_help_panel=_QUALITY)
app.add_typer(eval_app.tune_app, name="tune", rich_help_panel=_QUALITY)
app.add_typer(models_commands.app, name="models", rich_help_panel=_QUALITY)
app.command("worker", rich_help_panel=_MEDIA)(worker_command.worker)
app.add_typer(jobs_commands.app, name="jobs", rich_help_panel=_MEDIA)
app.add_typer(captions_commands.app, name="captions", rich_help_panel=_MEDIA)
app.add_typer(dev_cluster_command.app, name="dev-cluster", rich_help_panel=_OPENSEARCH)
app.add_typer(index_commands.app, name="index", rich_help_panel=_OPENSEARCH)
app.add_typer(migration_commands.app, name="migration", rich_help_panel=_OPENSEARCH)


def main() -> None:
    """The console script `dateline`."""
    app()
