"""Write the part of `docs/limits.md` that lists what the embedded API serves, only stores and refuses.

Shell. In: the tables of the code. Out: the page. A test fails while the page is not what this writes.
"""

from __future__ import annotations

from pathlib import Path

from graylane.cluster.apiserver.limits import page

PAGE = Path(__file__).parent.parent / "docs/limits.md"

if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
