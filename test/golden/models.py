"""Models: torchvision's ResNets and MobileNetV2, and the transformers library's BERT and GPT-2, small, with weights made of a formula.

    pip install torch==2.13.0 torchvision==0.29.2 transformers==5.23.0 numpy
    python test/golden/models.py        # writes test/golden/data/models/*.json

A case holds what PyTorch calls the weights, their shapes, and what came out: results, and for the gradient by every parameter its
norm and its weighted sum, which no other gradient has. Everything is float64, so that depth does not blur it.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from golden import encode, weight
from torch import nn

# A wheel of torchvision for another build of PyTorch lacks compiled ops, none of which is used here.
register = torch.library.register_fake
torch.library.register_fake = lambda op, *a, **k: (lambda f: f) if str(op).startswith("torchvision::") else register(op, *a, **k)

from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel, GPT2Config, GPT2LMHeadModel

DATA = Path(__file__).parent / "data" / "models"


def uniform(name, size):
    """Numbers in [0, 1) that follow from a name (the test has the same): FNV-1a of it, then a hash of each place."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = (seed ^ byte) * 0x01000193 & 0xFFFFFFFF
    h = (np.arange(size, dtype=np.uint64) * 0x9E3779B1 + seed) & 0xFFFFFFFF
    for shift, factor in ((15, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = ((h ^ (h >> shift)) * factor) & 0xFFFFFFFF
    h ^= h >> 16
    return h.astype(np.float64) / 2**32


def value_of(name, shape):
    u = torch.tensor(uniform(name, int(np.prod(shape)))).reshape(shape)
    if len(shape) > 1:
        return (2 * u - 1) * (3 / (np.prod(shape) / shape[0])) ** 0.5
    if name.endswith("running_var") or name.endswith("weight"):
        return u + 0.5
    return (u - 0.5) * 0.2


def filled(model, ignored=()):
    """The model with weights of the formula, and their shapes by name."""
    model = model.double()
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked") and k not in ignored}
    report = model.load_state_dict({k: value_of(k, tuple(v.shape)) for k, v in state.items()}, strict=False)
    assert not report.unexpected_keys
    if ignored:
        model.tie_weights()
    return model, {k: list(v.shape) for k, v in state.items()}


def gradients(model):
    def summary(g):
        return [g.norm().item(), (g * weight(g)).sum().item()]

    return {name: summary(p.grad) for name, p in model.named_parameters() if p.grad is not None}


def write(name, cases):
    DATA.mkdir(parents=True, exist_ok=True)
    path = DATA / f"{name}.json"
    lines = ",\n".join(json.dumps(c, separators=(",", ":"), allow_nan=False) for c in cases)
    path.write_text(f'{{"torch":"{torch.__version__.split("+")[0]}","cases":[\n{lines}\n]}}\n')
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")


def images(*shape):
    return 4 * torch.tensor(uniform("images", int(np.prod(shape)))).reshape(shape) - 2


def picture_case(name, options, model):
    """Eval mode; then a step in training mode: loss, gradients, running statistics."""
    model, shapes = filled(model)
    x = images(3, 48, 40, 3)
    first = x.movedim(-1, 1)
    labels = torch.tensor([0, 4, 2])
    case = {"name": name, "options": options, "shapes": shapes, "input": list(x.shape), "labels": labels.tolist()}
    case["eval"] = encode(model.eval()(first))
    loss = F.cross_entropy(model.train()(first), labels)
    loss.backward()
    case["loss"] = loss.item()
    case["gradients"] = gradients(model)
    case["buffers"] = {n: [b.norm().item(), (b * weight(b)).sum().item()] for n, b in model.named_buffers() if "running" in n}
    return case


class Narrow(ResNet):
    """torchvision's ResNet with an eighth of the channels, which it has no option for."""

    def __setattr__(self, name, value):
        super().__setattr__(name, value // 8 if name == "inplanes" and "conv1" not in self._modules else value)

    def _make_layer(self, block, planes, *rest, **options):
        return super()._make_layer(block, planes // 8, *rest, **options)

    def __init__(self, block, depths, **options):
        super().__init__(block, depths, **options)
        self.fc = nn.Linear(64 * block.expansion, 5)


def resnets():
    small = {"classes": 5, "width": 8, "dtype": "float64"}
    for name, block, depths in (
        ("resnet18", BasicBlock, [2, 2, 2, 2]),
        ("resnet34", BasicBlock, [3, 4, 6, 3]),
        ("resnet50", Bottleneck, [3, 4, 6, 3]),
        ("resnet101", Bottleneck, [3, 4, 23, 3]),
    ):
        yield picture_case(name, small, Narrow(block, depths))
    options = {**small, "block": "bottleneck", "depths": [1, 2, 1, 1], "groups": 2, "widthPerGroup": 48}
    yield picture_case("ResNet", options, Narrow(Bottleneck, [1, 2, 1, 1], groups=2, width_per_group=48))


write("resnet", list(resnets()))

rows = [[1, 16, 1, 1], [6, 24, 2, 2], [3, 32, 2, 2]]
write(
    "mobilenet-v2",
    [
        picture_case("MobileNetV2", {"classes": 5, "widthMultiplier": 0.25, "dropout": 0, "dtype": "float64"}, MobileNetV2(5, 0.25, dropout=0)),
        picture_case(
            "MobileNetV2",
            {
                "classes": 5,
                "widthMultiplier": 0.6,
                "roundTo": 4,
                "dropout": 0,
                "rows": [dict(zip(("expansion", "channels", "repeats", "stride"), row)) for row in rows],
                "dtype": "float64",
            },
            MobileNetV2(5, 0.6, inverted_residual_setting=rows, round_nearest=4, dropout=0),
        ),
    ],
)

TOKENS = torch.tensor([[2, 7, 11, 30, 5, 19, 4], [9, 3, 8, 0, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0]])
SEGMENTS = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1]])
BERT = {"vocabulary": 40, "positions": 12, "width": 16, "layers": 2, "heads": 2, "feedForward": 24, "dropout": 0, "dtype": "float64"}


def bert(kind, activation="gelu", **options):
    config = BertConfig(
        vocab_size=40,
        max_position_embeddings=12,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        hidden_act=activation,
        hidden_dropout_prob=0,
        attention_probs_dropout_prob=0,
        attn_implementation="eager",
        **options,
    )
    return kind(config)


def bert_case(name, options, model, loss_of, results_of, ignored=(), args=()):
    model, shapes = filled(model, ignored)
    case = {"name": name, "args": list(args), "options": {**BERT, **options}, "shapes": shapes, "tokens": TOKENS.tolist(), "mask": MASK.tolist(), "segments": SEGMENTS.tolist()}
    out = model.train()(TOKENS, attention_mask=MASK, token_type_ids=SEGMENTS)
    results = results_of(out)
    case["results"] = [encode(y) for y in results]
    case["plain"] = [encode(y) for y in results_of(model(TOKENS))]
    loss = loss_of(results)
    loss.backward()
    case["loss"] = loss.item()
    case["gradients"] = gradients(model)
    return case


weighted = lambda results: sum((y * weight(y)).sum() for y in results)
tied = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
write(
    "bert",
    [
        bert_case("Bert", {}, bert(BertModel), weighted, lambda o: [o.last_hidden_state, o.pooler_output]),
        bert_case("Bert", {"activation": "relu"}, bert(BertModel, "relu"), weighted, lambda o: [o.last_hidden_state, o.pooler_output]),
        bert_case("BertForMaskedLM", {}, bert(BertForMaskedLM), lambda r: F.cross_entropy(r[0].flatten(0, 1), TOKENS.flatten()), lambda o: [o.logits], tied),
        bert_case("BertForSequenceClassification", {}, bert(BertForSequenceClassification, num_labels=3), lambda r: F.cross_entropy(r[0], torch.tensor([2, 0])), lambda o: [o.logits], args=[3]),
    ],
)


def gpt2():
    config = GPT2Config(
        vocab_size=40, n_positions=48, n_embd=16, n_layer=2, n_head=2, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, attn_implementation="eager", bos_token_id=None, eos_token_id=None
    )
    model, shapes = filled(GPT2LMHeadModel(config), ("lm_head.weight",))
    options = {"vocabulary": 40, "positions": 48, "width": 16, "layers": 2, "heads": 2, "dropout": 0, "dtype": "float64"}
    case = {"name": "Gpt2", "options": options, "shapes": shapes, "tokens": TOKENS.tolist()}
    logits = model.train()(TOKENS).logits
    case["results"] = [encode(logits)]
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten())
    loss.backward()
    case["loss"] = loss.item()
    case["gradients"] = gradients(model)
    model.eval()
    case["greedy"] = model.generate(TOKENS, max_new_tokens=41, do_sample=False, pad_token_id=0, attention_mask=torch.ones_like(TOKENS)).tolist()
    return case


write("gpt2", [gpt2()])
