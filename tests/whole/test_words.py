"""The check of words finds refused words in prose only, and gives their lines."""

from pathlib import Path

import pytest
import words


@pytest.fixture
def found(tmp_path: Path):
    """Return a function that lists the findings of a text as (line, text)."""

    def check(text: str, name: str = "page.md") -> list[tuple[int, str]]:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return [(line, found) for line, found, _ in words.findings(path)]

    return check


REFUSED = [
    "A photo of two people.",
    "Pictures are drawn.",
    "The run goes on from there.",
    "Merge anew.",
    "The bytes behind the end.",
    "There is no more memory.",
    "There is nothing of this name.",
    "It cannot be had here.",
    "A file of another make.",
    "A weakness of OpenCV.",
    "The contested pixels.",
    "What an annotator drew.",
    "As the old recipe does.",
    "A loss that is not finite.",
    "Logits are enlarged.",
    "A copy ahead of use.",
    "Rare ones come more often.",
    "And what chance does to it.",
    "For whoever waits.",
    "2 GB at the most.",
    "It was not tried.",
    "Says who owns each pixel.",
    "The law: no state.",
    "A good download has 4,000 lines.",
    "Scales have the same say.",
    "The rate rises for so long.",
    "It keeps nobody from it.",
    "This mends it.",
    "It takes 3 ms an image.",
    "Once an epoch.",
    "20 ms of CPU an image.",
    "Then pip install mhp in it.",
    "    pip install 'mhpkit[viz]'",
]


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_refused_word_is_found(found, sentence):
    assert len(found(f"# Title\n\n{sentence}\n")) == 1


def test_every_pattern_is_tried_here():
    opening = [word for word in words.WORDS if words.STRING in word.pattern or words.DOCSTRING in word.pattern]
    for word in (*words.WORDS, *words.COMMANDS):
        if word not in opening:
            assert any(list(words.matches([word], sentence)) for sentence in REFUSED), word.pattern


def test_a_phrase_is_found_over_line_ends(found):
    assert found("One.\n\nA run goes\n  on.\n") == [(3, "goes on")]
    assert found('"""A run goes\non."""\n# It goes\n# on.\n', "a.py") == [(1, "goes on"), (3, "goes on")]
    assert found('x = ("It goes "\n     "on from there.")\n', "a.py") == [(1, "goes on")]


@pytest.mark.parametrize(
    "text",
    [
        "Run `mhp photo`, ``contested`` and --old-recipe; `pictures/` and `a photo\nof two`.",
        "See [the sheet](photo/contested.png), photo.jpg, a/photo/b and n_contested.",
        "```\nmhp-pack photo behind  \n```\n",
        "An image, a photon, and the behindmost.",
        "A second process in a third second; one per image, images of a class.",
    ],
)
def test_code_and_other_words_pass_in_markdown(found, text):
    assert found(text) == []


def test_code_passes_in_python(found):
    text = 'photo = {"contested": 1}["contested"]\nphoto.behind(picture=f"{photo} is {picture.anew!r:>{behind}} x")\n'
    assert found(text, "a.py") == []


def test_comments_in_code_of_markdown_are_checked(found):
    assert found("```python\nphoto = 1  # the photo\n```\n") == [(2, "photo")]


def test_prose_of_python_is_checked(found):
    text = '"""Module.\n\nA photo."""\n\n\ndef f():\n    """Anew."""\n    # behind it\n    raise Error(f"{f} photo")\n'
    assert found(text, "a.py") == [(3, "photo"), (7, "Anew"), (8, "behind"), (9, "photo")]


def test_a_phrase_does_not_reach_over_code(found):
    assert found('f("it goes ", x, "on and on")\n', "a.py") == []


@pytest.mark.parametrize("opening", ["Of all.", "As is.", "What is there.", "Where it is.", "So many.", "How many."])
def test_a_docstring_opens_with_a_verb(found, opening):
    assert [line for line, _ in found(f'def f():\n    """{opening}"""\n', "a.py")] == [2]
    assert found(f'def f():\n    """Return {opening}"""\n', "a.py") == []


def test_a_help_text_names_the_thing(found):
    assert found('option("--n", help="How many there are.")\n', "a.py") == [(1, "How many")]
    assert found('option("--n", help="Number of epochs.")\n', "a.py") == []


def test_a_root_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"):
        words.checked(("gone",), tmp_path)


def test_what_is_checked_has_files():
    for root in words.ROOTS:
        assert words.checked((root,)), root
