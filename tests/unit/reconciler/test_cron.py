from __future__ import annotations

import pytest

from reconciler.cron import read_cron


def test_fields_become_numbers_and_weekdays_become_names() -> None:
    assert read_cron("*/20 22 1,15 jan-mar mon-fri") == {
        "minute": "0,20,40",
        "hour": "22",
        "day": "1,15",
        "month": "1,2,3",
        "day_of_week": "mon,tue,wed,thu,fri",
    }


@pytest.mark.parametrize("sunday", ["0", "7", "sun"])
def test_sunday_has_two_numbers(sunday: str) -> None:
    assert read_cron(f"0 0 * * {sunday}")["day_of_week"] == "sun"


def test_a_week_begins_on_sunday_as_cron_has_it() -> None:
    assert read_cron("0 0 * * 0-2")["day_of_week"] == "sun,mon,tue"


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-1 * * * *", "*/0 * * * *",
     "a * * * *", "1,,2 * * * *", "² * * * *", "999999999999 * * * *", "* * * * * *"],
)  # fmt: skip
def test_what_is_no_cron_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must have five fields|of a cron expression"):
        read_cron(text)
