"""Asks for the address and key of a connection, given as JSON. For Airflow's own Python."""

from __future__ import annotations

import json
import sys

from airflow.sdk import Connection
from dateline_jobs import address_and_key

given = json.loads(sys.argv[1])
address_and_key(given and Connection(conn_id="dateline", **given), "dateline")
