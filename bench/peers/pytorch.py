"""PyTorch as a peer: reads one JSON request a line on stdin, answers one JSON line (the protocol of host.ts).

A case is built in each way that PyTorch offers for it (memory format, fused optimiser), each on all threads and on one; all are
timed briefly and the fastest stays, named in the reply. Needs torch >= 2.0.
"""

import glob
import json
import sys
import time

from protocol import serve, unavailable

try:
    import torch
    import torch.nn.functional as F
    from pytorch_models import model_builders
    from torch import nn
except ImportError as error:
    unavailable(error)

COMPILED = sys.argv[2] == "compile"
FORMATS = {"": torch.contiguous_format, "channels-last": torch.channels_last}


def matmul(w):
    dtype = getattr(torch, w["dtype"])
    a, b = torch.randn(w["m"], w["k"]).to(dtype), torch.randn(w["k"], w["n"]).to(dtype)
    yield "", lambda: a @ b


def conv2d(w):
    for name, memory_format in FORMATS.items():
        x = torch.randn(w["batch"], w["inChannels"], w["size"], w["size"]).to(memory_format=memory_format)
        weight = torch.randn(w["outChannels"], w["inChannels"], w["kernel"], w["kernel"]).to(memory_format=memory_format)
        window = [w["stride"]] * 2, [w["kernel"] // 2] * 2
        if w["part"] == "forward":
            yield name, lambda x=x, weight=weight, window=window: F.conv2d(x, weight, None, *window)
            continue
        g = torch.randn_like(F.conv2d(x, weight, None, *window))
        wanted = [w["part"] == "input-gradient", w["part"] == "weight-gradient", False]
        arguments = (g, x, weight, None, *window, [1, 1], False, [0, 0], 1, wanted)
        yield name, lambda arguments=arguments: torch.ops.aten.convolution_backward(*arguments)


def matmul_int8(w):
    a, b = (torch.randint(-128, 128, shape, dtype=torch.int8) for shape in ((w["m"], w["k"]), (w["k"], w["n"])))
    yield "", lambda: torch._int_mm(a, b)
    yield "b transposed", lambda b=b.t().contiguous().t(): torch._int_mm(a, b)


def conv2d_int8(w):
    """Its convolutions of bytes always scale the sums and round them to bytes in passing."""
    x = torch.quantize_per_tensor(torch.randn(w["batch"], w["inChannels"], w["size"], w["size"]), 0.02, 128, torch.quint8)
    weight = torch.quantize_per_tensor(torch.randn(w["outChannels"], w["inChannels"], w["kernel"], w["kernel"]), 0.02, 0, torch.qint8)
    for engine in torch.backends.quantized.supported_engines:
        if engine in ("none", "qnnpack"):
            continue
        torch.backends.quantized.engine = engine
        packed = torch.ops.quantized.conv2d_prepack(weight, None, [1, 1], [w["kernel"] // 2] * 2, [1, 1], 1)
        for name, memory_format in FORMATS.items():
            made = x.contiguous(memory_format=memory_format)
            yield f"{engine} {name}".strip(), lambda made=made, packed=packed: torch.ops.quantized.conv2d(made, packed, 0.5, 128)


def binary(w):
    a, b = torch.randn(w["size"]), torch.randn(w["size"])
    yield "", lambda: a + b


def unary(w):
    x = torch.randn(w["size"])
    yield "", lambda: F.gelu(x)


def softmax(w):
    x = torch.randn(w["rows"], w["columns"])
    yield "", lambda: torch.softmax(x, -1)


def attention(w):
    shape = (w["batch"], w["heads"], w["length"], w["size"])
    q, k, v = (torch.randn(shape, requires_grad=w["backward"]) for _ in range(3))
    gradient = torch.randn(shape)

    def step():
        y = F.scaled_dot_product_attention(q, k, v, is_causal=w["causal"])
        if w["backward"]:
            torch.autograd.grad(y, (q, k, v), gradient)

    yield "", step


def reduce(w):
    x = torch.randn(w["rows"], w["columns"])
    f = getattr(torch, w["fn"])
    yield "", (lambda: f(x, w["axis"])) if "axis" in w else (lambda: f(x))


def tiny_add(w):
    a, b = (torch.randn(w["size"], requires_grad=w["grad"]) for _ in range(2))
    yield "", lambda: a + b


def training(w, model_of, x, target, loss_of):
    """The step of a model, with each optimiser implementation."""
    for fused in (False, True):
        model = model_of()
        if w["optimiser"] == "adam":
            optimiser = torch.optim.Adam(model.parameters(), lr=w["learningRate"], fused=fused)
        else:
            optimiser = torch.optim.SGD(model.parameters(), lr=w["learningRate"], fused=fused)

        if COMPILED:
            model = torch.compile(model)

        def step(model=model, optimiser=optimiser):
            optimiser.zero_grad(set_to_none=True)
            loss_of(model(x), target).backward()
            optimiser.step()

        yield "fused optimiser" if fused else "", step


def mlp(w):
    sizes = w["sizes"]

    def model_of():
        layers = []
        for i, o in zip(sizes, sizes[1:]):
            layers += [nn.Linear(i, o), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    x = torch.randn(w["batch"], sizes[0])
    if w["loss"] == "mse":
        yield from training(w, model_of, x, torch.randn(w["batch"], sizes[-1]), F.mse_loss)
    else:
        yield from training(w, model_of, x, torch.randint(sizes[-1], (w["batch"],)), F.cross_entropy)


def cnn(w):
    channels = w["channels"]
    side = w["size"] >> (len(channels) - 1)
    target = torch.randint(w["classes"], (w["batch"],))
    for name, memory_format in FORMATS.items():

        def model_of(memory_format=memory_format):
            layers = []
            for i, o in zip(channels, channels[1:]):
                layers += [nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * side * side, w["classes"]))
            return model.to(memory_format=memory_format)

        x = torch.randn(w["batch"], channels[0], w["size"], w["size"]).to(memory_format=memory_format)
        for label, step in training(w, model_of, x, target, F.cross_entropy):
            yield ", ".join(filter(None, (name, label))), step


def transformer(w):
    x, target = (torch.randn(w["batch"], w["length"], w["width"]) for _ in range(2))
    layer = lambda: nn.TransformerEncoderLayer(w["width"], w["heads"], w["hidden"], dropout=0.0, batch_first=True)
    yield from training(w, layer, x, target, F.mse_loss)


def recurrent(w):
    x = torch.randn(w["batch"], w["length"], w["inputs"])
    target = torch.randn(w["batch"], w["length"], w["hidden"])
    cell = nn.LSTM if w["cell"] == "lstm" else nn.GRU
    model_of = lambda: cell(w["inputs"], w["hidden"], w["layers"], batch_first=True)
    yield from training(w, model_of, x, target, lambda result, target: F.mse_loss(result[0], target))


class Photos(torch.utils.data.Dataset):
    def __init__(self, folder, transform):
        self.files = sorted(glob.glob(folder + "/*.jpg"))
        self.transform = transform

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        from PIL import Image

        return self.transform(Image.open(self.files[index]).convert("RGB"))


def pictures(w):
    """Transforms on PIL's images, and on tensors (v2)."""
    from torchvision.transforms import v2

    augment = [v2.RandomResizedCrop(224, antialias=True), v2.RandomHorizontalFlip(), v2.ColorJitter(0.4, 0.4, 0.4)]
    normalize = [v2.ToDtype(torch.float32, scale=True), v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    for name, steps in {"PIL": [*augment, v2.PILToTensor()], "tensors": [v2.PILToTensor(), *augment]}.items():
        loader = torch.utils.data.DataLoader(
            Photos(w["folder"], v2.Compose([*steps, *normalize])),
            batch_size=w["batch"],
            shuffle=True,
            num_workers=w["workers"],
            persistent_workers=True,
        )
        yield name, lambda loader=loader: [None for _ in loader]


BUILDERS = {
    "matmul": matmul,
    "conv2d": conv2d,
    "matmul-int8": matmul_int8,
    "conv2d-int8": conv2d_int8,
    "binary": binary,
    "unary": unary,
    "softmax": softmax,
    "attention": attention,
    "reduce": reduce,
    "mlp": mlp,
    "cnn": cnn,
    "transformer": transformer,
    "recurrent": recurrent,
    "pictures": pictures,
    "tiny-add": tiny_add,
    **model_builders(COMPILED, training),
}


def seconds(threads, step, iterations):
    torch.set_num_threads(threads)
    start = time.perf_counter()
    for _ in range(iterations):
        step()
    return (time.perf_counter() - start) / iterations


def fastest(variants, threads):
    """Of `(note, threads, step)` the one with the least median of a few turns, taken in turns."""
    # What is compiled for one number of threads is compiled again for another.
    counts = [threads] if COMPILED else sorted({1, threads})
    candidates = [(note, count, step) for note, step in variants for count in counts]
    if len(candidates) == 1:
        return candidates[0]
    for _, count, step in candidates:
        seconds(count, step, 1)
    first = [seconds(count, step, 1) for _, count, step in candidates]
    slow = min(first) > 0.3
    if slow:
        candidates = [c for c, took in zip(candidates, first) if took < 1.5 * min(first)]
    iterations = max(1, round(0.03 / min(first)))
    turns = [[seconds(count, step, iterations) for _, count, step in candidates] for _ in range(2 if slow else 5)]
    medians = [sorted(times)[len(turns) // 2] for times in zip(*turns)]
    return candidates[medians.index(min(medians))]


def status(name):
    """A line of Linux's /proc/self/status, in bytes."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def peak_memory(variants):
    """Bytes that building the first way of doing a case and three steps take at most, above what there was before."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = status("VmRSS")
    note, step = next(iter(variants))
    for _ in range(3):
        step()
    return status("VmHWM") - before, note


def main():
    options = json.loads(sys.argv[1])
    torch.set_num_threads(options["threads"])
    torch.manual_seed(0)
    key, note, threads, step = None, "", 1, None

    def answer(request):
        nonlocal key, note, threads, step
        if "release" in request:
            key = step = None
            return None
        if "memory" in request:
            work = request["memory"]
            taken, note = peak_memory(BUILDERS[work["kind"]](work))
            return {"bytes": taken, "note": note}
        work = request["time"]
        if key != work:
            note, threads, step = fastest(BUILDERS[work["kind"]](work), options["threads"])
            key = work
        took = seconds(threads, step, request["iterations"])
        return {"seconds": took, "note": note, "threads": threads}

    serve({"version": torch.__version__, "threads": torch.get_num_threads()}, answer)


# Processes of data loaders read this file, too.
if __name__ == "__main__":
    main()
