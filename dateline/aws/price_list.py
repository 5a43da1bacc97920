"""Reads the AWS price list, for `dateline capacity prices --refresh`, and only then.

The prices of instances, of OpenSearch nodes and of disks are looked up by name. What the list does
not name so plainly (traffic, functions, endpoints, captions) stays as it is in the file, and the
command says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from importlib.util import find_spec
from typing import Any, Protocol

import tomlkit

from core.errors import InputError, UnavailableError

_HOME = "us-east-1"  # where the price list is asked, for every region
_SOURCE = "AWS price list, GetProducts"
_LINUX = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}
_KEPT = ("spot", "traffic", "balancer", "postgres", "sagemaker", "lambda", "captions")


class PriceList(Protocol):
    """The one call of boto3's client for `pricing` that is made."""

    def get_products(self, **parameters: Any) -> Mapping[str, Any]:
        """Return products with their terms as JSON texts, under PriceList."""
        ...


def refreshed(text: str, region: str, today: date) -> tuple[str, tuple[str, ...]]:
    """Return a file of prices with those of the list, and the names of what was kept. Raises
    InputError without boto3, UnavailableError if the list can't be asked.
    """
    if find_spec("boto3") is None:
        raise InputError("boto3 must be installed for the price list", mend="pip install boto3")
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = boto3.client("pricing", region_name=_HOME)
        return with_prices(text, client, region, today)
    except (BotoCoreError, ClientError) as error:
        mend = "credentials that may call pricing:GetProducts, as for the AWS command line"
        raise UnavailableError(f"the price list was not read: {error}", mend=mend) from error


def with_prices(
    text: str, client: PriceList, region: str, today: date
) -> tuple[str, tuple[str, ...]]:
    """Return the file with the prices that `client` knows; its comments stay."""
    tree: Any = tomlkit.parse(text)
    kept = [*_KEPT]
    for family in tree["ec2"]:
        price = _price(client, "AmazonEC2", region, {"instanceType": f"{family}.large", **_LINUX})
        if price is None:
            kept.append(f"ec2 {family}")
        else:
            tree["ec2"][family] = price
    for name in tree["opensearch"]:
        price = _price(client, "AmazonES", region, {"instanceType": name})
        if price is None:
            kept.append(f"opensearch {name}")
        else:
            tree["opensearch"][name]["hour"] = price
    disk = _price(client, "AmazonEC2", region, {"volumeApiName": "gp3", "productFamily": "Storage"})
    if disk is None:
        kept.append("disk gp3")
    else:
        tree["disk"]["gp3_gb_month"] = disk
    tree["region"], tree["written"], tree["source"] = region, today, _SOURCE
    tree["checked"] = True
    return tomlkit.dumps(tree), tuple(kept)


def _price(client: PriceList, service: str, region: str, fields: Mapping[str, str]) -> float | None:
    """Return dollars of the one product with these fields; None if there is none, or several."""
    filters = [
        {"Type": "TERM_MATCH", "Field": name, "Value": value}
        for name, value in {**fields, "regionCode": region}.items()
    ]
    answer = client.get_products(ServiceCode=service, Filters=filters, MaxResults=10)
    found = {price for product in answer["PriceList"] for price in _dollars(json.loads(product))}
    return found.pop() if len(found) == 1 else None


def _dollars(product: Mapping[str, Any]) -> list[float]:
    """Return the prices on demand of a product, above 0."""
    found = [
        float(dimension["pricePerUnit"].get("USD", 0))
        for term in product.get("terms", {}).get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
    ]
    return [price for price in found if price > 0]
