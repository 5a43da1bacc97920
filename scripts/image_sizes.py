"""Print what takes the room in the image, as a table of Markdown. Run it in the image:

podman run --rm --interactive --entrypoint python3 localhost/dateline - < scripts/image_sizes.py
"""

from __future__ import annotations

import sysconfig
from collections import Counter
from importlib.metadata import distributions
from pathlib import Path

_LISTED = 12  # packages by name; the others are summed up
_ENVIRONMENT = Path("/opt/dateline")


def _bytes(*paths: Path) -> int:
    files = {file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))}
    return sum(file.lstat().st_size for file in files if file.is_file())


def sizes() -> Counter[str]:
    """Return the bytes of the models, the other parts and each package."""
    site = Path(sysconfig.get_path("purelib", vars={"base": str(_ENVIRONMENT)}))
    found: Counter[str] = Counter()
    for package in distributions(path=[str(site)]):
        tops = {site / file.parts[0] for file in package.files or () if file.parts[0] != ".."}
        found[package.metadata["Name"]] = _bytes(*tops)
    models = _ENVIRONMENT / "share" / "dateline" / "models"
    found["the bundled models"] = _bytes(models)
    found["Debian and Python"] = _bytes(*(Path(root) for root in ("/usr", "/var", "/etc")))
    return found


def main() -> None:
    """Print the table."""
    found = sizes()
    print("| in the image | MB |\n|---|---|")
    for name, size in found.most_common(_LISTED):
        print(f"| {name} | {size / 1e6:.0f} |")
    rest = sum(found.values()) - sum(size for _, size in found.most_common(_LISTED))
    print(f"| {len(found) - _LISTED} other packages | {rest / 1e6:.0f} |")
    print(f"| all | {sum(found.values()) / 1e6:.0f} |")


if __name__ == "__main__":
    main()
