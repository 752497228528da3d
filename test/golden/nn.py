"""Layers and losses: forward, gradients by inputs and by parameters (in this library's layouts), running statistics."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from golden import Golden, floats, ints

g = Golden("nn")
LOOSE = dict(rtol=2e-5, atol=3e-6)


def first(x):
    """Channels last to PyTorch's order, channels second."""
    return x.movedim(-1, 1)


def last(y):
    return y.movedim(1, -1)


def to_torch(kind, w):
    """A parameter in this library's layout as PyTorch has it."""
    if kind == "T":
        return w.t()
    if kind == "C":  # [...kernel, in, out] to [out, in, ...kernel]
        return w.permute(w.dim() - 1, w.dim() - 2, *range(w.dim() - 2))
    return w


def from_torch_shape(kind, shape):
    if kind == "T":
        return tuple(reversed(shape))
    if kind == "C":
        return (*shape[2:], shape[1], shape[0])
    return tuple(shape)


def layer(name, ctor, module, names, inputs, call=None, *, training=True, after=(), note=None, options=None, differentiable_options=False, **tolerance):
    """
    names: ours -> (PyTorch's, kind of layout). after: buffers (ours) to compare after the run. options: a last argument of `forward`.
    """
    module.train(training)
    known = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    state = {}
    for ours, (theirs, kind) in names.items():
        shape = from_torch_shape(kind, known[theirs].shape)
        positive = "running_var" in theirs
        state[ours] = floats(*shape, low=0.5 if positive else -1, high=2 if positive else 1)
    trained = dict(module.named_parameters())

    def f(ctor, state, inputs, settings):
        values = {}
        for ours, (theirs, kind) in names.items():
            value = to_torch(kind, state[ours])
            values[theirs] = value if theirs in trained else value.detach().clone()
        inputs = [*inputs, settings["options"]] if differentiable_options else inputs
        run = call or (lambda m, *xs: m(*xs))
        out = torch.func.functional_call(Called(module, run), {f"module.{k}": v for k, v in values.items()}, (inputs,))
        return [out, *(values[names[b][0]].clone() for b in after)]

    settings = {"training": training, "after": list(after), **({"options": options} if options else {})}
    g.case(name, f, [ctor, state, inputs, settings], note=note, **{**LOOSE, **tolerance})


class Called(nn.Module):
    """A module under a call of our own, so that functional_call reaches its parameters."""

    def __init__(self, module, run):
        super().__init__()
        self.module = module
        self.run = run
        self.training = module.training

    def forward(self, inputs):
        return self.run(self.module, *inputs)


def weights(kind, bias=True):
    return {"weight": ("weight", kind), **({"bias": ("bias", "I")} if bias else {})}


image = lambda m, x: last(m(first(x)))

# Linear and convolutions

layer("Linear", [4, 3], nn.Linear(4, 3), weights("T"), [floats(2, 4)])
layer("Linear", [4, 3, {"bias": False}], nn.Linear(4, 3, bias=False), weights("T", bias=False), [floats(2, 2, 4)], note="no bias, more axes")
layer("Bilinear", [3, 2, 4], nn.Bilinear(3, 2, 4), weights("I"), [floats(2, 3), floats(2, 2)])

layer("Conv1d", [2, 3, 3, {"stride": 2, "padding": 1}], nn.Conv1d(2, 3, 3, stride=2, padding=1), weights("C"), [floats(2, 6, 2)], image)
layer("Conv2d", [2, 3, 3], nn.Conv2d(2, 3, 3), weights("C"), [floats(1, 4, 5, 2)], image)
layer(
    "Conv2d",
    [4, 6, [3, 2], {"stride": [1, 2], "padding": [1, 0], "dilation": [2, 1], "groups": 2, "bias": False}],
    nn.Conv2d(4, 6, (3, 2), stride=(1, 2), padding=(1, 0), dilation=(2, 1), groups=2, bias=False),
    weights("C", bias=False),
    [floats(2, 6, 5, 4)],
    image,
    note="all options",
)
layer("Conv2d", [3, 3, 3, {"padding": "same", "groups": 3}], nn.Conv2d(3, 3, 3, padding="same", groups=3), weights("C"), [floats(1, 4, 3, 3)], image, note="depthwise, same")
for mode in ("reflect", "replicate", "circular"):
    layer("Conv2d", [1, 2, 3, {"padding": 1, "paddingMode": mode}], nn.Conv2d(1, 2, 3, padding=1, padding_mode=mode), weights("C"), [floats(1, 4, 3, 1)], image, note=mode)
layer("Conv1d", [1, 2, 4, {"padding": "same", "paddingMode": "reflect"}], nn.Conv1d(1, 2, 4, padding="same", padding_mode="reflect"), weights("C"), [floats(1, 6, 1)], image, note="same, reflect")
layer("Conv3d", [1, 2, 2], nn.Conv3d(1, 2, 2), weights("C"), [floats(1, 3, 2, 3, 1)], image)

layer("ConvTranspose1d", [3, 2, 3, {"stride": 2}], nn.ConvTranspose1d(3, 2, 3, stride=2), weights("C"), [floats(2, 3, 3)], image)
layer(
    "ConvTranspose2d",
    [4, 2, 3, {"stride": 2, "padding": 1, "outputPadding": 1, "groups": 2}],
    nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1, output_padding=1, groups=2),
    weights("C"),
    [floats(1, 3, 2, 4)],
    image,
)
layer("ConvTranspose3d", [1, 2, 2, {"bias": False}], nn.ConvTranspose3d(1, 2, 2, bias=False), weights("C", bias=False), [floats(1, 2, 2, 2, 1)], image)

# Pooling

layer("MaxPool1d", [2], nn.MaxPool1d(2), {}, [floats(2, 5, 2)], image)
layer("MaxPool2d", [3, {"stride": 2, "padding": 1}], nn.MaxPool2d(3, stride=2, padding=1), {}, [floats(1, 5, 4, 2)], image)
layer("MaxPool3d", [2], nn.MaxPool3d(2), {}, [floats(1, 2, 4, 2, 2)], image)
layer("AvgPool1d", [3, {"stride": 1, "padding": 1}], nn.AvgPool1d(3, stride=1, padding=1), {}, [floats(1, 5, 2)], image)
layer("AvgPool2d", [2, {"ceilMode": True, "countIncludePad": False}], nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False), {}, [floats(1, 5, 3, 2)], image)
layer("AvgPool3d", [2], nn.AvgPool3d(2), {}, [floats(1, 2, 4, 2, 1)], image)
layer("AdaptiveAvgPool1d", [3], nn.AdaptiveAvgPool1d(3), {}, [floats(1, 5, 2)], image)
layer("AdaptiveAvgPool2d", [[2, 3]], nn.AdaptiveAvgPool2d((2, 3)), {}, [floats(1, 5, 4, 2)], image)
layer("AdaptiveAvgPool3d", [1], nn.AdaptiveAvgPool3d(1), {}, [floats(1, 2, 3, 2, 2)], image)
layer("AdaptiveMaxPool1d", [2], nn.AdaptiveMaxPool1d(2), {}, [floats(1, 5, 2)], image)
layer("AdaptiveMaxPool2d", [2], nn.AdaptiveMaxPool2d(2), {}, [floats(1, 5, 4, 2)], image)
layer("AdaptiveMaxPool3d", [[1, 2, 1]], nn.AdaptiveMaxPool3d((1, 2, 1)), {}, [floats(1, 2, 3, 2, 2)], image)
layer("GlobalAvgPool", [], nn.AdaptiveAvgPool2d(1), {}, [floats(2, 3, 2, 4)], lambda m, x: m(first(x)).flatten(1))

layer("Upsample", [{"scale": 2}], nn.Upsample(scale_factor=2), {}, [floats(1, 2, 3, 2)], image)
layer("Upsample", [{"size": [3, 5], "mode": "linear"}], nn.Upsample(size=(3, 5), mode="bilinear"), {}, [floats(1, 2, 3, 2)], image, note="bilinear")
layer("PixelShuffle", [2], nn.PixelShuffle(2), {}, [floats(1, 2, 3, 8)], image)
layer("PixelUnshuffle", [2], nn.PixelUnshuffle(2), {}, [floats(1, 4, 2, 3)], image)
layer("Flatten", [], nn.Flatten(), {}, [floats(2, 3, 2)])
layer("Unflatten", [1, [2, 3]], nn.Unflatten(1, (2, 3)), {}, [floats(2, 6)])
layer("Identity", [], nn.Identity(), {}, [floats(2, 3)], lambda m, x: m(x) * 1)

# Norms

stats = {**weights("I"), "runningMean": ("running_mean", "I"), "runningVar": ("running_var", "I")}
layer("BatchNorm1d", [3], nn.BatchNorm1d(3), stats, [floats(4, 3)], after=["runningMean", "runningVar"], note="training")
layer("BatchNorm2d", [3, {"momentum": 0.3, "eps": 0.01}], nn.BatchNorm2d(3, momentum=0.3, eps=0.01), stats, [floats(2, 3, 2, 3)], image, after=["runningMean", "runningVar"], note="training, options")
layer("BatchNorm2d", [3], nn.BatchNorm2d(3), stats, [floats(2, 2, 2, 3)], image, training=False, after=["runningMean", "runningVar"], note="eval")
layer("BatchNorm3d", [2, {"affine": False}], nn.BatchNorm3d(2, affine=False), {k: v for k, v in stats.items() if "running" in k}, [floats(2, 2, 1, 2, 2)], image, after=["runningVar"], note="not affine")
layer("BatchNorm1d", [2, {"trackRunningStats": False}], nn.BatchNorm1d(2, track_running_stats=False), weights("I"), [floats(3, 2)], training=False, note="without statistics")
layer("LayerNorm", [5], nn.LayerNorm(5), weights("I"), [floats(2, 3, 5)])
layer("LayerNorm", [[2, 3], {"eps": 0.1, "affine": False}], nn.LayerNorm((2, 3), eps=0.1, elementwise_affine=False), {}, [floats(2, 2, 3)], note="not affine")
layer("GroupNorm", [2, 4], nn.GroupNorm(2, 4), weights("I"), [floats(2, 3, 2, 4)], image)
layer("InstanceNorm1d", [3], nn.InstanceNorm1d(3), {}, [floats(2, 4, 3)], image)
layer("InstanceNorm2d", [2, {"affine": True}], nn.InstanceNorm2d(2, affine=True), weights("I"), [floats(2, 2, 3, 2)], image)
layer("RMSNorm", [4], nn.RMSNorm(4), {"weight": ("weight", "I")}, [floats(3, 4)])
layer("RMSNorm", [[4], {"eps": 0.05, "affine": False}], nn.RMSNorm(4, eps=0.05, elementwise_affine=False), {}, [floats(2, 4)], note="not affine")
layer("LocalResponseNorm", [3, {"alpha": 0.5, "k": 2}], nn.LocalResponseNorm(3, alpha=0.5, k=2), {}, [floats(1, 2, 2, 5)], image)

# Embedding and activations

layer("Embedding", [5, 3], nn.Embedding(5, 3), {"weight": ("weight", "I")}, [torch.tensor([[0, 4], [1, 1]], dtype=torch.int32)])
layer("Embedding", [5, 2, {"paddingIdx": -4}], nn.Embedding(5, 2, padding_idx=1), {"weight": ("weight", "I")}, [torch.tensor([0, 1, 1, 4], dtype=torch.int32)], note="padding")

activations = {
    "ReLU": (nn.ReLU(), []),
    "ReLU6": (nn.ReLU6(), []),
    "LeakyReLU": (nn.LeakyReLU(0.2), [{"negativeSlope": 0.2}]),
    "ELU": (nn.ELU(0.7), [{"alpha": 0.7}]),
    "CELU": (nn.CELU(0.7), [{"alpha": 0.7}]),
    "SELU": (nn.SELU(), []),
    "GELU": (nn.GELU(approximate="tanh"), [{"approximate": "tanh"}]),
    "SiLU": (nn.SiLU(), []),
    "Mish": (nn.Mish(), []),
    "Softplus": (nn.Softplus(beta=2), [{"beta": 2}]),
    "Softsign": (nn.Softsign(), []),
    "Sigmoid": (nn.Sigmoid(), []),
    "LogSigmoid": (nn.LogSigmoid(), []),
    "Tanh": (nn.Tanh(), []),
    "TanhShrink": (nn.Tanhshrink(), []),
    "HardSigmoid": (nn.Hardsigmoid(), []),
    "HardSwish": (nn.Hardswish(), []),
    "HardTanh": (nn.Hardtanh(-0.5, 0.7), [{"min": -0.5, "max": 0.7}]),
    "HardShrink": (nn.Hardshrink(0.4), [{"lambda": 0.4}]),
    "SoftShrink": (nn.Softshrink(0.4), [{"lambda": 0.4}]),
    "Threshold": (nn.Threshold(0.1, 2.0), [{"threshold": 0.1, "value": 2}]),
    "Softmax": (nn.Softmax(0), [0]),
    "Softmin": (nn.Softmin(-1), []),
    "LogSoftmax": (nn.LogSoftmax(-1), []),
    "GLU": (nn.GLU(), []),
}
for name, (module, ctor) in activations.items():
    layer(name, ctor, module, {}, [floats(2, 4)])
layer("PReLU", [{"channels": 3}], nn.PReLU(3), {"weight": ("weight", "I")}, [floats(2, 2, 3)], image)

# Recurrent


def recurrent(layers, both, suffix=lambda layer, back: f"_l{layer}{'_reverse' if back else ''}", prefix=lambda layer, back: f"cells.{layer}.{'backward' if back else 'forward'}.", bias=True):
    names = {}
    for i in range(layers):
        for back in [False, True][: 1 + both]:
            for ours, theirs, kind in [("weightIh", "weight_ih", "T"), ("weightHh", "weight_hh", "T"), ("biasIh", "bias_ih", "I"), ("biasHh", "bias_hh", "I")]:
                if bias or kind == "T":
                    names[prefix(i, back) + ours] = (theirs + suffix(i, back), kind)
    return names


cell = recurrent(1, False, lambda *_: "", lambda *_: "")
layer("RNNCell", [3, 2], nn.RNNCell(3, 2), cell, [floats(2, 3), floats(2, 2)])
layer("LSTMCell", [3, 2], nn.LSTMCell(3, 2), cell, [floats(2, 3), [floats(2, 2), floats(2, 2)]])
layer("GRUCell", [3, 2], nn.GRUCell(3, 2), cell, [floats(2, 3)])
layer("RNN", [3, 2, {"nonlinearity": "relu"}], nn.RNN(3, 2, nonlinearity="relu", batch_first=True), recurrent(1, False), [floats(2, 3, 3), floats(1, 2, 2)])
layer("LSTM", [3, 2], nn.LSTM(3, 2, batch_first=True), recurrent(1, False), [floats(2, 4, 3)])
layer(
    "LSTM",
    [3, 2, {"layers": 2, "bidirectional": True}],
    nn.LSTM(3, 2, 2, bidirectional=True, batch_first=True),
    recurrent(2, True),
    [floats(2, 3, 3), [floats(4, 2, 2), floats(4, 2, 2)]],
    note="two layers, both directions",
)
layer("GRU", [2, 3, {"layers": 2, "batchFirst": False}], nn.GRU(2, 3, 2), recurrent(2, False), [floats(3, 2, 2)])
layer("GRU", [2, 3, {"bidirectional": True, "bias": False}], nn.GRU(2, 3, bidirectional=True, bias=False, batch_first=True), recurrent(1, True, bias=False), [floats(1, 4, 2), floats(2, 1, 3)], note="both directions")

# Attention and transformers


def attention(ours="", theirs=""):
    return {
        f"{ours}inProjWeight": (f"{theirs}in_proj_weight", "T"),
        f"{ours}inProjBias": (f"{theirs}in_proj_bias", "I"),
        f"{ours}outProj.weight": (f"{theirs}out_proj.weight", "T"),
        f"{ours}outProj.bias": (f"{theirs}out_proj.bias", "I"),
    }


def mask(*rows):
    return torch.tensor(rows, dtype=torch.bool)


mha = lambda **k: nn.MultiheadAttention(4, 2, batch_first=True, **k)
layer("MultiheadAttention", [4, 2], mha(), attention(), [floats(2, 3, 4)], lambda m, x: m(x, x, x, need_weights=False)[0], note="self")
layer("MultiheadAttention", [4, 2], mha(), attention(), [floats(2, 3, 4), floats(2, 5, 4), floats(2, 5, 4)], lambda m, q, k, v: m(q, k, v), options={"needWeights": True}, note="cross, with weights")
padding = mask([False, False, True], [False, False, False])
layer(
    "MultiheadAttention",
    [4, 2],
    mha(),
    attention(),
    [floats(2, 3, 4), floats(2, 3, 4), floats(2, 3, 4)],
    lambda m, q, k, v: m(q, k, v, key_padding_mask=padding, attn_mask=torch.triu(torch.ones(3, 3), 1).bool(), average_attn_weights=False),
    options={"needWeights": True, "averageWeights": False, "causal": True, "keyPaddingMask": padding},
    note="causal and padding",
)
seen = mask([False, True, False], [False, False, True], [True, False, False])
layer("MultiheadAttention", [4, 2], mha(), attention(), [floats(2, 3, 4)], lambda m, x: m(x, x, x, attn_mask=seen, need_weights=False)[0], options={"attnMask": seen}, note="pairs")
layer(
    "MultiheadAttention",
    [4, 2],
    mha(),
    attention(),
    [floats(2, 3, 4)],
    lambda m, x, o: m(x, x, x, attn_mask=o["attnMask"], key_padding_mask=torch.zeros(2, 3).masked_fill(padding, -math.inf), need_weights=False)[0],
    options={"attnMask": floats(4, 3, 3), "keyPaddingMask": padding},
    differentiable_options=True,
    note="additive",
)
layer(
    "MultiheadAttention",
    [4, 2, {"kdim": 3, "vdim": 5}],
    mha(kdim=3, vdim=5),
    {
        "qProjWeight": ("q_proj_weight", "T"),
        "kProjWeight": ("k_proj_weight", "T"),
        "vProjWeight": ("v_proj_weight", "T"),
        **{k: v for k, v in attention().items() if k != "inProjWeight"},
    },
    [floats(1, 2, 4), floats(1, 3, 3), floats(1, 3, 5)],
    lambda m, q, k, v: m(q, k, v, need_weights=False)[0],
    note="other sizes",
)


def feed_forward(prefix=""):
    return {
        f"{prefix}linear1.weight": (f"{prefix}linear1.weight", "T"),
        f"{prefix}linear1.bias": (f"{prefix}linear1.bias", "I"),
        f"{prefix}linear2.weight": (f"{prefix}linear2.weight", "T"),
        f"{prefix}linear2.bias": (f"{prefix}linear2.bias", "I"),
    }


def norms(*names, prefix=""):
    return {f"{prefix}{n}.{p}": (f"{prefix}{n}.{p}", "I") for n in names for p in ("weight", "bias")}


def encoder(prefix=""):
    return {**attention(f"{prefix}selfAttn.", f"{prefix}self_attn."), **feed_forward(prefix), **norms("norm1", "norm2", prefix=prefix)}


options = {"feedForward": 6, "dropout": 0}
layer("TransformerEncoderLayer", [4, 2, options], nn.TransformerEncoderLayer(4, 2, 6, 0, batch_first=True), encoder(), [floats(2, 3, 4)])
layer(
    "TransformerEncoderLayer",
    [4, 2, {**options, "activation": "gelu", "normFirst": True}],
    nn.TransformerEncoderLayer(4, 2, 6, 0, activation="gelu", batch_first=True, norm_first=True),
    encoder(),
    [floats(2, 3, 4)],
    lambda m, x: m(x, src_mask=nn.Transformer.generate_square_subsequent_mask(3), is_causal=True),
    options={"causal": True},
    note="norm first, causal",
)
decoder = {**encoder(), **attention("crossAttn.", "multihead_attn."), **norms("norm3")}
layer(
    "TransformerDecoderLayer",
    [4, 2, options],
    nn.TransformerDecoderLayer(4, 2, 6, 0, batch_first=True),
    decoder,
    [floats(2, 3, 4), floats(2, 2, 4)],
    lambda m, x, memory: m(x, memory, tgt_mask=nn.Transformer.generate_square_subsequent_mask(3)),
    options={"target": {"causal": True}},
)
layer(
    "TransformerDecoderLayer",
    [4, 2, {**options, "normFirst": True}],
    nn.TransformerDecoderLayer(4, 2, 6, 0, batch_first=True, norm_first=True),
    decoder,
    [floats(1, 2, 4), floats(1, 3, 4)],
    note="norm first",
)

# Losses


def loss(name, f, *cases):
    for args in cases:
        g.case(name, f, list(args), **LOOSE)


def kwargs(options, **names):
    """camelCase options as PyTorch's keyword arguments."""
    snake = {"labelSmoothing": "label_smoothing", "ignoreIndex": "ignore_index", "posWeight": "pos_weight", "logTarget": "log_target", "logInput": "log_input", "zeroInfinity": "zero_infinity", **names}
    return {snake.get(k, k): v for k, v in options.items()}


def classes_second(x):
    return x.movedim(-1, 1) if x.dim() > 1 else x


def indexed(f):
    def run(x, y, options={}):
        target = classes_second(y) if y.is_floating_point() else y.long()
        return f(classes_second(x), target, **kwargs(options))

    return run


def t(*values, dtype=torch.int32):
    return torch.tensor(values, dtype=dtype)


loss(
    "crossEntropy",
    indexed(F.cross_entropy),
    [floats(3, 4), t(0, 3, 2)],
    [floats(3, 4), t(0, 3, 2), {"reduction": "sum"}],
    [floats(2, 2, 3), ints(2, 2, low=0, high=3), {"reduction": "none", "labelSmoothing": 0.2}],
    [floats(4, 3), t(0, 1, 2, 1), {"ignoreIndex": 1}],
    [floats(2, 3), floats(2, 3, low=0, high=1)],
    [floats(2, 2, 3), floats(2, 2, 3, low=0, high=1), {"labelSmoothing": 0.3, "reduction": "sum"}],
    [floats(2, 3, low=-200, high=200), t(0, 1)],
)


def weighted(x, y, options):
    """F.cross_entropy, which has no gradient by the weights, written out."""
    w, smoothing = options["weight"], options["labelSmoothing"]
    log, kept = x.log_softmax(-1), y != -100
    target = torch.where(kept, y, 0).long()
    nll = -log.gather(1, target[:, None])[:, 0] * w[target]
    rows = (1 - smoothing) * nll - smoothing / x.shape[-1] * (log * w).sum(-1)
    result = (rows * kept).sum() / (w[target] * kept).sum()
    assert torch.allclose(result, F.cross_entropy(x, y.long(), w.detach(), label_smoothing=smoothing))
    return result


loss("crossEntropy", weighted, [floats(4, 3), t(0, -100, 2, 1), {"weight": torch.tensor([0.5, 2.0, 1.5]), "labelSmoothing": 0.1}])
loss(
    "nllLoss",
    indexed(F.nll_loss),
    [floats(3, 4), t(0, 3, 2)],
    [floats(2, 2, 3), ints(2, 2, low=0, high=3), {"reduction": "none"}],
    [floats(4, 3), t(0, 2, 2, 1), {"ignoreIndex": 2}],
)


def plain(f, **names):
    return lambda *args: f(*(a for a in args if not isinstance(a, dict)), **kwargs(next((a for a in args if isinstance(a, dict)), {}), **names))


p = lambda *shape: floats(*shape, low=0.1, high=0.9)
signs = lambda: torch.tensor([1.0, -1.0, -1.0, 1.0])

for name, f in {"mseLoss": F.mse_loss, "l1Loss": F.l1_loss, "smoothL1Loss": F.smooth_l1_loss, "huberLoss": F.huber_loss}.items():
    loss(name, plain(f), [floats(3, 4), floats(3, 4)], [floats(2, 3), floats(2, 3), {"reduction": "sum"}], [floats(5), floats(5), {"reduction": "none"}])
loss("smoothL1Loss", plain(F.smooth_l1_loss), [floats(3, 4), floats(3, 4), {"beta": 0.5}])
loss("huberLoss", plain(F.huber_loss), [floats(3, 4), floats(3, 4), {"delta": 0.5}])
loss(
    "bceLoss",
    plain(F.binary_cross_entropy),
    [p(2, 3), p(2, 3)],
    [torch.tensor([0.0, 1.0, 1.0, 0.25]), torch.tensor([0.0, 1.0, 0.0, 1.0]), {"reduction": "none"}],
)
loss("bceWithLogitsLoss", plain(F.binary_cross_entropy_with_logits), [floats(2, 3), p(2, 3)], [floats(2, 3, low=-90, high=90), p(2, 3), {"reduction": "sum"}])


def weighted_bce(x, y, options):
    """The same with weights, which F.binary_cross_entropy_with_logits has no gradients for, written out."""
    w, positive = options["weight"], options["posWeight"]
    result = (w * ((1 - y) * F.softplus(x) + positive * y * F.softplus(-x))).mean()
    assert torch.allclose(result, F.binary_cross_entropy_with_logits(x, y, w.detach(), pos_weight=positive.detach()))
    return result


loss("bceWithLogitsLoss", weighted_bce, [floats(2, 3), p(2, 3), {"weight": p(3), "posWeight": floats(3, low=1, high=3)}])
loss("klDivLoss", plain(F.kl_div), [floats(2, 3), p(2, 3)], [floats(2, 3), floats(2, 3), {"logTarget": True, "reduction": "sum"}], [floats(3), p(3), {"reduction": "none"}])
loss("softMarginLoss", lambda x, y: F.softplus(-x * y).mean(), [floats(4), signs()])
loss("hingeLoss", lambda x, y, o: (o["margin"] - x * y).clamp(min=0).mean(), [floats(4), signs(), {"margin": 0.75}])
loss("hingeEmbeddingLoss", plain(F.hinge_embedding_loss), [floats(4), signs()], [floats(4), signs(), {"margin": 0.5, "reduction": "none"}])
loss(
    "poissonNllLoss",
    plain(F.poisson_nll_loss),
    [floats(5), torch.tensor([0.0, 1, 2, 5, 3])],
    [p(5), torch.tensor([0.0, 1, 2, 5, 3]), {"logInput": False, "full": True, "reduction": "sum"}],
)
loss(
    "gaussianNllLoss",
    plain(F.gaussian_nll_loss),
    [floats(2, 3), floats(2, 3), p(2, 3)],
    [floats(2, 3), floats(2, 3), torch.tensor([[0.5, 0.001, 1.0], [2.0, 0.0005, 0.25]]), {"eps": 0.01, "full": True, "reduction": "none"}],
)
loss("marginRankingLoss", plain(F.margin_ranking_loss), [floats(4), floats(4), signs(), {"margin": 0.3}])
loss("cosineEmbeddingLoss", plain(F.cosine_embedding_loss), [floats(4, 3), floats(4, 3), signs()], [floats(4, 3), floats(4, 3), signs(), {"margin": -0.3, "reduction": "none"}])
loss("cosineSimilarity", plain(F.cosine_similarity, axis="dim"), [floats(2, 3), floats(2, 3), {"axis": -1}], [floats(2, 3, 2), floats(2, 3, 2), {"axis": 1}])
loss("pairwiseDistance", plain(F.pairwise_distance, keepDims="keepdim"), [floats(2, 3), floats(2, 3)], [floats(2, 3), floats(2, 3), {"p": 1, "keepDims": True}])
loss(
    "tripletMarginLoss",
    plain(F.triplet_margin_loss),
    [floats(4, 3), floats(4, 3), floats(4, 3)],
    [floats(4, 3), floats(4, 3), floats(4, 3), {"swap": True, "margin": 0.5, "reduction": "none"}],
)


def ctc(logits, targets, options={}):
    lengths = options.get("inputLengths", [logits.shape[1]] * logits.shape[0])
    counts = options.get("targetLengths", [targets.shape[1]] * targets.shape[0])
    rest = kwargs({k: v for k, v in options.items() if not k.endswith("Lengths")})
    return F.ctc_loss(F.log_softmax(logits, -1).transpose(0, 1), targets.long(), lengths, counts, **rest)


labels = torch.tensor([[1, 1, 2], [3, 1, 2]], dtype=torch.int32)
loss(
    "ctcLoss",
    ctc,
    [floats(2, 7, 4), labels],
    [floats(2, 7, 4), labels, {"inputLengths": [5, 7], "targetLengths": [2, 0], "reduction": "none"}],
    [floats(2, 6, 4), torch.tensor([[1, 0, 2], [0, 1, 0]], dtype=torch.int32), {"blank": 3, "reduction": "sum"}],
    [floats(2, 3, 4), labels, {"zeroInfinity": True}],
)

# The ops below layers

loss(
    "scaledDotProductAttention",
    lambda q, k, v, o={}: F.scaled_dot_product_attention(q, k, v, attn_mask=o.get("mask"), is_causal=o.get("causal", False), scale=o.get("scale")),
    [floats(2, 3, 4), floats(2, 5, 4), floats(2, 5, 2)],
    [floats(1, 2, 3, 4), floats(1, 2, 3, 4), floats(1, 2, 3, 4), {"causal": True, "scale": 0.25}],
    [floats(2, 3, 4), floats(2, 3, 4), floats(2, 3, 4), {"mask": mask([True, False, True], [False, False, False], [True, True, True])}],
    [floats(2, 3, 4), floats(2, 5, 4), floats(2, 5, 2), {"mask": floats(3, 5)}],
)
loss(
    "attentionWeights",
    lambda x, o={}: torch.softmax((x * o.get("scale", 1)).masked_fill(torch.triu(torch.ones(x.shape[-2:]), 1).bool() & o.get("causal", False), -math.inf), -1),
    [floats(2, 3, 3), {"scale": 0.5, "causal": True}],
    [floats(2, 3)],
)
loss("batchNorm", lambda x: [F.batch_norm(x, None, None, training=True), x.mean(0), x.var(0, correction=0)], [floats(4, 3)])
g.case("batchNormWith", lambda x, m, v, o: (x - m) / torch.sqrt(v + 1e-5) * o["weight"] + o["bias"], [floats(4, 3), floats(3), p(3), {"weight": floats(3), "bias": floats(3)}], **LOOSE)
loss("groupNorm", lambda x, n: last(F.group_norm(first(x), n)), [floats(2, 3, 4), 2])
loss("instanceNorm", lambda x: last(F.instance_norm(first(x))), [floats(2, 3, 2)])
loss("timeSteps", lambda x: list(x.unbind(1)), [floats(2, 3, 2)])


def lstm_step(a, b, c):
    i, f, n, o = (a + b).unbind(1)
    next = torch.sigmoid(f) * c[:, 0] + torch.sigmoid(i) * torch.tanh(n)
    return [(torch.sigmoid(o) * torch.tanh(next)).unsqueeze(1), next.unsqueeze(1)]


def gru_step(a, b, h):
    r, z = (torch.sigmoid(a[:, i] + b[:, i]) for i in (0, 1))
    n = torch.tanh(a[:, 2] + r * b[:, 2])
    return ((1 - z) * n + z * h[:, 0]).unsqueeze(1)


loss("lstmStep", lstm_step, [floats(2, 4, 3), floats(2, 4, 3), floats(2, 1, 3)])
loss("gruStep", gru_step, [floats(2, 3, 2), floats(2, 3, 2), floats(2, 1, 2)])


def recurrent_layer(share, weight, states, o):
    """The cells of torch.nn on gates that are made already, step by step; weights are the transposes of PyTorch's."""
    bias = o.get("bias", torch.zeros(weight.shape[1]))
    hidden, *cells = states
    outputs = []
    steps = share.flatten(2)
    for x in steps.flip(0) if o.get("reverse") else steps:
        gates = hidden @ weight + bias
        if o["cell"] == "lstm":
            i, f, n, out = (x + gates).chunk(4, -1)
            cells = [torch.sigmoid(f) * cells[0] + torch.sigmoid(i) * torch.tanh(n)]
            hidden = torch.sigmoid(out) * torch.tanh(cells[0])
        elif o["cell"] == "gru":
            (xr, xu, xn), (hr, hu, hn) = x.chunk(3, -1), gates.chunk(3, -1)
            u = torch.sigmoid(xu + hu)
            hidden = (1 - u) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + u * hidden
        else:
            hidden = torch.tanh(x + gates) if o["cell"] == "tanh" else torch.relu(x + gates)
        outputs.append(hidden)
    output = torch.stack(outputs)
    return [output.flip(0) if o.get("reverse") else output, hidden, *cells]


loss(
    "recurrent",
    recurrent_layer,
    [floats(3, 2, 4, 3), floats(3, 12), [floats(2, 3), floats(2, 3)], {"cell": "lstm", "bias": floats(12)}],
    [floats(3, 1, 3, 2), floats(2, 6), [floats(1, 2)], {"cell": "gru", "bias": floats(6), "reverse": True}],
    [floats(4, 2, 1, 2), floats(2, 2), [floats(2, 2)], {"cell": "tanh"}],
    [floats(2, 2, 1, 3), floats(3, 3), [floats(2, 3)], {"cell": "relu", "reverse": True}],
)

# Running statistics of single samples


def tracked(**options):
    return nn.InstanceNorm2d(3, track_running_stats=True, **options)


ran = ["runningMean", "runningVar"]
only_ran = {k: v for k, v in stats.items() if "running" in k}
layer("InstanceNorm2d", [3, {"affine": True, "trackRunningStats": True, "momentum": 0.3}], tracked(affine=True, momentum=0.3), stats, [floats(2, 3, 2, 3)], image, after=ran, note="training, statistics")
layer("InstanceNorm2d", [3, {"trackRunningStats": True}], tracked(), only_ran, [floats(2, 3, 2, 3)], image, training=False, after=ran, note="eval, statistics")

# Sequences of their own lengths


def packed(lengths):
    def run(m, x, state):
        given = nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        out, states = m(given, state)
        return nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])[0], states

    return run


lengths = [2, 4, 1]
layer(
    "LSTM",
    [3, 2, {"layers": 2, "bidirectional": True}],
    nn.LSTM(3, 2, 2, bidirectional=True, batch_first=True),
    recurrent(2, True),
    [floats(3, 4, 3), [floats(4, 3, 2), floats(4, 3, 2)]],
    packed(lengths),
    options={"lengths": lengths},
    note="lengths",
)
layer("GRU", [2, 3], nn.GRU(2, 3, batch_first=True), recurrent(1, False), [floats(3, 4, 2), floats(1, 3, 3)], packed(lengths), options={"lengths": lengths}, note="lengths")

# Rows of at most a length


def renormed(**options):
    rows = torch.tensor([[0, 4], [1, 1]], dtype=torch.int32)
    # The rows are shortened where they lie, which `functional_call` may not see.
    def run(m, indices):
        with torch.no_grad():
            short = torch.embedding_renorm_(m.weight.detach().clone(), indices.long(), options["max_norm"], options["norm_type"])
        return F.embedding(indices, m.weight + (short - m.weight).detach())

    layer("Embedding", [5, 3, {"maxNorm": options["max_norm"], "normType": options["norm_type"]}], nn.Embedding(5, 3), {"weight": ("weight", "I")}, [rows], run, note=f"norm {options['norm_type']}")


renormed(max_norm=0.8, norm_type=2.0)
renormed(max_norm=1.1, norm_type=1.0)

g.write()
