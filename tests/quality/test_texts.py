"""Damaged texts: every kind is recognised and named, sound foreign text is not."""

from __future__ import annotations

import pytest

from auditor.quality.texts import damage_of, skeleton

SENTENCES = {
    "French": "le café était fermé à midi",
    "German": "die Straße führt über die Brücke",
    "Polish": "zażółć gęślą jaźń",
    "Russian": "привет мир, как дела",
    "Greek": "καλημέρα κόσμε",
    "Arabic": "مرحبا بالعالم",
    "Chinese": "今天天气很好",
    "Japanese": "こんにちは世界",
    "Korean": "안녕하세요 세계",
    "emoji": "great game 😀 tonight",
    "quotes": "he said “it’s fine” — and left…",
}


@pytest.mark.parametrize("name", list(SENTENCES))
@pytest.mark.parametrize("decoder", ["latin-1", "cp1252"])
def test_text_read_with_the_wrong_decoder(name: str, decoder: str) -> None:
    text = SENTENCES[name]
    assert damage_of(text) == []
    # Windows-1252 leaves five bytes undefined.
    wrong = text.encode().decode(decoder, "ignore")
    assert "mojibake" in damage_of(wrong)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("it &amp; they", ["entity"]),
        ("AT T #39;s plan", ["entity"]),
        ("a\x00b", ["control character"]),
        ("a � b", ["replacement character"]),
        ("half \ud83d of a smile", ["half of a surrogate pair"]),
        ("R&D at 5 %; SÃO PAULO, naïve Æon, «quoted» ±0.1", []),
        ("plain", []),
        ("", []),
    ],
)
def test_kinds_of_damage(text: str, kinds: list[str]) -> None:
    assert damage_of(text) == kinds


def test_a_skeleton_has_no_numbers_links_or_case() -> None:
    assert skeleton("Order 17 of 3,5: see https://x.org/1 NOW") == skeleton("order 9 of 2: see www.y.net now!")
