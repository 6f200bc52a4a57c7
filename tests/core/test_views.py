"""What a notebook shows of results is named where these lie below the reports."""

from __future__ import annotations

import pytest

from auditor.core.views import VIEWS


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_is_there(name: str) -> None:
    assert callable(VIEWS.load(name))
