"""Build the table of protobuf field numbers that the embedded API server decodes request bodies with.

Shell. In: directories of the Go modules `k8s.io/api` and `k8s.io/apimachinery` (from `go mod download`), whose
struct tags hold the numbers. Out: `graylane/cluster/apiserver/wire/data/fields.txt`, one line per message:

    io.k8s.api.core.v1.Volume: name* 2:+VolumeSource

Numbers count up from 1 unless written; `*` keeps zero values (the Go field is a pointer or always written); `+` is a
message whose fields stand in its parent's JSON. Numbers never change upstream, so this runs only to add kinds:
`python tools/extract_protobuf.py .../k8s.io/api@v0.36.0 .../k8s.io/apimachinery@v0.36.0`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from graylane.cluster.apiserver.schema.components import Components

OUTPUT = Path(__file__).parent.parent / "graylane/cluster/apiserver/wire/data/fields.txt"
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r'^\t(?:(\w+) )?(\S+)\s+`json:"([^"]*)"[^`]*protobuf:"\w+,(\d+)', re.MULTILINE)
# Decoded by their own rules, see wire/protobuf.py.
SPECIAL = {"Time", "MicroTime", "Duration", "FieldsV1", "Patch"}


def messages(api: Path, machinery: Path) -> Iterator[tuple[str, str, str]]:
    """(package, message, body of the struct)."""
    sources = [("io.k8s.apimachinery.pkg.apis.meta.v1", machinery / "pkg/apis/meta/v1/types.go")]
    for path in sorted(api.glob("*/v*/types.go")):
        sources.append((f"io.k8s.api.{path.parent.parent.name}.{path.parent.name}", path))
    for package, path in sources:
        for name, body in STRUCT.findall(path.read_text()):
            yield package, name, body


def entries(body: str) -> Iterator[str]:
    expected = 1
    for go_name, go_type, json, number in FIELD.findall(body):
        name, _, options = json.partition(",")
        if not name and not go_name and "TypeMeta" in go_type:
            continue
        keep = go_type.startswith("*") or ("omitempty" not in options and go_type[0].islower())
        text = name + "*" * keep if name else f"+{go_type.lstrip('*').rpartition('.')[2]}"
        yield text if int(number) == expected else f"{number}:{text}"
        expected = int(number) + 1


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: extract_protobuf.py K8S_API_DIR APIMACHINERY_DIR")
    known = Components.load().schemas
    lines, inline = {}, set()
    for package, name, body in messages(Path(sys.argv[1]), Path(sys.argv[2])):
        row = list(entries(body))
        if row and name not in SPECIAL:
            lines[f"{package}.{name}"] = " ".join(row)
            inline |= {f"{package}.{word.partition('+')[2]}" for word in row if "+" in word}
    wanted = {name: row for name, row in lines.items() if name in known or name in inline}
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text("".join(f"{name}: {row}\n" for name, row in sorted(wanted.items())))
    print(f"{OUTPUT.name}: {len(wanted)} messages, {OUTPUT.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
