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

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Dateline: hybrid search for a news agency's archive and wire.\n\n"
    "Settings come from dateline.toml, DATELINE_ variables and flags, in rising order of weight; "
    "`dateline settings` shows what is in force.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("ingest", no_args_is_help=True)(ingest_command.ingest)
app.command("search")(search_command.search)
app.command("suggest", no_args_is_help=True)(suggest_command.suggest)
app.command("shots", no_args_is_help=True)(shots_command.shots)
app.command("understand", no_args_is_help=True)(understand_command.understand)
app.command("serve")(serve_command.serve)
app.command("status")(diagnosis_commands.status)
app.command("doctor")(diagnosis_commands.doctor)
app.command("settings")(diagnosis_commands.settings)
app.command("set-status", no_args_is_help=True)(archive_commands.set_status)
app.command("embed")(embed_command.embed)
app.command("rebuild")(archive_commands.rebuild)
app.command("migrate")(migrate_command.migrate)
app.command("backup", no_args_is_help=True)(archive_commands.backup)
app.command("restore", no_args_is_help=True)(archive_commands.restore)
app.add_typer(eval_app.eval_app, name="eval")
app.add_typer(eval_app.tune_app, name="tune")
app.add_typer(models_commands.app, name="models")
app.command("worker")(worker_command.worker)
app.add_typer(jobs_commands.app, name="jobs")
app.add_typer(captions_commands.app, name="captions")
app.add_typer(dev_cluster_command.app, name="dev-cluster")
app.add_typer(index_commands.app, name="index")
app.add_typer(migration_commands.app, name="migration")


def main() -> None:
    """The console script `dateline`."""
    app()
