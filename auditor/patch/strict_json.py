"""JSON of somebody else, read as the standard says."""

from __future__ import annotations

import json
from typing import Any

from auditor.core.errors import UnreadableError


def strict_json(raw: bytes, where: str) -> Any:
    """Parse JSON as the standard says: no NaN, no repeated keys, text that can be written as UTF-8.

    Raises
    ------
    UnreadableError
    """

    def refuse_constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    def refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            raise ValueError("a key occurs twice in one object")
        return dict(pairs)

    try:
        text = raw.decode("utf-8")
        value = json.loads(text, parse_constant=refuse_constant, object_pairs_hook=refuse_repeats)
        # A lone surrogate written as \ud800 parses, but cannot be printed or written again.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError as error:
        raise UnreadableError(f"{where} is not UTF-8 text.", "Save the file as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{where} is not JSON: {str(error)[:200]}.") from error
    return value
