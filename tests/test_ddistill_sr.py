"""DDistill-SR's training form fuses into the deployed one, borders included."""

import torch
from thin import build_thin

import sr_zoo


@torch.inference_mode()
def test_branches_fuse_into_the_deployed_form():
    torch.manual_seed(0)
    network = build_thin("ddistill_sr_train", 4)
    for module in network.modules():  # statistics that are not those of an untrained network
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.normal_(module.bias, std=0.2)
    network.eval()
    deployed = build_thin("ddistill_sr", 4).eval()
    deployed.load_state_dict(sr_zoo.fuse(network).state_dict(), strict=True)
    image = torch.rand(1, 3, 20, 17)
    assert torch.allclose(deployed(image), network(image), atol=1e-5)
