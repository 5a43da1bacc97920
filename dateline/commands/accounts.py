"""`dateline accounts`: who is served, what each may read, and their keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import orjson
import typer

from core.callers import OPERATOR
from core.customers.accounts import AccountBook, Entitlement, Interval, Method, PlanStyle, Quota
from core.errors import InputError
from customers.accounts import rules as rules
from customers.accounts.desk import AccountDesk
from customers.accounts.trees import account_tree, entitlement_tree, key_tree, plan_tree
from customers.accounts.usage import USAGE_COLUMNS, csv_text
from dateline.build.customers.accounts import account_desk, open_customers, used_by_day
from dateline.build.service import archive_clock
from dateline.commands.options import (
    AsJson,
    Data,
    console,
    errors,
    escape,
    note_new_archive,
    reported,
    settings_for,
)
from dateline.shown.account_tables import table_of
from search.understanding.dates import parse_span
from storage.customers.accounts import StoredAccounts
from storage.customers.downloads import StoredDownloads
from storage.customers.usage import StoredUsage

app = typer.Typer(
    no_args_is_help=True, help="Organisations that buy: their plans, keys, quotas and usage."
)
plans = typer.Typer(no_args_is_help=True, help="What an account has bought.")
entitlements = typer.Typer(no_args_is_help=True, help="Products that are sold together.")
keys = typer.Typer(
    no_args_is_help=True, help="Keys of accounts. Changes are in force within a second."
)
quotas = typer.Typer(no_args_is_help=True, help="The most requests of an account, by method.")
app.add_typer(plans, name="plan")
app.add_typer(entitlements, name="entitlement")
app.add_typer(keys, name="key")
app.add_typer(quotas, name="quota")

Name = Annotated[str, typer.Argument(help="The account's short name.")]
Number = Annotated[int, typer.Argument(help="The number of the entitlement.")]
KeyId = Annotated[str, typer.Argument(help="The key's public id, or the whole key.")]
_SPAN = re.compile(r"([0-9]{1,5})([dhms])", re.ASCII)
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


@dataclass(frozen=True, slots=True)
class _Office:
    """The accounts of an archive, what they used, and the desk of the machine's operator."""

    store: StoredAccounts
    desk: AccountDesk
    usage: StoredUsage
    ledger: StoredDownloads
    now: datetime

    @property
    def book(self) -> AccountBook:
        """Return all accounts."""
        return self.store.book()


@app.command("create", no_args_is_help=True)
def create(
    name: Name,
    title: Annotated[str, typer.Option(help="Its name as customers read it.")] = "",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Create an account. It reads nothing before it has a plan."""
    with _office(data) as office:
        office.desk.create_account(name, title)
        _say(account_tree(office.book, name), f"account {name} is there", as_json)


@app.command("list")
def list_(as_json: AsJson = False, data: Data = None) -> None:
    """List the accounts."""
    with _office(data) as office:
        book = office.book
        trees = [account_tree(book, name) for name in sorted(book.accounts)]
        if as_json:
            _print(trees)
            return
        rows = [{**tree, "plans": len(tree["plans"]), "keys": len(tree["keys"])} for tree in trees]
        console.print(table_of(rows, "id", "title", "created", "products", "plans", "keys"))


@app.command("show", no_args_is_help=True)
def show(name: Name, as_json: AsJson = False, data: Data = None) -> None:
    """Show an account with its plans, its keys and its quotas."""
    with _office(data) as office:
        book = office.book
        rules.account_of(book, name)
        tree = account_tree(book, name)
        if as_json:
            _print(tree)
            return
        for member in ("id", "title", "created"):
            console.print(f"{member:9} {escape(tree[member])}")
        console.print(f"{'products':9} {escape(', '.join(tree['products']) or 'none')}")
        for method, quota in tree["quotas"].items():
            console.print(f"{'quota':9} {method}: {quota['minute']:,}/min, {quota['day']:,}/day")
        console.print(_plan_table(tree["plans"]))
        console.print(_key_table(tree["keys"]))


@plans.command("add", no_args_is_help=True)
def add_plan(
    account: Name,
    name: Annotated[str, typer.Argument(help="The plan's name.")],
    entitlement: Annotated[
        list[int], typer.Option(help="The number of an entitlement in it. Repeatable.")
    ],
    limit: Annotated[
        int, typer.Option(help="Most ticks of downloads in an interval; 0: not counted.")
    ] = 0,
    interval: Annotated[
        Interval, typer.Option(help="How long ticks are counted: a day, month or year of UTC.")
    ] = Interval.MONTH,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Add a plan to an account, which reads the products of its entitlements at once."""
    with _office(data) as office:
        style = PlanStyle.DOWNLOADS if limit else PlanStyle.DURATION
        plan = office.desk.add_plan(account, name, entitlement, style, limit, interval)
        _say(plan_tree(plan), f"{account} has plan {plan.id}", as_json)


@plans.command("remove", no_args_is_help=True)
def remove_plan(
    account: Name,
    number: Annotated[int, typer.Argument(help="The plan's id.")],
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Remove a plan: the account reads its products no more."""
    with _office(data) as office:
        office.desk.remove_plan(account, number)
        left = sorted(office.book.products_of(account))
        said = f"plan {number} is removed; {account} reads {', '.join(left) or 'nothing'}"
        _say({"removed": number, "products": left}, said, as_json)


@entitlements.command("put", no_args_is_help=True)
def put_entitlement(
    number: Number,
    name: Annotated[str, typer.Option(help="Its name as customers read it.")],
    product: Annotated[list[str], typer.Option(help="A product code in it. Repeatable.")],
    tier: Annotated[str, typer.Option(help="Its tier, in your own words.")] = "",
    ticks: Annotated[int, typer.Option(help="What a download takes of a plan's limit.")] = 1,
    cost: Annotated[str, typer.Option(help="What a download costs, such as 12.50.")] = "0",
    overage: Annotated[
        str, typer.Option(help="What a download over a plan's limit costs; refused if not given.")
    ] = "",
    currency: Annotated[str, typer.Option(help="Three letters of ISO 4217.")] = "USD",
    day_part: Annotated[
        str, typer.Option(help="Such as AM or PM: shown to customers, limits nothing.")
    ] = "",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Describe what is sold under a number. Plans that have the number follow at once."""
    with _office(data) as office:
        made = office.desk.put_entitlement(
            Entitlement(
                number,
                name,
                tuple(dict.fromkeys(product)),
                tier,
                ticks,
                _price(cost, "--cost"),
                _price(overage, "--overage") if overage else None,
                currency,
                day_part,
            )
        )
        _say(entitlement_tree(made), f"entitlement {number} is kept", as_json)


@entitlements.command("list")
def list_entitlements(as_json: AsJson = False, data: Data = None) -> None:
    """List the entitlements."""
    with _office(data) as office:
        trees = [entitlement_tree(one) for _, one in sorted(office.book.entitlements.items())]
        if as_json:
            _print(trees)
            return
        columns = ("id", "name", "products", "tier", "ticks", "cost", "overage", "currency")
        console.print(table_of(trees, *columns, "day_part"))


@entitlements.command("remove", no_args_is_help=True)
def remove_entitlement(number: Number, as_json: AsJson = False, data: Data = None) -> None:
    """Remove an entitlement that is in no plan."""
    with _office(data) as office:
        office.desk.remove_entitlement(number)
        _say({"removed": number}, f"entitlement {number} is removed", as_json)


@keys.command("create", no_args_is_help=True)
def create_key(
    account: Name,
    name: Annotated[str, typer.Option(help="Its name in logs, after the account's.")] = "key",
    write: Annotated[
        list[str] | None,
        typer.Option(help="A product code that it may write; * for every item. Repeatable."),
    ] = None,
    inspect: Annotated[
        bool,
        typer.Option("--inspect", help="It may ask why items are hidden, and sees raw scores."),
    ] = False,
    models: Annotated[bool, typer.Option("--models", help="It may use the models.")] = False,
    expires: Annotated[
        str, typer.Option(help="When it ends: 2027-01-01T00:00:00Z, or 90d from now.")
    ] = "",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Create a key and print it once. Only its digest is kept, so it can't be shown again."""
    with _office(data) as office:
        kept, key = office.desk.create_key(
            account,
            name,
            write or (),
            may_inspect=inspect,
            may_use_models=models,
            expires=_moment(expires, office.now) if expires else None,
        )
        _show_key(key_tree(kept), key, as_json)


@keys.command("rotate", no_args_is_help=True)
def rotate_key(
    key: KeyId,
    overlap: Annotated[
        str, typer.Option(help="How long the old key stays valid, such as 24h; 0s ends it now.")
    ] = "24h",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Create a key with the same name and rights, and let the old one end."""
    with _office(data) as office:
        kept, fresh = office.desk.rotate_key(_key_id(key), _span(overlap, "--overlap"))
        _show_key(key_tree(kept), fresh, as_json)


@keys.command("expire", no_args_is_help=True)
def expire_key(
    key: KeyId,
    at: Annotated[str, typer.Option(help="When it ends: 2027-01-01T00:00:00Z, or 90d from now.")],
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Let a key end at a moment; a later call may change the moment."""
    with _office(data) as office:
        kept = key_tree(office.desk.expire_key(_key_id(key), _moment(at, office.now)))
        _say(kept, f"key {kept['id']} ends {kept['expires']}", as_json)


@keys.command("revoke", no_args_is_help=True)
def revoke_key(key: KeyId, as_json: AsJson = False, data: Data = None) -> None:
    """End a key at once and for good, in every process within a second."""
    with _office(data) as office:
        kept = key_tree(office.desk.revoke_key(_key_id(key)))
        _say(kept, f"key {kept['id']} is revoked", as_json)


@keys.command("list", no_args_is_help=True)
def list_keys(account: Name, as_json: AsJson = False, data: Data = None) -> None:
    """List the keys of an account, the oldest first. The keys themselves are not kept."""
    with _office(data) as office:
        book = office.book
        rules.account_of(book, account)
        trees = [key_tree(key) for key in book.keys_of(account)]
        if as_json:
            _print(trees)
            return
        console.print(_key_table(trees))


@quotas.command("set", no_args_is_help=True)
def set_quota(
    account: Name,
    method: Annotated[Method, typer.Argument(help="What requests are counted as.")],
    minute: Annotated[int, typer.Option(help="Most requests at once and in a minute.")],
    day: Annotated[int, typer.Option(help="Most requests in a day.")],
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Give an account a quota of its own."""
    with _office(data) as office:
        office.desk.set_quota(account, method, Quota(minute, day))
        said = f"{account} may make {minute:,} requests a minute and {day:,} a day of {method}"
        _say(account_tree(office.book, account), said, as_json)


@quotas.command("clear", no_args_is_help=True)
def clear_quota(
    account: Name,
    method: Annotated[Method, typer.Argument(help="What requests are counted as.")],
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Give an account the service's own quota again."""
    with _office(data) as office:
        office.desk.set_quota(account, method, None)
        said = f"{account} has the service's quota of {method}"
        _say(account_tree(office.book, account), said, as_json)


@app.command("usage")
def usage(
    account: Annotated[str, typer.Option(help="Only this account.")] = "",
    first: Annotated[
        str, typer.Option(help="The first day, such as 2026-03-01; 30 days before the last.")
    ] = "",
    last: Annotated[str, typer.Option(help="The last day; today if you name none.")] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV for spreadsheets.")] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show what accounts used, by day and method: requests, items, refusals, downloads, charges."""
    with _office(data) as office:
        until = parse_span(last)[0].date() if last else office.now.date()
        since = parse_span(first)[0].date() if first else until - timedelta(days=30)
        rows = used_by_day(office.usage, office.ledger, since, until, account)
        if as_csv:
            typer.echo(csv_text(USAGE_COLUMNS, rows), nl=False)
        elif as_json:
            _print(rows)
        else:
            console.print(table_of(rows, *USAGE_COLUMNS))


@contextmanager
def _office(data: Any) -> Iterator[_Office]:
    with reported():
        settings = settings_for(data=data)
        note_new_archive(settings)
        database = open_customers(settings)
        try:
            clock = archive_clock(settings)
            store = StoredAccounts(database)
            yield _Office(
                store,
                account_desk(settings, store, OPERATOR, clock),
                StoredUsage(database),
                StoredDownloads(database),
                clock(),
            )
        finally:
            database.close()


def _say(tree: Any, said: str, as_json: bool) -> None:
    if as_json:
        _print(tree)
    else:
        console.print(escape(said))


def _print(tree: Any) -> None:
    console.print_json(orjson.dumps(tree).decode())


def _show_key(kept: dict[str, Any], key: str, as_json: bool) -> None:
    """Print a new key: the only time that it is shown."""
    if as_json:
        _print({**kept, "key": key})
        return
    typer.echo(key)
    errors.print(f"key {kept['id']} of {escape(kept['account'])}; it is not shown again")


def _plan_table(trees: list[dict[str, Any]]) -> Any:
    return table_of(trees, "id", "name", "entitlements", "style", "limit", "interval", "added")


def _key_table(trees: list[dict[str, Any]]) -> Any:
    rights = ("inspect", "models")
    rows = [{**tree, "rights": [name for name in rights if tree[name]]} for tree in trees]
    return table_of(rows, "id", "name", "writes", "rights", "expires", "revoked")


def _key_id(text: str) -> str:
    """Return the public id in a text that is one, or a whole key."""
    from customers.accounts.keys import id_of

    return id_of(text) or text


def _moment(text: str, now: datetime) -> datetime:
    """Return a moment: a time, or a span from now."""
    if _SPAN.fullmatch(text):
        return now + _span(text, "the moment")
    try:
        return parse_span(text)[0].astimezone(UTC)
    except InputError as error:
        mend = "write a time such as 2027-01-01T00:00:00Z, or a span from now such as 90d or 24h"
        raise InputError(error.what, where=error.where, mend=mend) from error


def _span(text: str, where: str) -> timedelta:
    found = _SPAN.fullmatch(text)
    if not found:
        raise InputError(f"{text!r} is no span", where=where, mend="write 30m, 24h or 7d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _price(text: str, where: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InputError(f"{text!r} is no price", where=where, mend="write 12.50") from None
