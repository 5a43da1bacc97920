"""One question to a model on Amazon Bedrock, by its Converse API.

botocore finds the credentials (variables, a profile, the role of a container or an instance) and
signs the request (Signature Version 4). httpx sends it, within the same limits of time and size as
to any other provider. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import orjson
from pydantic import BaseModel, Field, ValidationError

from core.errors import SettingsError
from core.extras import need_extra
from core.media import ToCaption
from indexing.captions.connection import bounded, bounded_client
from indexing.captions.failures import Unanswered, of_connection, of_status
from indexing.captions.prompt import INSTRUCTIONS, MOST_TOKENS, question
from indexing.captions.provider import MOST_ANSWER_BYTES, NEVER_SENT, Answer, check_address
from indexing.captions.spending import Usage

_SERVICE = "bedrock"  # the name in signatures; the host is bedrock-runtime
_ERROR = "x-amzn-errortype"
_DECLINED = frozenset({"guardrail_intervened", "content_filtered"})


@dataclass(frozen=True, slots=True)
class BedrockProvider:
    """A model on Bedrock, by its id or the ARN of its profile. Thread-safe."""

    model: str
    url: str
    region: str
    seconds: float
    client: httpx.Client = field(repr=False)
    credentials: Any = field(repr=False)

    @classmethod
    def open(cls, url: str, model: str, *, seconds: float = 60.0) -> BedrockProvider:
        """Return a provider that is not called yet; an empty `url` is Bedrock of the region in
        AWS_REGION, AWS_DEFAULT_REGION or the profile.

        Raises SettingsError for an address with a password in it, without a region or credentials,
        and if the extra is not installed.
        """
        need_extra("s3", "captions from Bedrock", ("botocore",), error=SettingsError)
        check_address(url)
        from botocore.session import get_session

        session = get_session()
        region = os.environ.get("AWS_REGION") or session.get_config_variable("region")
        if not region:
            raise SettingsError("no region is named", where="AWS_REGION", mend="set it")
        credentials = session.get_credentials()
        if credentials is None:
            mend = "give the task a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            raise SettingsError("no credentials are found", where="captioner", mend=mend)
        host = url.rstrip("/") or f"https://bedrock-runtime.{region}.amazonaws.com"
        client = bounded_client(seconds)
        return cls(model, host, str(region), seconds, client, credentials)

    def chat(self, still: ToCaption) -> Answer:
        """Return the answer for one still. Raises Unanswered."""
        request = self._signed(orjson.dumps(_body(still)))
        with bounded(self.seconds, MOST_ANSWER_BYTES) as exchange:
            try:
                answer = self.client.send(request)
            except httpx.HTTPError as error:
                sent = not isinstance(error, NEVER_SENT)
                raise of_connection(exchange, type(error).__name__, sent=sent) from None
        if exchange.late:
            raise of_connection(exchange, "", sent=True)
        if answer.status_code != 200:
            raise _refused(answer)
        return read_converse(answer.content)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _signed(self, body: bytes) -> httpx.Request:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError

        url = f"{self.url}/model/{quote(self.model, safe='')}/converse"
        signed = AWSRequest("POST", url, {"content-type": "application/json"}, body)
        try:
            current = self.credentials.get_frozen_credentials()  # a role's are renewed in time
        except BotoCoreError as error:
            what = f"no credentials can be had ({type(error).__name__})"
            raise Unanswered(what, wait=0.0, down=True) from None
        SigV4Auth(current, _SERVICE, self.region).add_auth(signed)
        return self.client.build_request("POST", url, headers=dict(signed.headers), content=body)


def _body(still: ToCaption) -> dict[str, Any]:
    picture = {"format": "jpeg", "source": {"bytes": base64.b64encode(still.jpeg).decode()}}
    content = [{"text": question(still)}, {"image": picture}]
    return {
        "system": [{"text": INSTRUCTIONS}],
        "messages": [{"role": "user", "content": content}],
        "inferenceConfig": {"maxTokens": MOST_TOKENS},
    }


class _Part(BaseModel):
    text: str | None = None


class _Message(BaseModel):
    content: list[_Part]


class _Output(BaseModel):
    message: _Message


class _Tokens(BaseModel):
    inputTokens: int = Field(ge=0, le=10**7)  # noqa: N815 - Bedrock's name
    outputTokens: int = Field(ge=0, le=10**7)  # noqa: N815 - Bedrock's name


class _Converse(BaseModel):
    output: _Output
    stopReason: str = ""  # noqa: N815 - Bedrock's name
    usage: Any = None


def read_converse(data: bytes) -> Answer:
    """Return the answer in Converse's JSON. Raises Unanswered, billed as the model did the work."""
    try:
        found = _Converse.model_validate_json(data)
    except ValidationError:
        raise Unanswered("Bedrock answered no message", down=True, billed=True) from None
    if found.stopReason in _DECLINED:
        raise Unanswered("the model declined to describe it", again=False, billed=True)
    if found.stopReason == "max_tokens":
        raise Unanswered("the answer was cut off at its longest", billed=True)
    text = "".join(part.text or "" for part in found.output.message.content)
    try:
        tokens = _Tokens.model_validate(found.usage)
    except ValidationError:
        return Answer(text)
    return Answer(text, Usage(tokens.inputTokens, tokens.outputTokens))


def _refused(answer: httpx.Response) -> Unanswered:
    """Return the failure; Bedrock says its kind in a header, and `message` or `Message` in JSON."""
    kind = answer.headers.get(_ERROR, "").partition(":")[0]
    try:
        tree = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        tree = {}
    said = tree.get("message") or tree.get("Message") if isinstance(tree, dict) else ""
    message = ": ".join(part for part in (kind, str(said or "")) if part)
    return of_status(answer.status_code, answer.headers, message, kind)
