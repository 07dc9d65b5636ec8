"""IPT beyond its goldens: the published size, tasks, and images larger than a patch."""

import pytest
import torch

from sr_zoo.models.ipt import IPT

AUTHORS_PARAMETERS = 115_460_419  # of the released networks, one task each


def test_published_network_has_as_many_parameters_as_the_authors():
    with torch.device("meta"):
        network = IPT(scale=2)
    assert sum(p.numel() for p in network.parameters()) == AUTHORS_PARAMETERS


def small(scale: int, task: int | None = None) -> IPT:
    return IPT(
        scale=scale,
        channels=4,
        patch_size=24,
        depth=1,
        num_heads=4,
        task_scales=(2, 3, 4, 1, 1, 1),
        task=task,
    ).eval()


@torch.inference_mode()
def test_tasks_of_one_network_differ_and_keep_their_scale():
    derain, denoise = small(1, 5), small(1, 3)
    derain.load_state_dict(denoise.state_dict())
    x = torch.rand(1, 3, 26, 31)
    assert derain(x).shape == denoise(x).shape == x.shape
    assert not torch.allclose(derain(x), denoise(x))


@pytest.mark.parametrize(("scale", "task"), [(2, 1), (8, None)])
def test_a_task_of_another_scale_is_refused(scale, task):
    with pytest.raises(ValueError, match="is no task of scale"):
        small(scale, task)


@torch.inference_mode()
@pytest.mark.parametrize(("height", "width"), [(24, 54), (37, 60)])
def test_first_patch_alone_gives_the_corner(height, width):
    """As the authors' evaluation code writes its left strip over its top strip."""
    network, x = small(2), torch.rand(1, 3, height, width)
    corner = network(x)[..., :12, :48]
    torch.testing.assert_close(corner, network(x[..., :24, :24])[..., :12, :], atol=1e-5, rtol=0)
