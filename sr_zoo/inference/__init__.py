"""Running networks on images of any size."""
