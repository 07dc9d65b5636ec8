"""The memory that a network frees is there for its next layer, and the system's once it is done."""

import os
import platform
import subprocess
import sys

import pytest

from sr_zoo.heap import (
    LARGEST_BETWEEN,
    MMAP_THRESHOLD,
    TRIM_THRESHOLD,
    WHOLE_MAPS,
    Heap,
)

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are"
)

RUN = """
import resource, torch, sr_zoo
from sr_zoo.inference.runtimes.eager import TorchRunner
runner = TorchRunner(sr_zoo.create_model("imdn_rtc", 2, pretrained=False))
faults = []
with torch.inference_mode():
    for _ in range(8):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        runner(torch.zeros(1, 3, 180, 320))
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults))  # the first runs, and now and then a later one, still let the memory grow
"""
HOLD_A_GIGABYTE = """
import resource, torch
import sr_zoo.inference.runtimes.eager  # what it leaves free is where maps come to lie
from sr_zoo.heap import memory_kept

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

def fill():
    maps = [torch.ones(10 << 20) for _ in range(25)]  # 40 MiB each

before = resident()
with memory_kept():
    with memory_kept():
        fill()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    fill()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
print((resident() - before) >> 20)
"""
SMALL_AFTER_LARGE = """
import resource, torch
import sr_zoo.inference.runtimes.eager  # what it leaves free is where maps come to lie
from sr_zoo.heap import memory_kept

with memory_kept():
    maps = [torch.ones(10 << 20) for _ in range(25)]
    above = torch.ones(1 << 20)  # what is freed below it stays the process's, if empty
    del maps
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    with memory_kept():
        torch.ones(10 << 20)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""
STRIPS_ALONE = """
import resource, torch
from sr_zoo.blocks import PassingMap
from sr_zoo.heap import STRIPS, memory_kept

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 20

with memory_kept(STRIPS), torch.inference_mode():
    before = resident()
    whole = torch.ones(1, 16, 1 << 11, 1 << 10)  # 128 MiB
    del whole
    print(resident() - before)
with memory_kept(), torch.inference_mode():
    passing = PassingMap(torch.ones(1, 16, 1 << 11, 1 << 10))
    before = resident()
    for top in range(0, 1 << 11, 32):
        passing[..., top : top + 32, :]
    print(before - resident())
"""
HOLES = """
import resource, torch
from sr_zoo.blocks import in_strips
from sr_zoo.heap import STRIPS, memory_kept

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 20

with memory_kept(STRIPS), torch.inference_mode():
    whole = torch.zeros(1, 16, 1 << 10, 1 << 10)
    maps = [torch.ones(1 << 20) for _ in range(32)]  # 4 MiB each
    kept = maps[::2]
    del maps
    before = resident()
    in_strips(lambda strip: strip[:, :1], whole)
    print(before - resident())
"""
PAGES = 256000  # of 25 maps that are there at the same time


def lines_of(code, **environment):
    usual = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=usual | environment,
    )
    return [int(line) for line in done.stdout.split()]


def test_layers_use_the_memory_that_earlier_ones_freed():
    (faults,) = lines_of(RUN)
    assert faults < 300  # pages; one map of 12 channels has 675


def test_what_a_large_run_freed_is_kept_until_its_end_and_then_given_back():
    faults, megabytes = lines_of(HOLD_A_GIGABYTE)
    assert faults < PAGES / 10
    assert megabytes < 512


def test_small_images_after_a_large_one_keep_their_memory():
    (faults,) = lines_of(SMALL_AFTER_LARGE)
    assert faults < 1024  # of 10240


def test_whole_maps_go_back_while_a_network_runs_in_strips():
    held, _ = lines_of(STRIPS_ALONE)
    assert held < 16


def test_strips_that_were_read_go_back_whatever_is_kept():
    _, given_back = lines_of(STRIPS_ALONE)
    assert given_back > 112


def test_holes_that_strips_left_go_back_before_the_next_large_map_is_gone_through():
    (given_back,) = lines_of(HOLES)
    assert given_back > 48  # of 64, beside 4 for the output


class OlderLibrary:
    """glibc before 2.35, which maps blocks above a size whatever it is told."""

    def __init__(self):
        self.limits = {}

    def mallopt(self, limit, size):
        if limit == MMAP_THRESHOLD and size > LARGEST_BETWEEN:
            return 0
        self.limits[limit] = size
        return 1

    def malloc_trim(self, _):
        return 1


def test_an_older_library_keeps_as_much_as_it_can():
    library = OlderLibrary()
    with Heap(library).kept(WHOLE_MAPS):
        assert library.limits == {
            MMAP_THRESHOLD: LARGEST_BETWEEN,
            TRIM_THRESHOLD: WHOLE_MAPS.end,
        }


@pytest.mark.parametrize(
    "settings",
    [
        {"MALLOC_TRIM_THRESHOLD_": "131072"},
        {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"},
    ],
)
def test_limits_that_users_set_stay(settings):
    faults, _ = lines_of(HOLD_A_GIGABYTE, **settings)
    assert faults > 0.9 * PAGES
