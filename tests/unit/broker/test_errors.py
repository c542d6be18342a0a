"""Tests that errors keep their class, code, sentence and details through REST."""

import pytest

from scnet_hub import errors


@pytest.mark.parametrize("kind", errors.KINDS.values())
def test_a_problem_becomes_the_same_error_again(kind: type[errors.ScnetError]) -> None:
    for code in ("", "special"):
        sent = kind("It is so.", hint="Do that.", code=code, details={"most": 3})
        back = errors.from_problem(sent.problem())
        assert (type(back), str(back), back.hint, back.code, back.details) == (
            kind,
            "It is so.",
            "Do that.",
            sent.code,
            {"most": 3},
        )


def test_whatever_comes_is_an_error_in_words() -> None:
    assert type(errors.from_problem({})) is errors.ScnetError and str(errors.from_problem({"code": []}))


def test_a_special_kind_is_its_family_on_the_other_side() -> None:
    assert errors.ScnetError("broken").problem()["family"] == ""
    from scnet_hub.broker.auth import Unauthorised

    assert type(errors.from_problem(Unauthorised("no").problem())) is errors.NotEntitled


def test_a_centres_words_are_not_without_end_and_steer_no_terminal() -> None:
    error = errors.Rejected("sbatch: \x1b]0;title\x07no\x9b31m\nsecond line " + "x" * 10**6)
    assert len(str(error)) < 1100 and str(error).isascii() is False  # it ends with an ellipsis
    assert str(error).startswith("sbatch:  ]0;title no 31m\nsecond line xxx")
    assert len(str(errors.from_problem(error.problem()))) < 1100
