"""The published models for pytorch.py and onnx_export.py: torchvision's ResNet-50 and MobileNetV2, the transformers library's BERT, and
GPT-2 small written out with a cache of fixed size, which is what runs fastest. Random weights.
"""

import torch
import torch.nn.functional as F
from torch import nn


def torchvision_models():
    # A wheel of torchvision for another build of PyTorch lacks compiled ops, none of which these models use.
    register = torch.library.register_fake
    torch.library.register_fake = lambda op, *a, **k: (lambda f: f) if str(op).startswith("torchvision::") else register(op, *a, **k)
    try:
        from torchvision import models
    finally:
        torch.library.register_fake = register
    return models


def picture_model(name):
    return getattr(torchvision_models(), {"resnet50": "resnet50", "mobilenet-v2": "mobilenet_v2"}[name])()


class BertHidden(nn.Module):
    """BERT's hidden states and pooled output as a tuple."""

    def __init__(self):
        super().__init__()
        from transformers import BertConfig, BertModel

        self.model = BertModel(BertConfig(attn_implementation="sdpa"))

    def forward(self, tokens):
        out = self.model(tokens)
        return out.last_hidden_state, out.pooler_output


class BertClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        from transformers import BertConfig, BertForSequenceClassification

        self.model = BertForSequenceClassification(BertConfig(attn_implementation="sdpa", num_labels=2))

    def forward(self, tokens):
        return self.model(tokens).logits


def texts(batch, length):
    return torch.randint(1, 30_000, (batch, length))


class Gpt2Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(768), nn.LayerNorm(768)
        self.qkv, self.proj = nn.Linear(768, 2304), nn.Linear(768, 768)
        self.up, self.down = nn.Linear(768, 3072), nn.Linear(3072, 768)

    def forward(self, x, attend):
        q, k, v = (part.view(x.shape[0], -1, 12, 64).transpose(1, 2) for part in self.qkv(self.ln_1(x)).split(768, -1))
        x = x + self.proj(attend(q, k, v).transpose(1, 2).reshape(x.shape))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    """Reads one token; `attend(layer)` gives the attention of a layer over its query, key and value."""

    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(50257, 768), nn.Embedding(1024, 768)
        self.blocks = nn.ModuleList(Gpt2Block() for _ in range(12))
        self.ln_f = nn.LayerNorm(768)

    def read(self, token, position, attend):
        x = self.wte(token) + self.wpe(position)
        for layer, block in enumerate(self.blocks):
            x = block(x, attend(layer))
        return self.ln_f(x)[:, -1] @ self.wte.weight.T


class StaticGpt2(Gpt2):
    """With a cache that is written in place; `whole` attends to all of it under a mask, else to what is filled."""

    def __init__(self, batch, capacity, whole):
        super().__init__()
        self.whole = whole
        self.register_buffer("cache", torch.randn(12, 2, batch, 12, capacity, 64))

    def forward(self, token, position):
        if self.whole:
            seen = (torch.arange(self.cache.shape[-2]) <= position)[None]
        else:
            length = int(position) + 1

        def attend(layer):
            def of(q, k, v):
                keys, values = self.cache[layer]
                keys.index_copy_(2, position, k)
                values.index_copy_(2, position, v)
                if self.whole:
                    return F.scaled_dot_product_attention(q, keys, values, attn_mask=seen)
                return F.scaled_dot_product_attention(q, keys[:, :, :length], values[:, :, :length])

            return of

        return self.read(token, position, attend)


class PastGpt2(Gpt2):
    """With the cache as an argument [12, 2, batch, 12, position, 64], and what is to be put behind it as a result."""

    def forward(self, token, past):
        new = []

        def attend(layer):
            def of(q, k, v):
                new.append(torch.stack([k, v]))
                keys, values = torch.cat([past[layer], new[-1]], -2)
                return F.scaled_dot_product_attention(q, keys, values)

            return of

        logits = self.read(token, torch.tensor([past.shape[-2]]), attend)
        return logits, torch.stack(new)


FORMATS = {"": torch.contiguous_format, "channels-last": torch.channels_last}


def model_builders(compiled, training):
    """`training`: the one of pytorch.py."""
    def prepared(model):
        if not compiled:
            return model
        # Weights become constants: batch norms fold into convolutions, weights are packed.
        from torch._inductor import config

        config.freezing = True
        return torch.compile(model)

    def variants(models, *args):
        for note, model in models:
            model = prepared(model.eval())

            def step(model=model, args=args):
                # Not inference_mode, under which frozen programs are not made.
                with torch.no_grad():
                    model(*args)

            yield ", ".join(filter(None, (note, "frozen" if compiled else ""))), step

    def inference(w):
        if w["model"] == "bert-base":
            yield from variants([("", BertHidden())], texts(w["batch"], w["size"]))
            return
        for note, memory_format in FORMATS.items():
            x = torch.randn(w["batch"], 3, w["size"], w["size"]).to(memory_format=memory_format)
            yield from variants([(note, picture_model(w["model"]).to(memory_format=memory_format))], x)

    def next_token(w):
        token, position = torch.full((w["batch"], 1), 7), torch.tensor([w["position"]])
        kinds = {"masked": True} if compiled else {"masked": True, "filled part": False}
        yield from variants([(note, StaticGpt2(w["batch"], w["capacity"], whole)) for note, whole in kinds.items()], token, position)

    def model_training(w):
        if w["model"] == "bert-base":
            yield from training(w, lambda: BertClassifier().train(), texts(w["batch"], w["size"]), torch.randint(2, (w["batch"],)), F.cross_entropy)
            return
        target = torch.randint(1000, (w["batch"],))
        for name, memory_format in FORMATS.items():
            x = torch.randn(w["batch"], 3, w["size"], w["size"]).to(memory_format=memory_format)
            model_of = lambda memory_format=memory_format: picture_model(w["model"]).to(memory_format=memory_format)
            for label, step in training(w, model_of, x, target, F.cross_entropy):
                yield ", ".join(filter(None, (name, label))), step

    return {"inference": inference, "next-token": next_token, "model-training": model_training}
