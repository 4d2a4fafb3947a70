"""Reads a safetensors file by its format page and a folder of .npy files with numpy.

usage: weights_read.py FILE.safetensors DIR OUT
Fails unless both hold the same arrays; writes their values, in the file's order, to OUT as float64.
"""
import json
import sys

import numpy as np

TYPES = {"F32": "<f4", "I8": "|i1", "I32": "<i4", "I64": "<i8"}


def read_safetensors(path):
    data = open(path, "rb").read()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size].decode("utf-8"))
    assert data[8:9] == b"{" and (8 + size) % 8 == 0, size
    metadata = header.pop("__metadata__")
    assert all(isinstance(value, str) for value in metadata.values())
    buffer, place, tensors = data[8 + size:], 0, {}
    for name, info in header.items():
        begin, end = info["data_offsets"]
        assert begin == place and end <= len(buffer), (name, begin, place)
        place = end
        tensors[name] = np.frombuffer(buffer[begin:end], TYPES[info["dtype"]]).reshape(info["shape"])
    assert place == len(buffer), (place, len(buffer))
    return tensors, metadata


tensors, metadata = read_safetensors(sys.argv[1])
folder = sys.argv[2]
index = json.load(open(folder + "/tensors.json"))
assert index["metadata"] == metadata
assert [row["name"] for row in index["tensors"]] == list(tensors)
for row in index["tensors"]:
    array = np.load(folder + "/" + row["file"], allow_pickle=False)
    other = tensors[row["name"]]
    assert array.dtype == other.dtype == np.dtype(row["type"]), row
    assert array.shape == other.shape == tuple(row["shape"]), row
    assert np.array_equal(array, other) and array.flags["C_CONTIGUOUS"], row
np.concatenate([array.ravel().astype("<f8") for array in tensors.values()]).tofile(sys.argv[3])
print(len(tensors), "arrays")
