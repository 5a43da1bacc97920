"""Settings of the HTTP server: where it listens, within which limits, behind which proxies."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr, field_validator


class ServerSettings(BaseModel):
    """Settings of the HTTP server."""

    host: str = Field(default="127.0.0.1", description="address to serve on")
    port: int = Field(default=8000, ge=0, le=65535, description="port to serve on")
    workers: int = Field(
        default=0,
        ge=0,
        le=256,
        description="processes that search, which share the models with the one that reads "
        "requests; SIGHUP then reads the settings again; 0: each process loads its own",
    )
    connections: int = Field(
        default=2000, ge=1, le=100_000, description="connections at the same time, of all clients"
    )
    connections_per_address: int = Field(
        default=500,
        ge=1,
        le=100_000,
        description="connections of one address; beyond that a new one takes the place of one of "
        "them that waits",
    )
    root_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="what a proxy has before each path of the service, such as /archive",
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="addresses and networks of proxies whose X-Forwarded-... and Forwarded headers "
        "are believed (JSON in a variable)",
    )
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM file of the certificate and those between it and its root; HTTP without "
        "TLS if not named",
    )
    tls_key: Path | None = Field(default=None, description="PEM file of the certificate's key")
    open_metrics: bool = Field(
        default=False, description="answer /metrics without a key, to whoever can reach it"
    )

    keys_in_urls: bool = Field(
        default=False,
        description="take the key also from the parameter apikey of addresses below /media/v; "
        "clients, proxies and histories keep addresses, so a header is better",
    )
    cors_origins: tuple[str, ...] = Field(
        default=(),
        description="sites whose pages may read answers below /media/v, such as "
        "https://news.example; * for all (JSON in a variable)",
    )

    webhook_networks: tuple[str, ...] = Field(
        default=(),
        description="networks that webhooks may be sent to although they are private, such as "
        "10.1.0.0/16 (JSON in a variable)",
    )
    webhook_http: bool = Field(
        default=False, description="send webhooks to http addresses too, which anybody can read"
    )

    feed_hold_seconds: float = Field(
        default=15.0,
        ge=0,
        le=60,
        description="how long an empty page of /media/v/content/feed is held; less than a proxy "
        "waits for an answer",
    )

    job_sources: tuple[str, ...] = Field(
        default=(),
        description="folders, and URLs such as s3://bucket/wire, that jobs ordered over HTTP may "
        "read; none by default, so that they read nothing (JSON in a variable)",
    )

    smtp_host: str = Field(
        default="",
        description="server that takes the mails of monitors and topics; empty for no mail",
    )
    smtp_port: int = Field(default=587, ge=1, le=65535, description="its port")
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="how it is spoken to: starttls, tls (from the first byte, port 465) or none",
    )
    smtp_user: str = Field(default="", description="user at that server; empty for none")
    smtp_password: SecretStr = Field(default=SecretStr(""), description="the user's password")
    mail_from: str = Field(
        default="", description="address that mails come from, such as wire@agency.example"
    )

    @field_validator("mail_from")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not re.fullmatch(r"[^\s@<>,]+@[^\s@<>,]+", value):
            raise ValueError(f"'{value[:80]}' is no mail address")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if one != "*" and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+", one):
                raise ValueError(f"'{one[:80]}' is no origin: write https://host, or *")
        return value

    @field_validator("webhook_networks")
    @classmethod
    def _allowed(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            ip_network(each)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value:
            from api.access.forwarding import Proxies  # loads Starlette, for proxies only

            Proxies.of(value)
        return value
