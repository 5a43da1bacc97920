"""bge-small-en-v1.5 from its published ONNX export to an int8 ONNX graph.

    python -P -m training.bge_small [--data DIR] [--output DIR] [--limit N] [--quick]

It takes three minutes; with the quality figures about twenty minutes more on two cores. Maven
fetches the export.
"""

from inference.models.manifest import RESEARCH_ONLY, ModelManifest, TrainingData
from training.graphs.bert import BertShape
from training.graphs.bge import bge_weights
from training.sentence_encoder import EncoderRecipe, run
from training.sources import BGE_GRAPH, BGE_TOKENIZER

NAME = "bge-small-en-v1.5"

MANIFEST = ModelManifest(
    name=NAME,
    task="encode",
    architecture="BERT, 12 layers, 384 wide, 12 heads",
    source="BAAI/bge-small-en-v1.5, by way of langchain4j's archive 0.36.2 in Maven",
    revision=f"bge-small-en-v1.5.onnx sha256 {BGE_GRAPH.sha256}",
    licence="MIT",
    files={},
    graphs={"onnx": "model.int8.onnx"},
    tokenizer="tokenizer.json",
    optimized=True,
    pooling="cls",
    query_prefix="Represent this sentence for searching relevant passages: ",
    passage_prefix="",
    max_tokens=256,
    dimension=384,
    labels=(),
    precision="int8, static and smoothed activations, weights by column; norms in float32",
    quality={},
    recipe="python -P -m training.bge_small",
    languages=("en",),
    training_data=(
        TrainingData("MS MARCO", "Microsoft's terms: non-commercial research", RESEARCH_ONLY),
        TrainingData(
            "text pairs of Wikipedia, CC-Net, Stack Exchange, Reddit, S2ORC and others",
            "each its own; the model's makers list them",
            "unknown",
        ),
    ),
    about=(
        "Texts to vectors, with twice the layers of all-MiniLM-L6-v2: a second opinion beside it,"
        " and by its tokens a reranker that needs no training."
    ),
    limits=(
        "Languages other than English.",
        "Texts longer than a page in one vector: cut them into passages.",
        "Exact names, numbers and codes, which BM25 finds better.",
        "It learned from public web pairs and has their biases.",
    ),
)

RECIPE = EncoderRecipe(MANIFEST, BertShape(layers=12), BGE_GRAPH, BGE_TOKENIZER, bge_weights)

if __name__ == "__main__":
    run(RECIPE, __doc__ or "")
