"""Patches take the width that a table of gradients says they need."""

import json

import pytest
import torch

from sr_zoo.blocks import EdgeTable, GradientTable, PatchTable

WIDTHS = (0, 8, 16)
COST = torch.tensor([0.0, 1.0, 4.0], dtype=torch.float64)


def measured(count=400):
    """Return gradients of patches, and errors that grow with them and shrink with the width."""
    gradients = torch.rand(count, 2, generator=torch.Generator().manual_seed(0))
    strength = gradients.sum(1, keepdim=True)
    return gradients, 1e-3 * strength / torch.tensor([1.0, 2.0, 8.0])


@pytest.fixture
def table():
    return GradientTable.fit(WIDTHS, COST, *measured(), bins=4)


def test_gradients_are_told_apart_by_direction(table):
    down = torch.linspace(0, 0.7, 8)[:, None].expand(1, 3, 8, 8)
    kinds = table.describe(torch.cat([down, down.mT]))
    assert kinds.tolist() == [pytest.approx([0.0875, 0], abs=1e-6), pytest.approx([0, 0.0875])]


def test_a_cell_holds_the_mean_error_of_its_patches(table):
    gradients, errors = measured()
    in_corner = (gradients <= gradients.quantile(0.25, dim=0)).all(1)
    expected = -10 * errors[in_corner].mean(0).log10()
    assert table.predict(torch.zeros(1, 2))[0].tolist() == pytest.approx(expected.tolist())


def test_the_cheapest_width_that_reaches_the_psnr_is_taken(table):
    kinds = torch.tensor([[0.05, 0.05], [0.5, 0.5], [0.95, 0.95]])
    chosen = table.choose_reaching(kinds, 33.0)
    expected = table.predict(kinds)
    assert chosen.tolist() == [0, 1, 2]
    for psnr, index in zip(expected, chosen, strict=True):
        assert psnr[index] >= 33
        assert index == 0 or psnr[index - 1] < 33


def test_where_no_width_reaches_the_psnr_the_best_one_is_taken(table):
    assert table.choose_reaching(torch.ones(3, 2), 99.0).tolist() == [2, 2, 2]


def test_cells_without_a_patch_take_the_nearest_that_has_one():
    gradients = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    errors = torch.tensor([[1e-3, 1e-4], [1e-2, 1e-3]])
    table = GradientTable.fit((0, 8), COST[:2], gradients, errors, bins=2)
    assert table.predict(torch.tensor([[0.0, 0.0], [1.0, 1.0]])).tolist() == [
        pytest.approx([30, 40]),
        pytest.approx([20, 30]),
    ]
    assert table.predict(torch.tensor([[0.0, 1.0]])).isfinite().all()


def test_a_table_is_read_as_it_was_written(table):
    again = PatchTable.from_record(json.loads(json.dumps(table.to_record())))
    kinds = torch.rand(20, 2)
    assert again.widths == table.widths
    assert torch.equal(again.predict(kinds), table.predict(kinds))


@pytest.mark.parametrize("kind", [EdgeTable, GradientTable])
def test_tables_stay_off_the_default_device(kind):
    described, known = measured()
    if kind is EdgeTable:
        described = described[:, 0]
    expected = kind.fit(WIDTHS, COST, described, known, bins=4).predict(described)
    with torch.device("meta"):
        table = kind.fit(WIDTHS, COST, described, known, bins=4)
        assert torch.equal(table.predict(described), expected)


def test_a_table_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one patch"):
        GradientTable.fit(WIDTHS, COST, torch.zeros(0, 2), torch.zeros(0, 3))
