"""`dateline capacity prices`: what a plan computes with, and the AWS price list when asked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from capacity.prices import prices_text, read_prices
from dateline.commands.options import console, errors, escape, reported, write_page


def prices(
    file: Annotated[
        Path | None, typer.Option(help="File of prices.", show_default="those that ship")
    ] = None,
    refresh: Annotated[
        Path | None,
        typer.Option(help="Read the AWS price list, and write the prices to this file."),
    ] = None,
    region: Annotated[str, typer.Option(help="Region to read the prices of.")] = "us-east-1",
) -> None:
    """Show the prices that a plan computes with, or read the AWS price list anew.

    Only with --refresh is anything outside of this machine asked. It needs boto3 and credentials
    that may call `pricing:GetProducts`.
    """
    with reported():
        known = read_prices(file)
        if refresh is not None:
            from dateline.aws.price_list import refreshed

            text, kept = refreshed(prices_text(file), region, datetime.now(UTC).date())
            write_page(refresh, text)
            console.print(f"written to {escape(str(refresh))}")
            for name in kept:
                errors.print(f"[yellow]note:[/] not in the list, kept as it was: {escape(name)}")
            return
    console.print(escape(known.age(datetime.now(UTC).date())))
    for family, dollars in known.by_name["ec2"].items():
        console.print(escape(f"{family}.large  ${dollars:g} an hour"))
