"""
Writes the golden files of safetensors: what the reference implementation writes, for our parser and our writer to be held against.

    python test/golden/safetensors/make.py            (torch 2.13, safetensors 0.8, numpy; the tests themselves need no Python)
    python test/golden/safetensors/make.py --check    writes nothing; compares the files with what would be written, and loads each one

reference.safetensors   every number format of torch, no metadata: by the reference implementation
metadata.safetensors    one text beside the tensors (of several their order would not be defined): by the reference implementation
packed.safetensors      the six-bit formats, which torch does not have: by the lines below, read by the reference implementation
checksum.safetensors    metadata with our checksum: by the lines below, which compute it a second time; read by the reference implementation
expected.json           what is in them: per file metadata and tensors; bytes in hexadecimal, and numbers where there are numbers
"""

import hashlib
import json
import math
import struct
import sys
from pathlib import Path

import numpy
import torch
from safetensors import deserialize, safe_open
from safetensors.torch import save

HERE = Path(__file__).parent

# torch's dtype, the name in the file, and whether its numbers are compared (the others are carried as bytes).
FORMATS = {
    torch.float64: ("F64", True),
    torch.float32: ("F32", True),
    torch.float16: ("F16", True),
    torch.bfloat16: ("BF16", True),
    torch.int64: ("I64", True),
    torch.int32: ("I32", True),
    torch.int16: ("I16", True),
    torch.int8: ("I8", True),
    torch.uint64: ("U64", True),
    torch.uint32: ("U32", True),
    torch.uint16: ("U16", True),
    torch.uint8: ("U8", True),
    torch.bool: ("BOOL", True),
    torch.complex64: ("C64", False),
    torch.float8_e4m3fn: ("F8_E4M3", False),
    torch.float8_e4m3fnuz: ("F8_E4M3FNUZ", False),
    torch.float8_e5m2: ("F8_E5M2", False),
    torch.float8_e5m2fnuz: ("F8_E5M2FNUZ", False),
    torch.float8_e8m0fnu: ("F8_E8M0", False),
    torch.float4_e2m1fn_x2: ("F4", False),
}

# In the order of the reference implementation, widest first.
FILE_ORDER = (
    "U64 I64 F64 C64 F32 U32 I32 BF16 F16 U16 I16 F8_E5M2FNUZ F8_E4M3FNUZ F8_E8M0 F8_E4M3 F8_E5M2 I8 U8 F6_E3M2 F6_E2M3 F4 BOOL".split()
)


def pattern(dtype, shape, seed=0):
    """Bytes that run through all values, as a tensor: NaNs and infinities occur, and are kept."""
    count = math.prod(shape) * dtype.itemsize
    values = [(i * 89 + seed * 31 + 7) % (2 if dtype == torch.bool else 256) for i in range(count)]
    return torch.tensor(values, dtype=torch.uint8).view(dtype).reshape(shape) if count else torch.empty(shape, dtype=dtype)


def bytes_of(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def numbers_of(tensor):
    """The elements in float64, row-major; JSON has no NaN, so what is not finite is a string."""
    if tensor.dtype in (torch.uint64, torch.uint32, torch.uint16):
        flat = tensor.numpy().astype(numpy.float64).reshape(-1).tolist()
    else:
        flat = tensor.double().reshape(-1).tolist()
    return [x if math.isfinite(x) else "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity" for x in flat]


def described(tensors):
    """What expected.json says about tensors of torch."""
    result = {}
    for name, tensor in tensors.items():
        file_name, has_numbers = FORMATS[tensor.dtype]
        # Two float4 numbers are one element of torch, and two in the file.
        shape = [*tensor.shape[:-1], tensor.shape[-1] * 2] if file_name == "F4" else list(tensor.shape)
        result[name] = {"dtype": file_name, "shape": shape, "bytes": bytes_of(tensor).hex()}
        if has_numbers:
            result[name]["numbers"] = numbers_of(tensor)
    return result


def every_format():
    tensors = {}
    for seed, dtype in enumerate(FORMATS):
        tensors[f"format.{FORMATS[dtype][0]}"] = pattern(dtype, [2, 4], seed)
    tensors["scalar"] = torch.tensor(-1.5)
    tensors["scalar.long"] = torch.tensor(-(2**63))
    tensors["empty"] = torch.empty([0], dtype=torch.float32)
    tensors["empty.inside"] = torch.empty([3, 0, 2], dtype=torch.int16)
    tensors["odd"] = pattern(torch.uint8, [3])
    tensors["odd.after"] = pattern(torch.int8, [1, 1, 5])
    # Order by UTF-8 and by UTF-16 differ for these two.
    tensors["\ufffd"] = pattern(torch.float32, [1])
    tensors["\U0001f600"] = pattern(torch.float32, [1], 1)
    for name in ("", " ", 'quote " backslash \\', "line\nfeed\ttab\x01", "слой.вес", "重み", "__proto__", "constructor", "toString", "10", "9"):
        tensors[name] = pattern(torch.float32, [2], len(name))
    return tensors


def few_tensors():
    return {"conv.weight": pattern(torch.float32, [2, 1, 3, 3], 5), "conv.bias": torch.tensor([0.25, -3.0])}


def written(entries, metadata):
    """A file, written as ours are: metadata sorted, tensors widest first and then by name."""
    fields, data = [], b""
    if metadata:
        texts = sorted(metadata.items(), key=lambda item: item[0].encode())
        fields.append('"__metadata__":' + compact(dict(texts)))
    for name, entry in sorted(entries.items(), key=lambda item: (FILE_ORDER.index(item[1]["dtype"]), item[0].encode())):
        raw = bytes.fromhex(entry["bytes"])
        info = {"dtype": entry["dtype"], "shape": entry["shape"], "data_offsets": [len(data), len(data) + len(raw)]}
        fields.append(compact(name) + ":" + compact(info))
        data += raw
    header = ("{" + ",".join(fields) + "}").encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def checksum(entries, metadata):
    """SHA-256 over metadata and tensors, each sorted by the UTF-8 of the names; counts and lengths are 64-bit little-endian."""
    sha = hashlib.sha256()

    def number(value):
        sha.update(struct.pack("<Q", value))

    def text(value):
        number(len(value.encode()))
        sha.update(value.encode())

    number(len(metadata))
    for key in sorted(metadata, key=str.encode):
        text(key)
        text(metadata[key])
    number(len(entries))
    for name in sorted(entries, key=str.encode):
        text(name)
        text(entries[name]["dtype"])
        number(len(entries[name]["shape"]))
        for extent in entries[name]["shape"]:
            number(extent)
        number(len(entries[name]["bytes"]) // 2)
        sha.update(bytes.fromhex(entries[name]["bytes"]))
    return sha.hexdigest()


def golden_files():
    """Every file as (bytes, metadata, description of its tensors)."""
    files = {}
    tensors = every_format()
    files["reference.safetensors"] = (save(tensors), {}, described(tensors))

    tensors = few_tensors()
    metadata = {"format": "pt"}
    files["metadata.safetensors"] = (save(tensors, metadata), metadata, described(tensors))

    entries = {
        "e2m3": {"dtype": "F6_E2M3", "shape": [2, 4], "bytes": bytes(range(40, 46)).hex()},
        "e3m2": {"dtype": "F6_E3M2", "shape": [4], "bytes": bytes(range(250, 253)).hex()},
        "flags": {"dtype": "BOOL", "shape": [3], "bytes": "010001", "numbers": [1, 0, 1]},
        "step": {"dtype": "I64", "shape": [], "bytes": struct.pack("<q", 2**53 - 1).hex(), "numbers": [2**53 - 1]},
    }
    files["packed.safetensors"] = (written(entries, {}), {}, entries)

    tensors = few_tensors() | {"bn.num_batches_tracked": torch.tensor(1000), "bn.running_var": torch.tensor([1.0, 0.5]).to(torch.bfloat16)}
    entries = described(tensors)
    metadata = {"architecture": '{"kind":"ConvBlock","eps":1e-05}', "note": "schöne Grüße 😀", "\ufffd": "", "repconv.checksum": "sha256"}
    metadata["repconv.sha256"] = checksum(entries, metadata)
    files["checksum.safetensors"] = (written(entries, metadata), metadata, entries)
    return files


def check_with_reference(name, content, metadata, entries):
    """The reference implementation finds in `content` exactly what is expected."""
    found = {tensor: (info["dtype"], info["shape"], bytes(info["data"]).hex()) for tensor, info in deserialize(content)}
    expected = {tensor: (entry["dtype"], entry["shape"], entry["bytes"]) for tensor, entry in entries.items()}
    assert found == expected, name
    with safe_open(HERE / name, framework="pt") as file:
        assert (file.metadata() or {}) == metadata, name


def described_as_json(description):
    """One line per tensor."""

    def lines(record):
        return ",\n".join(f"      {compact(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in record.items())

    parts = [
        f'  "{name}": {{\n    "metadata": {json.dumps(part["metadata"], ensure_ascii=False)},\n    "tensors": {{\n{lines(part["tensors"])}\n    }}\n  }}'
        for name, part in description.items()
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main():
    files = golden_files()
    description = {name: {"metadata": metadata, "tensors": entries} for name, (_, metadata, entries) in files.items()}
    outputs = {name: content for name, (content, _, _) in files.items()}
    outputs["expected.json"] = described_as_json(description).encode()
    for name, content in outputs.items():
        if "--check" in sys.argv:
            assert (HERE / name).read_bytes() == content, f"{name} is not what make.py writes"
        else:
            (HERE / name).write_bytes(content)
    for name, (content, metadata, entries) in files.items():
        check_with_reference(name, content, metadata, entries)
    print(f"{len(outputs)} files", "checked" if "--check" in sys.argv else "written and checked")


if __name__ == "__main__":
    main()
