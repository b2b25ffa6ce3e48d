import io
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import Image

from modalens.errors import ModalensError
from modalens.pairs import ImageRef
from modalens.pairs.images import BytesImage, FileImage


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(size=(64, 48)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_both_references_give_the_same_pixels(tmp_path):
    data = encode(noise(), "PNG")
    (tmp_path / "a.png").write_bytes(data)
    file, memory = FileImage(tmp_path / "a.png", "a.png"), BytesImage("a.png", data)
    assert isinstance(file, ImageRef)
    assert isinstance(memory, ImageRef)
    assert file.key == memory.key == "a.png"
    assert file.load().mode == memory.load().mode == "RGB"
    np.testing.assert_array_equal(file.load(), noise())
    np.testing.assert_array_equal(memory.load(), noise())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_turns_the_image_upright(kind):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it upright
    left_red = Image.new("RGB", (40, 20), "blue")
    left_red.paste("red", (0, 0, 20, 20))
    upright = BytesImage("a", encode(left_red, kind, exif=exif, quality=95)).load()
    assert upright.size == (20, 40)
    assert np.argmax(np.asarray(upright)[5, 10]) == 0  # the left side is now on top
    assert np.argmax(np.asarray(upright)[35, 10]) == 2


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_white(mode):
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 8))
    pixels = np.asarray(BytesImage("a", encode(image.convert(mode), "PNG")).load())
    assert (pixels[:, 4:] == 255).all()
    assert (pixels[:, :4] == 0).all()


def test_half_transparent_is_blended():
    image = Image.new("RGBA", (2, 2), (0, 0, 0, 128))
    assert abs(int(np.asarray(BytesImage("a", encode(image, "PNG")).load())[0, 0, 0]) - 127) <= 1


def test_sixteen_bit_grey_keeps_its_range():
    grey = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    pixels = np.asarray(BytesImage("a", encode(Image.fromarray(grey), "PNG")).load())
    assert np.abs(pixels[..., 0].astype(int).ravel() - np.arange(256)).max() <= 1


@pytest.mark.parametrize(("mode", "kind"), [("L", "JPEG"), ("CMYK", "JPEG"), ("1", "PNG"), ("P", "GIF")])
def test_every_mode_becomes_rgb(mode, kind):
    assert BytesImage("a", encode(noise().convert(mode), kind)).load().mode == "RGB"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_truncated_image(kind):
    data = encode(noise(), kind)
    with pytest.raises(ModalensError, match=r"^The image photo\.x .*\.$"):
        BytesImage("photo.x", data[: len(data) // 2]).load()


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x00" * 100])
def test_not_an_image(data):
    with pytest.raises(ModalensError, match=r"^The image a is not an image Pillow can read\.$"):
        BytesImage("a", data).load()


def test_missing_file(tmp_path):
    with pytest.raises(ModalensError, match=r"does not exist\.$"):
        FileImage(tmp_path / "none.jpg", "none.jpg").load()
    with pytest.raises(ModalensError, match="is a folder"):
        FileImage(tmp_path, "folder").load()


def test_decompression_bomb(monkeypatch):
    data = encode(noise(), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ModalensError, match="too many pixels"):
        BytesImage("a", data).load()


def test_decoding_gives_no_warning():
    script = """
        import io
        from PIL import Image
        from modalens.pairs.images import BytesImage
        buffer = io.BytesIO()
        Image.new("RGB", (64, 48)).save(buffer, "PNG")
        Image.MAX_IMAGE_PIXELS = 64 * 48 - 1  # large enough for a warning, not for an error
        assert BytesImage("a", buffer.getvalue()).load().size == (64, 48)
    """
    command = [sys.executable, "-W", "always", "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(monkeypatch):
    data = encode(noise(), "PNG")
    monkeypatch.setattr("modalens.pairs.images.MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(
        ModalensError, match="The image a has too many pixels to be decoded safely; at most 3071 are"
    ):
        BytesImage("a", data).load()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_picture_of_several_is_taken(kind):
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    data = encode(pictures[0], kind, save_all=True, append_images=pictures[1:])
    found = np.asarray(BytesImage("a", data).load()).astype(int)
    assert np.abs(found - [255, 0, 0]).max() <= 2


def test_no_other_program_is_run(monkeypatch):
    """PostScript, which Pillow hands to Ghostscript, whatever the file is called."""
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("a program was run"))
    data = encode(noise(), "EPS")
    with pytest.raises(ModalensError, match="not an image Pillow can read"):
        BytesImage("a.jpg", data).load()


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ModalensError, match=r"pipe\.jpg is a pipe or a device"):
        FileImage(tmp_path / "pipe.jpg", "pipe.jpg").load()


def test_heic_names_its_plug_in():
    with pytest.raises(ModalensError, match=r"pip install \"modalens\[heic\]"):
        BytesImage("a", b"\0\0\0\x18ftypheic" + bytes(100)).load()
