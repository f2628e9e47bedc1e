"""Tables of growth: the slope, and the parts that need no processes of their own."""

import pytest

from benchmarks import growth


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_slope_is_the_power(power: float) -> None:
    sizes = (1, 10, 100)
    table = growth.Growth("work", "photos", sizes, tuple(3.0 * n**power for n in sizes))
    assert table.slope == pytest.approx(power, abs=1e-9)
    assert table.lines()[0] == f"work: seconds ~ (photos) ^ {abs(power):.2f}"
    assert len(table.lines()) == 4


def test_reading_and_listing_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "_READS", 64)
    assert growth._reading(4) > 0
    assert growth._listing(50) > 0
