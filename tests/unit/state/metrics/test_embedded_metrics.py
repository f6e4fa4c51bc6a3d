from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from state.metrics import embedded
from state.metrics.embedded import Embedded
from state.metrics.opening import MetricsPlace, open_metrics
from state.metrics.vocabulary import Measured, MetricsError
from tests.contract.metrics_suite import MetricsSuite
from tests.support.metering import point, query


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[Embedded]:
    with closing(Embedded(tmp_path / "metrics.db")) as opened:
        yield opened


@pytest.fixture
def database() -> str:
    return "tour"


class TestEmbedded(MetricsSuite):
    def test_two_programs_see_the_same(self, metrics: Embedded, tmp_path: Path) -> None:
        with closing(Embedded(tmp_path / "metrics.db")) as other:
            other.write("tour", [point(1, requests=4)])

            assert metrics.ask([query("sum")]) == [Measured(4)]

    def test_databases_are_apart(self, metrics: Embedded) -> None:
        metrics.write("tour", [point(1, requests=4)])

        assert metrics.ask([query("count", database="other")]) == [Measured(0)]

    def test_its_file_is_for_its_owner_only(self, metrics: Embedded, tmp_path: Path) -> None:
        assert stat.S_IMODE((tmp_path / "metrics.db").stat().st_mode) == 0o600

    def test_old_points_go_in_time(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded, "_PRUNED_EVERY", 2)
        with closing(Embedded(tmp_path / "m.db", keep=timedelta(seconds=100))) as opened:
            opened.write("tour", [point(0, requests=1)])
            opened.write("tour", [point(200, requests=1)])

            assert opened.ask([query("count", start=0, end=300)]) == [Measured(1)]

    def test_a_file_that_is_none_of_ours_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "m.db").write_text("hello, this is no database at all" * 100)

        with pytest.raises(MetricsError, match=r"m\.db"):
            Embedded(tmp_path / "m.db")

    def test_an_unknown_kind_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(MetricsError, match="no store of metrics 'carbon'; known: embedded, influxql, flux"):
            open_metrics(MetricsPlace(kind="carbon"), tmp_path / "m.db")
