"""Names that users try and that are no sinusoids added to embeddings: what such positions are, and what to do."""

from __future__ import annotations

import re

ROTARY = """rope rotary rotaryembedding yarn longrope llama codellama tinyllama vicuna mistral mixtral qwen gemma phi
gptj gptneox neox pythia codegen palm deepseek olmo falcon stablelm internlm baichuan chatglm glm cohere commandr
modernbert nomicbert esm2 dinov3"""
LEARNED = """bert roberta xlmroberta camembert albert electra ernie mpnet longformer bigbird gpt gpt1 gpt2 gpt3 gptneo
openaigpt opt bart mbart starcoder gptbigcode biogpt esm1b layoutlm vit deit dinov2 clip openclip siglip blip"""
BIASES = "alibi bloom mpt t5 mt5 byt5 flant5 longt5 ul2 t5x swin beit deberta kerple nope"

WHAT = {
    ROTARY: (
        "{name!r} is rotary: it turns queries and keys, and is not added. The names that begin with rope_ are those of "
        "encodings to turn by; with halves as pairs, as in Hugging Face's models, posenc.rotate_(q, 'rope_hf')"
    ),
    LEARNED: (
        "the positions of {name!r} are learned: there is nothing to compute, the checkpoint has them. Add its table: "
        "x += table[:length]"
    ),
    BIASES: (
        "{name!r} adds nothing to embeddings: its positions act on attention scores, or there are none. Leave x as it "
        "is, and use the attention layer of the model; posenc.list_encodings() has what is added"
    ),
}
_WHAT = {word: text for words, text in WHAT.items() for word in words.split()}


def spelled(name: str) -> str:
    """`name` without what does not matter: case, "-", "_" and spaces."""
    return re.sub(r"[-_\s]+", "", name).lower()


def explanation(name: str) -> str | None:
    """Why there is no encoding of that name, if that is known: of gpt2-medium, Llama 3.1 and qwen2.5, too."""
    words = re.split(r"[-_\s/.:]+", name.lower().strip())
    for count in range(len(words), 0, -1):
        word = "".join(words[:count])
        text = _WHAT.get(word) or _WHAT.get(word.rstrip("0123456789v"))
        if text is not None:
            return text.format(name=name)
    return None
