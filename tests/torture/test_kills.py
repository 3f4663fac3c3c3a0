"""P1 and P3: a kill at any file operation loses nothing that was promised."""

from __future__ import annotations

import pytest

from tests.torture.kills import every_kill, kill_loop, operations_of
