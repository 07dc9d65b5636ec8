"""Tiles come out as the whole image would."""

from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from test_models import FIRST_OF_FORM
from thin import build_thin
from torch.overrides import TorchFunctionMode

import sr_zoo
from sr_zoo.blocks.tile_view import Statistics
from sr_zoo.catalogue import model_info
from sr_zoo.errors import OutOfMemoryError
from sr_zoo.inference import memory
from sr_zoo.inference.memory import bytes_per_pixel, largest_core
from sr_zoo.inference.networks import Locality
from sr_zoo.inference.plan import Planner
from sr_zoo.inference.tiling import Tiling, run_if_fits, run_tiled
from sr_zoo.registry import spec_of


def photo(height: int, width: int) -> torch.Tensor:
    """A smooth picture with edges, in [0, 1]."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    wave = 0.5 + 0.5 * torch.sin(rows / 5) * torch.cos(columns / 7)
    edge = ((rows // 11 + columns // 13) % 2).float()
    return torch.stack([wave, edge, (wave + edge) / 2])[None]


def levels(a: torch.Tensor, b: torch.Tensor) -> int:
    return int(((a * 255).round() - (b * 255).round()).abs().max())


@pytest.fixture(scope="module")
def rlfn():
    return sr_zoo.create_model("rlfn_s", 4, pretrained="sr_zoo")


@pytest.mark.parametrize("size", [(70, 95), (43, 131)])
def test_tiles_of_a_local_network_equal_the_whole(rlfn, size):
    image = photo(*size)
    whole = sr_zoo.Upscaler(rlfn, tile=None, dtype="float32").tensor(image)
    tiled = sr_zoo.Upscaler(rlfn, tile=36, dtype="float32").tensor(image)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)
    assert levels(tiled, whole) <= 1  # rounding of equal values at most


@torch.inference_mode()
def tiled(network, image, tiling):
    height, width = (side * network.scale for side in image.shape[-2:])
    out = torch.full((1, 3, height, width), -1.0, dtype=image.dtype)
    times = torch.zeros_like(out, dtype=torch.int)
    pixels = []

    def write(corner, part):
        rows = slice(corner[0], corner[0] + part.shape[-2])
        columns = slice(corner[1], corner[1] + part.shape[-1])
        out[..., rows, columns] = part
        times[..., rows, columns] += 1

    run_tiled(network, image, tiling, write, pixels.append)
    assert (times == 1).all()
    assert sum(pixels) == image.shape[-2] * image.shape[-1] * (tiling.passes + 1)
    return out


def small_halo(name: str) -> bool:
    info = model_info(name)
    return info.tile_exact and info.halo <= 24


@pytest.mark.parametrize("name", [name for name in FIRST_OF_FORM if small_halo(name)])
@torch.inference_mode()
def test_tiles_of_every_local_network_equal_the_whole(name):
    """In double precision: what is left is the order of sums, which depends on a tile's size."""
    spec = spec_of(name)
    halo, grid = spec.variants[name].halo, spec.grid
    network = build_thin(name, max(spec.variants[name].scales)).eval().double()
    image = torch.rand(1, 3, 2 * halo + 21, 2 * halo + 26, dtype=torch.float64)
    tiling = Tiling(side=16 * grid, halo=-(-halo // grid) * grid, grid=grid, passes=0)
    torch.testing.assert_close(tiled(network, image, tiling), network(image), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("side", [61, 55])
@torch.inference_mode()
def test_tiles_reach_far_enough_where_few_cells_share_what_is_left_over(side):
    spec = spec_of("light_safmnpp")
    network = build_thin("light_safmnpp", 4).eval().double()
    halo = -(-spec.variants["light_safmnpp"].halo // spec.grid) * spec.grid
    tiling = Tiling(side=spec.grid, halo=halo, grid=spec.grid, passes=0)
    for image in (torch.rand(1, 3, *size).double() for size in ((side, 130), (130, side))):
        # what lies beyond the halo changes little of an output, but more than rounding does
        torch.testing.assert_close(
            tiled(network, image, tiling), network(image), atol=1e-14, rtol=0
        )


@pytest.mark.parametrize(("size", "side"), [((47, 165), 32), ((133, 50), 16)])
@torch.inference_mode()
def test_tiles_take_what_windows_wrap_around_from_the_opposite_border(size, side):
    network = build_thin("elan", 2, num_blocks=2).eval().double()
    image = torch.rand(1, 3, *size, dtype=torch.float64)
    # what two blocks see: 16 + 24 pixels by their windows, and 5 by convolutions
    tiling = Tiling(side=side, halo=45, grid=16, passes=0, wraps=True)
    torch.testing.assert_close(tiled(network, image, tiling), network(image), atol=1e-9, rtol=1e-9)


@torch.inference_mode()
def test_tiles_that_wrap_around_contribute_each_pixel_once_to_averages():
    network = build_thin("craft", 2, depths=(1,)).eval().double()
    image = torch.rand(1, 3, 20, 101, dtype=torch.float64)
    tiling = Tiling(side=16, halo=32, grid=16, passes=2, wraps=True)
    torch.testing.assert_close(tiled(network, image, tiling), network(image), atol=1e-9, rtol=1e-9)


@torch.inference_mode()
def test_statistics_passes_bring_tiles_of_a_global_network_close_to_the_whole():
    network = sr_zoo.create_model("seemore_t", 4, pretrained="sr_zoo")
    image = photo(64, 96)
    whole = network(image)

    def error(passes: int) -> float:
        tiling = Tiling(side=32, halo=16, grid=16, passes=passes)
        return (tiled(network, image, tiling) - whole).square().mean().item()

    alone, once = error(0), error(1)
    assert once < alone
    assert once < 1e-6  # 60 dB


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 3)])
def test_sides_of_few_pixels(rlfn, size):
    image = photo(*size)
    whole = sr_zoo.Upscaler(rlfn, tile=None, dtype="float32").tensor(image)
    tiled = sr_zoo.Upscaler(rlfn, tile=6, dtype="float32").tensor(image)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_tiles_cover_every_pixel_once():
    covered = torch.zeros(50, 33, dtype=torch.int)
    tiling = Tiling(side=12, halo=5, grid=6, passes=0)
    for core in tiling.cores(50, 33):
        covered[core.top : core.top + core.height, core.left : core.left + core.width] += 1
        view = tiling.cut(core, (50, 33), Statistics()).view
        assert view.origin[0] % 6 == view.origin[1] % 6 == 0
    assert (covered == 1).all()


def test_changed_arguments_are_tiled_by_their_own_receptive_field():
    network = sr_zoo.create_model("abpn_m4c28", 2, pretrained=False, num_blocks=9)
    image = photo(40, 40)
    whole = sr_zoo.Upscaler(network, tile=None).tensor(image)
    tiled = sr_zoo.Upscaler(network, tile=10).tensor(image)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


class Starved:
    """A network that runs out of memory, either once or wherever it is given too large a piece."""

    def __init__(self, network, *, at_call=None, largest=10**9, error=torch.OutOfMemoryError):
        self.network, self.scale = network, network.scale
        self.at_call, self.largest, self.error = at_call, largest, error
        self.calls = 0

    def __call__(self, image):
        self.calls += 1
        output = self.network(image)  # statistics are gathered before the memory runs out
        if self.calls == self.at_call or image.shape[-2] * image.shape[-1] > self.largest:
            raise self.error("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")
        return output


@pytest.mark.parametrize(
    ("at_call", "error"),
    [(1, MemoryError), (2, RuntimeError), (4, torch.OutOfMemoryError), (12, MemoryError)],
)
def test_running_out_of_memory_in_any_tile_changes_no_pixel(rlfn, at_call, error):
    image, tiling = photo(26, 38), sr_zoo.Upscaler(rlfn, tile=14).tiling()
    expected = tiled(rlfn, image, tiling)
    starved = Starved(rlfn, at_call=at_call, error=error)
    assert levels(tiled(starved, image, tiling), expected) == 0
    assert starved.calls > 5


@pytest.mark.parametrize("at_call", [1, 3, 4, 6, 7, 9, 12])
def test_running_out_of_memory_leaves_the_statistics_whole(at_call):
    network = sr_zoo.create_model("imdn", 4, pretrained=False)
    image, tiling = photo(16, 24), Tiling(side=8, halo=8, grid=2, passes=1)
    expected = tiled(network, image, tiling)
    # halves see less of the image beyond them, so that later averages differ a little
    starved = tiled(Starved(network, at_call=at_call), image, tiling)
    assert (starved - expected).abs().max() < 1 / 255


def test_tiles_shrink_until_they_fit(rlfn):
    image = photo(24, 36)
    tiling = Tiling(side=16, halo=4, grid=2, passes=0)
    nearest = sr_zoo.create_model("nearest", 4)
    expected = nearest(image)
    assert torch.equal(tiled(Starved(nearest, largest=150), image, tiling), expected)
    with pytest.raises(OutOfMemoryError, match="Not even a tile of 2x2 pixels with a halo of 4"):
        tiled(Starved(nearest, largest=20), image, tiling)
    with pytest.raises(RuntimeError, match="no memory matter"):
        run_tiled(Broken(), image, tiling, lambda *_: None)


class Broken:
    scale = 4

    def __call__(self, image):
        raise RuntimeError("no memory matter")


def test_an_image_that_does_not_fit_in_one_piece_is_tiled(monkeypatch):
    network = sr_zoo.create_model("nearest", 2)
    image, expected = photo(30, 20), network(photo(30, 20))
    forward = type(network).forward

    def starved(self, x):
        if x.shape[-2] == 30:
            raise MemoryError
        return forward(self, x)

    monkeypatch.setattr(type(network), "forward", starved)
    upscaler = sr_zoo.Upscaler(network)
    assert torch.equal(upscaler.tensor(image), expected)
    assert upscaler.tiling().side < 20  # and remembered
    with pytest.raises(OutOfMemoryError, match=r"30x20 pixels does not fit .* allow tiles"):
        sr_zoo.Upscaler(network, tile=None).tensor(image)


def test_passes_end_when_the_statistics_no_longer_move():
    network = sr_zoo.create_model("imdn", 4, pretrained=False)
    counting = Starved(network)
    tiled(counting, photo(8, 16), Tiling(side=8, halo=8, grid=1, passes=50))
    assert counting.calls < 40


def test_tiles_of_a_network_that_attends_to_the_whole_image_are_warned_of():
    network = sr_zoo.create_model("omnisr", 2, pretrained=False, channels=8, num_groups=1)
    upscaler = sr_zoo.Upscaler(network, tile=24)
    with pytest.warns(RuntimeWarning, match=r"attend to others all over .* tile=None"):
        upscaler.tensor(photo(30, 30))


def test_only_a_network_that_attends_to_the_whole_image_may_take_all_memory(monkeypatch):
    def core(name, **thin):
        network = sr_zoo.create_model(name, 2, pretrained=False, **thin)
        return sr_zoo.Upscaler(network).tiling().side

    monkeypatch.setattr("sr_zoo.inference.memory.free_memory", lambda: 64e9)
    monkeypatch.setattr("sr_zoo.inference.plan.CPU_BUDGET", 1e9)
    side = core("omnisr", channels=8, num_groups=1)
    assert side > 2 * core("lamnet", channels=8)
    monkeypatch.setattr("sr_zoo.inference.memory.free_memory", lambda: 2e9)
    assert core("omnisr", channels=8, num_groups=1) < side


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("0::/", {"memory.max": 4e9, "memory.current": 3e9}),
        ("0::/kubepods/pod/app", {"memory.max": 4e9, "memory.current": 3e9}),  # of its host
        ("0::/app", {"app/memory.max": "max", "memory.max": 4e9, "memory.current": 3e9}),
        (
            "4:memory:/docker/0a",
            {"memory/memory.limit_in_bytes": 4e9, "memory/memory.usage_in_bytes": 3e9},
        ),
    ],
)
def test_a_containers_limit_counts_as_memory_that_is_not_free(line, files, tmp_path, monkeypatch):
    (tmp_path / "own").write_text(f"9:name=systemd:/\n{line}\n")
    for name, value in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(value if isinstance(value, str) else f"{int(value)}\n")
        cached = "inactive_file 500000000\ntotal_inactive_file 500000000\n"
        (tmp_path / name).with_name("memory.stat").write_text(cached)
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN_CGROUPS", tmp_path / "own")
    assert memory.free_memory() == 1.5e9  # what is cached of files can be dropped


def test_an_output_that_memory_cannot_hold_is_refused_before_it_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "LARGE_OUTPUT", 32 * 32)
    monkeypatch.setattr(memory, "free_memory", lambda: 32 * 32 * 26 - 1)
    monkeypatch.setattr(memory.psutil, "swap_memory", lambda: SimpleNamespace(free=0))
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    upscaler = sr_zoo.Upscaler("nearest", 2)
    with pytest.raises(OutOfMemoryError, match=r"32x32 pixels takes about .* GB are free; files"):
        upscaler(tmp_path / "a.png")
    Image.new("RGB", (15, 16)).save(tmp_path / "a.png")
    assert upscaler(tmp_path / "a.png").size == (30, 32)


def test_where_there_are_no_groups_free_memory_is_the_machines(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "OWN_CGROUPS", tmp_path / "missing")
    assert 1e8 < memory.free_memory() < 1e14


class WithoutFloat64(TorchFunctionMode):
    """A device like Apple's: what lies on it has no double precision."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        moved = bool(args) and getattr(args[0], "moved", False)
        if function == torch.Tensor.is_mps.__get__:
            return not moved
        if function is torch.Tensor.double and not moved:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        result = function(*args, **(kwargs or {}))
        if function is torch.Tensor.cpu:
            result = result.view_as(result)
            result.moved = True
        return result


@pytest.mark.parametrize("name", ["imdn", "dat_light", "rcan"])
def test_averages_are_gathered_on_devices_without_double_precision(name):
    network, image = build_thin(name, 2).eval(), photo(24, 40)
    tiling = Tiling(side=8, halo=8, grid=8, passes=1)
    expected = tiled(network, image, tiling)
    with WithoutFloat64():
        torch.testing.assert_close(tiled(network, image, tiling), expected)


@pytest.mark.parametrize("message", ["MPS backend out of memory (MPS allocated: 9 GB)"])
def test_memory_that_runs_out_on_other_devices_is_recognised(message):
    def run(_):
        raise RuntimeError(message)

    assert run_if_fits(run, torch.zeros(1)) is None


def test_a_wide_halo_may_take_more_memory_than_usual_until_the_core_is_as_wide():
    network = sr_zoo.create_model("nearest", 2)
    pixels = bytes_per_pixel(network)
    assert largest_core(network, 10, 1, most=100**2 * pixels) == 80
    assert largest_core(network, 100, 1, most=100**2 * pixels) == pytest.approx(100, abs=1)


@pytest.mark.parametrize(
    ("asked", "gathers", "passes"), [(None, True, 3), (0, True, 0), (1, True, 1), (None, False, 0)]
)
def test_a_network_takes_the_passes_that_it_needs(monkeypatch, asked, gathers, passes):
    needed = Locality(halo=8, grid=1, averages=True, passes=spec_of("rcan").exact_passes)
    monkeypatch.setattr("sr_zoo.inference.plan.locality", lambda network: needed)
    network = sr_zoo.create_model("nearest", 2)
    planner = Planner(network, 16, exact_passes=asked, gathers=gathers)
    assert planner.tiling().passes == passes
