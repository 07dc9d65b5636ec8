"""Image files and pixels; knows no network."""

from sr_zoo.imaging.picture import Metadata as Metadata
from sr_zoo.imaging.picture import Picture as Picture
from sr_zoo.imaging.pil import from_pil as from_pil
from sr_zoo.imaging.pil import to_pil as to_pil
from sr_zoo.imaging.read import read_image as read_image
from sr_zoo.imaging.write import encode_image as encode_image
from sr_zoo.imaging.write import write_image as write_image
