"""Feature modulation: what its blocks refuse."""

import pytest

from sr_zoo.blocks import SAFM


@pytest.mark.parametrize("cells", [(1, 2, 4), ()])
def test_channels_that_cannot_be_split_evenly_are_refused(cells):
    with pytest.raises(ValueError, match=rf"number of cells \(={len(cells)}\)"):
        SAFM(8, cells)
