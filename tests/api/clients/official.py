"""What each published client gets from a service at ADDRESS with KEY, as JSON on one line each:

    .venv-clients/bin/python tests/api/clients/official.py ADDRESS KEY

Clients say what they are given in their own types; here each answer becomes plain numbers, so that
the test can compare them with those of the models.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

FERRY = "The ferry ran aground off Kalymira."
RATES = "The bank raised its rates."
ASKED = "ferry accident"


def _openai(address: str, key: str) -> Iterator[tuple[str, Any]]:
    import openai

    client = openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0)
    made = client.embeddings.create(model="text-embedding-3-small", input=[FERRY, RATES])
    yield "vector", made.data[0].embedding
    sent = {"inputs": FERRY, "add_special_tokens": False}
    (tokens,) = client.with_options(base_url=address).post("/tokenize", body=sent, cast_to=list)
    numbers = [token["id"] for token in tokens]
    told = {"user": None, "purpose": "unknown here"}
    made = client.embeddings.create(model="all-MiniLM-L6-v2", input=[numbers], extra_body=told)
    yield "vector of token numbers", made.data[0].embedding
    yield "told", made.model_extra["warnings"]
    yield "models", sorted(model.id for model in client.models.list())
    yield "model", client.models.retrieve("all-MiniLM-L6-v2").id
    try:
        client.embeddings.create(model="gpt-x", input=FERRY)
    except openai.NotFoundError as error:
        yield "refused", [error.status_code, error.code]
    try:
        openai.OpenAI(base_url=f"{address}/v1", api_key="nobody's").models.list()
    except openai.AuthenticationError as error:
        yield "unknown key", [error.status_code, error.code]


def _cohere(address: str, key: str) -> Iterator[tuple[str, Any]]:
    import cohere

    client = cohere.ClientV2(api_key=key, base_url=address)
    made = client.embed(
        texts=[FERRY],
        model="embed-v4.0",
        input_type="search_document",
        embedding_types=["float"],
    )
    assert made.embeddings.float_ is not None
    yield "vector", made.embeddings.float_[0]
    ranked = client.rerank(model="rerank-v3.5", query=ASKED, documents=[RATES, FERRY])
    yield "order", [result.index for result in ranked.results]
    try:
        client.rerank(model="rerank-x", query=ASKED, documents=[RATES])
    except cohere.errors.NotFoundError as error:
        yield "refused", [error.status_code, "rerank-x" in error.body["message"]]


def _huggingface_hub(address: str, key: str) -> Iterator[tuple[str, Any]]:
    from huggingface_hub import InferenceClient
    from huggingface_hub.errors import HfHubHTTPError

    client = InferenceClient(model=address, token=key)
    yield "vector", client.feature_extraction(FERRY)[0].tolist()
    try:
        client.feature_extraction("ferry " * 300, truncate=False)
    except HfHubHTTPError as error:
        yield "refused", error.response.status_code


def _langchain(address: str, key: str) -> Iterator[tuple[str, Any]]:
    from langchain_cohere import CohereEmbeddings, CohereRerank
    from langchain_core.documents import Document
    from langchain_openai import OpenAIEmbeddings

    openai = OpenAIEmbeddings(
        model="all-MiniLM-L6-v2",
        base_url=f"{address}/v1",
        api_key=key,
        check_embedding_ctx_length=False,
    )
    yield "vector", openai.embed_query(FERRY)
    named = {"cohere_api_key": key, "base_url": address}
    cohere = CohereEmbeddings(model="embed-v4.0", **named)
    yield "vector of Cohere", cohere.embed_documents([FERRY])[0]
    ranker = CohereRerank(model="rerank-v3.5", **named)
    documents = [Document(page_content=text) for text in (RATES, FERRY)]
    found = ranker.compress_documents(documents, ASKED)
    yield "order", [(RATES, FERRY).index(document.page_content) for document in found]


def _llamaindex(address: str, key: str) -> Iterator[tuple[str, Any]]:
    from llama_index.core.schema import NodeWithScore, TextNode
    from llama_index.embeddings.openai import OpenAIEmbedding
    from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference
    from llama_index.postprocessor.cohere_rerank import CohereRerank
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    openai = OpenAIEmbedding(api_base=f"{address}/v1", api_key=key)
    yield "vector", openai.get_text_embedding(FERRY)
    tei = TextEmbeddingsInference(model_name="any", base_url=address, auth_token=key)
    yield "vector of text-embeddings-inference", tei.get_text_embedding(FERRY)
    nodes = [NodeWithScore(node=TextNode(text=text), score=0.0) for text in (RATES, FERRY)]
    rankers = {
        "order": CohereRerank(api_key=key, base_url=address, top_n=2, model="rerank-v3.5"),
        "order of text-embeddings-inference": TextEmbeddingInference(
            base_url=address, auth_token=f"Bearer {key}", top_n=2
        ),
    }
    for name, ranker in rankers.items():
        found = ranker.postprocess_nodes(list(nodes), query_str=ASKED)
        yield name, [(RATES, FERRY).index(node.node.get_content()) for node in found]


def _haystack(address: str, key: str) -> Iterator[tuple[str, Any]]:
    from haystack import Document
    from haystack.components.embedders import OpenAITextEmbedder
    from haystack.utils import Secret
    from haystack_integrations.components.embedders.huggingface_api import (
        HuggingFaceAPITextEmbedder,
    )
    from haystack_integrations.components.rankers.cohere import CohereRanker
    from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker

    secret = Secret.from_token(key)
    openai = OpenAITextEmbedder(api_base_url=f"{address}/v1", api_key=secret)
    yield "vector", openai.run(FERRY)["embedding"]
    tei = HuggingFaceAPITextEmbedder(
        api_type="text_embeddings_inference", api_params={"url": address}, token=secret
    )
    yield "vector of text-embeddings-inference", tei.run(FERRY)["embedding"]
    documents = [Document(content=RATES), Document(content=FERRY)]
    rankers = {
        "order": CohereRanker(api_key=secret, api_base_url=address, model="rerank-v3.5"),
        "order of text-embeddings-inference": HuggingFaceTEIRanker(url=address, token=secret),
    }
    for name, ranker in rankers.items():
        found = ranker.run(query=ASKED, documents=documents)["documents"]
        yield name, [(RATES, FERRY).index(document.content) for document in found]


CLIENTS: dict[str, Callable[[str, str], Iterator[tuple[str, Any]]]] = {
    "openai": _openai,
    "cohere": _cohere,
    "huggingface_hub": _huggingface_hub,
    "langchain": _langchain,
    "llama_index": _llamaindex,
    "haystack": _haystack,
}
_PACKAGES = {"langchain": "langchain-core", "llama_index": "llama-index-core"}
_PACKAGES |= {"haystack": "haystack-ai", "huggingface_hub": "huggingface-hub"}


def main(address: str, key: str) -> None:
    """Print a line for each client: its name, its version and what it got."""
    os.environ |= {"HAYSTACK_TELEMETRY_ENABLED": "false", "HF_HUB_DISABLE_TELEMETRY": "1"}
    for name, got in CLIENTS.items():
        told = dict(got(address, key))
        line = {"client": name, "version": version(_PACKAGES.get(name, name)), "got": told}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
