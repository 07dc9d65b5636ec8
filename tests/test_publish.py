"""To the Hub and back, against a server that speaks its protocol in both directions."""

import shutil
import time
from pathlib import Path

import pytest
import torch
from hub_server import TOKEN, Handler, running_hub
from huggingface_hub import ModelCard
from safetensors.torch import load

import sr_zoo
from sr_zoo.cli import main
from sr_zoo.errors import DownloadError, UploadError, WeightsIntegrityError, WeightsNotFoundError
from sr_zoo.weights.manifest import load_manifest

# huggingface_hub's own upload does what its HTTP library calls outdated
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

PHOTO = Path(__file__).parents[1] / "examples" / "chelsea.png"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("SR_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)  # plain HTTP
    with running_hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server


def small():
    torch.manual_seed(0)
    return sr_zoo.create_model(
        "rlfn", 2, pretrained=False, channels=8, hidden=8, num_blocks=1, esa_channels=4
    )


def assert_same(a, b):
    assert a.identity == b.identity
    assert a.state_dict().keys() == b.state_dict().keys()
    assert all(torch.equal(t, b.state_dict()[n]) for n, t in a.state_dict().items())


def sr_zoo_command(*arguments):
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return end.value.code


def test_a_network_goes_to_the_hub_and_comes_back(hub):
    network = small()
    address = network.push_to_hub("someone/rlfn", license="MIT")
    assert address == f"hf-hub:someone/rlfn@{hub.commits['someone/rlfn']}"
    assert hub.repos["someone/rlfn"].keys() >= {"README.md", "config.json", "model.safetensors"}
    assert_same(network, sr_zoo.create_model("hf-hub:someone/rlfn"))
    assert_same(network, sr_zoo.load_model(address))


def test_what_was_fetched_stays_without_a_network(hub, monkeypatch):
    network = small()
    network.push_to_hub("someone/rlfn")
    sr_zoo.load_model("hf-hub:someone/rlfn")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = len(hub.requests)
    assert_same(network, sr_zoo.load_model("hf-hub:someone/rlfn"))
    assert len(hub.requests) == asked
    with pytest.raises(DownloadError, match="someone/else is not on this machine, and HF_HUB_OFF"):
        sr_zoo.load_model("hf-hub:someone/else")
    with pytest.raises(UploadError, match="HF_HUB_OFFLINE"):
        network.push_to_hub("someone/rlfn")


def test_a_damaged_file_in_the_cache_is_not_loaded(hub, tmp_path):
    small().push_to_hub("someone/rlfn")
    sr_zoo.load_model("hf-hub:someone/rlfn")
    (blob,) = (tmp_path / "cache").rglob("blobs/*")
    blob.write_bytes(blob.read_bytes()[:-4] + b"evil")
    with pytest.raises(WeightsIntegrityError, match="was damaged and has been removed"):
        sr_zoo.load_model("hf-hub:someone/rlfn")
    sr_zoo.load_model("hf-hub:someone/rlfn")


def test_a_damaged_file_in_a_cache_of_others_is_named(hub, tmp_path, monkeypatch):
    small().push_to_hub("someone/rlfn")
    sr_zoo.load_model("hf-hub:someone/rlfn")
    (blob,) = (tmp_path / "cache").rglob("blobs/*")
    blob.write_bytes(blob.read_bytes()[:-4] + b"evil")

    def denied(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", denied)
    with pytest.raises(WeightsIntegrityError, match=rf"is damaged .*Permission .*remove {blob}"):
        sr_zoo.load_model("hf-hub:someone/rlfn")


def test_without_a_hub_the_error_comes_at_once(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(
        DownloadError, match=r"rlfn is not on.*9 cannot.*refused\)\. Load it once where"
    ):
        sr_zoo.load_model("hf-hub:someone/rlfn")
    assert time.monotonic() - started < 1
    with pytest.raises(
        UploadError,
        match=r"^someone/rlfn could not be uploaded: http:\S+ cannot be reached \(.*refused\)\.",
    ):
        small().push_to_hub("someone/rlfn")


def test_who_may_not_write_is_told_so(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(UploadError, match="HF_TOKEN"):
        small().push_to_hub("someone/rlfn")
    with pytest.raises(DownloadError, match="Check the name"):
        sr_zoo.load_model("hf-hub:someone/nothing")


def test_a_repository_without_weights_is_named(hub):
    hub.repos["someone/empty"], hub.commits["someone/empty"] = {"a.txt": b"a"}, "1" * 40
    with pytest.raises(WeightsNotFoundError, match=r"no model\.safetensors or pytorch_model\.bin"):
        sr_zoo.load_model("hf-hub:someone/empty")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [(503, b"", "503 Service"), (200, b"<html>log in</html>", "is not on this machine, and")],
    ids=["busy", "a web page"],
)
def test_what_the_hub_says_is_passed_on(hub, monkeypatch, status, body, words):
    hub.repos["someone/rlfn"], hub.commits["someone/rlfn"] = {}, "1" * 40
    right = Handler.file

    def answer(self, repo, revision, path):
        if path == "model.safetensors":
            return self.send(status, body, Content_Type="text/html")
        return right(self, repo, revision, path)

    monkeypatch.setattr(Handler, "file", answer)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between the tries
    with pytest.raises(DownloadError, match=words):
        sr_zoo.load_model("hf-hub:someone/rlfn")
    assert {path for _, path in hub.requests} == {"/someone/rlfn/resolve/main/model.safetensors"}


def test_publishing_says_first_what_it_would_do(hub, capsys):
    assert sr_zoo_command("publish", "zoo", "rlfn_s_x4.*", "imdn_x4.official") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "rlfn_s_x4.sr_zoo: would become zoo/rlfn_s_x4.sr_zoo (1.88 MB, Apache-2.0)" in lines
    assert "imdn_x4.official: not published, no licence allows it" in lines
    assert lines[-1] == "Nothing was uploaded; --upload does it."
    assert hub.requests == []


def test_weights_not_for_commercial_use_are_published_on_request_alone(hub, capsys):
    assert sr_zoo_command("publish", "zoo", "srformer_light_x2.official") == 0
    out = capsys.readouterr().out
    assert "srformer_light_x2.official: not published, CC-BY-NC-4.0 forbids commercial use" in out
    command = ("publish", "zoo", "srformer_light_x2.official", "--non-commercial")
    assert sr_zoo_command(*command) == 0
    assert "forbids" not in capsys.readouterr().out


def test_a_card_says_that_weights_are_not_for_commercial_use(tmp_path):
    small().save_pretrained(tmp_path, license="CC-BY-NC-4.0")
    card = (tmp_path / "README.md").read_text()
    assert ModelCard(card).data.license == "cc-by-nc-4.0"
    assert "Licence of the weights: CC-BY-NC-4.0: **not for commercial use**." in card


def test_published_weights_are_those_of_the_manifest(hub, capsys):
    assert sr_zoo_command("publish", "zoo", "rlfn_s_x4.sr_zoo", "--upload") == 0
    commit = hub.commits["zoo/rlfn_s_x4.sr_zoo"]
    assert capsys.readouterr().out == f"rlfn_s_x4.sr_zoo: zoo/rlfn_s_x4.sr_zoo@{commit}\n"
    files = hub.repos["zoo/rlfn_s_x4.sr_zoo"]
    own = sr_zoo.create_model("rlfn_s", 4, pretrained="sr_zoo").state_dict()
    published = load(files["model.safetensors"])
    assert published.keys() == own.keys()
    assert all(torch.equal(published[name], tensor) for name, tensor in own.items())


def test_the_model_card_says_what_the_manifest_knows_and_its_snippet_runs(hub, tmp_path):
    assert sr_zoo_command("publish", "zoo", "rlfn_s_x4.sr_zoo", "--upload") == 0
    entry = load_manifest().by_id("rlfn_s_x4.sr_zoo")
    text = hub.repos["zoo/rlfn_s_x4.sr_zoo"]["README.md"].decode()
    data = ModelCard(text).data
    assert (data.library_name, data.pipeline_tag) == ("sr_zoo", "image-to-image")
    assert data.license == "apache-2.0"
    assert data.datasets == (list(entry.trained_on) or None)
    stated = {(r.dataset_name, r.metric_type): r.metric_value for r in data.eval_results}
    names = {"psnr_y": "psnr", "ssim_y": "ssim"}
    assert stated == {
        (dataset, names[measure]): value
        for dataset, scores in entry.metrics.items()
        for measure, value in scores.items()
    }
    assert entry.sha256 in text
    run_snippet(text, tmp_path)


def run_snippet(card, folder):
    shutil.copy(PHOTO, folder / "photo.png")
    snippet = card.partition("```python\n")[2].partition("```")[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(compile(snippet, "README.md", "exec"), {})
    assert (folder / "bigger.png").stat().st_size > (folder / "photo.png").stat().st_size
