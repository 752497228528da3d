"""What the scripts that make golden vectors share: recording one case after another, and writing compact JSON.

    pip install torch==2.13.0 numpy
    python test/golden/ops.py        # writes test/golden/data/ops.json

A family's script reads:

    from golden import Golden, floats
    g = Golden("ops")
    g.case("leakyRelu", lambda x, o: F.leaky_relu(x, 0.3), [floats(2, 3), {"negativeSlope": 0.3}])
    g.write()

Arguments are written down as the TypeScript function takes them; the Python function gets the same ones, tensors and all.
"""

import json
import math
from pathlib import Path

import torch

DATA = Path(__file__).parent / "data"


def floats(*shape, low=-2.0, high=2.0, dtype=torch.float32, seed=None):
    """Random numbers of few digits (multiples of 1/64), the same ones on every run; a new draw at every call."""
    floats.calls += 1
    generator = torch.Generator().manual_seed(floats.calls if seed is None else seed)
    x = torch.rand(shape, generator=generator, dtype=torch.float64) * (high - low) + low
    return (torch.round(x * 64) / 64).to(dtype)


floats.calls = 0


def ints(*shape, low=-9, high=10, dtype=torch.int32):
    """Random integers in [low, high)."""
    floats.calls += 1
    generator = torch.Generator().manual_seed(floats.calls)
    return torch.randint(low, high, shape, generator=generator).to(dtype)


class Golden:
    def __init__(self, family):
        self.family = family
        self.cases = []

    def case(self, name, f, args, *, grad=None, note=None, **tolerance):
        """
        Records `f(*args)`: a tensor, or a tree of tensors.

        grad: whether to record the gradients by all float tensors in `args` too, of the sum of the float results times
            fixed weights. Default: where there are float32 or float64 arguments and results that have one.
        note: tells cases of one name apart in the tests' output.
        rtol, atol: how close the result must be, where the default (by dtype) does not do.
        """
        leaves = [x for x in tensors(args) if x.is_floating_point()]
        full = [x for x in leaves if x.dtype in (torch.float32, torch.float64)]
        wanted = (len(full) > 0 and len(full) == len(leaves)) if grad is None else grad
        entry = {"name": name, "args": encode(args)}
        if note:
            entry["note"] = note
        if wanted:
            tracked = mapped(args, lambda x: x.detach().clone().requires_grad_() if x.is_floating_point() else x)
            out = f(*tracked)
            results = [y for y in tensors(out) if y.is_floating_point() and y.grad_fn is not None]
            if results:
                torch.autograd.backward(results, [weight(y) for y in results])
                entry["differentiable"] = len(results)
                entry["gradients"] = [encode(torch.zeros_like(x) if x.grad is None else x.grad) for x in tensors(tracked) if x.is_floating_point()]
            out = mapped(out, lambda y: y.detach())
        else:
            out = f(*args)
        entry["out"] = encode(out)
        entry.update(tolerance)
        self.cases.append(entry)

    def write(self):
        DATA.mkdir(exist_ok=True)
        lines = ",\n".join(json.dumps(c, separators=(",", ":"), allow_nan=False) for c in self.cases)
        path = DATA / f"{self.family}.json"
        path.write_text(f'{{"torch":"{torch.__version__.split("+")[0]}","cases":[\n{lines}\n]}}\n')
        print(f"{path.name}: {len(self.cases)} cases, {path.stat().st_size} bytes")


def weight(y):
    """The fixed weights of a result, from which its gradients start (load.ts has the same)."""
    w = torch.tensor([0.5, -0.75, 1.0, -1.25])
    return w.repeat(y.numel() // 4 + 1)[: y.numel()].reshape(y.shape).to(y.dtype)


def tensors(tree):
    if isinstance(tree, torch.Tensor):
        return [tree]
    if isinstance(tree, dict):
        return [x for v in tree.values() for x in tensors(v)]
    if isinstance(tree, (list, tuple)):
        return [x for v in tree for x in tensors(v)]
    return []


def mapped(tree, f):
    if isinstance(tree, torch.Tensor):
        return f(tree)
    if isinstance(tree, dict):
        return {k: mapped(v, f) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [mapped(v, f) for v in tree]
    return tree


def encode(tree):
    """A tree as JSON: tensors become {"$": dtype, "shape": [...], "values": [...]}; numbers that JSON lacks become strings in {"$": "number"}."""
    if isinstance(tree, torch.Tensor):
        values = tree.detach().reshape(-1)
        return {"$": str(tree.dtype).removeprefix("torch."), "shape": list(tree.shape), "values": [number(v, tree.dtype) for v in values]}
    if isinstance(tree, dict):
        return {k: encode(v) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [encode(v) for v in tree]
    if isinstance(tree, float) and isinstance(number(tree), str):
        return {"$": "number", "value": number(tree)}
    return tree


def number(v, dtype=None):
    if isinstance(v, torch.Tensor):
        if dtype == torch.float32:
            # The shortest decimal that reads back as the same float32.
            v = float(str(v.numpy()[()])) if math.isfinite(v.item()) else v.item()
        else:
            v = v.item()
    if isinstance(v, bool):
        return int(v)
    if isinstance(v, int):
        return v if abs(v) < 2**53 else str(v)
    if math.isnan(v):
        return "nan"
    if math.isinf(v):
        return "inf" if v > 0 else "-inf"
    if v == 0 and math.copysign(1, v) < 0:
        return "-0"
    return int(v) if v == int(v) and abs(v) < 2**53 else v
