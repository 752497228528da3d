"""Writes io/reference.safetensors and io/reference.json with the reference implementation of safetensors.

    pip install safetensors numpy ml_dtypes
    python test/golden/make-safetensors.py

The .json holds the tensors again, as hexadecimal bytes, and the versions that wrote both.
"""

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import safetensors
from safetensors.numpy import save_file

here = Path(__file__).parent / "io"
floats = np.array([0.0, -0.0, 1.5, -2.25, np.inf, -np.inf, np.nan, 6e-8], dtype=np.float64)
tensors = {
    "a.bool": np.array([[True, False, True]]),
    "b.uint8": np.array([0, 1, 127, 128, 255], dtype=np.uint8),
    "c.int8": np.array([-128, -1, 0, 127], dtype=np.int8),
    "d.int32": np.array([[-(2**31), 2**31 - 1], [0, -1]], dtype=np.int32),
    "e.int64": np.array([-(2**63), 2**63 - 1, 2**53 + 1], dtype=np.int64),
    "f.float16": floats.astype(np.float16).reshape(2, 2, 2),
    "g.bfloat16": floats.astype(ml_dtypes.bfloat16),
    "h.float32": floats.astype(np.float32),
    "i.float64": floats,
    "scalar": np.array(3.25, dtype=np.float32),
    "empty": np.zeros((2, 0, 3), dtype=np.float32),
    "ünïcode 名前 \"quoted\" \\ \n": np.array([1.0], dtype=np.float32),
}
metadata = {"note": "für Tests \"quoted\""}
save_file(tensors, here / "reference.safetensors", metadata)

expected = {
    "writtenBy": f"safetensors {safetensors.__version__}, numpy {np.__version__}, ml_dtypes {ml_dtypes.__version__}",
    "metadata": metadata,
    "tensors": {
        name: {"dtype": str(t.dtype), "shape": list(t.shape), "hex": t.tobytes().hex()} for name, t in tensors.items()
    },
}
(here / "reference.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
