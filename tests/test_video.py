"""Videos: the times, colours and other streams of the original, frames of the network's."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sr_zoo
from sr_zoo import errors
from sr_zoo.cli import main
from sr_zoo.imaging import video as files
from sr_zoo.imaging.remux import CONTAINERS
from sr_zoo.imaging.video import Encoding, SegmentWriter, VideoFrame
from sr_zoo.inference import video
from sr_zoo.inference.video import upscale_video

av = pytest.importorskip("av", reason="videos need PyAV")
TIMES = (0, 1, 2, 5, 6, 10, 11, 12, 20, 21)  # in thirtieths of a second: no constant rate


def picture(index: int) -> np.ndarray:
    rows, columns = np.mgrid[:24, :32]
    ramp = np.stack([rows * 4, columns * 4, rows + columns], 2) + 10 * index
    return ramp.clip(0, 255).astype(np.uint8)


@pytest.fixture
def clip(tmp_path):
    """A file with uneven times, full-range BT.709 colours, and sound."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["comment"] = "52.5200+13.4050"
        stream = container.add_stream("libx264", rate=30, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, 30)
        context.color_range, context.colorspace = 2, 1
        sound = container.add_stream("aac", rate=44100)
        for index, time in enumerate(TIMES):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24").reformat(
                format="yuv420p", dst_colorspace=1, src_color_range=2, dst_color_range=2
            )
            frame.pts, frame.time_base = time, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for index in range(32):
            silence = np.zeros((2, 1024), np.float32)
            block = av.AudioFrame.from_ndarray(silence, format="fltp", layout="stereo")
            block.rate, block.pts, block.time_base = 44100, index * 1024, Fraction(1, 44100)
            container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    return path


def shown(path):
    """Return times in thirtieths, pixels, and range and matrix of a file's frames."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
    times = [round(float(frame.pts * frame.time_base * 30), 6) for frame in frames]
    pixels = [
        f.reformat(
            format="rgb24", src_colorspace=1, src_color_range=2, interpolation=files.ACCURATE
        ).to_ndarray()
        for f in frames
    ]
    return times, pixels, (int(frames[0].color_range), int(frames[0].colorspace))


def sound_of(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.dts is not None]


def test_frames_times_colours_and_sound_are_kept(clip, tmp_path):
    upscaler = sr_zoo.Upscaler("nearest", 2)
    count = upscale_video(upscaler, clip, tmp_path / "b.mp4", Encoding(quality=98), progress=False)
    assert count == len(TIMES)
    (old_times, old, colors), (times, new, kept) = shown(clip), shown(tmp_path / "b.mp4")
    assert old_times == list(TIMES)
    assert times == old_times
    assert kept == colors == (2, 1)
    for before, after in zip(old, new, strict=True):
        expected = before.repeat(2, 0).repeat(2, 1).astype(int)
        assert np.abs(after - expected).mean() < 2
        assert abs((after - expected).mean()) < 1  # no shift of brightness
    assert sound_of(tmp_path / "b.mp4") == sound_of(clip)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.mp4", "clip.mp4"]


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_every_codec_goes_into_usual_containers(clip, tmp_path, codec, suffix):
    target = tmp_path / f"b{suffix}"
    upscale_video(sr_zoo.Upscaler("nearest", 2), clip, target, Encoding(codec), progress=False)
    with av.open(str(target)) as container:
        video = container.streams.video[0]
        packets = [packet for packet in container.demux(video) if packet.pts is not None]
        assert (video.width, video.height, len(packets)) == (64, 48, len(TIMES))


def test_webm_is_written_in_av1(clip, tmp_path):
    silent = tmp_path / "silent.mkv"
    with av.open(str(clip)) as source, av.open(str(silent), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    upscaler = sr_zoo.Upscaler("nearest", 2)
    assert upscale_video(upscaler, silent, tmp_path / "b.webm", progress=False) == len(TIMES)
    with av.open(str(tmp_path / "b.webm")) as container:
        assert len([p for p in container.demux(video=0) if p.pts is not None]) == len(TIMES)
    for codec, name in (("h264", "c.webm"), ("av1", "c.mov")):
        with pytest.raises(errors.ImageWriteError, match=f"such files hold no {codec}; use codec"):
            upscale_video(upscaler, silent, tmp_path / name, Encoding(codec), progress=False)
    assert not list(tmp_path.glob(".sr_zoo*"))


def test_an_encoder_that_is_missing_is_told_before_the_first_frame(clip, tmp_path, monkeypatch):
    monkeypatch.setitem(files.CODECS, "av1", "libnone")
    with pytest.raises(errors.ImageWriteError, match=r"no encoder of av1 \(libnone\)"):
        upscale_video(
            sr_zoo.Upscaler("nearest", 2), clip, tmp_path / "b.mp4", Encoding("av1"), progress=False
        )
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_stopped_run_continues_with_the_next_segment(clip, tmp_path, monkeypatch):
    upscaler = sr_zoo.Upscaler("nearest", 2)
    done = []
    write = video._write

    def fail_late(segment, *arguments):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(segment.name)
        return write(segment, *arguments)

    def run(target):
        # without loss: encoders need not make the same bytes of the same frames twice
        options = {"progress": False, "frames_per_segment": 3}
        upscale_video(upscaler, clip, tmp_path / target, Encoding(quality=100), **options)

    monkeypatch.setattr(video, "_write", fail_late)
    with pytest.raises(KeyboardInterrupt):
        run("b.mp4")
    assert not (tmp_path / "b.mp4").exists()
    monkeypatch.setattr(video, "_write", lambda *a: done.append(a[0].name) or write(*a))
    run("b.mp4")
    assert done == ["000000.nut", "000001.nut", "000002.nut", "000003.nut"]
    run("undisturbed.mp4")
    assert shown(tmp_path / "b.mp4")[0] == list(TIMES)
    for one, other in zip(
        shown(tmp_path / "b.mp4")[1], shown(tmp_path / "undisturbed.mp4")[1], strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_command_line(clip, tmp_path):
    arguments = ["upscale", str(clip), "-o", str(tmp_path / "b.mkv"), "--model", "nearest"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--scale", "1.5", "--preset", "ultrafast"])
    assert ended.value.code == 0
    assert shown(tmp_path / "b.mkv")[1][0].shape == (36, 48, 3)


def test_a_video_keeps_its_name_in_a_folder(clip, tmp_path, capsys):
    upscale = ["upscale", str(clip), "--model", "nearest", "--scale", "2", "-o"]
    for folder in (f"{tmp_path}/out", f"{tmp_path}/large.v2/"):
        with pytest.raises(SystemExit, match="0"):
            main([*upscale, folder])
        assert shown(Path(folder) / clip.name)[1][0].shape == (48, 64, 3)
    with pytest.raises(SystemExit, match="1"):
        main([*upscale, str(clip.parent)])
    assert "is the input and would be replaced" in capsys.readouterr().err


def test_the_command_leaves_out_what_exists_and_what_tells_of_people(clip, tmp_path, capsys):
    def run(*options):
        target = tmp_path / "b.mp4"
        with pytest.raises(SystemExit) as ended:
            main(["upscale", str(clip), "-o", str(target), "--model", "nearest", *options])
        return ended.value.code, target.read_bytes() if target.exists() else b""

    code, _ = run("--report", "report.json")
    assert code == 1
    assert "--exclude are for images" in capsys.readouterr().err
    _, first = run()
    assert b"52.5200+13.4050" in first
    _, stripped = run("--strip")
    assert stripped
    assert b"52.5200+13.4050" not in stripped
    assert run("--skip-existing") == (0, stripped)


def test_options_that_the_encoder_refuses_are_named(clip, tmp_path):
    upscaler = sr_zoo.Upscaler("nearest", 2)
    with pytest.raises(errors.ImageWriteError, match=r"refuses .* preset='fastest'; .* ultrafast"):
        upscale_video(upscaler, clip, tmp_path / "b.mp4", Encoding(preset="fastest"))
    with pytest.raises(errors.ImageWriteError, match=r"preset='14'; presets of av1 are 0 .* to 13"):
        upscale_video(upscaler, clip, tmp_path / "c.mp4", Encoding("av1", preset="14"))


@pytest.mark.parametrize("option", ["--codec=hevc", "--preset=fast"])
def test_options_of_videos_are_refused_for_images(option, tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(SystemExit) as ended:
        main(["upscale", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), option])
    assert ended.value.code == 1
    assert "--codec and --preset are for a video" in capsys.readouterr().err
    assert not (tmp_path / "b.png").exists()


def test_what_cannot_be_done_ends_in_a_sentence(clip, tmp_path):
    upscaler = sr_zoo.Upscaler("nearest", 2)
    (tmp_path / "text.mp4").write_text("no video")
    wrong = [
        (tmp_path / "none.mp4", "a.mp4", errors.ImageReadError, "none.mp4: no such file"),
        (tmp_path / "text.mp4", "a.mp4", errors.ImageReadError, "text.mp4: is damaged, or no"),
        (clip, "a.gif", errors.ImageWriteError, r"'\.gif' is no video format"),
        (clip, "clip.mp4", errors.OptionError, "is the input and would be replaced"),
    ]
    for source, target, error, message in wrong:
        with pytest.raises(error, match=message):
            upscale_video(upscaler, source, tmp_path / target, progress=False)
    with pytest.raises(errors.OptionError, match="codec must be one of auto, h264, hevc, av1"):
        Encoding(codec="divx")
    with pytest.raises(errors.OptionError, match="quality must be from 1 to 100, got 0"):
        Encoding(quality=0)
    assert "mp4" in CONTAINERS[".mp4"]


SUBTITLES = """1
00:00:00,000 --> 00:00:00,200
Hello

2
00:00:00,300 --> 00:00:00,600
there
"""


@pytest.fixture
def subtitled(clip, tmp_path):
    """The clip with text under it."""
    text, path = tmp_path / "text.srt", tmp_path / "subtitled.mkv"
    text.write_text(SUBTITLES)
    sources = [av.open(str(clip)), av.open(str(text))]
    with av.open(str(path), "w") as container:
        for source in sources:
            for stream in source.streams:
                copy = container.add_stream_from_template(stream)
                copy.metadata.update({"language": "ice"} if stream.type == "subtitle" else {})
        streams = iter(container.streams)
        copies = [[next(streams) for _ in source.streams] for source in sources]
        for source, own in zip(sources, copies, strict=True):
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = own[packet.stream.index]
                    container.mux(packet)
            source.close()
    return path


def subtitles_of(path):
    """Return texts, times in seconds and language of a file's subtitles."""
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        packets = [packet for packet in container.demux(stream) if packet.dts is not None]
        times = [(float(p.pts * p.time_base), float(p.duration * p.time_base)) for p in packets]
        return [bytes(packet) for packet in packets], times, stream.language


def test_subtitles_are_copied(subtitled, tmp_path):
    upscaler = sr_zoo.Upscaler("nearest", 2)
    upscale_video(upscaler, subtitled, tmp_path / "b.mkv", progress=False)
    assert subtitles_of(tmp_path / "b.mkv") == subtitles_of(subtitled)
    texts, _, language = subtitles_of(subtitled)
    assert (texts, language) == ([b"Hello", b"there"], "ice")
    with pytest.raises(errors.ImageWriteError, match=r"b\.mp4: cannot hold .*mkv holds every kind"):
        upscale_video(upscaler, subtitled, tmp_path / "b.mp4", progress=False)
    assert not (tmp_path / "b.mp4").exists()


class Unset:
    """A stream of x265 as it is below three frames: what is subtracted from the decoding times is
    set at the third, and is until then whatever the memory held."""

    def __init__(self, stream):
        self.stream = stream

    def encode(self, frame):
        packets = self.stream.encode(frame)
        for packet in packets:
            packet.dts += 1000
        return packets


@pytest.mark.parametrize("frames", [1, 2])
def test_segments_too_short_to_reorder_are_written(clip, tmp_path, frames):
    with files.open_clip(clip) as opened:
        writer = SegmentWriter(tmp_path / "a.nut", opened, (24, 32), Encoding("hevc"))
        writer._stream = Unset(writer._stream)
        for time in range(frames):
            writer.add(VideoFrame(picture(time), time))
        writer.close()
    with av.open(str(tmp_path / "a.nut")) as container:
        assert len(list(container.decode(video=0))) == frames


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_ten_bits_stay_ten_bits(tmp_path, codec):
    source, target = tmp_path / "deep.mkv", tmp_path / "large.mkv"
    ramp = np.linspace(70, 900, 32 * 24).reshape(24, 32).astype("<u2")  # all in steps of one
    grey = np.full((24, 16), 512, "<u2")  # both chroma planes
    with av.open(str(source), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p10le"
        frame = av.VideoFrame.from_ndarray(
            np.vstack([ramp.reshape(-1, 32), grey.reshape(-1, 32)]).astype(np.uint16),
            format="yuv420p10le",
        )
        frame.pts, frame.time_base = 0, Fraction(1, 30)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    encoding = Encoding(codec, quality=100, preset="ultrafast")
    upscale_video(sr_zoo.Upscaler("nearest", 2), source, target, encoding, progress=False)
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        (frame,) = container.decode(stream)
    assert stream.codec_context.pix_fmt == "yuv420p10le"
    luma = frame.to_ndarray()[:48].astype(int)
    assert np.abs(luma - ramp.repeat(2, 0).repeat(2, 1)).mean() < 0.5
    assert len(np.unique(luma)) > 256
