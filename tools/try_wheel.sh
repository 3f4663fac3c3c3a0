#!/usr/bin/env bash
# Build the sdist, build a wheel from it in a clean folder, install that wheel in an environment of its own and
# start it there. The packages that it depends on are those of the checkout's environment.
#
#     tools/try_wheel.sh BIN      BIN: the bin folder of the checkout's environment
set -euo pipefail

bin=$(realpath "$1")
root=$(git rev-parse --show-toplevel 2>/dev/null || pwd)
clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT
cd "$root"

rm -rf dist
"$bin/maturin" sdist --out dist
# The target folder is shared, so the crates from the registry are there already. `-m` makes our own
# sources newer than what was built of them: cargo compares nothing but times.
tar -xzmf dist/specplan-*.tar.gz -C "$clean"
(cd "$clean"/specplan-*/ && CARGO_TARGET_DIR="$root/target" "$bin/maturin" build --release \
    --interpreter "$bin/python" --out "$root/dist")

"$bin/python" -m venv "$clean/venv"
"$clean/venv/bin/pip" install --quiet --no-index --no-deps dist/specplan-*.whl
"$bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
    >"$("$clean/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/dependencies.pth"
cd "$clean"
venv/bin/mlx --version
venv/bin/python - "$clean" <<'PYTHON'
import sys
from pathlib import Path

import specplan
import specplan._native

for module in (specplan, specplan._native):
    if not Path(module.__file__).resolve().is_relative_to(Path(sys.argv[1]).resolve()):
        sys.exit(f"{module.__name__} was loaded from {module.__file__}, not from the wheel")
PYTHON
