"""
Writes accepted.json: the SHA-256 of every exported model that ONNX's own checker accepts, shape inference included.

    python test/golden/onnx/make.py            (onnx 1.23; Node with the checkout set up; the tests themselves need no Python)
    python test/golden/onnx/make.py --check    writes nothing; says whether the list is still what would be written

The models come from test/onnx/goldenModels.ts: test/onnx/golden.test.ts, told a folder, writes them there instead of comparing them. A model that the
checker refuses ends this script with the checker's words, and the list stays as it was.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
LIST = HERE / "accepted.json"


def main():
    if not LIST.exists():
        LIST.write_text('{ "files": {} }\n')
    with tempfile.TemporaryDirectory() as folder:
        command = ["npx", "vitest", "run", "test/onnx/golden.test.ts", "-t", "has the bytes"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "ONNX_GOLDEN_FOLDER": folder})
        files = {path.stem: accept(path) for path in sorted(Path(folder).glob("*.onnx"))}
    text = json.dumps({"checker": f"onnx {onnx.__version__}", "files": files}, indent=2) + "\n"
    if "--check" in sys.argv:
        sys.exit(0 if LIST.read_text() == text else "accepted.json is not what would be written now")
    LIST.write_text(text)
    print(f"{len(files)} models accepted")


def accept(path):
    """The hash of a file that the checker has accepted."""
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:
        sys.exit(f"{path.name}: {error}")
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
