"""Writes io/npy.json: .npy files of NumPy (base64) and the same arrays as row-major, little-endian hexadecimal bytes.

    pip install numpy
    python test/golden/make-npy.py
"""

import base64
import io
import json
from pathlib import Path

import numpy as np

floats = np.array([0.0, -0.0, 1.5, -2.25, np.inf, np.nan, 6e-8, 1e30])
grid = np.arange(24).reshape(2, 3, 4)
arrays = {
    "bool": np.array([True, False]),
    "uint8": np.array([0, 255], dtype=np.uint8),
    "int8": np.array([-128, 127], dtype=np.int8),
    "int32": np.array([[-(2**31)], [2**31 - 1]], dtype=np.int32),
    "int64": np.array([-(2**63), 2**53 + 1], dtype=np.int64),
    "float16": np.array([0.0, -1.5, 65504, np.inf], dtype=np.float16),
    "float32": floats.astype(np.float32).reshape(2, 4),
    "float64": floats,
    "big-endian float32": grid.astype(">f4"),
    "big-endian int64": grid.astype(">i8"),
    "fortran float32": np.asfortranarray(grid.astype(np.float32)),
    "fortran big-endian float64": np.asfortranarray(grid.astype(">f8")),
    "fortran uint8": np.asfortranarray(grid.astype(np.uint8)),
    "scalar": np.array(2.5, dtype=np.float32),
    "empty": np.zeros((3, 0), dtype=np.float32),
}


def save(array, version):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return base64.b64encode(file.getvalue()).decode()


def describe(name, array, version=(1, 0)):
    native = np.ascontiguousarray(array).reshape(array.shape)
    little = native.astype(native.dtype.newbyteorder("<"))
    return {
        "name": f"{name}, version {version[0]}",
        "file": save(array, version),
        "dtype": little.dtype.name,
        "shape": list(array.shape),
        "hex": little.tobytes().hex(),
    }


cases = [describe(name, array) for name, array in arrays.items()]
cases += [describe("float32", arrays["float32"], version) for version in ((2, 0), (3, 0))]
result = {"writtenBy": f"numpy {np.__version__}", "cases": cases}
(Path(__file__).parent / "io" / "npy.json").write_text(json.dumps(result, indent=1) + "\n")
