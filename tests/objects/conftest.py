from __future__ import annotations

import pytest

from tests.objects.parts import Parts, made


@pytest.fixture
def parts() -> Parts:
    return made()
