"""Golden vectors of the elementwise and reduction ops: writes data/ops.json."""

import torch

from golden import Golden, floats

g = Golden("ops")
special = torch.tensor([0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, -1e30, float("inf"), float("-inf"), float("nan")])

g.case("exp", torch.exp, [floats(3, 5)])
g.case("exp", torch.exp, [special], note="special values", grad=False)
g.case("sum", lambda x, *_: x.sum(1, keepdim=True), [floats(3, 5), 1, {"keepDims": True}])
g.case("add", torch.add, [floats(3, 1), floats(2)], note="broadcast")

g.write()
